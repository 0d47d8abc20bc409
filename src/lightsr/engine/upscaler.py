"""The `Upscaler`: a network, a backend and the memory it may take, applied to pictures."""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from lightsr.engine import tiles
from lightsr.engine.backends.base import Backend, Pixels
from lightsr.engine.backends.choose import Choice, open_backend
from lightsr.engine.forward import Forward
from lightsr.engine.kinds import Image, take
from lightsr.engine.machine import available_memory, format_memory, parse_memory, used_memory
from lightsr.engine.pieces import Pieces, filled
from lightsr.engine.samples import from_float, to_float
from lightsr.engine.sizes import Size
from lightsr.engine.tiles import Progress
from lightsr.errors import LightsrError, UserError
from lightsr.images.picture import Picture
from lightsr.images.resize import RowResizer
from lightsr.images.rowstore import kept_in_memory

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

log = logging.getLogger("lightsr")

Tile: TypeAlias = Literal["auto", "off"] | int

_SAMPLE = 512
"""Side, in LR pixels, of all that statistics are read from at a time where memory allows it."""
_BLOCK = 1 << 20
"""Samples that are resized, rounded and handed on at a time."""


class Upscaler:
    """Enlarges pictures by one scale with one network. Any number of threads may share it.

    Grey pictures stay grey, alpha is enlarged on its own, sample types are kept; floats are in
    [0, 1]. Results are clipped, and rounded half up.
    """

    def __init__(
        self,
        model: str | None = None,
        scale: int | None = None,
        *,
        backend: str | Backend = "auto",
        device: str = "auto",
        precision: str = "auto",
        weights: str | Path = "default",
        tile: Tile = "auto",
        ensemble: bool = False,
        memory: str | int | None = None,
    ) -> None:
        """Load a network.

        Args:
            model: the network's name; None takes the one that a file of weights holds, or the
                shipped one that measured best on Set5.
            scale: one that the network comes in; None takes what a file of weights was made for,
                and 4 for shipped weights.
            backend: "auto", "fused", "onnxruntime", "torch", or a `Backend` of your own (which
                then is all that matters; model, scale, device, precision, weights are its own).
            device: "auto", "cpu", "cuda", "mps".
            precision: "auto" (the fastest that stays within 55 dB of float32 here), "fp32",
                "bf16" (on processors that have it, or in torch), "fp16" (in torch), or "int8"
                (for a quantised graph given as `weights`).
            weights: the tag of shipped weights, or a file.
            tile: "auto" takes a picture whole while that fits into memory and in the largest
                tiles that fit where it does not; "off" always takes it whole; a number N takes
                tiles of N x N LR pixels.
            ensemble: enlarge eight views of the picture and average them.
            memory: what this process may take altogether, like "2G" or in bytes; None is half
                of what is free when a picture is begun.

        Raises `UserError` and its kinds where something asked for does not exist or is not here.
        """
        self._tile = _checked(tile)
        self._memory = None if memory is None else parse_memory(memory)
        if isinstance(backend, str):
            choice = Choice(model, weights, backend, device, precision)
            backend = open_backend(choice, scale)
        self.backend = backend
        """What runs the network; it knows the network's name, the scale and the device."""
        self._forward = Forward(backend, ensemble)

    @property
    def scale(self) -> int:
        """How many times larger both sides become."""
        return self.backend.scale

    @overload
    def __call__(self, image: NDArray[Any]) -> NDArray[Any]: ...
    @overload
    def __call__(self, image: str | Path | PILImage) -> PILImage: ...

    def __call__(self, image: Image) -> Any:
        """Enlarge one picture and return it as what it came as.

        `image` is an array (HW or HWC of 1 to 4 channels: grey, grey and alpha, RGB, RGB and
        alpha; uint8, uint16, or floats in [0, 1]), a PIL image, or a path, for which a PIL image
        is returned. Raises `PictureError` for one that cannot be taken.
        """
        given = take(image)
        return given.give_back(self.enlarge(given.picture))

    def batch(self, images: Sequence[Image]) -> list[Any]:
        """Enlarge several pictures; those of equal size and type together, as memory allows.

        The results are those of enlarging each alone, in the order given.
        """
        given = [take(image) for image in images]
        results = self.enlarge_all([one.picture for one in given])
        return [one.give_back(result) for one, result in zip(given, results, strict=True)]

    def enlarge_all(self, pictures: Sequence[Picture]) -> list[Pixels]:
        """Do what `batch` does for pictures, and what `enlarge` does for one."""
        alike: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
        for index, picture in enumerate(pictures):
            kind = (picture.height, picture.width, _channels(picture), picture.dtype)
            alike[kind].append(index)
        results: dict[int, Pixels] = {}
        for indices in alike.values():
            for some in self._chunks([pictures[i] for i in indices], indices):
                together = self._enlarge_together([pictures[i] for i in some])
                results.update(zip(some, together, strict=True))
        return [results[index] for index in range(len(pictures))]

    def enlarge(self, picture: Picture, size: Size | None = None) -> Pixels:
        """Enlarge a picture and return all of it, [height, width, channels (+ alpha)]."""
        return np.concatenate(list(self.upscale_picture(picture, size)))

    def upscale_picture(
        self, picture: Picture, size: Size | None = None, progress: Progress | None = None
    ) -> Iterator[Pixels]:
        """Enlarge a picture by the scale, or to `size`, with bounded memory.

        Returns bands of full rows from top to bottom, in the picture's sample type, as
        `write_picture` takes them. A `size` other than scale times the picture is reached by
        MATLAB's bicubic from there. Raises `PictureError` for samples that cannot be enlarged
        and `LightsrError`, naming the picture, where the network fails, while bands are taken;
        `UserError` for tiles or memory too small at once.
        """
        return self.bands(picture, self.plan(picture, size), size, progress)

    def plan(self, picture: Picture, size: Size | None = None, reserve: int = 0) -> tiles.Plan:
        """Decide how `upscale_picture` cuts a picture, and say what the user should know of it.

        `reserve` are bytes that something else will take meanwhile. Raises `UserError` for tiles
        or memory too small.
        """
        full = self._full(picture)
        if size is not None and (size[0] > full[0] or size[1] > full[1]):
            log.warning(
                "%s: %dx%d is beyond x%d; bicubic does the rest",
                *(picture.source, size[1], size[0], self.scale),
            )
        return self._plan(picture, reserve=reserve)

    def bands(
        self,
        picture: Picture,
        plan: tiles.Plan,
        size: Size | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Pixels]:
        """Enlarge a picture as `upscale_picture` does, cut as a plan for pictures like it says."""
        full = self._full(picture)
        forward = self._forward.for_samples(picture.dtype)
        pieces = Pieces(forward, picture, plan, self._sampled(picture, plan))
        bands = tiles.enlarge(pieces.rows, plan, self.scale, pieces.run, progress, pieces.give_way)
        resizer = RowResizer(*full, size) if size not in (None, full) else None
        return _finished(bands, picture.dtype, resizer)

    def _sampled(self, picture: Picture, plan: tiles.Plan) -> int:
        """Return how many LR pixels may be sampled at a time: a tile, or more where it fits."""
        high, wide = plan.tile_size
        peak = self._forward.peak_bytes(1, _SAMPLE, _SAMPLE, _channels(picture))
        fits = plan.tiles > 1 and peak <= self.free_memory()
        return max(high * wide, _SAMPLE**2 if fits else 0)

    def _full(self, picture: Picture) -> Size:
        return picture.height * self.scale, picture.width * self.scale

    def _enlarge_together(self, pictures: list[Picture]) -> list[Pixels]:
        if len(pictures) > 1:
            # Where memory does not suffice for all, it may for each.
            with contextlib.suppress(MemoryError):
                batch = np.stack([to_float(filled(picture)) for picture in pictures])
                dtype = pictures[0].dtype
                names = f"{pictures[0].source} and {len(pictures) - 1} more"
                return [from_float(result, dtype) for result in self._run(batch, dtype, names)]
        return [self.enlarge(picture) for picture in pictures]

    def _run(self, batch: Pixels, dtype: np.dtype[Any], names: str) -> Pixels:
        try:
            return self._forward.for_samples(dtype)(batch)
        except LightsrError as error:
            raise LightsrError(f"{names}: {error}") from error

    def _chunks(self, pictures: list[Picture], indices: list[int]) -> Iterator[list[int]]:
        """Cut a list of equal pictures into as many at a time as memory allows."""
        one = pictures[0]
        count = 1
        if self._plan(one, quiet=True).tiles == 1:
            budget = self.free_memory()
            while count < len(indices) and self._peak(one, count=count + 1) <= budget:
                count += 1
        for start in range(0, len(indices), count):
            yield indices[start : start + count]

    def _plan(self, picture: Picture, *, reserve: int = 0, quiet: bool = False) -> tiles.Plan:
        height, width, radius = picture.height, picture.width, self.backend.radius
        if isinstance(self._tile, int):
            return tiles.plan_tiles(height, width, self._tile, radius)
        if self._tile == "off":
            return tiles.whole(height, width)
        budget = self.free_memory() - reserve
        if self._peak(picture) <= budget:
            return tiles.whole(height, width)

        def peak(high: int, wide: int) -> int:
            return self._peak(picture, (high, wide))

        side = tiles.largest_tile(height, width, radius, peak, budget)
        if side is None:
            least = tiles.smallest_sensible_tile(radius)
            if self._memory is not None:
                needed = peak(min(least, height), min(least, width)) + used_memory() + reserve
                raise UserError(
                    f"{picture.source}: {format_memory(self._memory)} of memory is too little; "
                    f"give at least {format_memory(needed)}"
                )
            side = least
        plan = tiles.plan_tiles(height, width, side, radius)
        if not quiet:
            _say_tiled(picture, plan, self._memory or budget, global_=radius is None)
        return plan

    def free_memory(self) -> int:
        """Return the bytes that the next picture may take."""
        free = self.backend.free_bytes()
        if free is not None:
            return free // 2 if self._memory is None else min(self._memory, free)
        if self._memory is None:
            return available_memory() // 2
        return self._memory - used_memory()

    def peak_memory(self, size: Size, count: int = 1) -> int:
        """Return the bytes that `count` pictures of a size take together, at most, done whole."""
        nothing = np.broadcast_to(np.zeros((), np.uint16), (*size, 4))
        return self._peak(Picture(nothing, has_alpha=True), count=count)

    def _peak(self, picture: Picture, tile: Size | None = None, count: int = 1) -> int:
        """Return the bytes that `count` pictures take at most, in tiles of a size or whole.

        That is reading, enlarging, blending, and collecting the result as `write_picture` does.
        """
        high, wide = tile or (picture.height, picture.width)
        channels = _channels(picture)
        peak = self._forward.peak_bytes(count, high, wide, channels)
        peak += count * high * picture.width * channels * (4 + picture.dtype.itemsize)
        if wide < picture.width:
            strip = high * picture.width * self.scale**2 * channels * 4
            peak += strip + strip // 2  # and the rows it shares with the next, being blended
        samples = count * picture.height * picture.width * self.scale**2 * channels
        collected = min(samples * picture.dtype.itemsize, kept_in_memory(self._memory))
        return peak + collected + _filling(picture) * count + _BLOCK * 32


def _checked(tile: Any) -> Tile:
    if tile in ("auto", "off") or (isinstance(tile, int) and tile > 0):
        return tile
    raise UserError(f"tile must be auto, off or a number of pixels, not {tile!r}")


def _channels(picture: Picture) -> int:
    return picture.channels + picture.has_alpha


def _filling(picture: Picture) -> int:
    """Return the bytes that it takes to put colour where nothing is seen, the result included."""
    if picture.opaque:
        return 0
    each = _channels(picture) * (picture.dtype.itemsize + 6) + 1
    return picture.height * picture.width * each


def _finished(
    bands: Iterator[Pixels], dtype: np.dtype[Any], resizer: RowResizer | None
) -> Iterator[Pixels]:
    """Resize and round float bands, in small blocks so that little is in memory twice."""
    for band in bands:
        step = max(1, _BLOCK // (band.shape[1] * band.shape[2]))
        for top in range(0, len(band), step):
            block = band[top : top + step]
            if resizer is not None:
                block = resizer.push(np.ascontiguousarray(block))
            if len(block):
                yield from_float(block, dtype)
            del block
        del band  # before the next is made


def _say_tiled(picture: Picture, plan: tiles.Plan, budget: int, *, global_: bool) -> None:
    differs = (
        ", which for a network with global statistics differs slightly from whole-image inference"
    )
    log.warning(
        "%s: %dx%d does not fit into %s whole; done in %d tiles%s",
        *(picture.source, picture.width, picture.height, format_memory(budget), plan.tiles),
        differs if global_ else "",
    )

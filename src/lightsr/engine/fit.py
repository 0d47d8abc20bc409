"""The right upscaler for every picture, when a size is asked for instead of a scale."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from lightsr.engine.backends.base import Backend
from lightsr.engine.backends.choose import Choice
from lightsr.engine.machine import memory_left, parse_memory
from lightsr.engine.sizes import Size, covering_scale, wanted_size
from lightsr.engine.upscaler import Tile, Upscaler
from lightsr.errors import UserError
from lightsr.images.picture import Picture


class Options(TypedDict, total=False):
    """`Upscaler`'s arguments but for the scale."""

    model: str | None
    backend: str | Backend
    device: str
    precision: str
    weights: str | Path
    tile: Tile
    ensemble: bool
    memory: str | int | None


class Fit:
    """Upscalers that differ in scale only, each made when a picture first needs it.

    Either `scale` is given (None: 4, or what a file of weights is for), or `width`, `height`, or
    both, in pixels; then each picture gets the smallest scale that covers what is asked of it.
    Threads may share it.
    """

    def __init__(
        self, scale: int | None, width: int | None, height: int | None, options: Options
    ) -> None:
        """Load what is certain to be needed. Raises what `Upscaler` raises."""
        if scale is not None and (width is not None or height is not None):
            raise UserError("a scale and a width or height exclude each other; give one of them")
        for name, length in (("width", width), ("height", height)):
            if length is not None and length < 1:
                raise UserError(f"the {name} must be at least 1 pixel, not {length}")
        self._width, self._height = width, height
        self._options = options
        self._upscalers: dict[int, Upscaler] = {}
        self._lock = threading.Lock()
        self._scales: Sequence[int] = self._scales_at_hand() if width or height else ()
        if not self._scales:
            only = Upscaler(scale=scale, **options)
            self._scales = (only.scale,)
            self._upscalers[only.scale] = only

    @property
    def options(self) -> Options:
        """What the upscalers are made with; their scale comes to it."""
        return self._options

    @property
    def scale(self) -> int | None:
        """The scale of every picture; None where a width or height decides."""
        return None if self._width or self._height else self._scales[0]

    def memory(self) -> int:
        """Return the bytes of main memory that reading and writing a picture may take now."""
        memory = self._options.get("memory")
        return memory_left(None if memory is None else parse_memory(memory))

    def for_picture(self, picture: Picture) -> tuple[Upscaler, Size | None]:
        """Return the upscaler for a picture and the size to ask it for; None: scale times it.

        Raises `UserError` where the picture would become smaller.
        """
        return self.for_size((picture.height, picture.width), picture.source)

    def for_size(self, have: Size, source: str) -> tuple[Upscaler, Size | None]:
        """Do what `for_picture` does for a picture, or frames, of a size, named `source`."""
        size = wanted_size(have, self._width, self._height, source)
        scale = self._scales[0] if size is None else covering_scale(have, size, self._scales)
        with self._lock:
            if scale not in self._upscalers:
                self._upscalers[scale] = Upscaler(scale=scale, **self._options)
            return self._upscalers[scale], size

    def _scales_at_hand(self) -> tuple[int, ...]:
        """Return the scales there are shipped weights for; () where one file decides."""
        options = self._options
        backend = options.get("backend", "auto")
        if not isinstance(backend, str):
            return ()
        choice = Choice(
            options.get("model"),
            options.get("weights", "default"),
            backend,
            options.get("device", "auto"),
            options.get("precision", "auto"),
        )
        choice.check()
        return choice.shipped_scales() if choice.file is None else ()

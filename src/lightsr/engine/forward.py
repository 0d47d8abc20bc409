"""One pass of pictures, or tiles of them, through a network: colour, grey, alpha."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lightsr.engine.backends.base import Backend, Batch, Pixels, Rounding, Run, Tunable
from lightsr.engine.ensemble import VIEWS, enlarge_in_eight_views, turn
from lightsr.engine.samples import to_grey
from lightsr.errors import LightsrError

_FLOAT = 4  # bytes


@dataclass(frozen=True, slots=True)
class Forward:
    """Enlarges batches of float32 [n, h, w, c] in [0, 1] to [n, scale*h, scale*w, c].

    c is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha). Grey goes through the network as
    three equal channels. Alpha does too, on its own, and never leaves the range of its LR pixel
    and that one's neighbours: where it is constant it stays exactly so, and the network need not
    be asked.
    """

    backend: Backend
    ensemble: bool = False
    colour_runs: Sequence[Run] | None = None
    """What enlarges the colours, in each view; None: the backend as it is."""
    alpha_runs: Sequence[Run] | None = None

    def for_samples(self, dtype: np.dtype[Any]) -> Forward:
        """Return one for samples that are stored as `dtype`, where that makes a difference."""
        backend = self.backend
        if not isinstance(backend, Rounding):
            return self
        return replace(self, backend=backend.for_samples(dtype))

    def tuned_to(self, samples: Sequence[Pixels]) -> Forward:
        """Return one that takes the statistics of `samples` for those of every picture.

        Each is parts of one picture, [n, h, w, c]. The same comes back where the network has no
        statistics to share, or the backend cannot.
        """
        channels = samples[0].shape[3]
        has_alpha = channels in (2, 4)
        colour_runs = self._tuned_runs([one[..., : channels - has_alpha] for one in samples])
        alpha_runs = None
        if has_alpha and any(one[..., -1].min() < one[..., -1].max() for one in samples):
            alpha_runs = self._tuned_runs([one[..., -1:] for one in samples])
        return replace(self, colour_runs=colour_runs, alpha_runs=alpha_runs)

    def _tuned_runs(self, samples: Sequence[Pixels]) -> Sequence[Run] | None:
        backend = self.backend
        if not isinstance(backend, Tunable):
            return None
        planes = [_planes(sample) for sample in samples]
        runs: list[Run] = []
        for view in range(VIEWS if self.ensemble else 1):
            run = backend.tuned_to([np.ascontiguousarray(turn(one, view)) for one in planes])
            if run is None:
                return None
            runs.append(run)
        return runs

    def __call__(self, batch: Pixels) -> Pixels:
        """Enlarge. Raises `LightsrError` where the network gives something not finite."""
        channels = batch.shape[3]
        has_alpha = channels in (2, 4)
        colour = self._enlarge(batch[..., : channels - has_alpha], self.colour_runs)
        if not has_alpha:
            return colour
        result = np.empty((*colour.shape[:3], channels), np.float32)
        result[..., :-1] = colour
        del colour
        for alpha, enlarged in zip(batch[..., -1:], result[..., -1:], strict=True):
            enlarged[:] = self._enlarge_alpha(alpha)
        return result

    def peak_bytes(self, batch: int, height: int, width: int, channels: int) -> int:
        """Return the most memory that a call takes, its result included."""
        scale = self.backend.scale
        output = batch * height * width * scale * scale * _FLOAT
        passing = self.backend.peak_bytes(batch, height, width)
        beside = 0
        if self.ensemble:
            beside += 2 * 3 * output  # the sum, and a view turned back
        if channels in (2, 4):
            beside += (channels + 2) * output  # the result; bounds of alpha
        if channels < 3:
            beside += 3 * output
        return passing + beside

    def _enlarge(self, batch: Pixels, runs: Sequence[Run] | None) -> Pixels:
        runs = runs or [self.backend.run] * (VIEWS if self.ensemble else 1)
        planes = _planes(batch)
        enlarged = enlarge_in_eight_views(runs, planes) if self.ensemble else runs[0](planes)
        if not np.isfinite(float(enlarged.min()) + float(enlarged.max())):
            raise LightsrError(
                f"{self.backend.network} x{self.backend.scale} ({self.backend.name}, "
                f"{self.backend.precision}) gave samples that are not finite"
            )
        result = np.moveaxis(enlarged, 1, 3)
        return to_grey(result) if batch.shape[3] == 1 else result

    def _enlarge_alpha(self, alpha: Pixels) -> Pixels:
        """[h, w, 1] -> [scale*h, scale*w, 1]."""
        scale = self.backend.scale
        if alpha.min() == alpha.max():
            height, width, _ = alpha.shape
            return np.broadcast_to(alpha[:1, :1], (height * scale, width * scale, 1))
        enlarged = self._enlarge(alpha[np.newaxis], self.alpha_runs)[0]
        for bound, extreme in ((np.minimum, np.maximum), (np.maximum, np.minimum)):
            reach = _of_neighbours(alpha, extreme)
            bound(enlarged, reach.repeat(scale, 0).repeat(scale, 1), out=enlarged)
        return enlarged


def _planes(batch: Pixels) -> Batch:
    """[n, h, w, 1 or 3] -> [n, 3, h, w], as the backend takes it."""
    planes = np.moveaxis(batch, 3, 1)
    if batch.shape[3] == 1:
        planes = np.repeat(planes, 3, axis=1)
    return np.ascontiguousarray(planes, dtype=np.float32)


def _of_neighbours(plane: Pixels, extreme: np.ufunc) -> Pixels:
    """Return the extreme value of every pixel's 3x3 neighbourhood, [h, w, 1]."""
    for axis in (0, 1):
        result = plane.copy()
        inner = [slice(None)] * plane.ndim
        outer = list(inner)
        inner[axis], outer[axis] = slice(1, None), slice(None, -1)
        ahead, behind = tuple(inner), tuple(outer)
        extreme(result[behind], plane[ahead], out=result[behind])
        extreme(result[ahead], plane[behind], out=result[ahead])
        plane = result
    return plane

"""One pass of pictures, or tiles of them, through a network: colour, grey, alpha."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightsr.engine.backends.base import Backend, Batch, Pixels
from lightsr.engine.ensemble import enlarge_in_eight_views
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

    def __call__(self, batch: Pixels) -> Pixels:
        """Enlarge. Raises `LightsrError` where the network gives something not finite."""
        channels = batch.shape[3]
        has_alpha = channels in (2, 4)
        colour = self._enlarge(batch[..., : channels - has_alpha])
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

    def _enlarge(self, batch: Pixels) -> Pixels:
        grey = batch.shape[3] == 1
        planes = np.moveaxis(batch, 3, 1)
        if grey:
            planes = np.repeat(planes, 3, axis=1)
        planes = np.ascontiguousarray(planes, dtype=np.float32)
        run = self.backend.run
        enlarged: Batch = enlarge_in_eight_views(run, planes) if self.ensemble else run(planes)
        if not np.isfinite(float(enlarged.min()) + float(enlarged.max())):
            raise LightsrError(
                f"{self.backend.network} x{self.backend.scale} ({self.backend.name}, "
                f"{self.backend.precision}) gave samples that are not finite"
            )
        result = np.moveaxis(enlarged, 1, 3)
        return to_grey(result) if grey else result

    def _enlarge_alpha(self, alpha: Pixels) -> Pixels:
        """[h, w, 1] -> [scale*h, scale*w, 1]."""
        scale = self.backend.scale
        if alpha.min() == alpha.max():
            height, width, _ = alpha.shape
            return np.broadcast_to(alpha[:1, :1], (height * scale, width * scale, 1))
        enlarged = self._enlarge(alpha[np.newaxis])[0]
        for bound, extreme in ((np.minimum, np.maximum), (np.maximum, np.minimum)):
            reach = _of_neighbours(alpha, extreme)
            bound(enlarged, reach.repeat(scale, 0).repeat(scale, 1), out=enlarged)
        return enlarged


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

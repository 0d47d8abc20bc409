"""The protocol by which networks of luma were measured before 2017, on luma from end to end.

The original's Y is rounded to 8 bits, the LR luma is made from it in floating point and not
rounded, and the network's Y is clipped and rounded to 8 bits. The common protocol, which starts
from 8-bit RGB, gives such networks up to 0.04 dB more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightsr.evaluation.forward import Run
from lightsr.evaluation.pairs import find_pairs
from lightsr.images.color import rgb_to_luma
from lightsr.images.resize import Border, imresize
from lightsr.metrics import Score, psnr, ssim


def score_luma(run: Run, scale: int, data: Path, border: Border = "symmetric") -> dict[str, Score]:
    """Measure a backend's `run` on every original under `data`, by name.

    Luma goes through as grey RGB, which a network of luma takes apart and puts together again
    without loss. A border of `scale` pixels is cut. Raises `UserError` as `find_pairs` does.
    """
    scores: dict[str, Score] = {}
    for pair in find_pairs(data, scale):
        _, hr = pair.load(scale, border)
        luma = np.floor(rgb_to_luma(hr) + 0.5)
        size = hr.shape[0] // scale, hr.shape[1] // scale
        lr = imresize(luma, size=size, border=border)
        sr = _luma_of_grey(run(_grey_of_luma(lr)))
        sr = np.clip(np.floor(sr + 0.5), 0, 255)
        inner = (slice(scale, -scale), slice(scale, -scale))
        sr, luma = sr[inner], luma[inner]
        scores[pair.name] = Score(psnr(sr, luma), ssim(sr, luma))
    return scores


def _grey_of_luma(luma: NDArray[np.float64]) -> NDArray[np.float32]:
    grey = ((luma - 16) / 219).astype(np.float32)
    return np.ascontiguousarray(np.broadcast_to(grey, (1, 3, *grey.shape)))


def _luma_of_grey(picture: NDArray[np.float32]) -> NDArray[np.float64]:
    return picture[0, 0].astype(np.float64) * 219 + 16

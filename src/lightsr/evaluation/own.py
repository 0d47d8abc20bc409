"""The protocols by which networks of luma were measured in their own papers.

The common protocol starts from LR pictures of 8 bits, RGB. Here nothing is rounded before the
network. That changes the PSNR by up to 0.04 dB, for some networks up and for some down.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.samples import from_float
from lightsr.errors import UserError
from lightsr.evaluation.forward import Run
from lightsr.evaluation.pairs import Picture8, find_pairs
from lightsr.images.color import rgb_to_luma
from lightsr.images.resize import Border, imresize
from lightsr.metrics import Score, compare, psnr, ssim
from lightsr.networks.registry import network_spec


def score_own(
    run: Run, network: str, scale: int, data: Path, border: Border = "symmetric"
) -> dict[str, Score]:
    """Measure a backend's `run` of `network` by its paper's protocol, on every original in `data`.

    Returns the scores by the pictures' names. A border of `scale` pixels is cut. Raises
    `UserError` as `find_pairs` does, and for a network that was measured by the common protocol.
    """
    protocol = network_spec(network, scale).protocol
    if protocol == "common":
        raise UserError(f"{network} was measured by the common protocol; it has none of its own")
    measure = _luma if protocol == "luma" else _unrounded
    return {name: measure(run, hr, scale, border) for name, hr in _originals(data, scale, border)}


def _originals(data: Path, scale: int, border: Border) -> Iterator[tuple[str, Picture8]]:
    for pair in find_pairs(data, scale):
        yield pair.name, pair.load(scale, border)[1]


def _luma(run: Run, hr: Picture8, scale: int, border: Border) -> Score:
    """Measure luma from end to end: the original's in 8 bits, the LR one made of it unrounded.

    It goes through as grey RGB, which a network of luma takes apart and puts together again
    without loss; the network's luma is rounded to 8 bits.
    """
    luma = np.floor(rgb_to_luma(hr) + 0.5)
    lr = imresize(luma, size=_lr_size(hr, scale), border=border)
    grey = ((lr - 16) / 219).astype(np.float32)
    batch = np.ascontiguousarray(np.broadcast_to(grey, (1, 3, *grey.shape)))
    sr = np.clip(np.floor(_luma_of_grey(run(batch)) + 0.5), 0, 255)
    inner = (slice(scale, -scale), slice(scale, -scale))
    return Score(psnr(sr[inner], luma[inner]), ssim(sr[inner], luma[inner]))


def _luma_of_grey(picture: NDArray[np.float32]) -> NDArray[np.float64]:
    return picture[0, 0].astype(np.float64) * 219 + 16


def _unrounded(run: Run, hr: Picture8, scale: int, border: Border) -> Score:
    """Measure as is common, but from an LR picture in RGB that was not rounded."""
    lr = imresize(hr.astype(np.float64) / 255, size=_lr_size(hr, scale), border=border)
    batch = np.ascontiguousarray(lr.astype(np.float32).transpose(2, 0, 1)[np.newaxis])
    sr = from_float(run(batch)[0].transpose(1, 2, 0), hr.dtype)
    return compare(sr.astype(np.uint8), hr, border=scale)


def _lr_size(hr: Picture8, scale: int) -> tuple[int, int]:
    return hr.shape[0] // scale, hr.shape[1] // scale

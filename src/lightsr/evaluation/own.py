"""The protocols by which networks were measured in their own papers.

The common protocol starts from LR pictures of 8 bits, RGB, with the network's pass over the whole
picture. Networks of luma were measured with nothing rounded before the network, which changes the
PSNR by up to 0.04 dB, for some up and for some down.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.backends.base import Pixels
from lightsr.errors import UserError
from lightsr.evaluation.forward import Batch, Forward, Run, checked_pass
from lightsr.evaluation.measure import (
    Measure,
    Measured,
    batch_of,
    common,
    eight_bit,
    picture_of,
)
from lightsr.evaluation.pairs import Pair, Picture8, find_pairs
from lightsr.images.color import rgb_to_luma
from lightsr.images.resize import Border, imresize
from lightsr.metrics import Score, compare, psnr, ssim
from lightsr.networks.registry import network_spec
from lightsr.networks.spec import Protocol

_CHOPPED: tuple[Border, Forward] = ("replicate", "chop")


def conditions(protocol: Protocol, border: Border, forward: Forward) -> tuple[Border, Forward]:
    """Return the border and the pass of a protocol: its own where it has them, or those given."""
    if protocol == "luma, replicated":
        return "replicate", forward
    return _CHOPPED if protocol == "chopped" else (border, forward)


def measure_by(protocol: Protocol, run: Run, scale: int, border: Border) -> Measure:
    """Return what measures pairs by a protocol, through `run` with its border and pass.

    See `conditions` for these. A border of `scale` pixels is cut.
    """
    if protocol in ("common", "chopped"):
        return common(eight_bit(run), scale, border)
    measure = _luma if protocol.startswith("luma") else _unrounded
    return lambda pair: measure(run, pair, scale, border)


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
    border, forward = conditions(protocol, border, "whole")
    measure = measure_by(protocol, checked_pass(run, scale, forward), scale, border)
    return {pair.name: measure(pair).score for pair in find_pairs(data, scale)}


def _luma(run: Run, pair: Pair, scale: int, border: Border) -> Measured:
    """Measure luma from end to end: the original's in 8 bits, the LR one made of it unrounded.

    It goes through as grey RGB, which a network of luma takes apart and puts together again
    without loss; the network's luma is rounded to 8 bits.
    """
    hr = pair.load(scale, border)[1]
    luma = np.floor(rgb_to_luma(hr) + 0.5)
    grey = (imresize(luma, size=_lr_size(hr, scale), border=border) - 16) / 219
    output, seconds = _timed(run, np.broadcast_to(grey[..., np.newaxis], (*grey.shape, 3)))
    sr = np.clip(np.floor(_luma_of_grey(output) + 0.5), 0, 255)
    inner = (slice(scale, -scale), slice(scale, -scale))
    score = Score(psnr(sr[inner], luma[inner]), ssim(sr[inner], luma[inner]))
    return Measured(score, picture_of(output), seconds)


def _unrounded(run: Run, pair: Pair, scale: int, border: Border) -> Measured:
    """Measure as is common, but from an LR picture in RGB that was not rounded."""
    hr = pair.load(scale, border)[1]
    lr = imresize(hr.astype(np.float64) / 255, size=_lr_size(hr, scale), border=border)
    output, seconds = _timed(run, lr)
    sr = picture_of(output)
    return Measured(compare(sr, hr, border=scale), sr, seconds)


def _timed(run: Run, lr: Pixels) -> tuple[Batch, float]:
    """Return what `run` makes of RGB [h, w, 3] in [0, 1], and the seconds that it takes."""
    batch = batch_of(lr)
    start = time.perf_counter()
    output = run(batch)
    return output, time.perf_counter() - start


def _luma_of_grey(picture: NDArray[np.float32]) -> NDArray[np.float64]:
    return picture[0, 0].astype(np.float64) * 219 + 16


def _lr_size(hr: Picture8, scale: int) -> tuple[int, int]:
    return hr.shape[0] // scale, hr.shape[1] // scale

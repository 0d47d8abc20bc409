"""The protocols by which networks were measured in their own papers.

The common protocol starts from LR pictures of 8 bits, RGB, with the network's pass over the whole
picture. Networks of luma were measured with nothing rounded before the network, which changes the
PSNR by up to 0.04 dB, for some up and for some down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class Rule:
    """What a protocol measures, and what it says of that."""

    measured: Callable[[Run, Pair, int, Border], Measured]
    """Takes what enlarges, a pair, the scale and the border."""
    border: Border | None = None
    """Of the bicubic that makes LR pictures; None: the one asked for."""
    forward: Forward | None = None
    """The network's pass; None: the one asked for."""
    lr: str = "made from the originals"
    channel: str = "Y of BT.601, 16 to 235, not rounded"
    samples: str = "8 bit, clipped and rounded"

    def measure(self, run: Run, scale: int, border: Border) -> Measure:
        """Return what measures pairs through `run`; a border of `scale` pixels is cut."""
        return lambda pair: self.measured(run, pair, scale, border)


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
    rule = RULES[protocol]
    checked = checked_pass(run, scale, rule.forward or "whole")
    measure = rule.measure(checked, scale, rule.border or border)
    return {pair.name: measure(pair).score for pair in find_pairs(data, scale)}


def _common(run: Run, pair: Pair, scale: int, border: Border) -> Measured:
    return common(eight_bit(run), scale, border)(pair)


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


_LUMA = Rule(
    _luma,
    lr="made from the originals' luma in 8 bits, not rounded",
    channel="Y of BT.601, 16 to 235, rounded",
    samples="luma in 8 bit, clipped and rounded",
)
RULES: Mapping[Protocol, Rule] = {
    "common": Rule(_common),
    "chopped": Rule(_common, border="replicate", forward="chop"),
    "luma": _LUMA,
    "luma, replicated": replace(_LUMA, border="replicate"),
    "unrounded": Rule(_unrounded, lr="made from the originals, not rounded"),
}
"""The protocols by the names that `NetworkSpec.protocol` has for them."""

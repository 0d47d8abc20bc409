"""Measuring a network on a folder of originals by the protocol of the published tables."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightsr.errors import LightsrError
from lightsr.evaluation.forward import Forward, Run, chop
from lightsr.evaluation.pairs import Picture8, find_pairs
from lightsr.images.resize import Border, imresize
from lightsr.metrics import compare

BICUBIC = "bicubic"
"""The model name of the baseline: MATLAB's `imresize` itself."""

Enlarge = Callable[[Picture8], Picture8]
"""Takes an 8-bit RGB picture [h, w, 3] to [scale*h, scale*w, 3]."""


@dataclass(frozen=True, slots=True)
class ImageScore:
    """What was measured on one picture; `seconds` is the time of the network's pass."""

    name: str
    psnr: float
    ssim: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured on one folder, and how."""

    model: str
    scale: int
    weights: str | None
    dataset: str
    protocol: dict[str, Any]
    images: list[ImageScore]

    @property
    def psnr(self) -> float:
        """Mean over the pictures, in dB."""
        return sum(image.psnr for image in self.images) / len(self.images)

    @property
    def ssim(self) -> float:
        """Mean over the pictures."""
        return sum(image.ssim for image in self.images) / len(self.images)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `lightsr evaluate --json` writes; an infinite PSNR is null."""
        return {
            "model": self.model,
            "scale": self.scale,
            "weights": self.weights,
            "dataset": self.dataset,
            "protocol": self.protocol,
            "images": [
                {
                    "name": image.name,
                    "psnr": _finite(image.psnr),
                    "ssim": image.ssim,
                    "seconds": image.seconds,
                }
                for image in self.images
            ],
            "mean": {"psnr": _finite(self.psnr), "ssim": self.ssim},
        }


def evaluate(
    enlarge: Enlarge,
    scale: int,
    data: Path,
    *,
    lr_dir: Path | None = None,
    border: Border = "symmetric",
    each: Callable[[ImageScore, Picture8, int], None] = lambda *_: None,
) -> list[ImageScore]:
    """Enlarge the LR picture of every original under `data` and measure the result against it.

    LR pictures come from `lr_dir` or are made by the exact bicubic with `border`. `each` is called
    after every picture with its score, the enlarged picture and the number of pictures in all.
    Measured are 8-bit samples, on BT.601 luma, with a border of `scale` pixels cut. Raises
    `UserError` for pictures that are missing, unreadable or unfit, before any work is done where
    their sizes tell.
    """
    pairs = find_pairs(data, scale, lr_dir)
    scores: list[ImageScore] = []
    for pair in pairs:
        lr, hr = pair.load(scale, border)
        start = time.perf_counter()
        sr = enlarge(lr)
        seconds = time.perf_counter() - start
        psnr, ssim = compare(sr, hr, border=scale)
        score = ImageScore(pair.name, psnr, ssim, seconds)
        each(score, sr, len(pairs))
        scores.append(score)
    return scores


def bicubic(scale: int, border: Border) -> Enlarge:
    """Return the baseline that every table begins with, on 8-bit samples as in MATLAB."""
    return lambda lr: imresize(lr, scale=scale, border=border)


def network(run: Run, scale: int, forward: Forward) -> Enlarge:
    """Return the 8-bit pass of a backend's `run`, over the whole picture or chopped.

    The network's output is clipped and rounded to 8 bits.
    """

    def enlarge(lr: Picture8) -> Picture8:
        batch = np.ascontiguousarray(lr.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
        output = run(batch) if forward == "whole" else chop(run, batch, scale)
        if not np.isfinite(output).all():
            raise LightsrError("the network's output is not finite; use --precision fp32")
        samples = np.rint(output[0].clip(0, 1) * np.float32(255)).astype(np.uint8)
        return samples.transpose(1, 2, 0)

    return enlarge


def protocol(
    scale: int, lr_dir: Path | None, border: Border, forward: Forward, **how: str
) -> dict[str, Any]:
    """Return the description of a measurement that goes into its JSON."""
    return {
        "lr": "degraded" if lr_dir is None else str(lr_dir),
        "border": border if lr_dir is None else None,
        "forward": forward,
        "crop": scale,
        "channel": "Y of BT.601, 16 to 235, not rounded",
        "samples": "8 bit, clipped and rounded",
        "ssim": "11x11 Gaussian of sigma 1.5, K = 0.01 and 0.03, valid region",
        **how,
    }


def dataset_name(data: Path) -> str:
    """Return what a folder of originals is called: its name, or its parent's if it is "HR"."""
    folder = data.resolve()
    return folder.parent.name if folder.name.upper() in ("HR", "GT") else folder.name


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

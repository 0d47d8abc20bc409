"""Measuring a network on a folder of originals by the protocol of the published tables."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lightsr.engine.backends.choose import Choice, open_backend
from lightsr.engine.samples import from_float, to_float
from lightsr.errors import LightsrError, UserError
from lightsr.evaluation.forward import Forward, Run, chop
from lightsr.evaluation.pairs import Pair, Picture8, find_pairs
from lightsr.images.picture import Picture
from lightsr.images.resize import Border, imresize
from lightsr.images.writing import write_picture
from lightsr.metrics import compare
from lightsr.weights.files import write_whole

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

    def write_json(self, path: Path) -> None:
        """Write `as_json` to a file, whole or not at all; `UserError` where that fails."""
        text = json.dumps(self.as_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_whole(path, text.encode(), UserError)


class Watcher(Protocol):
    """Is told how an evaluation goes on."""

    def start(self, pictures: int) -> None:
        """Hear that everything is there, and how many pictures will be measured."""

    def begin(self, name: str) -> None:
        """Take up the next picture."""

    def finish(self, score: ImageScore, enlarged: Picture8) -> None:
        """Hear that a picture is through."""


def evaluate(
    model: str,
    scale: int,
    data: Path,
    *,
    weights: str | Path = "default",
    lr_dir: Path | None = None,
    border: Border = "symmetric",
    forward: Forward = "whole",
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    watcher: Watcher | None = None,
) -> Evaluation:
    """Measure a network, or "bicubic", on the originals under the folder `data`.

    `weights` is a tag of shipped weights or a file; `backend`, `device` and `precision` are those
    of `lightsr upscale`. The rest is as `score` says. Raises `UserError` and its kinds for
    anything asked for that is not there, and `LightsrError` where the network fails.
    """
    if model == BICUBIC:
        enlarge, held, how = bicubic(scale, border), None, {}
    else:
        chosen = open_backend(Choice(model, weights, backend, device, precision), scale)
        enlarge, held = network(chosen.run, scale, forward), str(weights)
        how = {"backend": chosen.name, "device": chosen.device, "precision": chosen.precision}
    scores = score(enlarge, scale, data, lr_dir=lr_dir, border=border, watcher=watcher)
    description = {
        "lr": "made from the originals" if lr_dir is None else str(lr_dir),
        "border": border,
        "forward": forward,
        "crop": scale,
        "channel": "Y of BT.601, 16 to 235, not rounded",
        "samples": "8 bit, clipped and rounded",
        "ssim": "11x11 Gaussian of sigma 1.5, K = 0.01 and 0.03, valid region",
        **how,
    }
    return Evaluation(model, scale, held, dataset_name(data), description, scores)


def score(
    enlarge: Enlarge,
    scale: int,
    data: Path,
    *,
    lr_dir: Path | None = None,
    border: Border = "symmetric",
    watcher: Watcher | None = None,
) -> list[ImageScore]:
    """Enlarge the LR picture of every original under `data` and measure the result against it.

    LR pictures come from `lr_dir` or are made by the exact bicubic with `border`. Measured are
    8-bit samples, on BT.601 luma, with a border of `scale` pixels cut. Raises `UserError` for
    pictures that are missing, unreadable or unfit, before any work is done where their sizes tell.
    """
    pairs = find_pairs(data, scale, lr_dir)
    if watcher is not None:
        watcher.start(len(pairs))
    scores: list[ImageScore] = []
    for pair in pairs:
        if watcher is not None:
            watcher.begin(pair.name)
        measured, sr = score_pair(enlarge, scale, pair, border)
        scores.append(measured)
        if watcher is not None:
            watcher.finish(measured, sr)
    return scores


def score_pair(
    enlarge: Enlarge, scale: int, pair: Pair, border: Border
) -> tuple[ImageScore, Picture8]:
    """Enlarge one LR picture; return what `score` measures on it, and the enlarged picture."""
    lr, hr = pair.load(scale, border)
    start = time.perf_counter()
    sr = enlarge(lr)
    seconds = time.perf_counter() - start
    psnr, ssim = compare(sr, hr, border=scale)
    return ImageScore(pair.name, psnr, ssim, seconds), sr


def bicubic(scale: int, border: Border) -> Enlarge:
    """Return the baseline that every table begins with, on 8-bit samples as in MATLAB."""
    return lambda lr: imresize(lr, scale=scale, border=border)


def network(run: Run, scale: int, forward: Forward) -> Enlarge:
    """Return the 8-bit pass of a backend's `run`, over the whole picture or chopped."""

    def enlarge(lr: Picture8) -> Picture8:
        batch = np.ascontiguousarray(to_float(lr).transpose(2, 0, 1)[np.newaxis])
        output = run(batch) if forward == "whole" else chop(run, batch, scale)
        if not np.isfinite(output).all():
            raise LightsrError("the network gave samples that are not finite; use --precision fp32")
        return from_float(output[0].transpose(1, 2, 0), lr.dtype)

    return enlarge


def save_image(enlarged: Picture8, folder: Path, name: str) -> None:
    """Write an enlarged picture as `name`.png under `folder`, replacing an earlier one."""
    picture = Picture.from_array(enlarged, source=name)
    target = folder / f"{name}.png"
    write_picture([enlarged], enlarged.shape[:2], picture, target, overwrite=True)


def dataset_name(data: Path) -> str:
    """Return what a folder of originals is called: its name, or its parent's if it is "HR"."""
    folder = data.resolve()
    return folder.parent.name if folder.name.upper() in ("HR", "GT") else folder.name


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

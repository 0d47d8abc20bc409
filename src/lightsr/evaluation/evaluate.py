"""Measuring a network on a folder of originals by the protocol of the published tables."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from lightsr.engine.backends.choose import Choice, open_backend
from lightsr.errors import UserError
from lightsr.evaluation.forward import Forward, Run, checked_pass
from lightsr.evaluation.measure import Enlarge, Measure, common, eight_bit
from lightsr.evaluation.own import RULES
from lightsr.evaluation.pairs import Pair, Picture8, find_pairs
from lightsr.images.picture import Picture
from lightsr.images.resize import Border, imresize
from lightsr.images.writing import write_picture
from lightsr.networks.registry import network_spec
from lightsr.networks.spec import Protocol as RuleName
from lightsr.weights.catalogue import require_no_weights
from lightsr.weights.files import write_whole

BICUBIC = "bicubic"
"""The model name of the baseline: MATLAB's `imresize` itself."""

WhichProtocol = Literal["common", "own"]
"""By what to measure: the protocol of the published tables, or that of the network's own paper."""


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
    model: str | None,
    scale: int | None,
    data: Path,
    *,
    weights: str | Path = "default",
    lr_dir: Path | None = None,
    border: Border = "symmetric",
    forward: Forward = "whole",
    backend: str = "auto",
    device: str = "auto",
    precision: str = "fp32",
    watcher: Watcher | None = None,
    protocol: WhichProtocol = "common",
) -> Evaluation:
    """Measure a network, or "bicubic", on the originals under the folder `data`.

    `weights` is a tag of shipped weights or a file; with a file, `model` and `scale` may be None,
    for what it holds. `backend`, `device` and `precision` are those of `lightsr upscale`, but that
    precision is float32 unless asked for, so that figures are the same on every machine. The
    `protocol` "common" is what `score` says; "own" is that of the network's paper, see
    `NetworkSpec.protocol`, which makes its LR pictures from the originals. Raises `UserError` and
    its kinds for anything asked for that is not there or does not go together, and `LightsrError`
    where the network fails.
    """
    choice = Choice(model, weights, backend, device, precision)
    if choice.file is None or choice.needs_no_weights:
        if model is None:
            raise UserError("name a network, or give a file of weights, which tells its own")
        if scale is None:
            raise UserError("give a scale; only a file of weights tells its own")
        if model == BICUBIC:
            require_no_weights(model, weights)
            how = _described(protocol, "common", scale, lr_dir, border, forward)
            enlarge = bicubic(scale, border)
            scores = score(enlarge, scale, data, lr_dir=lr_dir, border=border, watcher=watcher)
            return Evaluation(model, scale, None, dataset_name(data), how, scores)
    chosen = open_backend(choice, scale)
    name, scale = chosen.network, chosen.scale
    followed = network_spec(name).protocol if protocol == "own" else "common"
    if lr_dir is not None and followed != "common":
        raise UserError(
            f"the own protocol of {name} makes LR pictures from the originals; leave out the "
            f"folder of LR pictures, or measure by the common protocol"
        )
    rule = RULES[followed]
    border, forward = rule.border or border, rule.forward or forward
    measure = rule.measure(checked_pass(chosen.run, scale, forward), scale, border)
    scores = _measured(find_pairs(data, scale, lr_dir), measure, watcher)
    how = {
        **_described(protocol, followed, scale, lr_dir, border, forward),
        "backend": chosen.name,
        "device": chosen.device,
        "precision": chosen.precision,
    }
    return Evaluation(name, scale, str(weights), dataset_name(data), how, scores)


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
    return _measured(find_pairs(data, scale, lr_dir), common(enlarge, scale, border), watcher)


def _measured(pairs: Sequence[Pair], measure: Measure, watcher: Watcher | None) -> list[ImageScore]:
    if watcher is not None:
        watcher.start(len(pairs))
    scores: list[ImageScore] = []
    for pair in pairs:
        if watcher is not None:
            watcher.begin(pair.name)
        measured, enlarged = _scored(pair, measure)
        scores.append(measured)
        if watcher is not None:
            watcher.finish(scores[-1], enlarged)
    return scores


def _described(
    name: WhichProtocol,
    protocol: RuleName,
    scale: int,
    lr_dir: Path | None,
    border: Border,
    forward: Forward,
) -> dict[str, Any]:
    """Return what `Evaluation.protocol` says of how it was measured."""
    rule = RULES[protocol]
    return {
        "name": name,
        "rule": protocol,
        "lr": rule.lr if lr_dir is None else str(lr_dir),
        "border": border,
        "forward": forward,
        "crop": scale,
        "channel": rule.channel,
        "samples": rule.samples,
        "ssim": "11x11 Gaussian of sigma 1.5, K = 0.01 and 0.03, valid region",
    }


def score_pair(
    enlarge: Enlarge, scale: int, pair: Pair, border: Border
) -> tuple[ImageScore, Picture8]:
    """Enlarge one LR picture; return what `score` measures on it, and the enlarged picture."""
    return _scored(pair, common(enlarge, scale, border))


def _scored(pair: Pair, measure: Measure) -> tuple[ImageScore, Picture8]:
    (psnr, ssim), enlarged, seconds = measure(pair)
    return ImageScore(pair.name, psnr, ssim, seconds), enlarged


def bicubic(scale: int, border: Border) -> Enlarge:
    """Return the baseline that every table begins with, on 8-bit samples as in MATLAB."""
    return lambda lr: imresize(lr, scale=scale, border=border)


def network(run: Run, scale: int, forward: Forward) -> Enlarge:
    """Return the 8-bit pass of a backend's `run`, over the whole picture or chopped."""
    return eight_bit(checked_pass(run, scale, forward))


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

"""Measuring a network in training on folders of pictures, by the exact protocol."""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightsr.errors import PictureError, UserError
from lightsr.images.files import picture_files
from lightsr.images.resize import degrade, mod_crop
from lightsr.metrics import compare
from lightsr.training.pictures import read_rgb
from lightsr.training.recipe import Recipe

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Measured:
    """A picture that was enlarged and compared."""

    name: str
    psnr: float
    sr: Pixels


def find_sets(recipe: Recipe) -> dict[str, list[Path]]:
    """Return the pictures of each of the recipe's sets.

    Raises `UserError` for a folder that is not there or holds none, before anything is trained.
    """
    sets: dict[str, list[Path]] = {}
    for name, folder in recipe.validation.folders.items():
        root = folder.expanduser()
        try:
            paths = [found.path for found in picture_files([root])] if root.is_dir() else []
        except PictureError:
            paths = []
        if not paths:
            raise UserError(f"validation.folders.{name}: {folder} is no folder of pictures")
        sets[name] = paths
    return sets


def measure(network: nn.Module, pictures: list[Path], recipe: Recipe) -> list[Measured]:
    """Return each picture's PSNR in dB on luma after whole-picture inference.

    LR is made with MATLAB's bicubic and the recipe's border rule.
    """
    device = next(network.parameters()).device
    measured: list[Measured] = []
    for path in pictures:
        hr = mod_crop(read_rgb(path), recipe.scale)
        lr = degrade(hr, recipe.scale, recipe.data.border)
        with torch.inference_mode():
            batch = torch.from_numpy(lr).to(device).permute(2, 0, 1)[None].float() / 255
            sr = _to_pixels(network(batch))
        measured.append(Measured(path.stem, compare(sr, hr, recipe.scale).psnr, sr))
    return measured


def _to_pixels(sr: Tensor) -> Pixels:
    pixels = (sr[0].clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(1, 2, 0).cpu().numpy())

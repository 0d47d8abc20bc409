"""Classical degradations of real pictures: blur, noise and JPEG around the step down in size.

The classical model (A. Liu et al., "Blind Image Super-Resolution: A Survey and Beyond",
arXiv:2107.03055) as a list of steps, each of random strength. The tables of papers are about the
exact bicubic alone, which is what a recipe without degradations uses.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lightsr.images.bicubic import Border
from lightsr.images.resize import degrade
from lightsr.training.pictures import Pixels
from lightsr.training.recipe import AnyDegradation, Blur, Data, Jpeg, Noise, Shrink

Samples = NDArray[np.float32]
"""[h, w, 3] in 0..255."""

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}

_MARGIN = 8
"""LR pixels around a patch that are degraded with it, at least; blocks of JPEG are 8 wide."""


class Degrader:
    """Makes LR patches by the steps of a recipe."""

    def __init__(self, data: Data, scale: int) -> None:
        self.steps, self.scale = data.degradations, scale
        self.border: Border = data.border

    def patch(self, hr: Pixels, y: int, x: int, p: int, random: np.random.Generator) -> Pixels:
        """Return the LR patch at (y, x), p x p LR pixels, of an HR picture.

        It is cut from a larger one, so that its edge is no edge to the steps, and so that the
        blocks of JPEG begin anywhere.
        """
        height, width = (side // self.scale for side in hr.shape[:2])
        above, left = (int(m) for m in _MARGIN + random.integers(_MARGIN, size=2))
        top, start = max(0, y - above), max(0, x - left)
        bottom, end = min(height, y + p + _MARGIN), min(width, x + p + _MARGIN)
        s = self.scale
        lr = self(hr[s * top : s * bottom, s * start : s * end], random)
        return lr[y - top : y - top + p, x - start : x - start + p]

    def __call__(self, hr: Pixels, random: np.random.Generator) -> Pixels:
        """Return the degraded LR, uint8 [h / s, w / s, 3], of an HR picture [h, w, 3]."""
        picture = hr
        for step in self.steps:
            if step.kind == "shrink" or random.random() < step.probability:
                picture = self._take(step, picture, random)
        return picture

    def _take(self, step: AnyDegradation, picture: Pixels, random: np.random.Generator) -> Pixels:
        if isinstance(step, Shrink):
            return shrink(picture, self.scale, str(random.choice(step.filters)), self.border)
        if isinstance(step, Blur):
            return _bytes(blur(picture.astype(np.float32), *_gaussian(step, random)))
        if isinstance(step, Noise):
            return _bytes(_noisy(picture.astype(np.float32), step, random))
        return _compressed(picture, step, random)


def shrink(picture: Pixels, scale: int, how: str, border: Border) -> Pixels:
    """Return a picture at 1/scale of its size, by MATLAB's bicubic or a filter of Pillow's."""
    if how == "bicubic":
        return degrade(picture, scale, border)
    height, width = (side // scale for side in picture.shape[:2])
    whole = Image.fromarray(np.ascontiguousarray(picture[: height * scale, : width * scale]))
    return np.asarray(whole.resize((width, height), _FILTERS[how]))


def blur(picture: Samples, long: float, short: float, angle: float) -> Samples:
    """Blur by a Gaussian with these deviations (pixels), its long axis at `angle` (radians).

    The edge goes on as its last pixel.
    """
    radius = int(np.ceil(3 * long))
    if radius == 0:
        return picture
    edges = ((0, 0), (radius, radius), (radius, radius))
    padded = torch.from_numpy(np.pad(picture.transpose(2, 0, 1), edges, mode="edge"))
    kernel = torch.from_numpy(gaussian_kernel(long, short, angle, radius))
    size = padded.shape[1:]
    # By Fourier transforms: several times faster than sums over wide kernels.
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(kernel, s=size)
    blurred = torch.fft.irfft2(spectrum, s=size)[:, 2 * radius :, 2 * radius :]
    return blurred.permute(1, 2, 0).numpy()


def gaussian_kernel(long: float, short: float, angle: float, radius: int) -> Samples:
    """Return a turned Gaussian, [2 radius + 1, 2 radius + 1], that adds up to 1."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    along = (x * np.cos(angle) + y * np.sin(angle)) / long
    across = (y * np.cos(angle) - x * np.sin(angle)) / short
    kernel = np.exp(-0.5 * (along**2 + across**2))
    return (kernel / kernel.sum()).astype(np.float32)


def _gaussian(step: Blur, random: np.random.Generator) -> tuple[float, float, float]:
    long = max(float(random.uniform(*step.sigma)), 1e-3)
    return long, long * float(random.uniform(*step.roundness)), float(random.uniform(0, np.pi))


def _noisy(picture: Samples, step: Noise, random: np.random.Generator) -> Samples:
    """Add noise; photon noise of many photons is Gaussian, its variance as the light."""
    gaussian, poisson = random.uniform(*step.gaussian), random.uniform(*step.poisson)
    channels = 1 if random.random() < step.grey else 3
    noise = random.standard_normal((*picture.shape[:2], channels), np.float32)
    deviation = np.sqrt(gaussian**2 + poisson**2 * picture / 255)
    return np.asarray(picture + noise * deviation, np.float32)


def _compressed(picture: Pixels, step: Jpeg, random: np.random.Generator) -> Pixels:
    quality = round(float(random.uniform(*step.quality)))
    with io.BytesIO() as file:
        Image.fromarray(np.ascontiguousarray(picture)).save(file, "JPEG", quality=quality)
        file.seek(0)
        with Image.open(file) as image:
            return np.asarray(image)


def _bytes(samples: NDArray[Any]) -> Pixels:
    return np.clip(samples + 0.5, 0, 255).astype(np.uint8)

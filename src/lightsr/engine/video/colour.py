"""Between the planes that videos store and RGB, by the numbers of ITU-T H.273.

Everything is float32 between reading and writing, so that 10 bits stay 10 bits. Chroma is taken to
lie at the left of its pair of luma samples and vertically between them, as MPEG-2, H.264 and HEVC
have it unless they say otherwise, or in the middle both ways, as MPEG-1 and JPEG have it. Written
is always the former.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]
Planes = tuple[Plane, ...]
"""Integer samples: (luma), (luma, Cb, Cr), or for RGB (green, blue, red)."""
Floats = NDArray[np.float32]

RGB, BT709, UNSPECIFIED, BT601 = 0, 1, 2, 6
"""Matrix coefficients of H.273. 0 is no matrix at all."""

_KR_KB = {
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    BT601: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Shares of red and blue in luma, by matrix coefficients; green has the rest."""
MATRICES = frozenset({RGB, *_KR_KB})

_BAND = 64
"""Rows that are converted at a time; even, so that no pair of rows is torn."""


@dataclass(frozen=True, slots=True)
class Coding:
    """How planes stand for colours."""

    matrix: int
    """Matrix coefficients of H.273, one of `MATRICES`."""
    full_range: bool
    """Whether all codes are used, or 16..235 (luma) and 16..240 (chroma) of 256."""
    depth: int
    """Bits of a sample."""
    subsampling: tuple[int, int] = (1, 1)
    """Luma samples for each chroma sample, across and down: 1 or 2."""
    grey: bool = False
    """Whether there is luma only."""
    centred: bool = False
    """Whether chroma lies in the middle of its luma samples, across as well as down."""


def guessed_matrix(width: int, height: int) -> int:
    """Return what players take for a video that does not say: BT.709 for HD, else BT.601."""
    return BT709 if width >= 1280 or height > 576 else BT601


def to_rgb(planes: Planes, coding: Coding) -> Floats:
    """Return planes as RGB, or grey, [h, w, 3 or 1] in [0, 1]; colours beyond that are clipped."""
    if coding.matrix == RGB and not coding.grey:
        green, blue, red = (_luma(plane, coding) for plane in planes)
        return np.clip(np.stack((red, green, blue), axis=-1), 0, 1)
    luma = _luma(planes[0], coding)
    if coding.grey:
        return np.clip(luma[..., np.newaxis], 0, 1)
    blue_off, red_off = (_upsampled(plane, luma.shape, coding) for plane in planes[1:])
    kr, kb = _KR_KB[coding.matrix]
    kg = 1 - kr - kb
    rgb = np.empty((*luma.shape, 3), np.float32)
    rgb[..., 0] = luma + np.float32(2 * (1 - kr)) * red_off
    rgb[..., 2] = luma + np.float32(2 * (1 - kb)) * blue_off
    rgb[..., 1] = (luma - np.float32(kr) * rgb[..., 0] - np.float32(kb) * rgb[..., 2]) / kg
    return np.clip(rgb, 0, 1, out=rgb)


def from_rgb(rgb: Floats, coding: Coding) -> Planes:
    """Return RGB or grey [h, w, 3 or 1] in [0, 1] as planes of luma and chroma, rounded half up.

    Grey gets neutral chroma where the coding has some. With chroma subsampled, an odd last row or
    column stands for a pair.
    """
    height, width, _ = rgb.shape
    kind = np.uint8 if coding.depth == 8 else np.uint16
    across, down = coding.subsampling
    small = (-(-height // down), -(-width // across))
    shapes = [(height, width)] + ([] if coding.grey else [small, small])
    planes = tuple(np.empty(shape, kind) for shape in shapes)
    for top in range(0, height, _BAND):
        for plane, rows in zip(planes, _band_of(rgb[top : top + _BAND], coding), strict=True):
            start = top if plane.shape[0] == height else top // down
            plane[start : start + len(rows)] = rows
    return planes


def _band_of(rgb: Floats, coding: Coding) -> list[Plane]:
    chroma: list[Floats]
    if rgb.shape[2] == 1:
        luma: Floats = rgb[..., 0]
        chroma = [np.zeros_like(luma)] * 2
    else:
        kr, kb = _KR_KB[coding.matrix]
        luma = rgb @ np.array([kr, 1 - kr - kb, kb], np.float32)
        chroma = [
            (rgb[..., 2] - luma) / np.float32(2 * (1 - kb)),
            (rgb[..., 0] - luma) / np.float32(2 * (1 - kr)),
        ]
    if coding.grey:
        return [_codes(luma, coding)]
    return [_codes(luma, coding)] + [_chroma_codes(_downsampled(c, coding), coding) for c in chroma]


def _luma(plane: Plane, coding: Coding) -> Floats:
    low, span = _luma_codes(coding)
    return (plane.astype(np.float32) - np.float32(low)) / np.float32(span)


def _luma_codes(coding: Coding) -> tuple[int, int]:
    """Return the code of black, and how many codes white lies above it."""
    if coding.full_range:
        return 0, (1 << coding.depth) - 1
    unit = 1 << (coding.depth - 8)
    return 16 * unit, 219 * unit


def _chroma_span(coding: Coding) -> int:
    """Return how many codes lie between the ends of chroma, -0.5 and 0.5."""
    return (1 << coding.depth) - 1 if coding.full_range else 224 << (coding.depth - 8)


def _codes(values: Floats, coding: Coding) -> Plane:
    low, span = _luma_codes(coding)
    return _rounded(values * np.float32(span) + np.float32(low), coding)


def _chroma_codes(values: Floats, coding: Coding) -> Plane:
    middle = np.float32(1 << (coding.depth - 1))
    return _rounded(values * np.float32(_chroma_span(coding)) + middle, coding)


def _rounded(codes: Floats, coding: Coding) -> Plane:
    kind = np.uint8 if coding.depth == 8 else np.uint16
    return np.clip(codes + np.float32(0.5), 0, (1 << coding.depth) - 1).astype(kind)


def _upsampled(plane: Plane, shape: tuple[int, ...], coding: Coding) -> Floats:
    """Return a chroma plane in [-0.5, 0.5] at the size of luma."""
    middle = np.float32(1 << (coding.depth - 1))
    chroma = (plane.astype(np.float32) - middle) / np.float32(_chroma_span(coding))
    across, down = coding.subsampling
    if down == 2:
        chroma = _doubled(chroma, centred=True)[: shape[0]]
    if across == 2:
        chroma = _doubled(chroma.T, centred=coding.centred)[: shape[1]].T
    return chroma


def _doubled(chroma: Floats, *, centred: bool) -> Floats:
    """Return twice as many rows, interpolated linearly."""
    before = np.concatenate((chroma[:1], chroma[:-1]))
    after = np.concatenate((chroma[1:], chroma[-1:]))
    result = np.empty((2 * len(chroma), chroma.shape[1]), np.float32)
    if centred:
        result[0::2] = np.float32(0.75) * chroma + np.float32(0.25) * before
        result[1::2] = np.float32(0.75) * chroma + np.float32(0.25) * after
    else:
        result[0::2] = chroma
        result[1::2] = np.float32(0.5) * (chroma + after)
    return result


def _downsampled(chroma: Floats, coding: Coding) -> Floats:
    across, down = coding.subsampling
    if across == 2:
        chroma = _halved(chroma.T, centred=coding.centred).T
    return _halved(chroma, centred=True) if down == 2 else chroma


def _halved(chroma: Floats, *, centred: bool) -> Floats:
    """Return half as many rows: means of pairs, or 1-2-1 around the first of every pair."""
    if len(chroma) % 2:
        chroma = np.concatenate((chroma, chroma[-1:]))
    first, second = chroma[0::2], chroma[1::2]
    if centred:
        return (first + second) * np.float32(0.5)
    before = np.concatenate((first[:1], second[:-1]))
    return (before + 2 * first + second) * np.float32(0.25)

"""The memory of decoders and encoders that cannot take a picture in bands.

Measured as the growth of a process's peak with the picture, rounded up (docs/tiles.md).
"""

from __future__ import annotations

_DECODING = {"avif": 20, "heic": 20, "webp": 9, "bmp": 6, "gif": 6}
_INTERLACED = {"jpg": 8, "png": 8}
_ENCODING = {"webp": 20, "avif": 45}
_ALPHA_OR_LOSSLESS = {"webp": 43, "avif": 55}
"""Bytes for each pixel."""


def decoding_bytes(format_name: str, pixels: int, *, interlaced: bool) -> int:
    """Return what decoding takes that grows with the picture; 0 where it goes in bands."""
    rates = _INTERLACED if interlaced else _DECODING
    return rates.get(format_name, 0) * pixels


def encoding_bytes(format_name: str, pixels: int, *, alpha_or_lossless: bool) -> int:
    """Return what encoding takes that grows with the picture; 0 where it goes in bands."""
    rates = _ALPHA_OR_LOSSLESS if alpha_or_lossless else _ENCODING
    return rates.get(format_name, 0) * pixels

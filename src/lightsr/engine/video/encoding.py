"""How the enlarged frames are encoded: codec, pixel format, quality, tags."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lightsr.engine.machine import available_cores, scheduling_kept
from lightsr.engine.sizes import Size
from lightsr.engine.video.clip import Clip
from lightsr.engine.video.colour import BT709, RGB, UNSPECIFIED, Coding, Floats, from_rgb
from lightsr.engine.video.containers import Container
from lightsr.engine.video.library import import_av, reason
from lightsr.errors import UserError, VideoError, unknown_name

_LIMITED, _FULL = 1, 2


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """How videos are written."""

    codec: str | None = None
    """A family ("h264", "hevc", "av1", "vp9", "ffv1", "prores", "mpeg4") or an encoder's name."""
    crf: int | None = None
    """Constant rate factor: lower is better and larger. None: nearly nothing is lost."""
    preset: str | None = None
    """The encoder's trade of speed for size; None: its usual one."""


@dataclass(frozen=True, slots=True)
class Family:
    """A video codec, and how its encoders are asked for quality."""

    encoders: tuple[str, ...]
    """FFmpeg's names, best first."""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    crf: int | None = None
    most: int = 0
    """The largest crf."""
    preset: str | None = None
    preset_option: str = "preset"
    even: bool = True
    """Whether subsampled frames must have even sides."""
    bytes_per_pixel: int = 40
    """Memory that the encoder takes for each pixel of a frame of 8 bits: measured where a family
    says it, else a guess."""


FAMILIES: dict[str, Family] = {
    "h264": Family(("libx264",), {}, 18, 51, "medium", bytes_per_pixel=160),
    "hevc": Family(
        *(("libx265",), {"x265-params": "log-level=error"}, 20, 51, "medium"),
        bytes_per_pixel=200,
    ),
    "av1": Family(("libsvtav1",), {}, 24, 63, "8", bytes_per_pixel=400),
    "vp9": Family(
        *(("libvpx-vp9",), {"b": "0", "row-mt": "1"}, 24, 63, "4", "cpu-used"),
        even=False,
        bytes_per_pixel=140,
    ),
    "ffv1": Family(("ffv1",), {"level": "3", "slicecrc": "1"}, even=False),
    "prores": Family(("prores_ks", "prores"), {"profile": "3", "vendor": "apl0"}),
    "mpeg4": Family(("mpeg4",), {"qscale": "3"}),
}
_ALSO_CALLED = {"x264": "h264", "avc": "h264", "h265": "hevc", "x265": "hevc"}

_QUIET = {"SVT_LOG": "1"}
"""Environment that keeps encoders from printing anything but errors."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Everything an encoder is told; equal encodings give equal bits."""

    encoder: str
    options: Mapping[str, str]
    pixel_format: str
    coding: Coding
    size: Size
    """Height and width as encoded: even where the codec wants it."""
    rate: Fraction
    aspect: Fraction
    primaries: int
    transfer: int
    global_header: bool
    reorders: bool
    threads: int
    bytes_per_pixel: int

    def configure(self, context: Any) -> None:
        """Set up an encoder that is not open yet."""
        context.height, context.width = self.size
        context.pix_fmt = self.pixel_format
        context.framerate = self.rate
        context.time_base = 1 / self.rate
        context.sample_aspect_ratio = self.aspect
        context.color_range = _FULL if self.coding.full_range else _LIMITED
        context.colorspace = self.coding.matrix
        context.color_primaries = self.primaries
        context.color_trc = self.transfer
        context.thread_count = self.threads
        context.options = {key: value for key, value in self.options.items() if key != "qscale"}
        flags = _flags()
        if self.global_header:
            context.flags |= flags.global_header
        context.flags |= flags.bitexact
        if "qscale" in self.options:
            context.qscale = True
            context.global_quality = int(self.options["qscale"]) * 118  # FFmpeg's FF_QP2LAMBDA
        if not self.reorders:
            context.max_b_frames = 0


def _flags() -> Any:
    from av.codec.context import Flags

    return Flags


def choose_encoding(
    clip: Clip, container: Container, size: Size, settings: VideoSettings
) -> tuple[Encoding, list[str]]:
    """Decide how a clip is encoded at a size; return that, and what the user should know of it.

    Raises `UserError` for a codec that does not exist or settings that it does not have.
    """
    av = import_av(clip.path)
    asked = settings.codec
    family, encoder = _encoder(av, clip, container, asked)
    codec = av.Codec(encoder, "w")
    pixel_format, coding = _output_coding(clip, [f.name for f in codec.video_formats or ()])
    warnings: list[str] = []
    if coding.depth < clip.coding.depth:
        warnings.append(f"{encoder} writes {coding.depth} bits, not {clip.coding.depth}")
    height, width = size
    if family.even and coding.subsampling != (1, 1):
        across, down = coding.subsampling
        height, width = -(-height // down) * down, -(-width // across) * across
        if (height, width) != size:
            warnings.append(
                f"its last pixels are doubled for {width}x{height}, since {encoder} takes no odd "
                f"sides"
            )
    muxer = av.format.ContainerFormat(container.muxer, "w")
    encoding = Encoding(
        encoder=encoder,
        options=_options(family, encoder, settings),
        pixel_format=pixel_format,
        coding=coding,
        size=(height, width),
        rate=max(clip.rate.limit_denominator(1001), Fraction(1, 1000)),
        aspect=clip.aspect,
        primaries=clip.primaries,
        transfer=clip.transfer,
        global_header=bool(muxer.flags & av.format.Flags.global_header.value),
        reorders=container.reorders,
        threads=available_cores(),
        bytes_per_pixel=family.bytes_per_pixel * (1 if coding.depth == 8 else 2),
    )
    return encoding, warnings


def _encoder(av: Any, clip: Clip, container: Container, asked: str | None) -> tuple[Family, str]:
    """Return the family and the encoder to use: the one asked for, or the container's best."""
    if asked is None:
        names = container.codecs if clip.coding.depth == 8 else container.deep_codecs
        choices = [(FAMILIES[name], one) for name in names for one in FAMILIES[name].encoders]
    else:
        name = _ALSO_CALLED.get(asked.lower(), asked.lower())
        family = FAMILIES.get(name)
        if family is None:
            return next((f for f in FAMILIES.values() if name in f.encoders), Family(())), _named(
                av, name
            )
        choices = [(family, one) for one in family.encoders]
    for family, encoder in choices:
        if _has_encoder(av, encoder):
            return family, encoder
    wanted = asked or f"anything that {container.name} holds"
    raise VideoError(f"this installation of PyAV cannot encode {wanted}; give another --codec")


def _named(av: Any, name: str) -> str:
    if not _has_encoder(av, name):
        known = [*FAMILIES, *(one for family in FAMILIES.values() for one in family.encoders)]
        raise unknown_name("video codec", name, known)
    return name


def _has_encoder(av: Any, name: str) -> bool:
    try:
        return av.Codec(name, "w").type == "video"
    except ValueError:
        return False


def _options(family: Family, encoder: str, settings: VideoSettings) -> dict[str, str]:
    options = dict(family.options)
    if settings.crf is not None:
        if family.crf is None:
            raise UserError(f"{encoder} has no crf; leave --crf out or choose another --codec")
        if not 0 <= settings.crf <= family.most:
            raise UserError(f"the crf of {encoder} lies in 0..{family.most}, not {settings.crf}")
    if settings.preset is not None and family.preset is None:
        raise UserError(f"{encoder} has no preset; leave --preset out or choose another --codec")
    if family.crf is not None:
        options["crf"] = str(family.crf if settings.crf is None else settings.crf)
    if family.preset is not None:
        options[family.preset_option] = settings.preset or family.preset
    return options


def _output_coding(clip: Clip, formats: list[str]) -> tuple[str, Coding]:
    """Return the encoder's format that keeps most of a clip's samples, and what it stands for.

    RGB and grey become YCbCr with chroma subsampled, which every player shows; enlarged, chroma
    has at least as many samples as the RGB had.
    """
    wanted = clip.coding
    across, down = (2, 2) if wanted.matrix == RGB or wanted.grey else wanted.subsampling
    choices: list[tuple[tuple[int, ...], str, int, tuple[int, int]]] = []
    for name in formats:
        match = re.fullmatch(r"yuv(444|422|420)p(?:(\d+)le)?", name)
        if match is None:
            continue
        depth = int(match.group(2) or 8)
        x, y = {"444": (1, 1), "422": (2, 1), "420": (2, 2)}[match.group(1)]
        cost = (
            max(0, wanted.depth - depth),
            max(0, x - across) + max(0, y - down),
            max(0, depth - wanted.depth),
            max(0, across - x) + max(0, down - y),
        )
        choices.append((cost, name, depth, (x, y)))
    if not choices:
        raise VideoError(f"{clip.path}: the codec takes no YCbCr frames; choose another --codec")
    _, name, depth, subsampling = min(choices)
    matrix, full = wanted.matrix, wanted.full_range
    if matrix == RGB:
        matrix, full = BT709, False
    elif matrix == UNSPECIFIED:  # grey, where it says nothing
        matrix = BT709
    return name, Coding(matrix, full, depth, subsampling)


@dataclass(frozen=True, slots=True)
class Packet:
    """An encoded frame."""

    position: int
    """Of its frame, in the order of showing."""
    is_key: bool
    data: bytes = field(repr=False)


class SegmentEncoder:
    """Encodes a run of frames that stands on its own."""

    def __init__(self, encoding: Encoding, first: int) -> None:
        """Open an encoder for frames from position `first` on. Raises `VideoError`."""
        self._encoding = encoding
        self._first = first
        self._count = 0
        self._packets: list[Packet] = []
        self._last: tuple[Floats, Any] | None = None
        self._av, self._context = open_encoder(encoding)

    def add(self, rgb: Floats) -> None:
        """Encode the next frame, [h, w, 3 or 1] in [0, 1]; the same object again costs little."""
        if self._last is None or self._last[0] is not rgb:
            self._last = rgb, self._frame(rgb)
        frame = self._last[1]
        frame.pts = self._count
        self._count += 1
        self._take(self._context.encode(frame))

    def finish(self) -> list[Packet]:
        """Return all packets, in the order of decoding."""
        self._take(self._context.encode(None))
        return self._packets

    def _take(self, packets: list[Any]) -> None:
        for one in packets:
            position = self._first + round(one.pts * one.time_base * self._encoding.rate)
            self._packets.append(Packet(position, bool(one.is_keyframe), bytes(one)))

    def _frame(self, rgb: Floats) -> Any:
        encoding = self._encoding
        height, width = encoding.size
        missing = (height - rgb.shape[0], width - rgb.shape[1])
        if any(missing):
            rgb = np.pad(rgb, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        frame = self._av.VideoFrame(width, height, encoding.pixel_format)
        frame.time_base = 1 / encoding.rate
        for plane, rows in zip(frame.planes, from_rgb(rgb, encoding.coding), strict=True):
            place = np.frombuffer(plane, rows.dtype.newbyteorder("<"))
            place = place.reshape(-1, plane.line_size // rows.itemsize)
            place[: rows.shape[0], : rows.shape[1]] = rows
        frame.colorspace = encoding.coding.matrix
        frame.color_range = _FULL if encoding.coding.full_range else _LIMITED
        frame.color_primaries = encoding.primaries
        frame.color_trc = encoding.transfer
        return frame


def open_encoder(encoding: Encoding) -> tuple[Any, Any]:
    """Return PyAV and an encoder that is ready. Raises `VideoError` where it refuses."""
    av = import_av(Path(encoding.encoder))
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    context = av.CodecContext.create(encoding.encoder, "w")
    encoding.configure(context)
    try:
        with scheduling_kept():
            context.open()
    except (av.error.FFmpegError, ValueError) as error:
        said = ", ".join(f"{key} {value}" for key, value in encoding.options.items())
        raise VideoError(
            f"{encoding.encoder} does not take {encoding.size[1]}x{encoding.size[0]} with these "
            f"settings ({said}): {reason(error)}"
        ) from error
    return av, context

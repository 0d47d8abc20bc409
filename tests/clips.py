"""Making short videos whose frames can be told apart by looking at them, and reading them back.

Frame n shows n in binary: eight cells of 16x16 pixels in the top row, white for 1 and black for 0,
below it a colour. Sound has a click at known times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

CELL = 16
WIDTH, HEIGHT = 8 * CELL, 3 * CELL
RATE = 48_000
CLICK = RATE // 100


def burnt(number: int, colour: Sequence[int] = (200, 80, 40)) -> NDArray[np.uint8]:
    """Return frame `number` as RGB."""
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = colour
    for bit in range(8):
        image[:CELL, bit * CELL : (bit + 1) * CELL] = 255 * (number >> bit & 1)
    return image


def number_of(image: NDArray[Any]) -> int:
    """Return the number that a frame shows, at whatever size; RGB of 8 bits."""
    cell = image.shape[1] // 8
    row = image[: image.shape[0] // 3].mean(2)
    middles = [
        row[cell // 4 : -cell // 4, b * cell + cell // 4 : (b + 1) * cell - cell // 4]
        for b in range(8)
    ]
    return sum(int(middle.mean() > 128) << bit for bit, middle in enumerate(middles))


def clicks(seconds: float, at: Sequence[float]) -> NDArray[np.int16]:
    """Return sound of one channel with a loud burst at each time."""
    sound = np.zeros(round(seconds * RATE), np.int16)
    tone = (20_000 * np.sin(np.arange(CLICK) * 0.5)).astype(np.int16)
    for time in at:
        start = round(time * RATE)
        sound[start : start + CLICK] = tone[: len(sound) - start]
    return sound


def make_clip(
    path: Path,
    times: Sequence[int] = range(10),
    time_base: Fraction = Fraction(1, 10),
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    picture: Callable[[int], NDArray[Any]] = burnt,
    sound: NDArray[np.int16] | None = None,
    sound_codec: str = "aac",
    setup: Callable[[Any, Any], None] | None = None,
    options: dict[str, str] | None = None,
    frame_setup: Callable[[Any], None] | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> Path:
    """Write a clip of frames shown at `times`; `setup(container, stream)` may change the rest.

    `picture(n)` gives RGB (8 bits), or a `VideoFrame` ready to be encoded.
    """
    with av.open(f"file:{path}", "w") as container:
        stream: Any = container.add_stream(codec, rate=10, options=options or {})
        stream.height, stream.width = size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = stream.time_base = time_base
        audio: Any = None
        if sound is not None:
            audio = container.add_stream(sound_codec, rate=RATE)
            audio.layout = "mono"
        if setup is not None:
            setup(container, stream)
        for number, time in enumerate(times):
            given = picture(number)
            if isinstance(given, np.ndarray):
                frame = av.VideoFrame.from_ndarray(given, "rgb24").reformat(format=pixel_format)
            else:
                frame = given
            frame.pts, frame.time_base = time, time_base
            if frame_setup is not None:
                frame_setup(frame)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None and sound is not None:
            frame = av.AudioFrame.from_ndarray(sound[np.newaxis], "s16", "mono")
            frame.sample_rate, frame.pts = RATE, 0
            frame.time_base = Fraction(1, RATE)
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def _seconds(frame: Any) -> Fraction:
    return frame.pts * frame.time_base


def shown(path: Path) -> list[tuple[int, Fraction]]:
    """Return which number every frame of a video shows, and when in seconds."""
    with av.open(f"file:{path}") as container:
        stream = container.streams.video[0]
        return [
            (number_of(frame.to_ndarray(format="rgb24")), _seconds(frame))
            for frame in container.decode(stream)
        ]


def heard(path: Path) -> list[float]:
    """Return when clicks begin, in seconds."""
    with av.open(f"file:{path}") as container:
        pieces = [
            (
                float(_seconds(frame)),
                frame.to_ndarray().astype(np.float64),
                frame.sample_rate,
            )
            for frame in container.decode(container.streams.audio[0])
        ]
    loud: list[float] = []
    for start, samples, rate in pieces:
        full = 1 if samples.dtype.kind == "f" else 32_767
        level = np.abs(samples.reshape(-1) / full)
        loud += [float(start + index / rate) for index in np.flatnonzero(level > 0.2)]
    return [t for i, t in enumerate(loud) if i == 0 or t - loud[i - 1] > 0.05]


def first_frame(path: Path) -> tuple[Any, Fraction | None]:
    """Return the first frame and the pixels' aspect."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return next(container.decode(stream)), stream.sample_aspect_ratio

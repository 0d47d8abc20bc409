"""How many frames a second a video gets, against one thing after the other.

    python benchmarks/video.py [--width 160] [--height 90] [--frames 48] [--scale 4] [--rounds 3]

A clip is made that pans over the sample picture, every fourth frame repeated. The
two ways take turns: lightsr as it is, and a loop in one thread that decodes a frame, enlarges it
and encodes it, with the same network, codec and settings.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from lightsr import Upscaler
from lightsr.engine.fit import Fit
from lightsr.engine.video.encoding import VideoSettings
from lightsr.engine.video.run import run_video

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "coffee.png"


def main() -> None:
    """Print frames a second of both ways, round by round, and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("width", 160), ("height", 90), ("frames", 48), ("scale", 4)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = pan(Path(folder) / "clip.mp4", given.width, given.height, given.frames)
        fit = Fit(given.scale, None, None, {})
        upscaler, _ = fit.for_size((given.height, given.width), "clip")
        ratios: list[float] = []
        for number in range(given.rounds):
            naive = given.frames / loop(clip, Path(folder) / f"n{number}.mp4", upscaler)
            ours = given.frames / overlapped(clip, Path(folder) / f"o{number}.mp4", fit)
            ratios.append(ours / naive)
            print(f"loop {naive:.2f} fps, lightsr {ours:.2f} fps, ratio {ratios[-1]:.2f}")
        print(f"median ratio {statistics.median(ratios):.2f}")


def pan(path: Path, width: int, height: int, frames: int) -> Path:
    """Write a clip that moves over the sample picture and stands still every fourth frame."""
    picture = np.asarray(Image.open(SAMPLE).convert("RGB"))
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=24, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            at = number - number // 4
            shifted = np.roll(picture, (-at, -2 * at), (0, 1))[:height, :width]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shifted), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def loop(source: Path, target: Path, upscaler: Upscaler) -> float:
    """Enlarge frame by frame in one thread; return the seconds it took."""
    begun = time.perf_counter()
    with av.open(str(source)) as clip, av.open(str(target), "w") as out:
        stream: Any = out.add_stream("libx264", rate=24, options={"crf": "18"})
        stream.pix_fmt = "yuv420p"
        video = clip.streams.video[0]
        stream.height, stream.width = upscaler.scale * video.height, upscaler.scale * video.width
        for frame in clip.decode(video):
            large = upscaler(frame.to_ndarray(format="rgb24"))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(large, "rgb24")))
        out.mux(stream.encode(None))
    return time.perf_counter() - begun


def overlapped(source: Path, target: Path, fit: Fit) -> float:
    """Enlarge as `lightsr upscale` does; return the seconds it took."""
    begun = time.perf_counter()
    run_video(source, target, fit, VideoSettings(codec="h264"))
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()

"""`lightsr.upscale`: one picture in, one picture out."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from lightsr.engine.fit import Fit, Options
from lightsr.engine.kinds import Image, take
from lightsr.engine.upscaler import Tile
from lightsr.engine.video.containers import is_video
from lightsr.engine.video.encoding import VideoSettings
from lightsr.engine.video.run import run_video
from lightsr.errors import VideoError
from lightsr.images.writing import write_picture


def upscale(
    image: Image,
    scale: int | None = None,
    *,
    width: int | None = None,
    height: int | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    model: str | None = None,
    weights: str | Path = "default",
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    tile: Tile = "auto",
    ensemble: bool = False,
    memory: str | int | None = None,
) -> Any:
    """Enlarge a picture and return it as what it came as.

    An array gives an array of the same sample type and number of axes, a PIL image a PIL image,
    and a path a PIL image too; see `Upscaler.__call__`. With `output` the result is written to
    that file instead, everything else about the picture kept, and the file's path is returned;
    its suffix decides the format. A path may be a video's; then `output` must be given.

    Either `scale` (left out it is 4, or what a file of weights was made for) or
    `width`, `height` or both in pixels say how large it becomes. The other arguments are those
    of `Upscaler`. The network is kept for the next call with the same arguments.

    Raises `UserError` and its kinds: `PictureError` for a picture that cannot be read, taken or
    written, `VideoError`, `WeightsError`, `BackendError`.
    """
    options: Options = {
        "model": model,
        "backend": backend,
        "device": device,
        "precision": precision,
        "weights": weights,
        "tile": tile,
        "ensemble": ensemble,
        "memory": memory,
    }
    path = Path(image) if isinstance(image, (str, Path)) else None
    if path is not None and is_video(path) and output is None:
        raise VideoError(f"{path} is a video; say with output= where to write it")
    fit = _fit(scale, width, height, tuple(options.items()), _version_of(weights))
    if path is not None and output is not None and is_video(path):
        run_video(path, Path(output), fit, VideoSettings(), overwrite=overwrite)
        return Path(output)
    given = take(image)
    upscaler, size = fit.for_picture(given.picture)
    if output is None:
        return given.give_back(upscaler.enlarge(given.picture, size))
    target = Path(output)
    full = size or (given.picture.height * upscaler.scale, given.picture.width * upscaler.scale)
    bands = upscaler.upscale_picture(given.picture, size)
    write_picture(bands, full, given.picture, target, format=None, overwrite=overwrite)
    return target


@lru_cache(maxsize=2)
def _fit(
    scale: int | None,
    width: int | None,
    height: int | None,
    options: tuple[tuple[str, Any], ...],
    _version: object,
) -> Fit:
    return Fit(scale, width, height, Options(**dict(options)))


def _version_of(weights: str | Path) -> object:
    """Return something that changes with a file of weights, so that a new one is loaded."""
    try:
        stat = Path(weights).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size

"""From samples to the bytes of a picture file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from lightsr.images.containers import heif, jpeg, png, tiff, webp
from lightsr.images.formats import Format
from lightsr.images.picture import Metadata
from lightsr.images.rowstore import RowStore
from lightsr.images.vips import VIPS_ERRORS, VipsImage, image_of, on_progress, vips

_T = TypeVar("_T")
_AVIF_BITS = 12
_LARGE = 3_900_000_000
"""Bytes of samples from which a TIFF file might not fit into 32-bit offsets."""
_OPTIMIZED = 50_000_000
"""Pixels up to which JPEG's tables are fitted to the picture: that saves 5 %, but holds four times
the picture's samples in memory."""
_OPTIMIZING = 13
"""Bytes that it takes for each pixel."""
_ASSUMED = 72 / 25.4
_SPACES = {
    ("uint8", 1): "b-w",
    ("uint8", 3): "srgb",
    ("uint16", 1): "grey16",
    ("uint16", 3): "rgb16",
    ("float32", 1): "b-w",
    ("float32", 3): "scrgb",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How a picture is to be encoded."""

    format: Format
    dtype: np.dtype[Any]
    """Type of the samples that the encoder is given."""
    quality: int
    """1 to 100; formats that lose nothing have none and ignore it."""
    metadata: Metadata
    has_alpha: bool
    memory: int | None = None
    """Bytes that may be taken, where they are few."""


def sample_type(kind: Format, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type to write samples of `dtype` with: the same, or the deepest of the format."""
    return dtype if dtype.name in kind.dtypes else np.dtype(kind.dtypes[-1])


def converted(rows: NDArray[Any], settings: Settings) -> NDArray[Any]:
    """Return samples in the encoder's type, rounded to the nearest.

    For AVIF 16 bits become the 12 that are stored, left in the upper part of 16.
    """
    dtype = settings.dtype
    if rows.dtype != dtype:
        if rows.dtype.kind == "f":
            most = np.float32(np.iinfo(dtype).max)
            rows = (np.clip(rows, 0, 1) * most + np.float32(0.5)).astype(dtype)
        elif dtype == np.uint8:
            # 65535 = 257 x 255, and half of 257 is less than 128.5.
            rows = ((rows.astype(np.uint32) + 128) // 257).astype(np.uint8)
        else:
            raise ValueError(f"cannot write {rows.dtype} samples as {dtype}")
    if settings.format.name == "avif" and dtype == np.uint16:
        most = (1 << _AVIF_BITS) - 1
        few = (rows.astype(np.uint32) * most + 32767) // 65535
        rows = (few << (16 - _AVIF_BITS)).astype(np.uint16)
    return rows


def encode(store: RowStore, settings: Settings, file: BinaryIO) -> None:
    """Encode a full row store into an empty file, open for reading and writing.

    Raises `OSError` for what the file refuses, `VIPS_ERRORS` for what the encoder does. Ctrl-C
    stops the encoder at once.
    """
    image = _labelled(image_of(store.samples()), settings)
    # Savers go from top to bottom; half a percent behind, nothing is needed any more.
    on_progress(image, lambda share: store.forget(max(0, int((share - 0.005) * store.shape[0]))))
    _interruptibly(image, lambda: _SAVERS[settings.format.name](image, settings, file))


def _labelled(image: VipsImage, settings: Settings) -> VipsImage:
    """Return the image with its colour space, resolution, profile and XMP set."""
    colours = image.bands - settings.has_alpha
    across, down = settings.metadata.resolution or (_ASSUMED, _ASSUMED)
    labelled = image.copy(
        interpretation=_SPACES[settings.dtype.name, colours], xres=across, yres=down
    )
    blobs = {"icc-profile-data": settings.metadata.icc, "xmp-data": settings.metadata.xmp}
    for name, blob in blobs.items():
        if blob is not None:
            labelled.set_type(vips.GValue.blob_type, name, blob)
    if colours == 1 and settings.metadata.icc is not None and not settings.format.grey:
        # A grey profile cannot describe the three channels that this format stores.
        labelled = labelled.icc_transform("srgb", embedded=True).copy()
        labelled.remove("icc-profile-data")
    return labelled


def _interruptibly(image: VipsImage, work: Callable[[], None]) -> None:
    """Run `work` in a thread of its own, so that Ctrl-C reaches this one and stops the encoder."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="lightsr-encode", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        image.set_kill(True)
        thread.join()
        raise
    if failure:
        raise failure[0]


class _Output:
    """Passes what libvips writes to a file, with something put in near the beginning."""

    def __init__(self, file: BinaryIO, insert: Callable[[bytes], bytes | None] | None) -> None:
        self._file = file
        self._insert = insert
        self._head = b""
        self.error: Exception | None = None
        self.target: Any = vips.TargetCustom()
        self.target.on_write(self._write)
        if insert is None:
            # Only TIFF goes back in what it has written.
            self.target.on_read(self._read)
            self.target.on_seek(self._seek)

    def _tried(self, work: Callable[[], _T], failed: _T) -> _T:
        """Do `work` unless something failed before; libvips cannot carry an exception."""
        if self.error is not None:
            return failed
        try:
            return work()
        except Exception as error:
            self.error = error
            return failed

    def _read(self, count: int) -> bytes:
        return self._tried(lambda: self._file.read(count), b"")

    def _seek(self, to: int, whence: int) -> int:
        return self._tried(lambda: self._file.seek(to, whence), -1)

    def _write(self, data: Any) -> int:
        return self._tried(lambda: self._passed_on(bytes(data)), -1)

    def _passed_on(self, data: bytes) -> int:
        if self._insert is None:
            self._file.write(data)
            return len(data)
        self._head += data
        whole = self._insert(self._head)
        if whole is not None:
            self._insert = None
            self._file.write(whole)
        return len(data)

    def save(self, saver: Callable[..., Any], **options: Any) -> None:
        try:
            saver(self.target, **options)
        except VIPS_ERRORS:
            if self.error is None:
                raise
        if self.error is not None:
            raise self.error


def _save_png(image: VipsImage, settings: Settings, file: BinaryIO) -> None:
    said = settings.metadata
    output = _Output(file, lambda head: png.insert(head, said.exif, said.xmp))
    # Choosing a filter row by row halves photographs; beyond 6 little is gained for the time.
    output.save(image.pngsave_target, compression=6, filter="all", keep="icc")


def _save_jpg(image: VipsImage, settings: Settings, file: BinaryIO) -> None:
    said = settings.metadata
    dots = round(image.xres * 25.4), round(image.yres * 25.4)
    output = _Output(file, lambda head: jpeg.insert(head, said.exif, dots))
    keep = "icc:xmp" if len(said.xmp or b"") <= jpeg.LONGEST_XMP else "icc"
    output.save(
        image.jpegsave_target,
        Q=settings.quality,
        subsample_mode="off",
        optimize_coding=_can_optimize(image.width * image.height, settings.memory),
        keep=keep,
    )


def _can_optimize(pixels: int, memory: int | None) -> bool:
    fits = memory is None or pixels * _OPTIMIZING <= memory // 2
    return fits and pixels <= _OPTIMIZED


def _save_tiff(image: VipsImage, settings: Settings, file: BinaryIO) -> None:
    size = image.width * image.height * image.bands * settings.dtype.itemsize
    output = _Output(file, None)
    output.save(
        image.tiffsave_target,
        compression="deflate",
        predictor="float" if settings.dtype.kind == "f" else "horizontal",
        bigtiff=size > _LARGE,
        keep="icc:xmp",
    )
    if settings.metadata.exif is not None:
        tiff.add_exif(file, settings.metadata.exif)


def _save_webp(image: VipsImage, settings: Settings, file: BinaryIO) -> None:
    lossless = settings.quality == 100
    data: bytes = image.webpsave_buffer(
        Q=settings.quality,
        lossless=lossless,
        exact=lossless,
        smart_subsample=True,
        alpha_q=100,
        keep="icc:xmp",
    )
    if settings.metadata.exif is not None:
        size = image.width, image.height
        data = webp.with_exif(data, settings.metadata.exif, *size, settings.has_alpha)
    file.write(data)


def _save_avif(image: VipsImage, settings: Settings, file: BinaryIO) -> None:
    data: bytes = image.heifsave_buffer(
        compression="av1",
        Q=settings.quality,
        lossless=settings.quality == 100,
        bitdepth=8 if settings.dtype == np.uint8 else _AVIF_BITS,
        # A fifth of the time of the next step, for 9 % more bytes at equal quality.
        effort=3,
        subsample_mode="off",
        keep="icc:xmp",
    )
    if settings.metadata.exif is not None:
        data = heif.with_exif(data, settings.metadata.exif)
    file.write(data)


_SAVERS: dict[str, Callable[[VipsImage, Settings, BinaryIO], None]] = {
    "png": _save_png,
    "jpg": _save_jpg,
    "tiff": _save_tiff,
    "webp": _save_webp,
    "avif": _save_avif,
}

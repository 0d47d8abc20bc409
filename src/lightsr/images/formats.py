"""The picture formats, as data: how each is recognised, named, and what it can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightsr.errors import PictureError


@dataclass(frozen=True, slots=True)
class Format:
    """What lightsr knows of one picture format."""

    name: str
    """As given to `--format`: "png"."""
    title: str
    """As written in messages: "PNG"."""
    extensions: tuple[str, ...]
    """Lower case, with the dot; the first is the one given to new files."""
    dtypes: tuple[str, ...] = ()
    """Sample types it can be written with, best last; empty where lightsr only reads it.
    "uint16" is 12 bits deep in AVIF."""
    alpha: bool = True
    grey: bool = True
    """Whether it has pictures of one channel; others store grey as three equal ones."""
    longest_side: int = 0
    """Most pixels in a row or column that its encoder takes."""
    quality: int | None = None
    """Default of `quality`, where the format has one."""
    pixels_per_byte: int | None = None
    """More pixels than this cannot come out of one byte of the file, whatever they show; None
    where the format has no such bound (one colour all over costs WebP and AVIF nothing)."""

    @property
    def writable(self) -> bool:
        """Whether pictures can be written in this format."""
        return bool(self.dtypes)


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format("png", "PNG", (".png", ".apng"), ("uint8", "uint16"), longest_side=10_000_000),
        Format(
            "jpg",
            "JPEG",
            (".jpg", ".jpeg", ".jpe", ".jfif"),
            ("uint8",),
            alpha=False,
            longest_side=65_500,
            quality=95,
            # A block of 64 samples takes one bit at the least.
            pixels_per_byte=1024,
        ),
        Format("webp", "WebP", (".webp",), ("uint8",), grey=False, longest_side=16_383, quality=95),
        Format(
            "tiff",
            "TIFF",
            (".tif", ".tiff"),
            ("uint8", "uint16", "float32"),
            longest_side=10_000_000,
        ),
        Format(
            "avif",
            "AVIF",
            (".avif",),
            ("uint8", "uint16"),
            grey=False,
            longest_side=16_384,
            quality=90,
        ),
        Format("heic", "HEIC", (".heic", ".heif", ".hif"), grey=False),
        # 12 bits name a run of 4094 pixels at the most.
        Format("gif", "GIF", (".gif",), grey=False, pixels_per_byte=4096),
        Format("bmp", "BMP", (".bmp", ".dib")),
    )
}

READABLE_EXTENSIONS = frozenset(ext for entry in FORMATS.values() for ext in entry.extensions)
WRITABLE = tuple(name for name, entry in FORMATS.items() if entry.writable)

_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2")

_STRANGERS = (
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop document"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance picture"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"FUJIFILMCCD-RAW", "a camera raw file"),
)


def sniff(head: bytes) -> Format | None:
    """Return the format that a file beginning with `head` (32 bytes suffice) has, if known."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return FORMATS["png"]
    if head.startswith(b"\xff\xd8\xff"):
        return FORMATS["jpg"]
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return FORMATS["webp"]
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return FORMATS["tiff"]
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return FORMATS["gif"]
    if head[:2] == b"BM":
        return FORMATS["bmp"]
    if head[4:8] == b"ftyp":
        # mif1 and msf1 name the container only; what lies in it stands among the other brands.
        if head[8:12] in _AVIF_BRANDS or b"avif" in head[16:32]:
            return FORMATS["avif"]
        if head[8:12] in _HEIC_BRANDS:
            return FORMATS["heic"]
    return None


def stranger(head: bytes) -> str | None:
    """Return what a file beginning with `head` is, where it is a known kind lightsr cannot read."""
    return next((what for magic, what in _STRANGERS if head.startswith(magic)), None)


def output_format(target: Path | None, name: str | None, like: str) -> Format:
    """Return the format to write.

    That is the one called `name` if given, else the one of `target`'s extension, else `like` (the
    format of the input), else PNG where lightsr cannot write `like`. Raises `PictureError` where
    what was asked for cannot be written.
    """
    choices = ", ".join(WRITABLE)
    if name is not None:
        wanted = name.lower().lstrip(".")
        for entry in FORMATS.values():
            if entry.writable and (entry.name == wanted or f".{wanted}" in entry.extensions):
                return entry
        raise PictureError(f"cannot write format {name!r}; choose one of: {choices}")
    extension = "" if target is None else target.suffix.lower()
    if extension:
        for entry in FORMATS.values():
            if extension in entry.extensions:
                if entry.writable:
                    return entry
                break
        raise PictureError(
            f"{target}: cannot write pictures with the extension {extension!r};"
            f" choose one of: {choices}"
        )
    own = FORMATS.get(like)
    return own if own is not None and own.writable else FORMATS["png"]

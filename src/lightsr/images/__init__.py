"""Pictures: reading, writing, MATLAB's bicubic resize, and colour.

The names below are imported when they are first used: the resize needs NumPy alone, and finding
files not even that.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightsr.images.alpha import fill_transparent
    from lightsr.images.files import PictureFile, picture_files
    from lightsr.images.picture import Metadata, Picture
    from lightsr.images.pil import from_pil, to_pil
    from lightsr.images.reading import read_picture
    from lightsr.images.resize import RowResizer, degrade, imresize, mod_crop
    from lightsr.images.writing import check_target, write_picture

__all__ = [
    "Metadata",
    "Picture",
    "PictureFile",
    "RowResizer",
    "check_target",
    "degrade",
    "fill_transparent",
    "from_pil",
    "imresize",
    "mod_crop",
    "picture_files",
    "read_picture",
    "to_pil",
    "write_picture",
]

_HOMES = {
    "Metadata": "picture",
    "Picture": "picture",
    "PictureFile": "files",
    "RowResizer": "resize",
    "check_target": "writing",
    "degrade": "resize",
    "fill_transparent": "alpha",
    "from_pil": "pil",
    "imresize": "resize",
    "mod_crop": "resize",
    "picture_files": "files",
    "read_picture": "reading",
    "to_pil": "pil",
    "write_picture": "writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lightsr.images' has no attribute {name!r}")
    value = getattr(import_module(f"lightsr.images.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

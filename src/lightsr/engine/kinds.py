"""What a picture may be given as, and giving the result back as the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.backends.base import Pixels
from lightsr.errors import PictureError
from lightsr.images.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

Image: TypeAlias = "str | Path | PILImage | NDArray[Any]"
"""A path, a PIL image, or an array: HW or HWC with 1 to 4 channels, uint8, uint16, or floats in
[0, 1]."""


@dataclass(frozen=True, slots=True)
class Given:
    """A picture as the engine takes it, and how to return the enlarged samples."""

    picture: Picture
    give_back: Callable[[Pixels], Any]


def take(image: Image) -> Given:
    """Return `image` as a `Picture`. Raises `PictureError` where it is none or unfit."""
    if isinstance(image, np.ndarray):
        return _take_array(image)
    if isinstance(image, (str, Path)):
        from lightsr.images.reading import read_picture

        return _as_pil(read_picture(Path(image)))
    if type(image).__module__.startswith("PIL."):
        from lightsr.images.pil import from_pil

        return _as_pil(from_pil(image))
    raise PictureError(
        f"a picture must be a path, a PIL image or a NumPy array, not {type(image).__name__}"
    )


def _take_array(array: NDArray[Any]) -> Given:
    half = array.dtype == np.float16
    picture = Picture.from_array(array.astype(np.float32) if half else array)

    def give_back(enlarged: Pixels) -> NDArray[Any]:
        shaped = enlarged.reshape(*enlarged.shape[:2], *array.shape[2:])
        return shaped.astype(array.dtype, copy=False)

    return Given(picture, give_back)


def _as_pil(picture: Picture) -> Given:
    def give_back(enlarged: Pixels) -> PILImage:
        from lightsr.images.pil import to_pil

        return to_pil(enlarged, picture)

    return Given(picture, give_back)

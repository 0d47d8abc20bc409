"""How large a picture becomes when a width or a height is asked for instead of a scale."""

from __future__ import annotations

from collections.abc import Sequence

from lightsr.errors import UserError

Size = tuple[int, int]
"""Height and width, in pixels."""


def wanted_size(picture: Size, width: int | None, height: int | None, source: str) -> Size | None:
    """Return the size to enlarge `picture` to; None where neither width nor height is given.

    One of them alone keeps the proportions, rounded to the nearest pixel. Raises `UserError`,
    naming `source`, for a size smaller than the picture in either direction.
    """
    if width is None and height is None:
        return None
    high, wide = picture
    if height is None:
        assert width is not None
        height = _share(high, width, wide)
    elif width is None:
        width = _share(wide, height, high)
    if height < high or width < wide:
        raise UserError(
            f"{source} is {wide}x{high} already; {width}x{height} would make it smaller, and "
            f"lightsr only enlarges"
        )
    return height, width


def covering_scale(picture: Size, size: Size, scales: Sequence[int]) -> int:
    """Return the smallest of `scales` (ascending) that reaches `size`, else the largest."""
    for scale in scales:
        if scale * picture[0] >= size[0] and scale * picture[1] >= size[1]:
            return scale
    return scales[-1]


def _share(length: int, new: int, old: int) -> int:
    return max(1, (2 * length * new + old) // (2 * old))

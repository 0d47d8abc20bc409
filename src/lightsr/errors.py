"""The errors that lightsr raises on purpose.

Each message says what was wrong with what, and what to do. The command line prints a
`UserError` as one line on standard error and ends with status 2; anything else that
derives from `LightsrError` is a failure of ours and ends with status 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LightsrError(Exception):
    """Everything lightsr raises on purpose derives from this."""


class UserError(LightsrError):
    """Something the caller can put right: a wrong name, a missing file, an unfit value."""


class PictureError(UserError):
    """A picture that cannot be read or written; the message names the file and the reason."""


class VideoError(UserError):
    """A video that cannot be read or written; the message names the file and the reason."""


class TooLargeError(PictureError):
    """A picture with more pixels than was allowed."""


class WeightsError(UserError):
    """Weights that cannot be found, read, or fitted to the network that was asked for."""


class BackendError(UserError):
    """A backend, device or precision that this machine or installation does not have."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Return the error for a name that does not exist, with the nearest one that does.

    `kind` says what was named ("model"), `known` are the names that exist.
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
    return UserError(f"no {kind} is named {name!r}; {hint}")

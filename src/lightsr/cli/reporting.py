"""What the command line says about failures: one line on standard error, and an exit status."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from lightsr.errors import LightsrError, UserError

FAILURE = 1
MISTAKE = 2
BY_SIGNAL = 128
"""Added to a signal's number, this is the status of a command that the signal ended."""
_SIGPIPE = 13  # Windows has no name for it.


class _Terminated(BaseException):
    """Raised in the main thread by SIGTERM, so that unfinished files are taken away."""


def run_guarded(find_call: Callable[[], Callable[[], int | None] | int | None]) -> int:
    """Find out what to call, call it, and return its exit status; report whatever is raised."""
    _open_closed_streams()
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        found = find_call()
        status = found() if callable(found) else found
        sys.stdout.flush()
    except UserError as error:
        say(error)
        return MISTAKE
    except LightsrError as error:
        say(error)
        return FAILURE
    except KeyboardInterrupt:
        say("stopped; nothing half-written was left behind")
        return BY_SIGNAL + signal.SIGINT
    except _Terminated:
        say("told to stop; nothing half-written was left behind")
        return BY_SIGNAL + signal.SIGTERM
    except BrokenPipeError:
        _forget_output()
        return BY_SIGNAL + _SIGPIPE
    except MemoryError as error:
        say(f"not enough memory: {error}" if str(error) else "not enough memory")
        return FAILURE
    except Exception as error:
        return _report_unexpected(error)
    finally:
        signal.signal(signal.SIGTERM, before)
    return status or 0


def say(message: object) -> None:
    """Print one line on standard error, if that is still open."""
    print_line(f"lightsr: {message}")


def print_line(text: str) -> None:
    """Print `text` on standard error as one line, whatever a file name in it may hold."""
    with contextlib.suppress(OSError, ValueError):
        # Names that are no text come as lone surrogates, which no encoding takes.
        encodable = text.encode("utf-8", "backslashreplace").decode()
        line = "".join(c if c.isprintable() else " " for c in encodable)
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _open_closed_streams() -> None:
    """Put the null device where the process was started with a standard stream closed.

    The next file to be opened would take its place, and get what is printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - stays open


def _report_unexpected(error: Exception) -> int:
    if os.environ.get("LIGHTSR_DEBUG"):
        traceback.print_exception(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        say(f"{where}{error.strerror}")
        if error.filename is None:
            _forget_output()
        return FAILURE
    say(
        f"internal error: {type(error).__name__}: {error}; please report it, with the output of "
        f"the same command under LIGHTSR_DEBUG=1"
    )
    return FAILURE


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _forget_output() -> None:
    """Send what standard output still holds nowhere, so that ending the process can't fail."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

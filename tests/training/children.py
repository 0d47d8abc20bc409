"""Runs in processes of their own, forked so that nothing is imported again, and killed."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any


def start(function: Callable[[], object]) -> int:
    """Call a function in a child process; its status is 0, 1 after an error."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        function()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def finish(pid: int) -> int:
    """Wait for a child; return its status, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_after(pid: int, seconds: float, number: int = signal.SIGKILL) -> int:
    """Send a child a signal after a while, unless it ends before; return its status."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, number)
    return finish(pid)


def dying_at(moment: int, *names: str) -> None:
    """Let this process die at the n-th call of these functions of `os`, as if by SIGKILL."""
    calls = 0

    def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    for name in names:
        setattr(os, name, deadly(getattr(os, name)))

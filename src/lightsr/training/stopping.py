"""Ctrl-C and SIGTERM during a run: noted, and obeyed once the iteration is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Stopped(BaseException):
    """Raised when a run was told to stop and its checkpoint is written.

    No error, and no `Exception`, so that nothing takes it for one on its way up.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number


class StopSignals:
    """Hears Ctrl-C and SIGTERM from `with` on; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.heard = 0
        """The number of the signal that came; 0 for none."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.getsignal(number)
            self.listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def listen(self) -> None:
        """Take the signals over, again if something else took them meanwhile."""
        for number in self._before:
            signal.signal(number, self._hear)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self.heard and number == signal.SIGINT:
            signal.signal(number, self._before[number])
            raise KeyboardInterrupt
        self.heard = number

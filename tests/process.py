"""Running the `lightsr` command: in a process of its own as users do, or quickly in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightsr.cli.app import run


def run_lightsr(
    *arguments: str | Path, cwd: Path | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run the command and return its status and what it printed."""
    # One thread: on cores that others use too, threads that wait for each other crawl.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "lightsr", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run the command in this process; return the one line that it says about a user's mistake."""
    status = run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (2, "", 1), (status, out, err)
    return err

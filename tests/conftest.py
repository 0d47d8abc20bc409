"""What every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of test sets and published checkpoints; tests that need it skip without it."""
    default = Path(__file__).resolve().parents[1].parent / "shared"
    folder = Path(os.environ.get("LIGHTSR_ASSETS", default))
    if not (folder / "data" / "test").is_dir():
        pytest.skip(f"needs the reference pictures: set LIGHTSR_ASSETS ({folder} has none)")
    return folder

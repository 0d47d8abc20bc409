"""Which pictures a run has seen, kept in its folder, so that a change does not go unnoticed.

A run that is resumed takes what is in its folders by then. With the same pictures it is exactly
the run that was never stopped; with others it goes on well, but its patches are different ones.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import cast

from lightsr.training.data import Pair

log = logging.getLogger(__name__)

_FILE = "pictures.json"


def take_stock(pairs: list[Pair], folder: Path, iteration: int) -> None:
    """Write the pictures of a run into its folder, and log what changed since it last ran.

    `iteration` is the one that the run goes on from.
    """
    now = {str(pair.path): pair.version for pair in pairs}
    path = folder / _FILE
    before = _read(path)
    if before is not None and before != now:
        changed = sum(name in before and before[name] != now[name] for name in now)
        log.warning(
            "the pictures are not those the run was stopped with: %d new, %d gone, %d changed; "
            "from iteration %d on it sees other patches than a run that was never stopped",
            len(now.keys() - before.keys()),
            len(before.keys() - now.keys()),
            changed,
            iteration,
        )
    if before != now:
        beside = folder / f"{_FILE}.part"
        beside.write_text(json.dumps(now, indent=0, ensure_ascii=False), encoding="utf-8")
        beside.replace(path)


def _read(path: Path) -> dict[str, str] | None:
    try:
        return cast("dict[str, str]", json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None

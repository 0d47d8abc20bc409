"""Checkpoints of a run: written whole or not at all, pruned, and found again.

last.ckpt               the newest, everything needed to go on
iteration-00001500.ckpt the newest ones by their iteration; last.ckpt is one of them
best.ckpt               the one that measured best

All are read without executing code (`weights_only=True`).
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from lightsr.errors import UserError

log = logging.getLogger(__name__)

_PART = ".part"
LAST, BEST = "last.ckpt", "best.ckpt"


class WholeFiles(TorchCheckpointIO):
    """Writes beside, waits until the disk has it, and renames."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any = None,  # noqa: ARG002 - Lightning's signature
    ) -> None:
        """Write a checkpoint; raises `UserError` where the disk does not take it."""
        final = Path(path)
        beside = final.with_name(f"{final.name}{_PART}")
        try:
            with beside.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(final)
            _sync_folder(final.parent)
        except (OSError, RuntimeError) as error:
            # torch's writer hides the disk's error in a RuntimeError.
            beside.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or "the disk may be full"
            raise UserError(
                f"{final} cannot be written: {reason}; make room and go on with "
                f"`lightsr train --resume {final.parent}`"
            ) from error


class Checkpoints:
    """The checkpoints in a run folder."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, keep

    def path(self, iteration: int) -> Path:
        """Return the file of an iteration."""
        return self.folder / f"iteration-{iteration:08}.ckpt"

    def settle(self, iteration: int, *, best: bool) -> None:
        """Make the checkpoint just written the last one, and take away what is too old."""
        path = self.path(iteration)
        for name in (LAST, BEST) if best else (LAST,):
            _replace_by_link(path, self.folder / name)
        for old in self._numbered()[self.keep :]:
            old.unlink(missing_ok=True)

    def clean(self) -> None:
        """Take away what a process that was killed left half-written."""
        for part in self.folder.glob(f"*{_PART}"):
            part.unlink(missing_ok=True)

    def newest(self) -> tuple[Path, int] | None:
        """Return the newest readable checkpoint and its iteration, None if there is none."""
        damaged: list[Path] = []
        for path in (self.folder / LAST, *self._numbered()):
            if not path.exists():
                continue
            iteration = _iteration(path)
            if iteration is None:
                log.warning("%s: damaged, the one before it is taken", path)
                damaged.append(path)
            else:
                return path, iteration
        if damaged:
            raise UserError(
                f"{self.folder}: no checkpoint can be read ({damaged[0].name} is damaged); "
                "start the run anew in another folder"
            )
        return None

    def _numbered(self) -> list[Path]:
        return sorted(self.folder.glob("iteration-*.ckpt"), reverse=True)


def _iteration(path: Path) -> int | None:
    try:
        content = cast("dict[str, Any]", torch.load(path, weights_only=True, map_location="cpu"))
        return int(content["global_step"])
    except Exception:  # damage shows as errors of many kinds
        return None


def _replace_by_link(path: Path, other: Path) -> None:
    beside = other.with_name(f"{other.name}{_PART}")
    beside.unlink(missing_ok=True)
    try:
        os.link(path, beside)
    except OSError:  # a file system without links
        shutil.copyfile(path, beside)
    beside.replace(other)
    _sync_folder(other.parent)


def _sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's names, where systems can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

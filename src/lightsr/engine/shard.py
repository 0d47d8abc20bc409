"""A part of a long list of inputs, the same one on every machine and in every run."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from lightsr.errors import UserError


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` of `count`, counted from 1.

    Each input falls to one part by a hash of its path inside of the folder that was named, so that
    nothing moves when inputs come or go, or the folder lies elsewhere. Parts are of about the same
    size: of n inputs in each, give or take the square root of n.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that is written like "3/16". Raises `UserError` for anything else."""
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        number, count = (int(part) for part in match.groups()) if match else (0, 0)
        if not 1 <= number <= count:
            raise UserError(
                f"--shard {text!r} is none; write it like 3/16, the third of sixteen parts"
            )
        return cls(number, count)

    def takes(self, inner: Path) -> bool:
        """Whether an input of that path, relative to the folder, is in this part."""
        digest = hashlib.sha256(inner.as_posix().encode(errors="surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1

"""What the documents point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "samples").glob("*.md"),
]
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#([\w-]+))?\)|\]\(#([\w-]+)\)")


def _anchors(path: Path) -> set[str]:
    """Return the names that headings get where documents are shown."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for found in _LINK.finditer(document.read_text(encoding="utf-8")):
        target, anchor = found.group(1) or "", found.group(2) or found.group(3)
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path = document.parent / target if target else document
        assert path.exists(), f"{document.name}: {found.group(0)}"
        if anchor:
            assert anchor in _anchors(path), f"{document.name}: {found.group(0)}"

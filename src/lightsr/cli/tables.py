"""Tables on standard output: drawn on a terminal, plain aligned columns elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def print_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: int = 1,
    footer: Sequence[str] | None = None,
) -> None:
    """Print a table whose first `left` columns are words and the others numbers.

    `footer` is a last row set off from the others.
    """
    if sys.stdout.isatty():
        _draw(headers, rows, left, footer)
        return
    lines = [headers, *rows, *([footer] if footer else [])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    for line in lines:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _draw(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: int,
    footer: Sequence[str] | None,
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_footer=footer is not None)
    for column, header in enumerate(headers):
        table.add_column(
            header,
            footer=Text(footer[column]) if footer else "",
            justify="left" if column < left else "right",
            no_wrap=column > 0,
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)

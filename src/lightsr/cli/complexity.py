"""`lightsr complexity`: what a network costs, beside what was published."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from lightsr.cli.options import AsJSON, Network, Scale
from lightsr.errors import UserError

if TYPE_CHECKING:
    from lightsr.evaluation.complexity import Complexity


def complexity(
    model: Network,
    scale: Scale,
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the output.")] = "1280x720",
    as_json: AsJSON = False,
) -> None:
    """Count a network's parameters and multiply-adds, beside the published figures."""
    from lightsr.evaluation.complexity import complexity as count

    counted = count(model, scale, _size(size))
    if as_json:
        import json

        typer.echo(json.dumps(counted.as_json(), indent=2, ensure_ascii=False))
    else:
        _print(counted)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})\s*[xX]\s*(\d{1,9})", text.strip())
    if match is None:
        raise UserError(f"{text!r} is no size; write it like 1280x720")
    return int(match[1]), int(match[2])


def _print(counted: Complexity) -> None:
    from lightsr.cli.tables import print_table
    from lightsr.evaluation.complexity import HD

    spec, scale = counted.spec, counted.scale
    width, height = counted.size
    lr_width, lr_height = counted.lr_size
    published = spec.published[scale]
    parameters, multi_adds = counted.published_accounting
    typer.echo(f"{spec.title} x{scale}: {spec.paper}")
    if spec.reconstruction is not None:
        typer.echo(f"This is {spec.reconstruction}.")
    typer.echo(
        f"Multi-adds for an output of {width}x{height}, counted on {lr_width}x{lr_height} LR pixels"
    )
    print_table(
        ("", "parameters", "multi-adds"),
        [
            ("counted, everything", f"{counted.parameters:,}", giga(counted.multi_adds)),
            ("counted by the published rule", f"{parameters:,}", giga(multi_adds)),
            (
                "published" if counted.size == HD else "published (for 1280x720)",
                published.parameters or "-",
                published.multi_adds or "-",
            ),
        ],
    )
    typer.echo(f"The published multi-adds count: {spec.published_accounting[scale].rule}.")


def giga(count: int) -> str:
    """Return a count of multiply-adds in thousand millions: "71.21G"."""
    return f"{count / 1e9:,.2f}G"

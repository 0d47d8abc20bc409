"""`lightsr models`: every network, what it costs, and the weights at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lightsr.cli.options import AsJSON

if TYPE_CHECKING:
    from lightsr.evaluation.models import Model


def models(
    as_json: AsJSON = False,
) -> None:
    """List every network at every scale: parameters, multiply-adds for 1280x720, weights.

    And the backends that can run them here, with the precisions that each computes in.
    """
    from lightsr.evaluation.models import models as list_models

    entries = list_models()
    if as_json:
        import json

        typer.echo(json.dumps([entry.as_json() for entry in entries], indent=2, ensure_ascii=False))
        return

    from lightsr.cli.complexity import giga
    from lightsr.cli.tables import print_table

    print_table(
        ("model", "weights (Set5 dB)", "scale", "parameters", "multi-adds", "as published"),
        [
            (
                entry.cost.spec.label,
                _weights(entry),
                f"x{entry.cost.scale}",
                f"{entry.cost.parameters:,}",
                giga(entry.cost.multi_adds),
                giga(entry.cost.published_accounting[1]),
            )
            for entry in entries
        ],
        left=2,
    )

    from lightsr.engine.backends.choose import at_hand

    backends = [f"{name} ({', '.join(kinds)})" for name, kinds in at_hand().items()]
    typer.echo(f"\nBackends here: {', '.join(backends)}")


def _weights(entry: Model) -> str:
    if not entry.cost.spec.trained:
        return "needs none"
    return ", ".join(f"{w.tag} ({w.psnr['Set5'][0]:.2f})" for w in entry.weights) or "-"

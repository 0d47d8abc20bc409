"""Every network at every scale, with its cost and the weights that are shipped for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lightsr.evaluation.complexity import Complexity, complexity
from lightsr.networks.registry import list_networks, network_spec
from lightsr.weights.catalogue import Shipped, shipped


@dataclass(frozen=True, slots=True)
class Model:
    """One network at one scale."""

    cost: Complexity
    weights: list[Shipped]
    """What is shipped for it; empty where nothing is."""

    def as_json(self) -> dict[str, Any]:
        """Return the object that `lightsr models --json` lists: the cost, paper and weights."""
        spec = self.cost.spec
        return {
            **self.cost.as_json(),
            "paper": spec.paper,
            "year": spec.year,
            "statistics": spec.statistics,
            "weights": [
                {
                    "tag": entry.tag,
                    "licence": entry.licence,
                    "psnr": {name: psnr for name, (psnr, _) in entry.psnr.items()},
                    "ssim": {name: ssim for name, (_, ssim) in entry.psnr.items()},
                }
                for entry in self.weights
            ],
        }


def models() -> list[Model]:
    """Return every network at every scale, by name and scale."""
    there = shipped()
    return [
        Model(
            complexity(name, scale),
            [entry for entry in there if (entry.network, entry.scale) == (name, scale)],
        )
        for name in list_networks()
        for scale in network_spec(name).scales
    ]

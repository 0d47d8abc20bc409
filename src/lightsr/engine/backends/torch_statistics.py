"""Running a network with statistics that parts of one picture share, traced by torch.fx."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from lightsr.networks.layers import ONE_STEP, spatial_statistics

Statistics = dict[str, Tensor | tuple[Tensor, ...]]
"""By the name of the step that reads them: a mean, or mean and variance, [1, channels, 1, 1]."""


def traced(network: nn.Module) -> fx.GraphModule | None:
    """Return the network step by step; None where no step reads statistics."""
    module = fx.GraphModule(network, fx.Tracer(autowrap_functions=ONE_STEP).trace(network))
    return module if any(_is_statistic(node) for node in module.graph.nodes) else None


class Pooling(fx.Interpreter):
    """Runs a traced network on parts of a picture as if they were one, and keeps statistics."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self._kept: dict[str, list[tuple[Tensor, ...]]] = {}

    def mean(self) -> Statistics:
        """Return the mean of what the runs so far have read."""
        return {
            name: _as_read([torch.stack(values).mean(0) for values in zip(*runs, strict=True)])
            for name, runs in self._kept.items()
        }

    def run_node(self, n: fx.Node) -> Any:
        """Do one step."""
        if not _is_statistic(n):
            return super().run_node(n)
        x = cast("Tensor", self.fetch_args_kwargs_from_env(n)[0][0])
        # The batch beside the height: [n, c, h, w] -> [1, c, n * h, w].
        together = x.transpose(0, 1).flatten(1, 2).unsqueeze(0)
        both = n.target is spatial_statistics
        pooled = spatial_statistics(together) if both else (together.mean((2, 3), keepdim=True),)
        self._kept.setdefault(n.name, []).append(pooled)
        return _as_read(pooled)


class Told(fx.Interpreter):
    """Runs a traced network with statistics that `Pooling` kept."""

    def __init__(self, module: fx.GraphModule, statistics: Statistics) -> None:
        super().__init__(module)
        self._statistics = statistics

    def run_node(self, n: fx.Node) -> Any:
        """Do one step."""
        return self._statistics[n.name] if n.name in self._statistics else super().run_node(n)


def _as_read(values: Sequence[Tensor]) -> Tensor | tuple[Tensor, ...]:
    return tuple(values) if len(values) > 1 else values[0]


def _is_statistic(node: fx.Node) -> bool:
    """Return whether a step reads the mean, or mean and variance, over height and width."""
    if node.op == "call_function":
        return node.target is spatial_statistics
    is_mean = node.op == "call_method" and node.target == "mean"
    return is_mean and len(node.args) > 1 and node.args[1] == (2, 3) and bool(node.kwargs)

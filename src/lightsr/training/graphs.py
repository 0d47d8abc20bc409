"""Forward and backward pass of a network on a GPU, recorded for each patch size (CUDA graphs).

A lightweight network on a batch of small patches is thousands of short kernels, and starting them
takes longer than what they do. A recorded pass is started at once.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from lightsr.networks.layers import replace_forward

log = logging.getLogger("lightsr")

Pass = Callable[[Tensor], Tensor]


def record_passes(network: nn.Module, record: Callable[[nn.Module, Tensor], Pass]) -> None:
    """Let a network in training run what `record` makes of it for inputs of each shape.

    Without gradients, and where recording fails, it runs as it is.
    """
    plain: Pass = network.forward
    passes: dict[torch.Size, Pass] = {}

    def run(x: Tensor) -> Tensor:
        if not (network.training and torch.is_grad_enabled()):
            return plain(x)
        if x.shape not in passes:
            replace_forward(network, plain)
            try:
                passes[x.shape] = record(network, x)
            except RuntimeError as error:
                reason = str(error).partition("\n")[0]
                log.warning("graphs: the network cannot be recorded (%s), and runs without", reason)
                passes[x.shape] = plain
            finally:
                replace_forward(network, run)
        return passes[x.shape](x)

    replace_forward(network, run)


def recorded(network: nn.Module, like: Tensor) -> Pass:
    """Record a network's passes on CUDA for inputs of one shape. Raises `RuntimeError`."""
    # It gives the module another forward, which is what is wanted of it.
    torch.cuda.make_graphed_callables(network, (like.clone(),), allow_unused_input=True)
    return cast("Pass", network.forward)

"""The form in which a network is trained: equal to it, reading its parameters, but faster.

FDIWN has a form of its own (`lightsr.networks.fdiwn_training`) for processors, where every pass
over a feature map counts, with kernels compiled here; torch.compile makes it slower there. Other
networks, and all of them on GPUs, run as they are, in mixed precision by autocast, the block that
they repeat compiled.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor, nn

from lightsr.networks.fdiwn import FDIWN
from lightsr.networks.fdiwn_training import FDIWNTraining
from lightsr.networks.kernels import load_kernels
from lightsr.networks.layers import replace_forward, touches_colours
from lightsr.training.graphs import record_passes, recorded
from lightsr.training.losses import RecipeLoss

Computation = Callable[[Tensor, Tensor, int], Tensor]
"""The loss of (LR, HR, iteration)."""

_ALIKE = 4
"""Blocks of a kind from which compiling one for all of them pays."""


def trained_form(
    network: nn.Module,
    loss: RecipeLoss,
    device: torch.device,
    compute: torch.dtype,
    compiled: bool | Literal["auto"],
    *,
    graphs: bool = False,
) -> Computation:
    """Return what computes the loss, the network's convolutions in the type `compute`.

    `graphs` has both passes recorded, which CUDA alone can do.
    """
    if isinstance(network, FDIWN) and device.type == "cpu":
        form = FDIWNTraining(network, compute, load_kernels() if compiled else None)
        return lambda lr, hr, iteration: loss(form, lr, hr, iteration)
    if compiled == "auto":
        compiled = device.type == "cuda" and find_spec("triton") is not None
    if compiled:
        compile_blocks(network)
    form = mixed_form(network, loss, device, compute, keep_casts=not graphs)
    if graphs:
        record_passes(network, recorded)
    return form


def mixed_form(
    network: nn.Module,
    loss: RecipeLoss,
    device: torch.device,
    compute: torch.dtype,
    *,
    keep_casts: bool = True,
) -> Computation:
    """Return what computes the loss of a network as it is, by autocast unless in float32.

    Weights are cast once a step and kept for all uses in it, as groups of FDIWN have two; a pass
    that is to be recorded must not keep any.
    """
    if compute == torch.float32:
        return lambda lr, hr, iteration: loss(network, lr, hr, iteration)
    keep_colours_exact(network)

    def mixed(lr: Tensor, hr: Tensor, iteration: int) -> Tensor:
        with torch.autocast(device.type, dtype=compute, cache_enabled=keep_casts):
            return loss(network, lr, hr, iteration)

    return mixed


def keep_colours_exact(network: nn.Module) -> None:
    """Let convolutions that read or write colours compute in float32 also under autocast."""
    scale = int(getattr(network, "scale", 1))
    for module in network.modules():
        if touches_colours(module, scale):
            replace_forward(module, _exact(module.forward))


def compile_blocks(network: nn.Module) -> None:
    """Compile the block that the network repeats, once for all; the whole one if it has none."""
    blocks = repeated_blocks(network) or [network]
    for block in blocks:
        block.compile()


def repeated_blocks(network: nn.Module) -> list[nn.Module]:
    """Return the outermost modules of a kind of ours that the network has several of."""
    inner = [module for module in network.modules() if _is_block(module)]
    counts = Counter(type(module) for module in inner)
    for module in inner:
        if counts[type(module)] >= _ALIKE:
            return [one for one in inner if type(one) is type(module)]
    return []


def _is_block(module: nn.Module) -> bool:
    return type(module).__module__.startswith("lightsr.") and any(module.children())


def _exact(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return forward(x.float())

    return run

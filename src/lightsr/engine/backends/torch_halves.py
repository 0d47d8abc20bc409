"""Networks in torch with the convolutions between their maps in fp16 or bf16."""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lightsr.networks.layers import replace_forward, touches_colours

HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}


def reduce_precision(network: nn.Module, scale: int, precision: str, device: str) -> None:
    """Let a deployed network's convolutions compute in "fp16" or "bf16", in place.

    Sums, gates, the residual stream and statistics stay in float32, and so do convolutions that
    read statistics or colours, or write colours. What a half cannot hold becomes infinite. On
    processors fp16 is what goes in and out, and float32 what is computed with: torch's own
    convolutions of it take forty times as long there.
    """
    kind = HALVES[precision]
    within = torch.float32 if (device, precision) == ("cpu", "fp16") else kind
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and not touches_colours(
            module, scale
        ):
            rounded = copy.deepcopy(module).to(kind).to(within)
            replace_forward(module, _in(kind, within, module.forward, rounded.forward))


def _in(
    kind: torch.dtype,
    within: torch.dtype,
    exact: Callable[[Tensor], Tensor],
    rounded: Callable[[Tensor], Tensor],
) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        on_vectors = x.shape[2:] == (1, 1)
        return exact(x) if on_vectors else rounded(x.to(kind).to(within)).to(kind).float()

    return run

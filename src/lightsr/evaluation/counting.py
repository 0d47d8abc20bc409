"""Counting a network's parameters and multiply-adds while it runs. Needs torch.

The registry's figures are held against this; it serves for networks that are not in it too.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Count:
    """What was counted on one LR picture."""

    parameters: int
    multi_adds: int


def count(
    network: nn.Module,
    height: int,
    width: int,
    leave_out: Callable[[nn.Module], bool] = lambda _: False,
) -> Count:
    """Return the parameters of `network` and its multiply-adds on one LR picture.

    Counted is every application of a convolution, transposed convolution or linear layer, one
    multiply-add for each weight and position, without biases; the work of layers for which
    `leave_out` is true is not. Nothing is computed: a copy of the network runs on shapes alone.
    """
    multi_adds = 0

    def add(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal multi_adds
        multi_adds += _multi_adds(module, inputs[0], output)

    shapes = copy.deepcopy(network).to("meta")
    for module in shapes.modules():
        if isinstance(module, _COUNTED) and not leave_out(module):
            module.register_forward_hook(add)
    with torch.no_grad():
        shapes(torch.empty(1, 3, height, width, device="meta"))
    return Count(sum(parameter.numel() for parameter in network.parameters()), multi_adds)


_Convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_Transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_COUNTED = (*_Convolution, *_Transposed, nn.Linear)


def _multi_adds(module: nn.Module, inputs: Tensor, output: Tensor) -> int:
    if isinstance(module, _Convolution):
        each = math.prod(module.kernel_size) * module.in_channels // module.groups
        return output.numel() * each
    if isinstance(module, _Transposed):
        each = math.prod(module.kernel_size) * module.out_channels // module.groups
        return inputs.numel() * each
    assert isinstance(module, nn.Linear)
    return output.numel() * module.in_features

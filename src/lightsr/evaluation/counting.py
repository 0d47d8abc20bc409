"""Counting a network's parameters and multiply-adds while it runs. Needs torch.

The registry's figures are held against this; it serves for networks that are not in it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


@dataclass(frozen=True, slots=True)
class Count:
    """What was counted on one LR picture."""

    parameters: int
    multi_adds: int
    left_out: int
    """The part of `multi_adds` that fell to the modules asked about."""


def count(
    network: nn.Module,
    height: int,
    width: int,
    leave_out: Callable[[nn.Module], bool] = lambda _: False,
) -> Count:
    """Return the parameters of `network` and its multiply-adds on one LR picture.

    Counted is every convolution and matrix product as often as it is applied, one multiply-add
    for each weight and position, without biases. What happens inside modules for which
    `leave_out` is true is reported apart, for rules of counting that do not see it. The network
    runs once, where it is: on the "meta" device that costs no arithmetic and no memory, so put a
    copy there for large pictures. It is left as it was.
    """
    counter = _Counter()
    left_out = 0

    def enter(*_: object) -> None:
        nonlocal left_out
        left_out -= counter.multi_adds

    def leave(*_: object) -> None:
        nonlocal left_out
        left_out += counter.multi_adds

    handles = [
        handle
        for module in network.modules()
        if leave_out(module)
        for handle in (
            module.register_forward_pre_hook(enter),
            module.register_forward_hook(leave),
        )
    ]
    # A network without parameters is where its constants are.
    like = next(chain(network.parameters(), network.buffers()))
    trained = network.training
    network.eval()  # Some compute the same in another way while they are trained.
    try:
        with torch.no_grad(), counter:
            network(torch.zeros(1, 3, height, width, device=like.device, dtype=like.dtype))
    finally:
        network.train(trained)
        for handle in handles:
            handle.remove()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Count(parameters, counter.multi_adds, left_out)


class _Counter(TorchDispatchMode):
    """Adds up the multiply-adds of every operator that runs, however a module calls it."""

    multi_adds = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        # PyTorch's own formulas, which take a multiplication and an addition for two.
        operations = _FORMULAS.get(func.overloadpacket)
        if operations is not None:
            self.multi_adds += operations(*args, **(kwargs or {}), out_val=output) // 2
        return output


_FORMULAS = cast("dict[Any, Callable[..., int]]", flop_registry)

"""SOAP: Adam in the coordinates in which a weight's gradients hardly depend on one another.

N. Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", ICLR 2025, algorithm 3. A
kernel is taken as a matrix G, outputs by all else. The eigenvectors of the running means of G G'
and G' G turn gradients into coordinates of their own, where Adam's second moment is kept; the
step is turned back. Networks as small as those here pay little for the turning, and need several
times fewer iterations.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class SOAP(torch.optim.Optimizer):
    """Minimises by Adam in the eigenbasis of Shampoo's preconditioner.

    `every` is the number of steps after which the eigenvectors are brought up to date, by one step
    of power iteration. Sides of a matrix that are longer than `longest` are not turned. As in the
    paper, the first step only takes the measure of the gradients and moves nothing. Weights of one
    shape go through each operation together, and their state is that of the first of them: a
    network of many small ones would spend its time between operations. A gradient that is not
    there counts as zero.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        *,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        every: int = 10,
        longest: int = 2048,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "every": every, "longest": longest})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every weight that has a gradient; return what `closure` returned, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for alike in _alike(group["params"]):
                if any(one.grad is not None for one in alike):
                    self._move(alike, group)
        return loss

    def _move(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        gradient = _matrices(parameters)
        state = self.state[parameters[0]]
        if not state:
            self._begin(state, gradient, group["longest"])
            return
        state["step"] += 1
        first, second = group["betas"]
        state["mean"].lerp_(gradient, 1 - first)
        turned = _turn(state, gradient)
        state["square"].mul_(second).addcmul_(turned, turned, value=1 - second)
        deviation = (state["square"] / (1 - second ** state["step"])).sqrt_().add_(group["eps"])
        move = _turn(state, state["mean"]).div_(deviation).div_(1 - first ** state["step"])
        for parameter, its in zip(parameters, _turn(state, move, back=True), strict=True):
            if group["weight_decay"]:
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(its.reshape(parameter.shape).to(parameter.dtype), alpha=-group["lr"])
        for side, product in _products(gradient):
            if side in state:
                state[side].lerp_(product(), 1 - second)
        if state["step"] % group["every"] == 0:
            _follow(state)

    def _begin(self, state: dict[str, Any], gradient: Tensor, longest: int) -> None:
        state["step"] = 0
        state["mean"] = torch.zeros_like(gradient)
        state["square"] = torch.zeros_like(gradient)
        for length, (side, product) in zip(gradient.shape[1:], _products(gradient), strict=True):
            if 1 < length <= longest:
                state[side] = product()
                state[f"{side} vectors"] = _eigenvectors(state[side])


def _alike(parameters: Iterable[Tensor]) -> list[list[Tensor]]:
    """Return the parameters in groups of one shape, type and device."""
    groups: dict[Any, list[Tensor]] = {}
    for one in parameters:
        groups.setdefault((one.shape, one.dtype, one.device), []).append(one)
    return list(groups.values())


def _matrices(parameters: list[Tensor]) -> Tensor:
    """Return the gradients as matrices, outputs by all else: [parameters, rows, columns]."""
    given = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
    rows = len(given[0]) if given[0].dim() else 1
    return torch.stack(given).float().reshape(len(given), rows, -1)


def _eigenvectors(moments: Tensor) -> Tensor:
    """Return the eigenvectors of moments, which one gradient leaves of low rank."""
    try:
        return torch.linalg.eigh(moments.double())[1].to(moments.dtype)
    except RuntimeError:
        # Not finite, which the run's own guard tells of; the power iteration starts from anything.
        same = torch.eye(moments.shape[-1], dtype=moments.dtype, device=moments.device)
        return same.expand_as(moments).clone()


def _products(gradient: Tensor) -> tuple[tuple[str, Callable[[], Tensor]], ...]:
    return (
        ("rows", lambda: gradient @ gradient.mT),
        ("columns", lambda: gradient.mT @ gradient),
    )


def _turn(state: dict[str, Any], matrix: Tensor, *, back: bool = False) -> Tensor:
    """Return matrices in the coordinates of the eigenvectors; as they were without any."""
    rows, columns = state.get("rows vectors"), state.get("columns vectors")
    if rows is not None:
        matrix = (rows if back else rows.mT) @ matrix
    if columns is not None:
        matrix = matrix @ (columns.mT if back else columns)
    return matrix if rows is not None or columns is not None else matrix.clone()


def _follow(state: dict[str, Any]) -> None:
    """Bring the eigenvectors up to date, and the second moment into their new order."""
    for side, axis in (("rows", 1), ("columns", 2)):
        if side not in state:
            continue
        moment, vectors = state[side], state[f"{side} vectors"]
        size = ((moment @ vectors) * vectors).sum(1)
        order = torch.argsort(size, dim=1, descending=True)
        state["square"] = torch.take_along_dim(state["square"], order.unsqueeze(3 - axis), axis)
        vectors = torch.take_along_dim(vectors, order.unsqueeze(1), 2)
        state[f"{side} vectors"] = torch.linalg.qr(moment @ vectors)[0]

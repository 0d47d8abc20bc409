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
    paper, the first step only takes the measure of the gradients and moves nothing.
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
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return loss

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient = parameter.grad
        assert gradient is not None
        gradient = gradient.float().reshape(len(gradient) if gradient.dim() else 1, -1)
        state = self.state[parameter]
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
        if group["weight_decay"]:
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
        back = _turn(state, move, back=True).reshape(parameter.shape)
        parameter.add_(back.to(parameter.dtype), alpha=-group["lr"])
        for side, product in _products(gradient):
            if side in state:
                state[side].lerp_(product(), 1 - second)
        if state["step"] % group["every"] == 0:
            _follow(state)

    def _begin(self, state: dict[str, Any], gradient: Tensor, longest: int) -> None:
        state["step"] = 0
        state["mean"] = torch.zeros_like(gradient)
        state["square"] = torch.zeros_like(gradient)
        for length, (side, product) in zip(gradient.shape, _products(gradient), strict=True):
            if 1 < length <= longest:
                state[side] = product()
                state[f"{side} vectors"] = _eigenvectors(state[side])


def _eigenvectors(moment: Tensor) -> Tensor:
    """Return the eigenvectors of a moment, which one gradient leaves of low rank."""
    try:
        return torch.linalg.eigh(moment.double())[1].to(moment.dtype)
    except RuntimeError:
        # Not finite, which the run's own guard tells of; the power iteration starts from anything.
        return torch.eye(len(moment), dtype=moment.dtype, device=moment.device)


def _products(gradient: Tensor) -> tuple[tuple[str, Callable[[], Tensor]], ...]:
    return (
        ("rows", lambda: gradient @ gradient.mT),
        ("columns", lambda: gradient.mT @ gradient),
    )


def _turn(state: dict[str, Any], matrix: Tensor, *, back: bool = False) -> Tensor:
    """Return a matrix in the coordinates of the eigenvectors, or one of those as it was."""
    rows, columns = state.get("rows vectors"), state.get("columns vectors")
    if rows is not None:
        matrix = (rows if back else rows.mT) @ matrix
    if columns is not None:
        matrix = matrix @ (columns.mT if back else columns)
    return matrix if rows is not None or columns is not None else matrix.clone()


def _follow(state: dict[str, Any]) -> None:
    """Bring the eigenvectors up to date, and the second moment into their new order."""
    for side, axis in (("rows", 0), ("columns", 1)):
        if side not in state:
            continue
        moment, vectors = state[side], state[f"{side} vectors"]
        size = torch.einsum("ij,ik,kj->j", vectors, moment, vectors)
        order = torch.argsort(size, descending=True)
        state["square"] = state["square"].index_select(axis, order)
        state[f"{side} vectors"] = torch.linalg.qr(moment @ vectors[:, order])[0]

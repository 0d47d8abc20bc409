"""The loss of a recipe.

    loss = build_loss(recipe, network)
    value = loss(network, lr, hr, iteration)   # runs the network; a scalar to call backward on

It runs the network itself, because a network that is supervised at several points must hand out
more than its last picture. It is computed in float32, also where the network ran in less.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.errors import UserError
from lightsr.networks.luma import Luma, LumaNetwork
from lightsr.training.recipe import Loss, Recipe


def build_loss(recipe: Recipe, network: nn.Module) -> RecipeLoss:
    """Return the recipe's loss for its network.

    Raises `UserError` if intermediate predictions are to be supervised and the network has none.
    """
    if not recipe.loss.intermediate:
        return RecipeLoss(recipe.loss)
    body = getattr(network, "body", None)
    if not recipe.loss.luma or not hasattr(body, "predictions"):
        raise UserError(
            f"loss.intermediate: {recipe.network} x{recipe.scale} has no intermediate predictions "
            "of luma to supervise; set it to 0"
        )
    return SupervisedLoss(recipe.loss)


class RecipeLoss(nn.Module):
    """The loss between the network's output and HR."""

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.loss = loss
        self.luma = Luma() if loss.luma else None

    def forward(self, network: nn.Module, lr: Tensor, hr: Tensor, iteration: int = 0) -> Tensor:
        """Run the network on LR [n, 3, h, w] and return its loss against HR, RGB in [0, 1]."""
        del iteration
        return self.compare(network(lr).float(), hr)

    def compare(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the loss of RGB pictures."""
        if self.luma is not None:
            sr, hr = self.luma(sr), self.luma(hr)
        return self.difference(sr, hr)

    def difference(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the loss of pictures of any channels, [n, c, h, w], in [0, 1]."""
        loss, edge = self.loss, self.loss.shave
        inner = slice(edge, -edge or None)
        d = (sr - hr)[:, :, inner, inner] * loss.peak
        if not d.numel():
            raise UserError(f"loss.shave: {edge} pixels an edge leave nothing of a patch")
        if loss.kind == "l1":
            values = d.abs()
        elif loss.kind == "l2":
            values = d.square()
        else:
            values = (d.square() + (loss.epsilon * loss.peak) ** 2).sqrt()
        total = values.mean() if loss.reduction == "mean" else values.sum() / len(values)
        return loss.weight * total


class SupervisedLoss(RecipeLoss):
    """The loss of all predictions of a network of luma, the last and those before it.

    A prediction that is smaller than HR is compared with HR made smaller by the bicubic.
    """

    def forward(self, network: nn.Module, lr: Tensor, hr: Tensor, iteration: int = 0) -> Tensor:
        """Run the network on LR [n, 3, h, w] and return the loss of its predictions."""
        luma = cast("Luma", self.luma)
        whole = cast("LumaNetwork", network)
        seen = luma(whole.bicubic(lr) if whole.pre_enlarged else lr)
        *earlier, last = cast("Any", whole.body).predictions(seen)
        target = luma(hr)
        share = self.share(iteration) if earlier else 0.0
        total = (1 - share) * self.difference(last.float(), target)
        for prediction in earlier:
            own = shrunk(target, target.shape[-1] // prediction.shape[-1])
            total = total + share / len(earlier) * self.difference(prediction.float(), own)
        return total

    def share(self, iteration: int) -> float:
        """Return the part that the earlier predictions have at an iteration."""
        until = self.loss.intermediate_until
        left = 1.0 if until is None else max(0.0, 1 - iteration / until)
        return self.loss.intermediate * left


def shrunk(x: Tensor, factor: int) -> Tensor:
    """Return pictures [n, 1, h, w] at 1 / `factor` of their size, `factor` 1 or even.

    MATLAB's bicubic (a = -0.5), its kernel widened by the factor, its border replicated.
    """
    if factor == 1:
        return x
    offsets = torch.arange(4 * factor, dtype=torch.float64) - 2 * factor + 0.5
    distance = offsets.abs() / factor
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    taps = torch.where(distance <= 1, near, far)
    taps = (taps / taps.sum()).to(x)
    margin = factor + factor // 2
    x = F.pad(x, (margin, margin, margin, margin), mode="replicate")
    x = F.conv2d(x, taps.view(1, 1, -1, 1), stride=(factor, 1))
    return F.conv2d(x, taps.view(1, 1, 1, -1), stride=(1, factor))

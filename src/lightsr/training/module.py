"""The training step: L1 between the network's output and HR, as the paper's section 4.1."""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import copy
import logging
import math
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from torch import Tensor, nn

from lightsr.errors import LightsrError, UserError
from lightsr.networks.build import create_network
from lightsr.networks.registry import network_spec
from lightsr.training.recipe import Optimiser, Recipe
from lightsr.weights.files import load_tensors

log = logging.getLogger("lightsr")


class SuperResolution(lightning.LightningModule):
    """A network in training, with the moving average of its weights beside it."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = started_network(recipe)
        self.average = copy.deepcopy(self.network) if recipe.optimiser.ema else None
        if self.average is not None:
            self.average.requires_grad_(False)

    @property
    def kept(self) -> nn.Module:
        """The network that is validated and kept."""
        return self.average if self.average is not None else self.network

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of a batch, on the scale of 0..255."""
        lr, hr = batch
        sr: Tensor = self.network(lr.contiguous(memory_format=torch.channels_last))
        loss = (sr - hr).abs().mean() * 255
        if not torch.isfinite(loss):
            raise LightsrError(
                f"the loss of iteration {self.global_step} is {loss.item()}: lower the learning "
                "rate or set optimiser.clip, and resume from the last checkpoint"
            )
        self.log("loss", loss)
        return loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Move the weights, then the average towards them.

        Here and not at the batch's end, because checkpoints are written there.
        """
        super().optimizer_step(*args, **kwargs)
        if self.average is None:
            return
        # An early average would remember the start for long: its window grows with the run.
        decay = min(self.recipe.optimiser.ema, (1 + self.global_step) / (10 + self.global_step))
        with torch.no_grad():
            weights = self.network.parameters()
            for average, weight in zip(self.average.parameters(), weights, strict=True):
                average.lerp_(weight, 1 - decay)

    def configure_optimizers(self) -> Any:
        """Adam (0.9, 0.999) with the recipe's schedule, stepped every iteration."""
        optimiser = self.recipe.optimiser
        adam = torch.optim.Adam(
            (p for p in self.network.parameters() if p.requires_grad),
            lr=optimiser.learning_rate,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            adam, lambda step: rate_factor(optimiser, step, self.recipe.iterations)
        )
        return {
            "optimizer": adam,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def rate_factor(optimiser: Optimiser, step: int, iterations: int) -> float:
    """Return what the learning rate is multiplied with at iteration `step`."""
    warm = min(1.0, (step + 1) / optimiser.warm_up) if optimiser.warm_up else 1.0
    if optimiser.schedule == "cosine":
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / iterations)))
    return warm * 0.5 ** (step // optimiser.halve_every)


def started_network(recipe: Recipe) -> nn.Module:
    """Build the recipe's network, seeded, and start it as the recipe says."""
    spec = network_spec(recipe.network)
    if not spec.trained:
        raise UserError(f"network: {recipe.network} has nothing to learn")
    if spec.reconstruction is not None:
        log.warning("%s is %s", spec.label, spec.reconstruction)
    torch.manual_seed(recipe.seed)
    network = create_network(recipe.network, recipe.scale)
    if recipe.start == "bicubic":
        start = getattr(network, "start_at_bicubic", None)
        if start is None:
            raise UserError(f"start: {recipe.network} has no bicubic path to start from")
        start()
    if recipe.warm_start is not None:
        _warm_start(network, recipe.warm_start.expanduser())
    return cast("Any", network).to(memory_format=torch.channels_last)


def _warm_start(network: nn.Module, path: Path) -> None:
    tensors, _ = load_tensors(path)
    own = network.state_dict()
    fitting = {
        name: torch.from_numpy(value)
        for name, value in tensors.items()
        if name in own and own[name].shape == value.shape
    }
    if not fitting:
        raise UserError(f"warm_start: {path} holds no tensor that fits this network")
    network.load_state_dict(fitting, strict=False)

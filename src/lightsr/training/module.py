"""A network in training: its loss, how its weights move, and their moving average."""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lightsr.errors import UserError
from lightsr.networks.build import create_network
from lightsr.networks.registry import network_spec
from lightsr.training.forms import Computation, trained_form
from lightsr.training.losses import build_loss
from lightsr.training.optimise import build_optimiser, clip_gradients, rate_factor
from lightsr.training.recipe import Recipe
from lightsr.weights.files import load_tensors

log = logging.getLogger("lightsr")


class SuperResolution(lightning.LightningModule):
    """A network in training, with the moving average of its weights beside it.

    `compute` is the type that convolutions work in.
    """

    def __init__(self, recipe: Recipe, compute: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.recipe = recipe
        self.compute = compute
        self.network = started_network(recipe)
        self.loss = build_loss(recipe, self.network)
        self.average = copy.deepcopy(self.network) if recipe.optimiser.ema else None
        if self.average is not None:
            self.average.requires_grad_(False)
        self._computation: Computation | None = None

    @property
    def kept(self) -> nn.Module:
        """The network that is validated and kept."""
        return self.average if self.average is not None else self.network

    def is_finite(self) -> bool:
        """Whether no weight is infinite or not a number."""
        norms = [torch.linalg.vector_norm(weight) for weight in self.network.parameters()]
        return bool(torch.isfinite(torch.stack(norms)).all())

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of a batch."""
        if self._computation is None:
            self._computation = trained_form(
                *(self.network, self.loss, self.device, self.compute, self.recipe.compile),
                graphs=self.recipe.graphs,
            )
        lr, hr = batch
        lr = lr.contiguous(memory_format=torch.channels_last)
        return self._computation(lr, hr, self.global_step)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Move the weights, then the average towards them.

        Here and not at the batch's end, because checkpoints are written there.
        """
        super().optimizer_step(*args, **kwargs)
        if self.average is None:
            return
        # An early average would remember the start for long: its window grows with the run.
        decay = min(self.recipe.optimiser.ema, (1 + self.global_step) / (10 + self.global_step))
        averages, weights = list(self.average.parameters()), list(self.network.parameters())
        get_ema_multi_avg_fn(decay)(cast(Any, averages), cast(Any, weights), 0)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        """Clip as the recipe says."""
        del gradient_clip_val, gradient_clip_algorithm
        chosen = self.recipe.optimiser
        if chosen.clip is None and chosen.clip_step is None:
            return
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None:
            # Fused optimisers take gradients that are still scaled; bounds are for the true ones.
            scaler.unscale_(optimizer)
        clip_gradients(chosen, optimizer)

    def configure_optimizers(self) -> Any:
        """Return the recipe's optimiser and its schedule, stepped every iteration."""
        optimiser, schedule = build_optimiser(self.recipe, self.network)
        self._start_rates = [group["initial_lr"] for group in optimiser.param_groups]
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_train_start(self) -> None:
        """Let a learning rate that was changed in the recipe count from here on.

        Optimisers and schedules keep theirs in the checkpoint.
        """
        optimiser = cast(torch.optim.Optimizer, self.optimizers(use_pl_optimizer=False))
        schedule = cast(Any, self.lr_schedulers())
        factor = rate_factor(self.recipe.optimiser, self.global_step, self.recipe.iterations)
        schedule.base_lrs = list(self._start_rates)
        for group, rate in zip(optimiser.param_groups, self._start_rates, strict=True):
            group["initial_lr"], group["lr"] = rate, rate * factor


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

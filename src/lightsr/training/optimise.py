"""The optimiser of a recipe, its learning rate over the run, and how gradients are clipped.

optimiser, schedule = build_optimiser(recipe, network)
...
clip_gradients(recipe.optimiser, optimiser)   # between backward and step, gradients unscaled
optimiser.step()
schedule.step()                               # every iteration
"""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from lightsr.errors import UserError
from lightsr.training.recipe import Optimiser, Recipe
from lightsr.training.soap import SOAP


def build_optimiser(recipe: Recipe, network: nn.Module) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """Return the recipe's optimiser over the network's trainable parameters, and its schedule.

    The schedule is stepped every iteration. Raises `UserError` for a group of parameters that
    none belongs to.
    """
    chosen = recipe.optimiser
    groups = _parameter_groups(chosen, network)
    fused: dict[str, Any] = {"fused": True, "weight_decay": chosen.weight_decay}
    optimiser: torch.optim.Optimizer
    if chosen.kind == "soap":
        betas = chosen.betas or (0.95, 0.95)
        optimiser = SOAP(groups, chosen.learning_rate, betas, weight_decay=chosen.weight_decay)
    elif chosen.kind == "sgd":
        optimiser = torch.optim.SGD(
            groups, lr=chosen.learning_rate, momentum=chosen.momentum, **fused
        )
    else:
        kind = torch.optim.AdamW if chosen.kind == "adamw" else torch.optim.Adam
        optimiser = kind(
            groups, lr=chosen.learning_rate, betas=chosen.betas or (0.9, 0.999), **fused
        )
    schedule = LambdaLR(optimiser, lambda step: rate_factor(chosen, step, recipe.iterations))
    return optimiser, schedule


def rate_factor(optimiser: Optimiser, step: int, iterations: int) -> float:
    """Return what the learning rate is multiplied with at iteration `step`, counted from 0."""
    since, until = _cycle(optimiser, step, iterations)
    warm = 1.0
    if step - since < optimiser.warm_up:
        risen = (step - since + 1) / optimiser.warm_up
        warm = optimiser.warm_up_from + (1 - optimiser.warm_up_from) * risen
    return warm * max(optimiser.floor, _decay(optimiser, step, since, until))


def clip_gradients(chosen: Optimiser, optimiser: torch.optim.Optimizer) -> None:
    """Clip the gradients as the recipe says; they must not be scaled any more."""
    if chosen.clip_step is not None:
        for group in optimiser.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    bound = chosen.clip_step / group["lr"]
                    parameter.grad.clamp_(-bound, bound)
    if chosen.clip is not None:
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, chosen.clip)


def _cycle(optimiser: Optimiser, step: int, iterations: int) -> tuple[int, int]:
    """Return where the schedule last began, and where it will end."""
    bounds = [0, *optimiser.restarts, iterations] if optimiser.schedule == "cosine" else [0, step]
    since = max(bound for bound in bounds[:-1] if bound <= step)
    return since, min((bound for bound in bounds if bound > since), default=iterations)


def _decay(optimiser: Optimiser, step: int, since: int, until: int) -> float:
    if optimiser.schedule == "cosine":
        part = min(1.0, (step - since) / (until - since))
        return optimiser.floor + (1 - optimiser.floor) * 0.5 * (1 + math.cos(math.pi * part))
    if optimiser.schedule == "milestones":
        return optimiser.factor ** sum(step >= milestone for milestone in optimiser.milestones)
    if optimiser.schedule == "halve":
        return 0.5 ** (step // optimiser.halve_every)
    return 1.0


def _parameter_groups(optimiser: Optimiser, network: nn.Module) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = [
        {"params": [], "lr": optimiser.learning_rate * rate}
        for rate in (*(group.rate for group in optimiser.groups), 1.0)
    ]
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            matches = (
                i for i, group in enumerate(optimiser.groups) if fnmatchcase(name, group.match)
            )
            groups[next(matches, -1)]["params"].append(parameter)
    for group, made in zip(optimiser.groups, groups[:-1], strict=True):
        if not made["params"]:
            raise UserError(
                f"optimiser.groups: no parameter of the network is named {group.match!r}; "
                f"its names are such as {next(iter(network.named_parameters()))[0]!r}"
            )
    return [group for group in groups if group["params"]]

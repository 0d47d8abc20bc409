from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lightsr.errors import UserError
from lightsr.training.optimise import build_optimiser, clip_gradients, rate_factor
from lightsr.training.recipe import Data, Group, Optimiser, Recipe


def recipe(**optimiser: Any) -> Recipe:
    data = Data(folders=("pictures",))  # type: ignore[arg-type]
    return Recipe(
        network="srcnn", scale=2, iterations=100, data=data, optimiser=Optimiser(**optimiser)
    )


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 1, 3))


def test_rate_halves_as_the_paper_of_fdiwn_says() -> None:
    factors = [rate_factor(Optimiser(), step, 10**6) for step in (0, 199_999, 200_000, 999_999)]
    assert factors == [1, 1, 0.5, 0.0625]


def test_cosine_rate_warms_up_and_ends_at_zero() -> None:
    cosine = Optimiser(schedule="cosine", warm_up=10)
    assert rate_factor(cosine, 0, 100) == pytest.approx(0.1)
    assert rate_factor(cosine, 50, 100) == pytest.approx(0.5)
    assert rate_factor(cosine, 100, 100) == 0


def test_cosine_begins_anew_at_restarts() -> None:
    cosine = Optimiser(
        schedule="cosine", restarts=(40, 60), warm_up=2, warm_up_from=0.1, floor=0.01
    )
    factors = [rate_factor(cosine, step, 100) for step in range(101)]
    assert factors[0] == pytest.approx(0.55)
    assert factors[20] == pytest.approx(0.505)
    assert factors[39] < 0.02
    assert factors[40] == pytest.approx(0.55)
    assert factors[42] > 0.9
    assert factors[100] == pytest.approx(0.01)
    assert min(factors) >= 0.01


def test_milestones_and_constant() -> None:
    steps = Optimiser(schedule="milestones", milestones=(10, 20), factor=0.1)
    assert [rate_factor(steps, step, 30) for step in (9, 10, 20)] == pytest.approx([1, 0.1, 0.01])
    assert rate_factor(Optimiser(schedule="constant"), 29, 30) == 1
    with pytest.raises(ValueError, match="needs some"):
        Optimiser(schedule="milestones")
    with pytest.raises(ValueError, match="one after the other"):
        Optimiser(schedule="milestones", milestones=(20, 10))


def test_kinds_of_optimiser() -> None:
    sgd, _ = build_optimiser(recipe(kind="sgd", momentum=0.8, weight_decay=1e-4), network())
    assert isinstance(sgd, torch.optim.SGD)
    assert (sgd.defaults["momentum"], sgd.defaults["weight_decay"]) == (0.8, 1e-4)
    adamw, _ = build_optimiser(recipe(kind="adamw", betas=(0.5, 0.9)), network())
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.defaults["betas"] == (0.5, 0.9)
    adam, _ = build_optimiser(recipe(), network())
    assert type(adam) is torch.optim.Adam


def test_groups_learn_at_their_own_rate() -> None:
    groups = (Group(match="*.bias", rate=0.1), Group(match="1.*", rate=0.5))
    net = network()
    optimiser, schedule = build_optimiser(
        recipe(learning_rate=1.0, groups=groups, schedule="halve", halve_every=1), net
    )
    optimiser.step()
    schedule.step()
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    named = {name: rates[id(parameter)] for name, parameter in net.named_parameters()}
    assert named == {"0.weight": 0.5, "0.bias": 0.05, "1.weight": 0.25, "1.bias": 0.05}


def test_group_without_parameters_is_an_error() -> None:
    with pytest.raises(UserError, match=r"no parameter .* 'head\.\*'.*'0\.weight'"):
        build_optimiser(recipe(groups=(Group(match="head.*", rate=0.1),)), network())


def test_frozen_parameters_are_left_out() -> None:
    net = network()
    net[0].requires_grad_(False)  # type: ignore[index]
    optimiser, _ = build_optimiser(recipe(), net)
    assert sum(len(group["params"]) for group in optimiser.param_groups) == 2


def test_clipping() -> None:
    net = network()
    chosen = recipe(kind="sgd", learning_rate=0.1, clip_step=0.02)
    optimiser, _ = build_optimiser(chosen, net)
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    clip_gradients(chosen.optimiser, optimiser)
    largest = max(float(p.grad.abs().max()) for p in net.parameters() if p.grad is not None)
    assert largest == pytest.approx(0.2)
    clip_gradients(Optimiser(clip=0.5), optimiser)
    norm = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]).norm()
    assert float(norm) == pytest.approx(0.5, rel=1e-4)

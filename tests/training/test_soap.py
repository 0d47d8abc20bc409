from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from lightsr.training.optimise import build_optimiser
from lightsr.training.recipe import Data, Optimiser, Recipe
from lightsr.training.soap import SOAP


def _rotation(size: int, seed: int) -> Tensor:
    noise = torch.randn(size, size, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(noise.double())[0].float()


def _descend(turn: Tensor, steps: int) -> list[Tensor]:
    """Minimise an ill-conditioned quadratic of a matrix that is seen turned by `turn`."""
    # Of full rank, since a null space has no eigenvectors of its own.
    wanted = torch.randn(4, 4, generator=torch.Generator().manual_seed(5))
    scale = torch.logspace(0, -1, 4)[:, None]
    weight = nn.Parameter(torch.zeros(4, 4))
    optimiser = SOAP([weight], lr=0.05, every=2)
    losses: list[Tensor] = []
    for _ in range(steps):
        loss = (scale * (turn.mT @ weight - wanted)).square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return losses


def test_the_way_down_is_the_same_however_coordinates_are_turned() -> None:
    straight = torch.stack(_descend(torch.eye(4), 40))
    turned = torch.stack(_descend(_rotation(4, 3), 40))
    assert torch.equal(straight[0], straight[1])  # The first step only takes the measure.
    assert straight[-1] < 0.3 * straight[0]
    torch.testing.assert_close(turned, straight, rtol=0.05, atol=1e-3)


def test_it_needs_fewer_steps_than_adam() -> None:
    mixing = _rotation(6, 1) @ torch.diag(torch.logspace(0, -2.5, 6)) @ _rotation(6, 2)
    given = torch.randn(6, 256, generator=torch.Generator().manual_seed(0))
    wanted = torch.randn(6, 6, generator=torch.Generator().manual_seed(1)) @ mixing @ given

    def loss_after(kind: str, rate: float) -> float:
        weight = nn.Parameter(torch.zeros(6, 6))
        optimiser = SOAP([weight], rate) if kind == "soap" else torch.optim.Adam([weight], rate)
        loss = torch.zeros(())
        for _ in range(200):
            loss = (weight @ mixing @ given - wanted).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return loss.item()

    rates = (0.01, 0.03, 0.1, 0.3)
    best = min(loss_after("soap", rate) for rate in rates)
    assert best < 0.5 * min(loss_after("adam", rate) for rate in rates)


def test_state_goes_through_a_checkpoint_without_a_trace() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.PReLU(4), nn.Conv2d(4, 1, 3))
    data = Data(folders=("pictures",))  # type: ignore[arg-type]
    chosen = Optimiser(kind="soap", learning_rate=1e-2, weight_decay=1e-3)
    recipe = Recipe(network="srcnn", scale=2, iterations=100, data=data, optimiser=chosen)
    optimiser, _ = build_optimiser(recipe, network)
    assert isinstance(optimiser, SOAP)
    assert optimiser.defaults["betas"] == (0.95, 0.95)

    def steps(network: nn.Module, optimiser: torch.optim.Optimizer, first: int, last: int) -> None:
        for step in range(first, last):
            given = torch.randn(2, 1, 9, 9, generator=torch.Generator().manual_seed(step))
            optimiser.zero_grad()
            network(given).square().mean().backward()
            optimiser.step()

    steps(network, optimiser, 0, 15)
    other = copy.deepcopy(network)
    resumed, _ = build_optimiser(recipe, other)
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    steps(network, optimiser, 15, 40)
    steps(other, resumed, 15, 40)
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_long_sides_and_odd_weights_are_left_as_they_are() -> None:
    long, single = nn.Parameter(torch.ones(3, 50)), nn.Parameter(torch.ones(()))
    optimiser = SOAP([long, single], lr=0.1, longest=40)
    for _ in range(5):
        optimiser.zero_grad()
        (long.square().sum() + single.square()).backward()
        optimiser.step()
    assert set(optimiser.state[long]) == {"step", "mean", "square", "rows", "rows vectors"}
    assert set(optimiser.state[single]) == {"step", "mean", "square"}
    assert long.max() < 1
    assert single < 1


def test_a_gradient_that_is_not_finite_is_left_to_the_guard_of_the_run() -> None:
    weight = nn.Parameter(torch.ones(3, 4))
    optimiser = SOAP([weight], lr=0.1)
    for _ in range(2):
        weight.grad = torch.full_like(weight, torch.nan)
        optimiser.step()
    assert not torch.isfinite(weight).any()


def test_weights_of_one_shape_move_as_each_would_alone() -> None:
    torch.manual_seed(0)
    # Of full rank: a null space has no eigenvectors of its own.
    start, wanted = torch.randn(3, 5, 5), torch.randn(3, 5, 5)

    def descend(groups: list[list[int]]) -> dict[int, Tensor]:
        weights = {i: nn.Parameter(start[i].clone()) for group in groups for i in group}
        optimisers = [SOAP([weights[i] for i in group], lr=0.02, every=3) for group in groups]
        for _ in range(20):
            for i, weight in weights.items():
                weight.grad = None
                ((weight - wanted[i]) @ wanted[i].mT).square().sum().backward()
            for optimiser in optimisers:
                optimiser.step()
        return {i: weight.detach() for i, weight in weights.items()}

    together, alone = descend([[0, 1, 2]]), descend([[0], [1], [2]])
    for i, moved in together.items():
        assert (moved - start[i]).abs().max() > 0.1
        torch.testing.assert_close(moved, alone[i], rtol=1e-3, atol=1e-4)


def test_a_weight_without_a_gradient_stays_where_it_is() -> None:
    moving, idle = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(3, 4))
    optimiser = SOAP([moving, idle], lr=0.1)
    for _ in range(12):
        moving.grad = moving.detach().clone()
        optimiser.step()
    assert moving.max() < 1
    assert torch.equal(idle, torch.ones(3, 4))

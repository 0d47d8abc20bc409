from __future__ import annotations

import copy
import statistics
from pathlib import Path
from typing import cast

import pytest
import torch
from networks.tester import noise, perturbed
from torch import Tensor, nn

from lightsr.networks.build import create_network
from lightsr.networks.fdiwn import FDIWN, fdiwn
from lightsr.networks.fdiwn_training import FDIWNTraining
from lightsr.networks.fused import FusedUnit, UnitSizes
from lightsr.networks.gradients import GatedSum, SelfGate, Statistics
from lightsr.networks.kernels import FLAGS, Kernels, load_kernels


def gradients(run: nn.Module, network: nn.Module, x: Tensor, by: Tensor) -> dict[str, Tensor]:
    network.zero_grad()
    (run(x) * by).sum().backward()
    return {name: cast(Tensor, p.grad).clone() for name, p in network.named_parameters()}


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    loaded = load_kernels()
    if loaded is None:
        pytest.skip("no compiler")
    return loaded


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    ("name", "scale", "size"),
    [
        ("fdiwn", 2, (7, 5)),
        ("fdiwn", 4, (3, 11)),
        ("fdiwn-m", 3, (9, 8)),
        ("fdiwn-m", 4, (1, 2)),
    ],
)
def test_training_form_and_its_gradients_are_equal(
    name: str, scale: int, size: tuple[int, int], fused: bool, kernels: Kernels
) -> None:
    network = cast(FDIWN, perturbed(create_network(name, scale)).double())
    training = FDIWNTraining(network, torch.float64, kernels if fused else None)
    x = noise(2, 3, *size, dtype=torch.float64)
    wanted = network(x)
    assert (training(x) - wanted).abs().max() <= 1e-12 * wanted.abs().max()
    by = noise(*wanted.shape, dtype=torch.float64, seed=1)
    plain = gradients(network, network, x, by)
    for key, gradient in gradients(training, network, x, by).items():
        torch.testing.assert_close(gradient, plain[key], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("compute", [torch.float32, torch.bfloat16])
def test_kernels_are_as_exact_as_torch(compute: torch.dtype, kernels: Kernels) -> None:
    assert _compared_with_torch(compute, kernels) < 2


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["x86-64-v3", "x86-64"])
def test_kernels_are_exact_on_processors_without_bf16(
    processor: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Which this one can stand in for."""
    flags = [f"-march={processor}" if f.startswith("-march") else f for f in FLAGS]
    monkeypatch.setattr("lightsr.networks.kernels.FLAGS", tuple(flags))
    monkeypatch.setenv("LIGHTSR_CACHE", str(tmp_path))
    load_kernels.cache_clear()
    kernels = load_kernels()
    load_kernels.cache_clear()
    if kernels is None:
        pytest.skip("no compiler")
    for compute in (torch.float32, torch.bfloat16):
        assert _compared_with_torch(compute, kernels) < 2


def _compared_with_torch(compute: torch.dtype, kernels: Kernels) -> float:
    """Return how many times as far off as torch's are the gradients by the kernels.

    Over several networks: in one of them a ReLU may turn by the last bit of what it reads.
    """
    ratios = [_off(seed, compute, kernels) / _off(seed, compute, None) for seed in range(3)]
    return statistics.median(ratios)


def _off(seed: int, compute: torch.dtype, kernels: Kernels | None) -> float:
    """Return how far gradients are from those in float64: the middle one, relatively."""
    torch.manual_seed(seed)
    network = cast(FDIWN, perturbed(fdiwn(2), seed=seed))
    network.start_at_bicubic()
    network = cast(FDIWN, perturbed(network, seed=seed + 1))
    exact = copy.deepcopy(network).double()
    x = noise(2, 3, 5, 5, seed=seed)
    x = nn.functional.interpolate(x, size=(19, 16), mode="bicubic").clamp(0, 1)
    by = noise(2, 3, 38, 32, seed=seed + 1)
    got = gradients(FDIWNTraining(network, compute, kernels), network, x, by)
    wanted = gradients(FDIWNTraining(exact, torch.float64), exact, x.double(), by.double())
    parts = [(got[name] - one).norm() / (one.norm() + 1e-30) for name, one in wanted.items()]
    return float(torch.stack(parts).median())


def test_a_unit_does_not_depend_on_the_number_of_threads(kernels: Kernels) -> None:
    sizes = UnitSizes(48, 12, shortcut=False, compute=torch.bfloat16)
    weights = torch.randn(24 * 48 + 48 + 48 * 12 + 12 + 9 * 12 * 24 + 24 + 3 * 24 + 2)
    x, by = noise(5, 24, 9, 10), noise(5, 24, 9, 10, seed=1)
    results: list[list[Tensor]] = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            given = [x.clone().requires_grad_(), weights.clone().requires_grad_()]
            out = cast(Tensor, FusedUnit.apply(kernels, sizes, 1e-5, *given))
            out.backward(by)
            results.append([out.detach(), *(cast(Tensor, one.grad) for one in given)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


def test_what_is_no_number_stays_none(kernels: Kernels) -> None:
    """Or the guard against it would not see it."""
    network = fdiwn(2)
    x = torch.full((1, 3, 8, 8), float("nan"))
    for compute in (torch.float32, torch.bfloat16):
        assert FDIWNTraining(network, compute, kernels)(x).isnan().all()


@pytest.mark.parametrize("fused", [False, True])
def test_one_colour_has_finite_gradients(fused: bool, kernels: Kernels) -> None:
    torch.manual_seed(0)
    network = fdiwn(4)
    FDIWNTraining(network, kernels=kernels if fused else None)(
        torch.full((1, 3, 6, 6), 0.5)
    ).sum().backward()
    assert all(torch.isfinite(cast(Tensor, p.grad)).all() for p in network.parameters())


@pytest.mark.parametrize("fused", [False, True])
def test_bf16_stays_near_float32(fused: bool, kernels: Kernels) -> None:
    """Convolutions in bf16 change a picture by less than 8 bits can show, on average."""
    torch.manual_seed(0)
    network = cast(FDIWN, perturbed(fdiwn(2)))
    network.start_at_bicubic()
    network = perturbed(network, seed=1)
    lr = nn.functional.interpolate(noise(1, 3, 5, 5), size=(16, 16), mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        wanted = network(lr)
        form = FDIWNTraining(cast(FDIWN, network), torch.bfloat16, kernels if fused else None)
        got = form(lr)
    assert got.dtype == torch.float32
    assert (got - wanted).pow(2).mean().sqrt() < 0.5 / 255


def test_written_out_gradients() -> None:
    random = torch.Generator().manual_seed(0)

    def values(*shape: int) -> Tensor:
        drawn = torch.randn(shape, generator=random, dtype=torch.float64)
        return drawn.requires_grad_()

    x, y, vectors, p, q = values(2, 4, 3, 3), values(2, 4, 3, 3), values(3, 4), values(1), values(1)
    assert torch.autograd.gradcheck(lambda *a: SelfGate.apply(*a, 1e-5), (x, vectors))
    assert torch.autograd.gradcheck(Statistics.apply, (x,))
    assert torch.autograd.gradcheck(
        lambda x, v, p, y, q: GatedSum.apply(x, v, 1e-5, p, y, q), (x, vectors, p, y, q)
    )


def test_training_form_has_no_parameters_of_its_own() -> None:
    network = fdiwn(2)
    before = copy.deepcopy(network.state_dict())
    training = FDIWNTraining(network)
    assert {id(p) for p in training.parameters()} == {id(p) for p in network.parameters()}
    training(noise(1, 3, 4, 4)).sum().backward()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from networks.tester import perturbed
from torch import Tensor, nn
from training.making import smooth

from lightsr.errors import BackendError, UserError
from lightsr.networks.build import create_network
from lightsr.training.devices import Place, check_graphs, choose_device, choose_precision
from lightsr.training.forms import mixed_form, repeated_blocks, trained_form
from lightsr.training.losses import build_loss
from lightsr.training.module import started_network
from lightsr.training.recipe import Data, Loss, Recipe

CPU = torch.device("cpu")
ALONE = Place(0, 1, 0, 1)


def recipe_of(network: str, scale: int, **changes: Any) -> Recipe:
    settings: dict[str, Any] = {"network": network, "scale": scale, "loss": Loss(), **changes}
    return Recipe(data=Data(folders=("pictures",)), **settings)  # type: ignore[arg-type]


def pictures(scale: int) -> tuple[Tensor, Tensor]:
    """Two smooth pictures at two sizes, values where a picture has them."""
    hr = torch.stack([_tensor(16 * scale, seed) for seed in (0, 1)])
    return nn.functional.interpolate(hr, scale_factor=1 / scale, mode="area"), hr


def _tensor(side: int, seed: int) -> Tensor:
    image = smooth(side, side, seed)
    flat = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return flat.view(side, side, 3).permute(2, 0, 1).float() / 255


def computed(recipe: Recipe, compute: torch.dtype, compiled: bool = False) -> tuple[float, Tensor]:
    """Return the loss of two pictures and the gradient of all weights."""
    network = perturbed(started_network(recipe))
    form = trained_form(network, build_loss(recipe, network), CPU, compute, compiled)
    loss = form(*pictures(recipe.scale), 0)
    assert loss.dtype == torch.float32
    loss.backward()
    gradients = [cast(Tensor, p.grad).flatten() for p in network.parameters() if p.requires_grad]
    return loss.item(), torch.cat(gradients)


@pytest.mark.parametrize(
    ("network", "scale", "start", "compiled"),
    [
        ("fdiwn-m", 2, "bicubic", False),
        ("fdiwn-m", 2, "bicubic", True),
        ("fsrcnn-s", 2, "default", False),
        ("ecbsr-m4c8", 2, "default", False),
        ("imdn", 2, "default", False),
    ],
)
def test_bf16_gives_the_loss_and_the_direction_of_float32(
    network: str, scale: int, start: str, compiled: bool
) -> None:
    recipe = recipe_of(network, scale, start=start)
    loss, gradient = computed(recipe, torch.float32)
    low, low_gradient = computed(recipe, torch.bfloat16, compiled)
    assert low == pytest.approx(loss, rel=0.01)
    assert nn.functional.cosine_similarity(gradient, low_gradient, dim=0) > 0.99


def test_fdiwn_in_bf16_by_autocast_is_near_its_training_form() -> None:
    """What GPUs run and what processors run."""
    recipe = recipe_of("fdiwn-m", 2, start="bicubic")
    network = perturbed(started_network(recipe))
    loss = build_loss(recipe, network)
    form = trained_form(network, loss, CPU, torch.bfloat16, False)(*pictures(2), 0)
    plain = mixed_form(network, loss, CPU, torch.bfloat16)(*pictures(2), 0)
    assert form.item() == pytest.approx(plain.item(), rel=0.01)


def test_statistics_of_large_values_survive_low_precision() -> None:
    from lightsr.networks.layers import spatial_statistics

    x = 200 + torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0)) * 30
    for kind in (torch.bfloat16, torch.float16):
        mean, variance = spatial_statistics(x.to(kind))
        wanted = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
        assert mean.dtype == torch.float32
        torch.testing.assert_close(mean, wanted[1], rtol=2e-3, atol=0)
        torch.testing.assert_close(variance, wanted[0], rtol=2e-2, atol=0)


def test_blocks_that_repeat_are_found() -> None:
    blocks = repeated_blocks(create_network("fdiwn", 4))
    assert {type(block).__name__ for block in blocks} == {"WDIB"}
    assert len(blocks) == 9
    assert repeated_blocks(create_network("fsrcnn-s", 2)) == []


@pytest.mark.slow
def test_compiled_blocks_give_the_same_loss() -> None:
    recipe = recipe_of("imdn", 2)
    network = perturbed(started_network(recipe))
    wanted = trained_form(network, build_loss(recipe, network), CPU, torch.float32, False)
    expected = wanted(*pictures(2), 0).item()
    form = trained_form(network, build_loss(recipe, network), CPU, torch.float32, True)
    assert form(*pictures(2), 0).item() == pytest.approx(expected, rel=1e-4)


def test_devices_and_precisions() -> None:
    assert choose_device("cpu", ALONE) == CPU
    with pytest.raises(UserError, match="'gpu' is none; choose auto"):
        choose_device("gpu", ALONE)
    with pytest.raises(UserError, match="a GPU of its own"):
        choose_device("cuda:0", Place(0, 2, 0, 2))
    if not torch.cuda.is_available():
        assert choose_device("auto", ALONE) == CPU
        with pytest.raises(BackendError, match="cuda:3 is not there, 0 of them are"):
            choose_device("cuda:3", ALONE)
    recipe = recipe_of("fdiwn", 2)
    assert choose_precision(recipe, CPU) == torch.float32
    assert choose_precision(recipe.model_copy(update={"precision": "bf16"}), CPU) == torch.bfloat16
    with pytest.raises(BackendError, match="fp16 needs a CUDA GPU"):
        choose_precision(recipe.model_copy(update={"precision": "fp16"}), CPU)


def test_graphs_are_for_one_process_on_cuda() -> None:
    recipe = recipe_of("fsrcnn-s", 2, graphs=True)
    check_graphs(recipe, torch.device("cuda", 0), ALONE)
    for device, place in ((CPU, ALONE), (torch.device("cuda", 0), Place(0, 2, 0, 2))):
        with pytest.raises(UserError, match="graphs: one process on a CUDA GPU"):
            check_graphs(recipe, device, place)
        check_graphs(recipe_of("fsrcnn-s", 2), device, place)

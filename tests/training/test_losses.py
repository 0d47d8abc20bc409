from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lightsr.errors import UserError
from lightsr.images.color import rgb_to_luma
from lightsr.images.resize import imresize
from lightsr.networks.build import create_network
from lightsr.training.losses import build_loss, shrunk
from lightsr.training.recipe import Data, Loss, Recipe


def recipe(network: str = "fdiwn", scale: Any = 2, **loss: Any) -> Recipe:
    data = Data(folders=("pictures",))  # type: ignore[arg-type]
    return Recipe(network=network, scale=scale, data=data, loss=Loss(**loss))


def pictures(seed: int = 0, n: int = 2, side: int = 12) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


SR, HR = pictures(0), pictures(1)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, ((SR - HR) * 255).abs().mean()),
        ({"kind": "l2", "peak": 1, "weight": 0.5}, 0.5 * (SR - HR).square().mean()),
        ({"reduction": "sum", "peak": 1}, (SR - HR).abs().sum() / 2),
        ({"shave": 3, "peak": 1}, (SR - HR).abs()[:, :, 3:-3, 3:-3].mean()),
        (
            {"kind": "charbonnier", "peak": 1, "epsilon": 0.1},
            ((SR - HR).square() + 0.01).sqrt().mean(),
        ),
    ],
)
def test_losses(settings: dict[str, Any], wanted: Tensor) -> None:
    loss = build_loss(recipe(**settings), nn.Identity())
    torch.testing.assert_close(loss(nn.Identity(), SR, HR), wanted)


def test_luma_is_compared_on_the_protocols_luma() -> None:
    loss = build_loss(recipe(luma=True), nn.Identity())
    one, other = (rgb_to_luma(x[0].permute(1, 2, 0).numpy() * 255) for x in (SR, HR))
    got = float(loss(nn.Identity(), SR[:1], HR[:1]))
    assert got == pytest.approx(np.abs(one - other).mean(), rel=1e-5)


def test_nothing_left_of_a_patch_is_an_error() -> None:
    with pytest.raises(UserError, match=r"loss\.shave: 6 pixels"):
        build_loss(recipe(shave=6), nn.Identity())(nn.Identity(), SR, HR)


def test_half_precision_is_compared_in_float32() -> None:
    class Half(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.half()

    assert build_loss(recipe(), Half())(Half(), SR, HR).dtype == torch.float32


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_targets_shrink_as_the_exact_bicubic(factor: int) -> None:
    picture = torch.rand(2, 1, 8, 16, dtype=torch.float64)
    got = shrunk(picture, factor)
    size = 8 // factor, 16 // factor
    for one, other in zip(picture[:, 0].numpy(), got[:, 0].numpy(), strict=True):
        wanted = imresize(one, size=size, border="replicate")
        np.testing.assert_allclose(other, wanted, atol=1e-12)


def test_lapsrn_is_supervised_at_every_level() -> None:
    torch.manual_seed(0)
    network = create_network("lapsrn", 4)
    lr, hr = pictures(2, 1, 6), pictures(3, 1, 24)
    both: Any = build_loss(recipe("lapsrn", 4, luma=True, intermediate=0.5, weight=2.0), network)
    last = build_loss(recipe("lapsrn", 4, luma=True), network)
    of_last = last(network, lr, hr).item()
    y = rgb_to_luma(hr[0].permute(1, 2, 0).numpy() * 255)
    target = imresize(y, size=(12, 12), border="replicate")
    body: Any = network.body
    lower = body.predictions(both.luma(lr))[0][0, 0].detach().numpy() * 255
    wanted = of_last + np.abs(lower - target).mean()
    assert both(network, lr, hr).item() == pytest.approx(wanted, rel=1e-4)


def test_intermediate_share_falls() -> None:
    network = create_network("lapsrn", 4)
    chosen = recipe("lapsrn", 4, luma=True, intermediate=0.8, intermediate_until=100)
    loss: Any = build_loss(chosen, network)
    assert [loss.share(i) for i in (0, 50, 100, 200)] == pytest.approx([0.8, 0.4, 0, 0])


def test_networks_without_intermediate_predictions_are_refused() -> None:
    with pytest.raises(UserError, match="vdsr x2 has no intermediate"):
        build_loss(recipe("vdsr", 2, luma=True, intermediate=0.5), create_network("vdsr", 2))

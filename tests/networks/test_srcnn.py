from __future__ import annotations

from typing import ClassVar

import torch
from networks.luma_tester import LumaTester

from lightsr.networks.build import create_network


class TestSRCNN(LumaTester):
    name: ClassVar[str] = "srcnn"


def test_one_colour_stays_one_colour_up_to_the_border() -> None:
    """Edges are repeated in front of every layer; zeros there would darken them."""
    network = create_network("srcnn", 2)
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.01)
    sr = network(torch.full((1, 3, 9, 9), 0.5))
    torch.testing.assert_close(sr, sr[:, :, 8:9, 8:9].expand_as(sr))


def test_the_bicubic_start_is_the_bicubic_picture_and_trains_every_layer() -> None:
    network = create_network("srcnn", 2)
    network.start_at_bicubic()  # pyright: ignore[reportCallIssue]
    x = torch.rand(1, 3, 12, 9)
    bicubic = network.get_submodule("bicubic")
    torch.testing.assert_close(network(x), bicubic(x), rtol=0, atol=1e-6)
    (network(x) - torch.rand(1, 3, 24, 18)).abs().mean().backward()
    assert network.get_parameter("body.reconstruction.weight").grad is not None

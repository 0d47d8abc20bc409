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

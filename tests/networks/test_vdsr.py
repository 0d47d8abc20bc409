from __future__ import annotations

from typing import ClassVar

import torch
from networks.luma_tester import LumaTester
from networks.tester import noise
from torch import nn

from lightsr.networks.build import create_network
from lightsr.networks.luma import BicubicEnlargement
from lightsr.networks.vdsr import VDSR


class TestVDSR(LumaTester):
    name: ClassVar[str] = "vdsr"


def test_twenty_layers_predict_what_the_bicubic_picture_lacks() -> None:
    network = create_network("vdsr", 3)
    body = network.body
    assert isinstance(body, VDSR)
    assert len(body.layers) == 20
    last = body.layers[19]
    assert isinstance(last, nn.Conv2d)
    nn.init.zeros_(last.weight)
    x = noise(1, 3, 5, 6)
    torch.testing.assert_close(network(x), BicubicEnlargement(3)(x))

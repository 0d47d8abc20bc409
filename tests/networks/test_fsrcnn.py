from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from networks.luma_tester import LumaTester
from torch.nn import functional as F

from lightsr.networks.build import create_network
from lightsr.networks.fsrcnn import FSRCNN
from lightsr.networks.luma import LumaNetwork


class TestFSRCNN(LumaTester):
    name: ClassVar[str] = "fsrcnn"


class TestFSRCNNS(LumaTester):
    name: ClassVar[str] = "fsrcnn-s"


@pytest.mark.parametrize(("scale", "middle"), [(2, 0), (3, 1), (4, 0)])
def test_the_last_kernel_lies_where_the_authors_weights_have_it(scale: int, middle: int) -> None:
    deconvolution = FSRCNN(scale, 56, 12, 4).deconvolution
    with torch.no_grad():
        deconvolution.weight.zero_()
        deconvolution.weight[0, 0, 4, 4] = 1
        x = torch.zeros(1, 56, 5, 5)
        x[0, 0, 2, 3] = 1
        y = deconvolution(x)[0, 0]
    assert y.shape == (5 * scale, 5 * scale)
    assert y.nonzero().tolist() == [[2 * scale + middle, 3 * scale + middle]]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_training_computes_what_inference_does(scale: int) -> None:
    network = FSRCNN(scale, 56, 12, 4).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.rand(2, 1, 7, 5, dtype=torch.float64)
    torch.testing.assert_close(network.train()(x), network.eval()(x))


@pytest.mark.parametrize(("scale", "least"), [(2, 60.0), (3, 35.0), (4, 25.0)])
def test_the_bicubic_start_is_near_bicubic(scale: int, least: float) -> None:
    """Exact at x2, as near as the kernel reaches at x3 and x4."""
    network = create_network("fsrcnn", scale)
    assert isinstance(network, LumaNetwork)
    network.start_at_bicubic()
    smooth = F.avg_pool2d(torch.rand(1, 3, 24, 24), 5, 1)
    with torch.no_grad():
        error = (network(smooth) - network.bicubic(smooth))[..., 8:-8, 8:-8]
    assert -10 * error.square().mean().log10() > least

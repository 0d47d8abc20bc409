from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from networks.luma_tester import LumaTester

from lightsr.networks.fsrcnn import FSRCNN


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

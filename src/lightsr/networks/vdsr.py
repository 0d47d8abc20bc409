"""VDSR, a very deep network on the bicubically enlarged luma.

J. Kim, J. K. Lee, K. M. Lee, "Accurate Image Super-Resolution Using Very Deep Convolutional
Networks", CVPR 2016, arXiv:1511.04587. Twenty layers that predict the residual: what the bicubic
picture lacks (section 3.1). One set of weights serves every scale.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import conv3x3
from lightsr.networks.luma import LumaNetwork


class VDSR(nn.Module):
    """The network of luma: enlarged [n, 1, h, w] -> the same shape."""

    def __init__(self, depth: int = 20, width: int = 64) -> None:
        super().__init__()
        widths = (1, *[width] * (depth - 1), 1)
        self.layers = nn.ModuleList(
            conv3x3(inputs, outputs) for inputs, outputs in pairwise(widths)
        )
        for conv in self.layers:
            assert isinstance(conv, nn.Conv2d)
            nn.init.kaiming_normal_(conv.weight)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Sharpen a batch."""
        *inner, last = self.layers
        residual = x
        for conv in inner:
            residual = F.relu(conv(residual))
        return x + last(residual)


def vdsr(scale: int) -> LumaNetwork:
    """Build VDSR; all scales have one architecture."""
    return LumaNetwork(VDSR(), scale, pre_enlarged=True)

"""SRCNN, the Super-Resolution Convolutional Neural Network, in its 9-5-5 form.

C. Dong, C. C. Loy, K. He, X. Tang, "Image Super-Resolution Using Deep Convolutional Networks",
IEEE TPAMI 38(2), 2016, arXiv:1501.00092. Three layers on the bicubically enlarged luma: patch
extraction, non-linear mapping, reconstruction (section 3.1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.luma import LumaNetwork


class SRCNN(nn.Module):
    """The three layers: enlarged luma [n, 1, h, w] -> the same shape.

    Each repeats the edge around its input: the authors' weights need that, and with zeros there
    the border of the picture would darken (their PSNR on Set5 falls by 3 to 8 dB).
    """

    def __init__(self) -> None:
        super().__init__()
        self.extraction = _conv(1, 64, 9)
        self.mapping = _conv(64, 32, 5)
        self.reconstruction = _conv(32, 1, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Sharpen a batch."""
        return self.reconstruction(F.relu(self.mapping(F.relu(self.extraction(x)))))

    def start_at_bicubic(self) -> None:
        """Start by handing the picture through one channel; the others start He's way, unused.

        From the paper's start, Gaussians of deviation 0.001, training takes many times as long.
        """
        with torch.no_grad():
            for conv in (self.extraction, self.mapping):
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                conv.weight[0].zero_()
            self.reconstruction.weight.zero_()
            for conv in (self.extraction, self.mapping, self.reconstruction):
                middle = conv.kernel_size[0] // 2
                conv.weight[0, 0, middle, middle] = 1


def srcnn(scale: int) -> LumaNetwork:
    """Build SRCNN (9-5-5); all scales have one architecture."""
    return LumaNetwork(SRCNN(), scale, pre_enlarged=True)


def _conv(inputs: int, outputs: int, size: int) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, padding_mode="replicate")
    nn.init.normal_(conv.weight, std=0.001)  # section 3.2
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv

"""FSRCNN(56, 12, 4) and FSRCNN-s, the small FSRCNN(32, 5, 1).

C. Dong, C. C. Loy, X. Tang, "Accelerating the Super-Resolution Convolutional Neural Network",
ECCV 2016, arXiv:1608.00367. An hourglass of luma at LR size, FSRCNN(d, s, m): feature extraction,
shrinking from d to s channels, m layers of mapping, expanding, and a transposed convolution that
alone depends on the scale (section 3.2).
"""

from __future__ import annotations

from torch import Tensor, nn

from lightsr.networks.luma import LumaNetwork


class FSRCNN(nn.Module):
    """The network of luma: [n, 1, h, w] -> [n, 1, scale * h, scale * w].

    As in the authors' weights, each PReLU has one slope for all its channels, convolutions repeat
    the edge around their input, and the last kernel's middle lies on the output pixel `scale` * i
    for LR pixel i, at x3 on 3i + 1.
    """

    def __init__(self, scale: int, d: int, s: int, m: int) -> None:
        super().__init__()
        self.extraction = _layer(1, d, 5)
        self.shrinking = _layer(d, s, 1)
        self.mapping = nn.Sequential(*(_layer(s, s, 3) for _ in range(m)))
        self.expanding = _layer(s, d, 1)
        padding, more = (3, 0) if scale == 3 else (4, scale - 1)
        self.deconvolution = nn.ConvTranspose2d(
            d, 1, 9, stride=scale, padding=padding, output_padding=more
        )
        self._start()

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        x = self.mapping(self.shrinking(self.extraction(x)))
        return self.deconvolution(self.expanding(x))

    def _start(self) -> None:
        """Start as the paper does: He's way in front of PReLU, the last layer near zero."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.25)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.deconvolution.weight, std=0.001)
        if self.deconvolution.bias is not None:
            nn.init.zeros_(self.deconvolution.bias)


def fsrcnn(scale: int, *, d: int = 56, s: int = 12, m: int = 4) -> LumaNetwork:
    """Build FSRCNN(d, s, m)."""
    return LumaNetwork(FSRCNN(scale, d, s, m), scale, pre_enlarged=False)


def _layer(inputs: int, outputs: int, size: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, padding_mode="replicate")
    return nn.Sequential(conv, nn.PReLU(1))

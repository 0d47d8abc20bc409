"""FSRCNN(56, 12, 4) and FSRCNN-s, the small FSRCNN(32, 5, 1).

C. Dong, C. C. Loy, X. Tang, "Accelerating the Super-Resolution Convolutional Neural Network",
ECCV 2016, arXiv:1608.00367. An hourglass of luma at LR size, FSRCNN(d, s, m): feature extraction,
shrinking from d to s channels, m layers of mapping, expanding, and a transposed convolution that
alone depends on the scale (section 3.2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.luma import LumaNetwork


class FSRCNN(nn.Module):
    """The network of luma: [n, 1, h, w] -> [n, 1, scale * h, scale * w].

    As in the authors' weights, each PReLU has one slope for all its channels, convolutions repeat
    the edge around their input, and the last kernel's middle lies on the output pixel `scale` * i
    for LR pixel i, at x3 on 3i + 1.
    """

    phases: Tensor

    def __init__(self, scale: int, d: int, s: int, m: int) -> None:
        super().__init__()
        self.extraction = _layer(1, d, 5)
        self.shrinking = _layer(d, s, 1)
        self.mapping = nn.Sequential(*(_layer(s, s, 3) for _ in range(m)))
        self.expanding = _layer(s, d, 1)
        self.padding, more = (3, 0) if scale == 3 else (4, scale - 1)
        self.deconvolution = nn.ConvTranspose2d(
            d, 1, 9, stride=scale, padding=self.padding, output_padding=more
        )
        self.shuffle = nn.PixelShuffle(scale)
        self.register_buffer("phases", _phases(scale, self.padding), persistent=False)
        self._start()

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        x = self.expanding(self.mapping(self.shrinking(self.extraction(x))))
        return self.enlarge(x) if self.training else self.deconvolution(x)

    def enlarge(self, x: Tensor) -> Tensor:
        """Return the deconvolution of `x`, as a convolution for each phase and a shuffle.

        On CPUs that takes half as long in training, where the kernel is rearranged every time.
        """
        weight = F.pad(self.deconvolution.weight[:, 0], (0, 1, 0, 1))
        s, k = self.phases.shape
        weight = weight[:, self.phases][..., self.phases].permute(1, 3, 0, 2, 4)
        phases = F.conv2d(x, weight.reshape(s * s, -1, k, k), padding=k // 2)
        return self.shuffle(phases) + self.deconvolution.get_parameter("bias")

    def start_at_bicubic(self) -> None:
        """Start by handing the picture through the first channel of every layer and enlarging it.

        The last kernel is too small for bicubic enlargement at x3 and x4, and takes the part of
        it that it can hold. From the paper's start training takes many times as long.
        """
        passing = [layer for layer in self.modules() if isinstance(layer, nn.Conv2d)]
        with torch.no_grad():
            for conv in passing:
                middle = conv.kernel_size[0] // 2
                conv.weight[0].zero_()
                conv.weight[0, 0, middle, middle] = 1
            taps = _cubic_taps(self.phases.shape[0], self.padding)
            self.deconvolution.weight.zero_()
            self.deconvolution.weight[0, 0] = torch.outer(taps, taps)

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


def _phases(scale: int, padding: int) -> Tensor:
    """Return which tap of the deconvolution each phase's convolution has where: [scale, k].

    9, one past the kernel, stands for none.
    """
    reach = max(padding, 8 - padding) // scale
    phase = torch.arange(scale)[:, None]
    taps = phase + padding - scale * torch.arange(-reach, reach + 1)
    return torch.where((taps >= 0) & (taps < 9), taps, 9)


def _cubic_taps(scale: int, padding: int) -> Tensor:
    """Return a cubic's values (a = -0.5) at the taps of the deconvolution, each phase's sum 1."""
    tap = torch.arange(9, dtype=torch.float64)
    # LR pixel i has its middle (scale - 1) / 2 behind output pixel scale * i.
    far = ((tap - padding - (scale - 1) / 2) / scale).abs()
    near = 1.5 * far**3 - 2.5 * far**2 + 1
    outer = -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
    values = torch.where(far < 1, near, torch.where(far < 2, outer, 0.0))
    for phase in range(scale):
        own = (tap.long() - padding) % scale == phase
        values[own] /= values[own].sum()
    return values.float()


def _layer(inputs: int, outputs: int, size: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, padding_mode="replicate")
    return nn.Sequential(conv, nn.PReLU(1))

"""Layers that more than one network uses."""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave `groups` runs of channels: output `groups * i + j` takes input `j * c/groups + i`.

    `x` is [n, c, h, w] with c a multiple of `groups` (ShuffleNet, Zhang et al. 2018, section 3.1).
    """
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def shuffle_order(channels: int, groups: int) -> Tensor:
    """Return the input channel that each output channel of `channel_shuffle` takes."""
    return torch.arange(channels).view(groups, channels // groups).t().reshape(-1)


def conv3x3(inputs: int, outputs: int, *, bias: bool = True, groups: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps height and width (zero padding of one pixel)."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias, groups=groups)


def conv1x1(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
    """Return a 1x1 convolution."""
    return nn.Conv2d(inputs, outputs, 1, bias=bias)


class WeightNormConv2d(nn.Module):
    """A convolution whose weight is g * v / |v| per output channel (Salimans and Kingma 2016).

    A class of its own instead of a parametrisation, because a parametrised convolution gets a type
    of its own, and compiled blocks that are alike could then not share their code.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int) -> None:
        super().__init__()
        start = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2)
        self.padding = kernel_size // 2
        self.weight_v = nn.Parameter(start.weight.detach())
        self.weight_g = nn.Parameter(_norm_per_output(self.weight_v).detach())
        self.bias = nn.Parameter(torch.empty(outputs))
        if start.bias is not None:
            self.bias.data.copy_(start.bias)

    def weight(self) -> Tensor:
        """Return the weight, [outputs, inputs, k, k]."""
        return self.weight_v * (self.weight_g / _norm_per_output(self.weight_v))

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, h, w] -> [n, outputs, h, w]."""
        return F.conv2d(x, self.weight(), self.bias, padding=self.padding)

    def folded(self, factor: float | Tensor = 1.0) -> nn.Conv2d:
        """Return a plain convolution that gives `factor` times as much."""
        outputs, inputs, k, _ = self.weight_v.shape
        plain = nn.Conv2d(inputs, outputs, k, padding=self.padding).to(self.weight_v)
        plain.load_state_dict({"weight": self.weight() * factor, "bias": self.bias * factor})
        return plain


def touches_colours(module: nn.Module, scale: int) -> bool:
    """Return whether a module is a convolution that reads or writes a picture's samples.

    Where precision is reduced, such a one computes in float32: colours may run in 0..255, of which
    bf16 tells 256 levels only up to 256 and none between.
    """
    if not isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        return False
    return module.in_channels <= 3 or module.out_channels in {1, 3, scale**2, 3 * scale**2}


def replace_forward(module: nn.Module, forward: Callable[[Tensor], Tensor]) -> None:
    """Let a module compute something else and be taken, by a trace too, for what it is."""
    vars(module)["forward"] = forward


def _norm_per_output(v: Tensor) -> Tensor:
    return v.pow(2).sum((1, 2, 3), keepdim=True).sqrt()


def spatial_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance over height and width: [n, c, h, w] -> two [n, c, 1, 1].

    An exporter keeps it one step, so that each backend can take the passes over `x` that suit it.
    """
    if x.dtype in (torch.bfloat16, torch.float16):
        # Features run in 0..255: fp16's sums overflow, and bf16's deviations are mostly rounding.
        x = x.float()
    # On CPUs torch.var_mean takes many times as long as a mean and a norm.
    mean = x.mean((2, 3), keepdim=True)
    norm = torch.linalg.vector_norm(x - mean, dim=(2, 3), keepdim=True)
    return mean, norm * norm / (x.shape[2] * x.shape[3])


class Scale(nn.Module):
    """A learned scalar, of shape [1]."""

    def __init__(self, initial: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([initial]))

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` times the scalar."""
        return x * self.scale


class MultiKernelConv2d(nn.Module):
    """Weight-normalised convolutions of several odd kernel sizes, their weighted sum.

    [n, inputs, h, w] -> [n, outputs, h, w]; the weights are learned, and start as a mean.
    """

    def __init__(self, inputs: int, outputs: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(WeightNormConv2d(inputs, outputs, k) for k in kernels)
        self.scales = nn.ModuleList(Scale(1 / len(kernels)) for _ in kernels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        total, *others = (s(c(x)) for s, c in zip(self.scales, self.convs, strict=True))
        for other in others:
            total = total + other
        return total

    def folded(self, factor: float = 1.0) -> nn.Conv2d:
        """Return one plain convolution, of the largest kernel, times `factor`."""
        parts = [
            conv.folded(scale.scale * factor)
            for conv, scale in zip(self.convs, self.scales, strict=True)
            if isinstance(conv, WeightNormConv2d) and isinstance(scale, Scale)
        ]
        total = max(parts, key=lambda part: part.kernel_size)
        for part in parts:
            if part is not total:
                margin = (total.kernel_size[0] - part.kernel_size[0]) // 2
                total.weight.data += F.pad(part.weight.data, [margin] * 4)
                cast("Tensor", total.bias).data += cast("Tensor", part.bias).data
        return total


def bicubic_taps(scale: int, a: float = -0.5) -> Tensor:
    """Return the cubic kernel that enlarges by `scale`, [scale, 5], float64.

    Row p holds, for output phase p, the weights of the source samples at offsets -2..2 (Keys
    1981). MATLAB's imresize enlarges with `a` = -0.5, torch's interpolate with -0.75.
    """
    phase = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    distance = (phase[:, None] - torch.arange(-2, 3, dtype=torch.float64)[None, :]).abs()
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    taps = torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(far)))
    return taps / taps.sum(1, keepdim=True)


def extend_to(x: Tensor, least: int) -> Tensor:
    """Repeat the last row and column until height and width are at least `least`.

    An exporter keeps this, and what is below, one step, since it depends on the size.
    """
    height, width = x.shape[2:]
    missing = (0, max(0, least - width), 0, max(0, least - height))
    return F.pad(x, missing, mode="replicate") if any(missing) else x


def crop_to_multiple(x: Tensor, like: Tensor, scale: int) -> Tensor:
    """Return the top left part of `x` that is `scale` times as high and wide as `like`."""
    height, width = like.shape[2:]
    return x[:, :, : height * scale, : width * scale]


def resize_bilinear(x: Tensor, like: Tensor) -> Tensor:
    """Resize to the height and width of `like`, pixels taken as areas, not antialiased."""
    height, width = like.shape[2:]
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)


def resize_nearest(x: Tensor, like: Tensor) -> Tensor:
    """Resize to the height and width of `like` by repeating samples."""
    height, width = like.shape[2:]
    return F.interpolate(x, (height, width), mode="nearest")


def mirror(x: Tensor, axis: int, margin: int, *, twice: bool) -> Tensor:
    """Extend both ends of an axis by `margin` samples, as if a mirror stood there.

    With `twice` the sample at the edge is repeated (MATLAB's "symmetric"), without it is not
    (torch's "reflect"). The axis may be shorter than `margin`, but needs 2 samples if not `twice`.
    """
    length = x.shape[axis]
    period = 2 * length if twice else 2 * length - 2
    indices = torch.arange(-margin, length + margin, device=x.device) % period
    return x.index_select(axis, torch.minimum(indices, period - int(twice) - indices))


ONE_STEP = (
    spatial_statistics,
    extend_to,
    crop_to_multiple,
    resize_bilinear,
    resize_nearest,
    mirror,
)
"""Functions that a trace does not look into: what they do depends on the size."""

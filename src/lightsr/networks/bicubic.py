"""MATLAB's bicubic as a network: the baseline of every table, with nothing to train."""

from __future__ import annotations

from torch import Tensor, nn

from lightsr.networks.resampling import BicubicEnlargement


class Bicubic(nn.Module):
    """The enlargement. RGB in [0, 1], [n, 3, h, w] -> [n, 3, scale * h, scale * w]; not clipped.

    Beyond its edge the picture goes on mirrored, as newer versions of MATLAB do it.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.enlargement = BicubicEnlargement(scale, border="symmetric")

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge a batch."""
        return self.enlargement(x)

    def deploy(self) -> Bicubic:
        """Return a network for inference, which is the same."""
        return Bicubic(self.scale).to(self.enlargement.down).eval()


def bicubic(scale: int) -> Bicubic:
    """Build the baseline."""
    return Bicubic(scale)

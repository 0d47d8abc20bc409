"""DRCN, the deeply-recursive convolutional network.

J. Kim, J. K. Lee, K. M. Lee, "Deeply-Recursive Convolutional Network for Image Super-Resolution",
CVPR 2016, arXiv:1511.04491. On the bicubically enlarged luma one convolution is applied again and
again; a reconstruction that all depths share turns each result into a prediction, and the output
is the predictions' weighted sum (sections 3.1 and 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsr.networks.layers import conv3x3
from lightsr.networks.luma import LumaNetwork


class DRCN(nn.Module):
    """The network of luma: enlarged [n, 1, h, w] -> the same shape.

    The ensemble's weights are learned and, as the paper writes the sum, not normalised.
    """

    skipped = 0
    """Channels of the picture that the last layer sees beside the features."""

    def __init__(self, width: int, recursions: int) -> None:
        super().__init__()
        self.recursions = recursions
        self.embedding = nn.ModuleList((conv3x3(1, width), conv3x3(width, width)))
        self.recursion = conv3x3(width, width)
        self.reconstruction = nn.ModuleList(
            (conv3x3(width, width), conv3x3(width + self.skipped, 1))
        )
        self.ensemble = nn.Parameter(torch.full((recursions,), 1 / recursions))
        self._start()

    def forward(self, x: Tensor) -> Tensor:
        """Sharpen a batch; each prediction is added as it comes, so that none is kept.

        Added, that is, when the next is there: ONNX Runtime, which goes back from the output and
        takes the later of two operands first, would else put off all additions to the end.
        """
        predictions = self.weighted_predictions(x)
        total, waiting = next(predictions), None
        for prediction in predictions:
            if waiting is not None:
                total = total + waiting
            waiting = prediction
        return total if waiting is None else total + waiting

    def weighted_predictions(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the parts of the output, the least deep first."""
        features = x
        for conv in self.embedding:
            features = F.relu(conv(features))
        weights = self.weights()
        for depth in range(self.recursions):
            features = F.relu(self.recursion(features))
            yield weights[depth] * self.predict(features, x)

    def weights(self) -> Tensor:
        """Return the weight of each depth's prediction, [recursions]."""
        return self.ensemble

    def predict(self, features: Tensor, x: Tensor) -> Tensor:
        """Return one depth's prediction from its features [n, width, h, w] and the picture."""
        first, last = self.reconstruction
        return x + last(F.relu(first(features)))

    def _start(self) -> None:
        """Start as the paper does: He's way, and the recursion handing on what it is given."""
        for conv in (*self.embedding, *self.reconstruction):
            assert isinstance(conv, nn.Conv2d)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        nn.init.dirac_(self.recursion.weight)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.zeros_(module.bias)


class ConcatenatingDRCN(DRCN):
    """The form of a third party, J. Yamanaka (jiny2001/deeply-recursive-cnn-tf).

    Luma is 0..255 inside; the last layer sees the picture as one more channel, instead of having
    it added, and is rectified; the ensemble's weights are divided by their sum.
    """

    skipped = 1

    def forward(self, x: Tensor) -> Tensor:
        """Sharpen a batch of luma / 255."""
        return super().forward(x * 255) / 255

    def weights(self) -> Tensor:
        """Return the weight of each depth's prediction, [recursions]; their sum is 1."""
        return self.ensemble / self.ensemble.sum()

    def predict(self, features: Tensor, x: Tensor) -> Tensor:
        """Return one depth's prediction from its features [n, width, h, w] and the picture."""
        first, last = self.reconstruction
        return F.relu(last(torch.cat((F.relu(first(features)), x), 1)))


def drcn(scale: int, *, width: int = 256, recursions: int = 16) -> LumaNetwork:
    """Build DRCN; all scales have one architecture."""
    return LumaNetwork(DRCN(width, recursions), scale, pre_enlarged=True)


def concatenating_drcn(scale: int, *, width: int, recursions: int) -> LumaNetwork:
    """Build the third party's form of DRCN."""
    return LumaNetwork(ConcatenatingDRCN(width, recursions), scale, pre_enlarged=True)

"""What every network with local statistics must do beside the rest."""

from __future__ import annotations

import numpy as np
import torch
from networks.tester import NetworkTester, noise

from lightsr.networks.registry import network_spec


class LocalNetworkTester(NetworkTester):
    """Inherit instead of `NetworkTester` where the spec says "local"."""

    def test_an_output_pixel_looks_as_far_as_the_radius(self, scale: int) -> None:
        radius = network_spec(self.name).receptive_radius
        assert radius is not None
        middle = radius + 1
        x = noise(1, 3, 2 * middle + 1, 2 * middle + 1, dtype=torch.float64).requires_grad_()
        sr = self.build(scale, torch.float64)(x)
        own = slice(middle * scale, (middle + 1) * scale)
        block = sr[:, :, own, own]
        (gradient,) = torch.autograd.grad(block, x, noise(*block.shape, dtype=torch.float64))
        rows = gradient.abs().sum((0, 1, 3))
        columns = gradient.abs().sum((0, 1, 2))
        for reached in (rows, columns):
            assert reached[0] == reached[-1] == 0, "it looks further"
            assert (reached[1:-1] > 0).all(), "it does not look that far"


class WithinRadiusTester(NetworkTester):
    """Inherit where the radius is the largest of several: at some scale, or at some phase."""

    def test_outputs_depend_on_what_lies_within_the_radius(self, scale: int) -> None:
        """The other way round: a pixel that changes, changes nothing outside of the radius."""
        radius = network_spec(self.name).receptive_radius
        assert radius is not None
        network = self.build(scale, torch.float64)
        middle = radius + 2
        x = noise(1, 3, 2 * middle + 1, 5, dtype=torch.float64)
        for lr in (x, x.transpose(2, 3)):
            other = lr.clone()
            other[:, :, lr.shape[2] // 2, lr.shape[3] // 2] += 1
            with torch.no_grad():
                changed = (network(lr) - network(other)).abs().amax((0, 1)).numpy()
            along = changed.max(0 if lr.shape[3] > lr.shape[2] else 1)
            touched = np.flatnonzero(along) // scale
            assert touched.min() >= middle - radius
            assert touched.max() <= middle + radius

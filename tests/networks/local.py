"""What every network with local statistics must do beside the rest."""

from __future__ import annotations

import numpy as np
import torch
from networks.tester import NetworkTester, noise

from lightsr.networks.registry import network_spec


class LocalNetworkTester(NetworkTester):
    """Inherit instead of `NetworkTester` where the spec says "local"."""

    def radius(self, scale: int) -> int:
        """Return how far it looks at a scale: the spec's radius, which is that of the widest."""
        widest = network_spec(self.name).receptive_radius
        assert widest is not None
        del scale
        return widest

    def test_an_output_pixel_looks_as_far_as_the_radius(self, scale: int) -> None:
        radius = self.radius(scale)
        middle, network = radius + 1, self.build(scale, torch.float64)
        # A strip along one axis after the other, which takes less than a square.
        strip = noise(1, 3, 2 * middle + 1, 5, dtype=torch.float64)
        own, across = slice(middle * scale, (middle + 1) * scale), slice(2 * scale, 3 * scale)
        for x, rows, columns in ((strip, own, across), (strip.transpose(2, 3), across, own)):
            x = x.detach().requires_grad_()
            block = network(x)[:, :, rows, columns]
            (gradient,) = torch.autograd.grad(block, x, noise(*block.shape, dtype=torch.float64))
            reached = gradient.abs().sum((0, 1)).amax(0 if rows is across else 1)
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

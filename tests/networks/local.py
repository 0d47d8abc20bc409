"""What every network with local statistics must do beside the rest."""

from __future__ import annotations

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

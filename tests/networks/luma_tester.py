"""What every network of luma must do beyond what every network must."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from networks.local import WithinRadiusTester
from networks.tester import noise

from lightsr.evaluation.complexity import printed_count
from lightsr.images.color import rgb_to_luma, rgb_to_ycbcr
from lightsr.images.resize import imresize
from lightsr.networks.registry import network_spec


class LumaTester(WithinRadiusTester):
    """Inherit in place of `NetworkTester`."""

    def test_published_counts(self, scale: int) -> None:
        spec = network_spec(self.name)
        accounting, published = spec.published_accounting[scale], spec.published[scale]
        weights = [p for p in self.build(scale).parameters() if p.dim() == 4]
        assert accounting.parameters == sum(p.numel() for p in weights)
        printed, weights = published.parameters, accounting.parameters
        if printed is not None:
            assert (round(weights, -3) if "K" in printed else weights) == printed_count(printed)
        if published.multi_adds is not None:
            counted = accounting.multi_adds(1280, 720, scale)
            assert round(counted, -8) == printed_count(published.multi_adds)

    def test_luma_goes_through_the_network_and_chroma_is_bicubic(self, scale: int) -> None:
        network, lr = cast("Any", self.build(scale, torch.float64)), noise(1, 3, 9, 7).double()
        rgb = lr[0].permute(1, 2, 0).numpy() * 255
        luma = torch.from_numpy(rgb_to_luma(rgb))[None, None] / 255
        with torch.no_grad():
            if network.pre_enlarged:
                luma = torch.from_numpy(
                    imresize(luma[0, 0].numpy(), scale=scale, border="replicate")
                )[None, None]
            wanted = network.body(luma)[0, 0].numpy() * 255
            sr = network(lr)[0].permute(1, 2, 0).numpy() * 255
        np.testing.assert_allclose(rgb_to_luma(sr), wanted, atol=1e-3)
        chroma = imresize(rgb_to_ycbcr(rgb), scale=scale, border="replicate")[..., 1:]
        np.testing.assert_allclose(rgb_to_ycbcr(sr)[..., 1:], chroma, atol=1e-3)

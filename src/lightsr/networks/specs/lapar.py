"""LAPAR-A: what its paper says and what it costs."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_PARAMETERS = {2: 547_866, 3: 594_266, 4: 659_226}
_REGRESSION = {2: 739_168, 3: 1_109_088, 4: 1_626_976}
_BICUBIC = {2: 90, 3: 180, 4: 300}
_FILTERING = 3 * 72 * 25
"""Every output pixel's colours through 72 filters of 5x5."""
_WEIGHTING = 3 * 72
_RULE = (
    "the regression network and the weighted sum of its 72 filtered pictures, but neither the "
    "filtering (5.0G) nor the bicubic enlargement before it"
)

LAPAR_A = NetworkSpec(
    name="lapar-a",
    title="LAPAR-A",
    paper=(
        "W. Li, K. Zhou, L. Qi, N. Jiang, J. Lu, J. Jia, LAPAR: Linearly-Assembled Pixel-Adaptive "
        "Regression Network for Single Image Super-Resolution and Beyond, NeurIPS 2020, "
        "arXiv:2105.10422"
    ),
    year=2020,
    scales=(2, 3, 4),
    implementation="lightsr.networks.lapar:lapar_a",
    input_convention="RGB in [0, 1], less the mean of DIV2K where filters are chosen",
    statistics="local",
    receptive_radius=40,
    cost={
        scale: Cost(
            parameters=_PARAMETERS[scale],
            per_pixel=_REGRESSION[scale] + _BICUBIC[scale] + _FILTERING * scale**2,
        )
        for scale in _PARAMETERS
    },
    published={
        2: Published(
            parameters="548K",
            multi_adds="171G",
            psnr={
                "Set5": (38.01, 0.9605),
                "Set14": (33.62, 0.9183),
                "B100": (32.19, 0.8999),
                "Urban100": (32.10, 0.9283),
            },
        ),
        3: Published(
            parameters="594K",
            multi_adds="114G",
            psnr={
                "Set5": (34.36, 0.9267),
                "Set14": (30.34, 0.8421),
                "B100": (29.11, 0.8054),
                "Urban100": (28.15, 0.8523),
            },
        ),
        4: Published(
            parameters="659K",
            multi_adds="94G",
            psnr={
                "Set5": (32.15, 0.8944),
                "Set14": (28.61, 0.7818),
                "B100": (27.61, 0.7366),
                "Urban100": (26.14, 0.7871),
            },
        ),
    },
    published_accounting={
        scale: Accounting(
            parameters=_PARAMETERS[scale],
            per_pixel=_REGRESSION[scale] + _WEIGHTING * scale**2,
            pixels="lr, exact",
            rule=_RULE,
        )
        for scale in _PARAMETERS
    },
    notes="The true count is of every convolution, the fixed filters included, as the network is "
    "trained; inference finds each pixel's filter at once, which saves 15, 22 and 26% of it at x2, "
    "x3 and x4. Some tables print 544K at x3, a slip. Trained on DIV2K and Flickr2K, unlike most "
    "of its rivals.",
)

SPECS = (LAPAR_A,)

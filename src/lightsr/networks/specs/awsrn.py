"""AWSRN-M: what its paper says and what it costs."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_PARAMETERS = {2: 1_063_742, 3: 1_143_017, 4: 1_254_002}
_PER_PIXEL = {2: 1_059_492, 3: 1_138_617, 4: 1_249_392}
_RULE = (
    "every convolution, with its weight norm among the parameters, which are cut off to thousands"
)

AWSRN_M = NetworkSpec(
    name="awsrn-m",
    title="AWSRN-M",
    paper=(
        "C. Wang, Z. Li, J. Shi, Lightweight Image Super-Resolution with Adaptive Weighted "
        "Learning Network, arXiv:1904.02358, 2019"
    ),
    year=2019,
    scales=(2, 3, 4),
    implementation="lightsr.networks.awsrn:awsrn_m",
    input_convention="RGB in 0..255, less the mean of DIV2K, divided by 127.5",
    statistics="local",
    receptive_radius=32,
    cost={
        scale: Cost(parameters=_PARAMETERS[scale], per_pixel=_PER_PIXEL[scale])
        for scale in _PARAMETERS
    },
    published={
        2: Published(
            parameters="1063K",
            multi_adds="244.1G",
            psnr={
                "Set5": (38.04, 0.9605),
                "Set14": (33.66, 0.9181),
                "B100": (32.21, 0.9000),
                "Urban100": (32.23, 0.9294),
            },
        ),
        3: Published(
            parameters="1143K",
            multi_adds="116.6G",
            psnr={
                "Set5": (34.42, 0.9275),
                "Set14": (30.32, 0.8419),
                "B100": (29.13, 0.8059),
                "Urban100": (28.26, 0.8545),
            },
        ),
        4: Published(
            parameters="1254K",
            multi_adds="72.0G",
            psnr={
                "Set5": (32.21, 0.8954),
                "Set14": (28.65, 0.7832),
                "B100": (27.60, 0.7368),
                "Urban100": (26.15, 0.7884),
            },
        ),
    },
    published_accounting={
        scale: Accounting(
            parameters=_PARAMETERS[scale],
            per_pixel=_PER_PIXEL[scale],
            pixels="lr, exact",
            rule=_RULE,
        )
        for scale in _PARAMETERS
    },
    notes="The weights hold 2,108, 2,183 and 2,288 parameters less once weight norm and learned "
    "scalars of convolutions are folded in.",
)

SPECS = (AWSRN_M,)

"""IMDN: what its paper says and what it costs."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_PARAMETERS = {2: 694_404, 3: 703_059, 4: 715_176}
_PER_PIXEL = {2: 689_088, 3: 697_728, 4: 709_824}
_PER_PICTURE = 3_072
_RULE = "every convolution, an LR side that is no whole number of pixels being rounded up"

IMDN = NetworkSpec(
    name="imdn",
    title="IMDN",
    paper=(
        "Z. Hui, X. Gao, Y. Yang, X. Wang, "
        "Lightweight Image Super-Resolution with Information Multi-distillation Network, "
        "ACM Multimedia 2019, 2024-2032, arXiv:1909.11856"
    ),
    year=2019,
    scales=(2, 3, 4),
    implementation="lightsr.networks.imdn:imdn",
    input_convention="RGB in [0, 1] as it is",
    statistics="global",
    receptive_radius=None,
    cost={
        scale: Cost(
            parameters=_PARAMETERS[scale],
            per_pixel=_PER_PIXEL[scale],
            per_picture=_PER_PICTURE,
        )
        for scale in _PARAMETERS
    },
    published={
        2: Published(
            parameters="694K",
            multi_adds="158.8G",
            psnr={
                "Set5": (38.00, 0.9605),
                "Set14": (33.63, 0.9177),
                "B100": (32.19, 0.8996),
                "Urban100": (32.17, 0.9283),
            },
        ),
        3: Published(
            parameters="703K",
            multi_adds="71.5G",
            psnr={
                "Set5": (34.36, 0.9270),
                "Set14": (30.32, 0.8417),
                "B100": (29.09, 0.8046),
                "Urban100": (28.17, 0.8519),
            },
        ),
        4: Published(
            parameters="715K",
            multi_adds="40.9G",
            psnr={
                "Set5": (32.21, 0.8948),
                "Set14": (28.58, 0.7811),
                "B100": (27.56, 0.7353),
                "Urban100": (26.04, 0.7838),
            },
        ),
    },
    published_accounting={
        scale: Accounting(
            parameters=_PARAMETERS[scale],
            per_pixel=_PER_PIXEL[scale],
            per_picture=_PER_PICTURE,
            pixels="lr, rounded up",
            rule=_RULE,
        )
        for scale in _PARAMETERS
    },
)

SPECS = (IMDN,)

"""The stand-in for MADNet: what the paper says of the original, and what the stand-in costs."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_PARAMETERS = {2: 878_156, 3: 930_011, 4: 1_002_608}
_PER_PIXEL = {2: 813_248, 3: 865_088, 4: 937_664}
_PER_PICTURE = 61_440
_RULE = (
    "something that is not known; the stand-in's convolutions come to the printed parameters, cut "
    "off to thousands, and within 0.2% of the printed multi-adds"
)

MADNET = NetworkSpec(
    name="madnet",
    title="MADNet (reconstruction)",
    paper=(
        "R. Lan, L. Sun, Z. Liu, H. Lu, C. Pang, X. Luo, MADNet: A Fast and Lightweight Network "
        "for Single-Image Super Resolution, IEEE Transactions on Cybernetics 51(3):1443-1453, "
        "2021, doi:10.1109/TCYB.2020.2970104"
    ),
    year=2021,
    scales=(2, 3, 4),
    implementation="lightsr.networks.madnet:madnet",
    input_convention="RGB in [0, 1] as it is",
    # Its channels are gated by their means over the picture.
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
            parameters="878K",
            multi_adds="187.1G",
            psnr={
                "Set5": (37.94, 0.9604),
                "Set14": (33.46, 0.9167),
                "B100": (32.10, 0.8988),
                "Urban100": (31.74, 0.9246),
            },
        ),
        3: Published(
            parameters="930K",
            multi_adds="88.4G",
            psnr={
                "Set5": (34.16, 0.9253),
                "Set14": (30.21, 0.8398),
                "B100": (28.98, 0.8023),
                "Urban100": (27.77, 0.8439),
            },
        ),
        4: Published(
            parameters="1002K",
            multi_adds="54.1G",
            psnr={
                "Set5": (31.95, 0.8917),
                "Set14": (28.44, 0.7780),
                "B100": (27.47, 0.7327),
                "Urban100": (25.76, 0.7746),
            },
        ),
    },
    published_accounting={
        scale: Accounting(
            parameters=_PARAMETERS[scale],
            per_pixel=_PER_PIXEL[scale],
            per_picture=_PER_PICTURE,
            rule=_RULE,
        )
        for scale in _PARAMETERS
    },
    reconstruction=(
        "a stand-in of our own design with the published sizes, since the authors' design is not "
        "public; what they published is not said of it"
    ),
    notes="The published figures are those of the authors' network, trained by an L1 loss.",
)

SPECS = (MADNET,)

"""LapSRN: what its paper says and what it costs."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_RULE = (
    "one for each weight, biases left out, those of the transposed convolutions at every pixel "
    "that they put out"
)

LAPSRN = NetworkSpec(
    name="lapsrn",
    title="LapSRN",
    paper=(
        "W.-S. Lai, J.-B. Huang, N. Ahuja, M.-H. Yang, Deep Laplacian Pyramid Networks for Fast "
        "and Accurate Super-Resolution, CVPR 2017, doi:10.1109/CVPR.2017.618, arXiv:1704.03915"
    ),
    year=2017,
    scales=(2, 3, 4, 8),
    implementation="lightsr.networks.lapsrn:lapsrn",
    input_convention="Y of BT.601, 16..235 divided by 255",
    statistics="local",
    receptive_radius=20,
    cost={
        2: Cost(parameters=407_441, per_pixel=408_505),
        3: Cost(parameters=814_242, per_pixel=2_040_074),
        4: Cost(parameters=814_242, per_pixel=2_040_047),
        8: Cost(parameters=1_221_043, per_pixel=8_566_155),
    },
    published={
        2: Published(
            parameters=None,
            multi_adds=None,
            psnr={
                "Set5": (37.52, 0.959),
                "Set14": (33.08, 0.913),
                "B100": (31.80, 0.895),
                "Urban100": (30.41, 0.910),
            },
        ),
        3: Published(
            parameters=None,
            multi_adds=None,
            psnr={
                "Set5": (33.81, 0.922),
                "Set14": (29.79, 0.832),
                "B100": (28.82, 0.798),
                "Urban100": (27.07, 0.828),
            },
        ),
        4: Published(
            parameters="813K",
            multi_adds="149.4G",
            psnr={
                "Set5": (31.54, 0.885),
                "Set14": (28.19, 0.772),
                "B100": (27.32, 0.728),
                "Urban100": (25.21, 0.756),
            },
        ),
        8: Published(parameters=None, multi_adds=None, psnr={}),
    },
    published_accounting={
        2: Accounting(parameters=406_672, per_pixel=519_040, rule=_RULE),
        3: Accounting(parameters=812_768, per_pixel=2_592_896, rule=_RULE),
        4: Accounting(parameters=812_768, per_pixel=2_592_896, rule=_RULE),
        8: Accounting(parameters=1_218_864, per_pixel=10_888_320, rule=_RULE),
    },
    protocol="unrounded",
    notes="x3 is the network for x4, made smaller by 3/4 with MATLAB's bicubic, as its authors do. "
    "The literature also prints 813K for x2, whose network has half, and 29.9G, its first level "
    "for an output of 640x360. The true count includes the fixed bicubic and colour steps: 105, "
    "378, 351 and 1,275 per LR pixel at x2, x3, x4 and x8.",
)

SPECS = (LAPSRN,)

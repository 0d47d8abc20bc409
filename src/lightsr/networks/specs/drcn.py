"""DRCN and a third party's reduced form of it: what is said of them and what they cost."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_SCALES = (2, 3, 4)
_PAPER = (
    "J. Kim, J. K. Lee, K. M. Lee, Deeply-Recursive Convolutional Network for Image "
    "Super-Resolution, CVPR 2016, doi:10.1109/CVPR.2016.181, arXiv:1511.04491"
)
_RULE = (
    "one for each weight as often as it is applied, biases, the ensemble and the bicubic step left "
    "out, at every output pixel"
)

DRCN = NetworkSpec(
    name="drcn",
    title="DRCN",
    paper=_PAPER,
    year=2016,
    scales=_SCALES,
    implementation="lightsr.networks.drcn:drcn",
    input_convention="Y of BT.601, 16..235 divided by 255, enlarged bicubically beforehand",
    statistics="local",
    receptive_radius=12,
    cost={
        2: Cost(parameters=1_775_121, per_pixel=78_013_542),
        3: Cost(parameters=1_775_121, per_pixel=175_530_447),
        4: Cost(parameters=1_775_121, per_pixel=312_054_108),
    },
    published={
        2: Published(
            parameters="1774K",
            multi_adds="17974.3G",
            psnr={
                "Set5": (37.63, 0.9588),
                "Set14": (33.04, 0.9118),
                "B100": (31.85, 0.8942),
                "Urban100": (30.75, 0.9133),
            },
        ),
        3: Published(
            parameters="1774K",
            multi_adds="17974.3G",
            psnr={
                "Set5": (33.82, 0.9226),
                "Set14": (29.76, 0.8311),
                "B100": (28.80, 0.7963),
                "Urban100": (27.15, 0.8276),
            },
        ),
        4: Published(
            parameters="1774K",
            multi_adds="17974.3G",
            psnr={
                "Set5": (31.53, 0.8854),
                "Set14": (28.02, 0.7670),
                "B100": (27.23, 0.7233),
                "Urban100": (25.14, 0.7510),
            },
        ),
    },
    published_accounting={
        scale: Accounting(parameters=1_774_080, per_pixel=19_503_360, pixels="output", rule=_RULE)
        for scale in _SCALES
    },
    protocol="luma",
    notes="Its authors released no weights. The ensemble's learned weights are summed with as they "
    "are; whether the authors divided them by their sum is not known. The true count includes the "
    "fixed bicubic and colour steps: 102, 207 and 348 per LR pixel at x2, x3 and x4.",
)

DRCN_F96D9 = NetworkSpec(
    name="drcn-f96d9",
    title="DRCN F96 D9 (a third party's reduced network)",
    paper=f"After {_PAPER}. This form of it is J. Yamanaka's (jiny2001/deeply-recursive-cnn-tf)",
    year=2017,
    scales=(2,),
    implementation="lightsr.networks.drcn:concatenating_drcn",
    arguments={"width": 96, "recursions": 9},
    input_convention="Y of BT.601, 16..235, enlarged bicubically beforehand",
    statistics="local",
    receptive_radius=8,
    cost={2: Cost(parameters=250_963, per_pixel=6_338_730)},
    published={2: Published(parameters=None, multi_adds=None, psnr={})},
    published_accounting={
        2: Accounting(parameters=250_569, per_pixel=1_584_657, pixels="output", rule=_RULE)
    },
    protocol="luma, replicated",
    notes="Not the paper's network: 96 channels and 9 recursions, trained for x2 alone, with the "
    "picture concatenated instead of added. Nothing was printed for it; the rule is that of DRCN. "
    "The true count includes the fixed bicubic and colour steps: 102 per LR pixel.",
)

SPECS = (DRCN, DRCN_F96D9)

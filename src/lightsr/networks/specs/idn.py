"""IDN for luma and for RGB: what its authors say and what it costs."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_SCALES = (2, 3, 4)
_PAPER = (
    "Z. Hui, X. Wang, X. Gao, Fast and Accurate Single Image Super-Resolution via Information "
    "Distillation Network, CVPR 2018, doi:10.1109/CVPR.2018.00082, arXiv:1803.09454"
)
_RULE = (
    "one for each weight, biases left out, those of the transposed convolution at every output "
    "pixel instead of every LR pixel"
)
_RULE_TF = "every parameter, and one for each weight at every LR pixel"

IDN = NetworkSpec(
    name="idn",
    title="IDN",
    paper=_PAPER,
    year=2018,
    scales=_SCALES,
    implementation="lightsr.networks.idn:idn",
    input_convention="Y of BT.601, 16..235 divided by 255",
    statistics="local",
    receptive_radius=30,
    cost={
        2: Cost(parameters=552_769, per_pixel=551_175),
        3: Cost(parameters=552_769, per_pixel=551_310),
        4: Cost(parameters=552_769, per_pixel=551_491),
    },
    published={
        2: Published(
            parameters="553K",
            multi_adds=None,
            psnr={
                "Set5": (37.83, 0.9600),
                "Set14": (33.30, 0.9148),
                "B100": (32.08, 0.8985),
                "Urban100": (31.27, 0.9196),
            },
        ),
        3: Published(
            parameters="553K",
            multi_adds=None,
            psnr={
                "Set5": (34.11, 0.9253),
                "Set14": (29.99, 0.8354),
                "B100": (28.95, 0.8013),
                "Urban100": (27.42, 0.8359),
            },
        ),
        4: Published(
            parameters="553K",
            multi_adds=None,
            psnr={
                "Set5": (31.82, 0.8903),
                "Set14": (28.25, 0.7730),
                "B100": (27.41, 0.7297),
                "Urban100": (25.41, 0.7632),
            },
        ),
    },
    published_accounting={
        scale: Accounting(
            parameters=552_769,
            per_pixel=532_544 + 18_496 * scale**2,
            rule=f"{_RULE}; the parameters are all",
        )
        for scale in _SCALES
    },
    protocol="luma",
    notes="The literature prints the multi-adds of other networks beside these results: 105.6G at "
    "x3 and 81.9G at x4 belong to idn-rgb. The true count includes the fixed bicubic and colour "
    "steps: 135, 270 and 451 per LR pixel at x2, x3 and x4.",
)

IDN_RGB = NetworkSpec(
    name="idn-rgb",
    title="IDN (RGB)",
    paper=_PAPER,
    year=2018,
    scales=_SCALES,
    implementation="lightsr.networks.idn:idn_rgb",
    input_convention="RGB in [0, 1] as it is",
    statistics="local",
    receptive_radius=30,
    cost={
        2: Cost(parameters=590_915, per_pixel=589_274),
        3: Cost(parameters=590_915, per_pixel=589_364),
        4: Cost(parameters=590_915, per_pixel=589_484),
    },
    published={
        2: Published(parameters=None, multi_adds=None, psnr={}),
        3: Published(parameters="590K", multi_adds="105.6G", psnr={}),
        4: Published(parameters="590K", multi_adds="81.9G", psnr={}),
    },
    published_accounting={
        scale: Accounting(
            parameters=590_915,
            per_pixel=533_696 + 55_488 * scale**2,
            rule=f"{_RULE}; the parameters are all, cut off after the thousands",
        )
        for scale in _SCALES
    },
    notes="IDN with three channels in and out: the network that the literature counts as IDN, "
    "beside the results of the one for luma. Nobody published weights or results of it. The true "
    "count includes the fixed bicubic step: 90, 180 and 300 per LR pixel at x2, x3 and x4.",
)

IDN_TF = NetworkSpec(
    name="idn-tf",
    title="IDN (RGB, sub-pixel)",
    paper=f"{_PAPER}. This version is in the authors' later code, Zheng222/IDN-tensorflow",
    year=2018,
    scales=_SCALES,
    implementation="lightsr.networks.idn:idn_tf",
    input_convention="RGB in 0..255",
    statistics="local",
    receptive_radius=28,
    cost={
        2: Cost(parameters=579_276, per_pixel=577_562),
        3: Cost(parameters=587_931, per_pixel=586_292),
        4: Cost(parameters=600_048, per_pixel=598_508),
    },
    published={
        2: Published(
            parameters="579,276",
            multi_adds=None,
            psnr={
                "Set5": (37.85, 0.9598),
            },
        ),
        3: Published(
            parameters="587,931",
            multi_adds=None,
            psnr={
                "Set5": (34.24, 0.9260),
            },
        ),
        4: Published(
            parameters="600,048",
            multi_adds=None,
            psnr={
                "Set5": (31.99, 0.8928),
            },
        ),
    },
    published_accounting={
        2: Accounting(parameters=579_276, per_pixel=577_472, rule=_RULE_TF),
        3: Accounting(parameters=587_931, per_pixel=586_112, rule=_RULE_TF),
        4: Accounting(parameters=600_048, per_pixel=598_208, rule=_RULE_TF),
    },
    notes="Its authors shrink and enlarge with another bicubic, on 8-bit samples, and cut the "
    "result off to whole numbers; here the bicubic is MATLAB's, as everywhere. The true count "
    "includes that fixed step: 90, 180 and 300 per LR pixel at x2, x3 and x4.",
)

SPECS = (IDN, IDN_RGB, IDN_TF)

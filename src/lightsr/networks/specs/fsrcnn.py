"""FSRCNN and FSRCNN-s: what their paper says and what they cost."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_PAPER = (
    "C. Dong, C. C. Loy, X. Tang, Accelerating the Super-Resolution Convolutional Neural Network, "
    "ECCV 2016, doi:10.1007/978-3-319-46475-6_25, arXiv:1608.00367"
)
_INPUT = "Y of BT.601, 16..235 divided by 255"
_RULE = (
    "one for each weight, biases left out, those of the transposed convolution at every output "
    "pixel instead of every LR pixel"
)
_SCALES = (2, 3, 4)
_COLOUR = (
    "The true count includes the fixed bicubic and colour steps: 105, 210 and 351 per LR pixel at "
    "x2, x3 and x4. The published PSNR was measured on luma alone, from LR luma that was not "
    "rounded."
)

FSRCNN = NetworkSpec(
    name="fsrcnn",
    title="FSRCNN",
    paper=_PAPER,
    year=2016,
    scales=_SCALES,
    implementation="lightsr.networks.fsrcnn:fsrcnn",
    input_convention=_INPUT,
    statistics="local",
    receptive_radius=8,
    cost={
        2: Cost(parameters=12_644, per_pixel=12_569),
        3: Cost(parameters=12_644, per_pixel=12_674),
        4: Cost(parameters=12_644, per_pixel=12_815),
    },
    published={
        2: Published(
            parameters="12K",
            multi_adds="6.0G",
            psnr={
                "Set5": (37.00, 0.9558),
                "Set14": (32.63, 0.9088),
                "B100": (31.53, 0.8920),
                "Urban100": (29.88, 0.9020),
            },
        ),
        3: Published(
            parameters="12K",
            multi_adds="5.0G",
            psnr={
                "Set5": (33.16, 0.9140),
                "Set14": (29.43, 0.8242),
                "B100": (28.53, 0.7910),
                "Urban100": (26.43, 0.8080),
            },
        ),
        4: Published(
            parameters="12K",
            multi_adds="4.6G",
            psnr={
                "Set5": (30.71, 0.8657),
                "Set14": (27.59, 0.7535),
                "B100": (26.98, 0.7150),
                "Urban100": (24.62, 0.7280),
            },
        ),
    },
    published_accounting={
        scale: Accounting(
            parameters=12_464,
            per_pixel=7_928 + 4_536 * scale**2,
            pixels="lr, exact",
            rule=_RULE,
        )
        for scale in _SCALES
    },
    notes=_COLOUR,
)

FSRCNN_S = NetworkSpec(
    name="fsrcnn-s",
    title="FSRCNN-s",
    paper=_PAPER,
    year=2016,
    scales=_SCALES,
    implementation="lightsr.networks.fsrcnn:fsrcnn",
    arguments={"d": 32, "s": 5, "m": 1},
    input_convention=_INPUT,
    statistics="local",
    receptive_radius=5,
    cost={
        2: Cost(parameters=4_016, per_pixel=4_042),
        3: Cost(parameters=4_016, per_pixel=4_147),
        4: Cost(parameters=4_016, per_pixel=4_288),
    },
    published={scale: Published(parameters="3,937", multi_adds=None, psnr={}) for scale in _SCALES},
    published_accounting={
        scale: Accounting(
            parameters=3_937,
            per_pixel=1_345 + 2_592 * scale**2,
            pixels="lr, exact",
            rule=_RULE,
        )
        for scale in _SCALES
    },
    notes=_COLOUR,
)

SPECS = (FSRCNN, FSRCNN_S)

"""VDSR: what its paper says and what it costs."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_SCALES = (2, 3, 4)

VDSR = NetworkSpec(
    name="vdsr",
    title="VDSR",
    paper=(
        "J. Kim, J. K. Lee, K. M. Lee, Accurate Image Super-Resolution Using Very Deep "
        "Convolutional Networks, CVPR 2016, doi:10.1109/CVPR.2016.182, arXiv:1511.04587"
    ),
    year=2016,
    scales=_SCALES,
    implementation="lightsr.networks.vdsr:vdsr",
    input_convention="Y of BT.601, 16..235 divided by 255, enlarged bicubically beforehand",
    statistics="local",
    receptive_radius=12,
    cost={
        2: Cost(parameters=665_921, per_pixel=2_658_918),
        3: Cost(parameters=665_921, per_pixel=5_982_543),
        4: Cost(parameters=665_921, per_pixel=10_635_612),
    },
    published={
        2: Published(
            parameters="665K",
            multi_adds="612.6G",
            psnr={
                "Set5": (37.53, 0.9587),
                "Set14": (33.03, 0.9124),
                "B100": (31.90, 0.8960),
                "Urban100": (30.76, 0.9140),
            },
        ),
        3: Published(
            parameters="665K",
            multi_adds="612.6G",
            psnr={
                "Set5": (33.66, 0.9213),
                "Set14": (29.77, 0.8314),
                "B100": (28.82, 0.7976),
                "Urban100": (27.14, 0.8279),
            },
        ),
        4: Published(
            parameters="665K",
            multi_adds="612.6G",
            psnr={
                "Set5": (31.35, 0.8838),
                "Set14": (28.01, 0.7674),
                "B100": (27.29, 0.7251),
                "Urban100": (25.18, 0.7524),
            },
        ),
    },
    published_accounting={
        scale: Accounting(
            parameters=664_704,
            per_pixel=664_704,
            pixels="output",
            rule="one for each weight, biases and the bicubic step left out, at every output pixel",
        )
        for scale in _SCALES
    },
    notes="One set of weights serves all scales. The true count includes the fixed bicubic and "
    "colour steps: 102, 207 and 348 per LR pixel at x2, x3 and x4. The published PSNR was measured "
    "on luma alone, from LR luma that was not rounded.",
)

SPECS = (VDSR,)

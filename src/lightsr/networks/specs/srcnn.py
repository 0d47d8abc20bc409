"""SRCNN: what its paper says and what it costs."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_SCALES = (2, 3, 4)

SRCNN = NetworkSpec(
    name="srcnn",
    title="SRCNN",
    paper=(
        "C. Dong, C. C. Loy, K. He, X. Tang, Image Super-Resolution Using Deep Convolutional "
        "Networks, IEEE TPAMI 38(2), 2016, doi:10.1109/TPAMI.2015.2439281, arXiv:1501.00092"
    ),
    year=2016,
    scales=_SCALES,
    implementation="lightsr.networks.srcnn:srcnn",
    input_convention="Y of BT.601, 16..235 divided by 255, enlarged bicubically beforehand",
    statistics="local",
    receptive_radius=6,
    cost={
        2: Cost(parameters=57_281, per_pixel=228_838),
        3: Cost(parameters=57_281, per_pixel=514_863),
        4: Cost(parameters=57_281, per_pixel=915_292),
    },
    published={
        2: Published(
            parameters="57K",
            multi_adds="52.7G",
            psnr={
                "Set5": (36.66, 0.9542),
                "Set14": (32.42, 0.9063),
                "B100": (31.36, 0.8879),
                "Urban100": (29.50, 0.8946),
            },
        ),
        3: Published(
            parameters="57K",
            multi_adds="52.7G",
            psnr={
                "Set5": (32.75, 0.9090),
                "Set14": (29.28, 0.8209),
                "B100": (28.41, 0.7863),
                "Urban100": (26.24, 0.7989),
            },
        ),
        4: Published(
            parameters="57K",
            multi_adds="52.7G",
            psnr={
                "Set5": (30.48, 0.8628),
                "Set14": (27.49, 0.7503),
                "B100": (26.90, 0.7101),
                "Urban100": (24.52, 0.7221),
            },
        ),
    },
    published_accounting={
        scale: Accounting(
            parameters=57_184,
            per_pixel=57_184,
            pixels="output",
            rule="one for each weight, biases and the bicubic step left out, at every output pixel",
        )
        for scale in _SCALES
    },
    protocol="luma",
    notes="The 9-5-5 network of the journal paper, not the 9-1-5 network of ECCV 2014. The true "
    "count includes the fixed bicubic and colour steps: 102, 207 and 348 per LR pixel at x2, x3 "
    "and x4.",
)

SPECS = (SRCNN,)

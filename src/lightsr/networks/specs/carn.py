"""CARN and CARN-M: what their paper says and what they cost."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_PAPER = (
    "N. Ahn, B. Kang, K.-A. Sohn, "
    "Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network, "
    "ECCV 2018, arXiv:1803.08664"
)
_INPUT = "RGB in [0, 1], less the mean of DIV2K"
_NOTES = (
    "Published is one network for all scales, and its parameters, with all three upsamplers, at "
    "every scale; here a network holds the upsampler of its own scale. The authors' tests cut "
    "samples off to whole numbers instead of rounding, which costs up to 0.17 dB."
)
_PER_PIXEL = {2: 967_104, 3: 1_160_064, 4: 1_577_664}
_PER_PIXEL_M = {2: 395_712, 3: 450_432, 4: 563_904}
_RULE = "every convolution at its own scale; the parameters count the upsamplers of all scales"
_RULE_M = f"{_RULE}, and leave biases out"

CARN = NetworkSpec(
    name="carn",
    title="CARN",
    paper=_PAPER,
    year=2018,
    scales=(2, 3, 4),
    implementation="lightsr.networks.carn:carn",
    input_convention=_INPUT,
    statistics="local",
    receptive_radius=21,
    cost={
        2: Cost(parameters=964_163, per_pixel=_PER_PIXEL[2]),
        3: Cost(parameters=1_148_803, per_pixel=_PER_PIXEL[3]),
        4: Cost(parameters=1_111_875, per_pixel=_PER_PIXEL[4]),
    },
    published={
        2: Published(
            parameters="1592K",
            multi_adds="222.8G",
            psnr={
                "Set5": (37.76, 0.9590),
                "Set14": (33.52, 0.9166),
                "B100": (32.09, 0.8978),
                "Urban100": (31.92, 0.9256),
            },
        ),
        3: Published(
            parameters="1592K",
            multi_adds="118.8G",
            psnr={
                "Set5": (34.29, 0.9255),
                "Set14": (30.29, 0.8407),
                "B100": (29.06, 0.8034),
                "Urban100": (28.06, 0.8493),
            },
        ),
        4: Published(
            parameters="1592K",
            multi_adds="90.9G",
            psnr={
                "Set5": (32.13, 0.8937),
                "Set14": (28.60, 0.7806),
                "B100": (27.58, 0.7349),
                "Urban100": (26.07, 0.7837),
            },
        ),
    },
    published_accounting={
        scale: Accounting(
            parameters=1_591_939,
            per_pixel=_PER_PIXEL[scale],
            pixels="lr, exact",
            rule=_RULE,
        )
        for scale in _PER_PIXEL
    },
    notes=_NOTES,
)

CARN_M = NetworkSpec(
    name="carn-m",
    title="CARN-M",
    paper=_PAPER,
    year=2018,
    scales=(2, 3, 4),
    implementation="lightsr.networks.carn:carn_m",
    input_convention=_INPUT,
    statistics="local",
    receptive_radius=21,
    cost={
        2: Cost(parameters=257_027, per_pixel=_PER_PIXEL_M[2]),
        3: Cost(parameters=303_427, per_pixel=_PER_PIXEL_M[3]),
        4: Cost(parameters=294_147, per_pixel=_PER_PIXEL_M[4]),
    },
    published={
        2: Published(
            parameters="412K",
            multi_adds="91.2G",
            psnr={
                "Set5": (37.53, 0.9583),
                "Set14": (33.26, 0.9141),
                "B100": (31.92, 0.8960),
                "Urban100": (31.23, 0.9193),
            },
        ),
        3: Published(
            parameters="412K",
            multi_adds="46.1G",
            psnr={
                "Set5": (33.99, 0.9236),
                "Set14": (30.08, 0.8367),
                "B100": (28.91, 0.8000),
                "Urban100": (27.55, 0.8385),
            },
        ),
        4: Published(
            parameters="412K",
            multi_adds="32.5G",
            psnr={
                "Set5": (31.92, 0.8903),
                "Set14": (28.42, 0.7762),
                "B100": (27.44, 0.7304),
                "Urban100": (25.62, 0.7694),
            },
        ),
    },
    published_accounting={
        scale: Accounting(
            parameters=412_032,
            per_pixel=_PER_PIXEL_M[scale],
            pixels="lr, exact",
            rule=_RULE_M,
        )
        for scale in _PER_PIXEL_M
    },
    notes=_NOTES,
)

SPECS = (CARN, CARN_M)

"""FDIWN and FDIWN-M: what their paper says and what they cost."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_PAPER = (
    "G. Gao, W. Li, J. Li, F. Wu, H. Lu, Y. Yu, "
    "Feature Distillation Interaction Weighting Network for Lightweight Image Super-Resolution, "
    "AAAI 2022, 36(1):661-669, doi:10.1609/aaai.v36i1.19946, arXiv:2112.08655"
)
_INPUT = "RGB in 0..255, less the mean of DIV2K, which a trainable 1x1 convolution takes off"
_RULE = "every convolution except the weight-normalised ones, which the authors' counter missed"

FDIWN = NetworkSpec(
    name="fdiwn",
    title="FDIWN",
    paper=_PAPER,
    year=2022,
    scales=(2, 3, 4),
    implementation="lightsr.networks.fdiwn:fdiwn",
    input_convention=_INPUT,
    statistics="global",
    receptive_radius=None,
    cost={
        2: Cost(parameters=629_176, per_pixel=1_175_733, per_picture=20_736),
        3: Cost(parameters=646_486, per_pixel=1_193_058, per_picture=20_736),
        4: Cost(parameters=663_848, per_pixel=1_236_321, per_picture=20_736),
    },
    published={
        2: Published(
            parameters="629K",
            multi_adds="112.0G",
            psnr={
                "Set5": (38.07, 0.9608),
                "Set14": (33.75, 0.9201),
                "B100": (32.23, 0.9003),
                "Urban100": (32.40, 0.9305),
                "Manga109": (38.85, 0.9774),
            },
        ),
        3: Published(
            parameters="645K",
            multi_adds="51.5G",
            psnr={
                "Set5": (34.52, 0.9281),
                "Set14": (30.42, 0.8438),
                "B100": (29.14, 0.8065),
                "Urban100": (28.36, 0.8567),
                "Manga109": (33.77, 0.9456),
            },
        ),
        4: Published(
            parameters="664K",
            multi_adds="28.4G",
            psnr={
                "Set5": (32.23, 0.8955),
                "Set14": (28.66, 0.7829),
                "B100": (27.62, 0.7380),
                "Urban100": (26.28, 0.7919),
                "Manga109": (30.63, 0.9098),
            },
        ),
    },
    published_accounting={
        2: Accounting(parameters=629_176, per_pixel=486_261, per_picture=20_736, rule=_RULE),
        3: Accounting(parameters=646_486, per_pixel=503_586, per_picture=20_736, rule=_RULE),
        4: Accounting(parameters=663_848, per_pixel=492_417, per_picture=20_736, rule=_RULE),
    },
    protocol="chopped",
    notes="At x3 the paper prints 645K; the authors' own code and weights hold 646,486 parameters.",
)

FDIWN_M = NetworkSpec(
    name="fdiwn-m",
    title="FDIWN-M",
    paper=_PAPER,
    year=2022,
    scales=(2, 3, 4),
    implementation="lightsr.networks.fdiwn:fdiwn_m",
    input_convention=_INPUT,
    statistics="global",
    receptive_radius=None,
    cost={
        2: Cost(parameters=433_840, per_pixel=815_445, per_picture=13_824),
        3: Cost(parameters=446_814, per_pixel=811_170, per_picture=13_824),
        4: Cost(parameters=454_648, per_pixel=836_289, per_picture=13_824),
    },
    published={
        2: Published(
            parameters="433K",
            multi_adds="73.6G",
            psnr={
                "Set5": (38.03, 0.9606),
                "Set14": (33.60, 0.9179),
                "B100": (32.17, 0.8995),
                "Urban100": (32.19, 0.9284),
            },
        ),
        3: Published(
            parameters="446K",
            multi_adds="35.9G",
            psnr={
                "Set5": (34.46, 0.9274),
                "Set14": (30.35, 0.8423),
                "B100": (29.10, 0.8051),
                "Urban100": (28.16, 0.8528),
            },
        ),
        4: Published(
            parameters="454K",
            multi_adds="19.6G",
            psnr={
                "Set5": (32.17, 0.8941),
                "Set14": (28.55, 0.7806),
                "B100": (27.58, 0.7364),
                "Urban100": (26.02, 0.7844),
            },
        ),
    },
    published_accounting={
        2: Accounting(parameters=433_840, per_pixel=319_509, per_picture=13_824, rule=_RULE),
        3: Accounting(parameters=446_814, per_pixel=351_522, per_picture=13_824, rule=_RULE),
        4: Accounting(parameters=454_648, per_pixel=340_353, per_picture=13_824, rule=_RULE),
    },
    protocol="chopped",
    notes="The authors released no -M: its layout here is the one that reproduces the six "
    "published sizes.",
)

SPECS = (FDIWN, FDIWN_M)

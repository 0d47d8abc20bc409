"""RFDN and E-RFDN: what their paper says and what they cost."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published, Reduced

_PAPER = (
    "J. Liu, J. Tang, G. Wu, "
    "Residual Feature Distillation Network for Lightweight Image Super-Resolution, "
    "ECCV 2020 Workshops, arXiv:2009.11551"
)
_RULE = "the parameters times the LR pixels, at x4 cut off after the digits that are printed"
_RULE_E = "as RFDN's do, the parameters times the LR pixels; nothing was printed for this network"
_REDUCED = (
    # In each of four blocks of 12 channels: a strided convolution, and three behind the pooling.
    Reduced(per_position=4 * 12 * 12 * 9, windows=((3, 2),)),
    Reduced(per_position=4 * 3 * 12 * 12 * 9, windows=((3, 2), (7, 3))),
)

RFDN = NetworkSpec(
    name="rfdn",
    title="RFDN",
    paper=_PAPER,
    year=2020,
    scales=(2, 3, 4),
    implementation="lightsr.networks.rfdn:rfdn",
    input_convention="RGB in [0, 1] as it is",
    statistics="global",
    receptive_radius=None,
    cost={
        2: Cost(parameters=534_036, per_pixel=524_880, per_picture=6_912),
        3: Cost(parameters=540_531, per_pixel=531_360, per_picture=6_912),
        4: Cost(parameters=549_624, per_pixel=540_432, per_picture=6_912),
    },
    published={
        2: Published(
            parameters="534K",
            multi_adds="123.0G",
            psnr={
                "Set5": (38.05, 0.9606),
                "Set14": (33.68, 0.9184),
                "B100": (32.16, 0.8994),
                "Urban100": (32.12, 0.9278),
            },
        ),
        3: Published(
            parameters="541K",
            multi_adds="55.4G",
            psnr={
                "Set5": (34.41, 0.9273),
                "Set14": (30.34, 0.8420),
                "B100": (29.09, 0.8050),
                "Urban100": (28.21, 0.8525),
            },
        ),
        4: Published(
            parameters="550K",
            multi_adds="31.6G",
            psnr={
                "Set5": (32.24, 0.8952),
                "Set14": (28.61, 0.7819),
                "B100": (27.57, 0.7360),
                "Urban100": (26.11, 0.7858),
            },
        ),
    },
    published_accounting={
        2: Accounting(parameters=534_036, per_pixel=534_036, pixels="lr, exact", rule=_RULE),
        3: Accounting(parameters=540_531, per_pixel=540_531, pixels="lr, exact", rule=_RULE),
        4: Accounting(parameters=549_624, per_pixel=549_624, pixels="lr, exact", rule=_RULE),
    },
    notes="The authors released no weights of this network, only of E-RFDN. Its layout here is the "
    "one that reproduces the published sizes.",
)

E_RFDN = NetworkSpec(
    name="e-rfdn",
    title="E-RFDN",
    paper=_PAPER,
    year=2020,
    scales=(2, 3, 4),
    implementation="lightsr.networks.rfdn:e_rfdn",
    input_convention="RGB in 0..255 as it is",
    # Its view at low resolution starts at the picture's corner and is stretched to its size.
    statistics="global",
    receptive_radius=None,
    cost={
        2: Cost(parameters=417_212, per_pixel=394_626, reduced=_REDUCED, least=15),
        3: Cost(parameters=423_977, per_pixel=401_376, reduced=_REDUCED, least=15),
        4: Cost(parameters=433_448, per_pixel=410_826, reduced=_REDUCED, least=15),
    },
    published={scale: Published(parameters=None, multi_adds=None, psnr={}) for scale in (2, 3, 4)},
    published_accounting={
        2: Accounting(parameters=417_212, per_pixel=417_212, pixels="lr, exact", rule=_RULE_E),
        3: Accounting(parameters=423_977, per_pixel=423_977, pixels="lr, exact", rule=_RULE_E),
        4: Accounting(parameters=433_448, per_pixel=433_448, pixels="lr, exact", rule=_RULE_E),
    },
    notes="The network of the AIM 2020 challenge, which many later papers call RFDN. Released at "
    "x4 only; x2 and x3 follow by the same rule.",
)

SPECS = (RFDN, E_RFDN)

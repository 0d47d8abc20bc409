"""MAFFSRN: what its paper says and what it costs."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published, Reduced

_PARAMETERS = {2: 402_394, 3: 418_774, 4: 441_706}
_PER_PIXEL = {2: 370_874, 3: 387_284, 4: 410_252}
_REDUCED = (
    # In each of sixteen blocks of 8 channels: a strided convolution, and two behind the pooling.
    Reduced(per_position=16 * 8 * 8 * 9, windows=((1, 2),)),
    Reduced(per_position=16 * 2 * 8 * 8 * 9, windows=((1, 2), (7, 3))),
)
_RULE = (
    "every convolution except the weight-normalised ones (the first, the fusions and the last), "
    "which the authors' counter evidently missed; both figures are cut off"
)

MAFFSRN = NetworkSpec(
    name="maffsrn",
    title="MAFFSRN",
    paper=(
        "A. Muqeet, J. Hwang, S. Yang, J. H. Kang, Y. Kim, S.-H. Bae, Multi-Attention Based Ultra "
        "Lightweight Image Super-Resolution, ECCV 2020 Workshops, arXiv:2008.12912"
    ),
    year=2020,
    scales=(2, 3, 4),
    implementation="lightsr.networks.maffsrn:maffsrn",
    input_convention="RGB in [0, 1] as it is",
    # Its view at low resolution starts at the picture's corner and is stretched to its size.
    statistics="global",
    receptive_radius=None,
    cost={
        scale: Cost(
            parameters=_PARAMETERS[scale],
            per_pixel=_PER_PIXEL[scale],
            reduced=_REDUCED,
            least=13,
        )
        for scale in _PARAMETERS
    },
    published={
        2: Published(
            parameters="402K",
            multi_adds="77.2G",
            psnr={
                "Set5": (37.97, 0.9603),
                "Set14": (33.49, 0.9170),
                "B100": (32.14, 0.8994),
                "Urban100": (31.96, 0.9268),
            },
        ),
        3: Published(
            parameters="418K",
            multi_adds="34.2G",
            psnr={
                "Set5": (34.32, 0.9269),
                "Set14": (30.35, 0.8429),
                "B100": (29.09, 0.8052),
                "Urban100": (28.13, 0.8521),
            },
        ),
        4: Published(
            parameters="441K",
            multi_adds="19.3G",
            psnr={
                "Set5": (32.18, 0.8948),
                "Set14": (28.58, 0.7812),
                "B100": (27.57, 0.7361),
                "Urban100": (26.04, 0.7848),
            },
        ),
    },
    published_accounting={
        scale: Accounting(
            parameters=_PARAMETERS[scale], per_pixel=332_288, reduced=_REDUCED, rule=_RULE
        )
        for scale in _PARAMETERS
    },
    notes="The true count includes the fixed bicubic step: 90, 180 and 300 per LR pixel at x2, x3 "
    "and x4. That step is torch's, not MATLAB's.",
)

SPECS = (MAFFSRN,)

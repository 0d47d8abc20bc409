"""Bicubic enlargement, the baseline: what tables say of it and what it costs."""

from __future__ import annotations

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_SCALES = (2, 3, 4, 8)
_RULE = "nothing, since nothing was printed; here, both passes of a resize with five taps a sample"
_PER_PIXEL = {scale: 15 * scale + 15 * scale**2 for scale in _SCALES}

BICUBIC = NetworkSpec(
    name="bicubic",
    title="Bicubic",
    paper=(
        "R. G. Keys, Cubic Convolution Interpolation for Digital Image Processing, IEEE "
        "Transactions on Acoustics, Speech, and Signal Processing 29(6):1153-1160, 1981, "
        "doi:10.1109/TASSP.1981.1163711"
    ),
    year=1981,
    scales=_SCALES,
    implementation="lightsr.networks.bicubic:bicubic",
    input_convention="RGB in [0, 1] as it is",
    statistics="local",
    receptive_radius=2,
    cost={scale: Cost(parameters=0, per_pixel=_PER_PIXEL[scale]) for scale in _SCALES},
    published={
        2: Published(
            parameters=None,
            multi_adds=None,
            psnr={
                "Set5": (33.66, 0.9299),
                "Set14": (30.24, 0.8688),
                "B100": (29.56, 0.8431),
                "Urban100": (26.88, 0.8403),
            },
        ),
        3: Published(
            parameters=None,
            multi_adds=None,
            psnr={
                "Set5": (30.39, 0.8682),
                "Set14": (27.55, 0.7742),
                "B100": (27.21, 0.7385),
                "Urban100": (24.46, 0.7349),
            },
        ),
        4: Published(
            parameters=None,
            multi_adds=None,
            psnr={
                "Set5": (28.42, 0.8104),
                "Set14": (26.00, 0.7027),
                "B100": (25.96, 0.6675),
                "Urban100": (23.14, 0.6577),
            },
        ),
        8: Published(
            parameters=None,
            multi_adds=None,
            psnr={
                "Set5": (24.40, 0.6580),
                "Set14": (23.10, 0.5660),
                "B100": (23.67, 0.5480),
                "Urban100": (20.74, 0.5160),
            },
        ),
    },
    published_accounting={
        scale: Accounting(parameters=0, per_pixel=_PER_PIXEL[scale], rule=_RULE)
        for scale in _SCALES
    },
    trained=False,
    notes="As MATLAB's imresize enlarges, to the last sample: on pictures of 8 and 16 bits that "
    "rounds after each of its two passes. Only by torch it is rounded once, at the end. The "
    "published PSNR is that of the usual tables.",
)

SPECS = (BICUBIC,)

"""ECBSR: what its paper says and what its sizes cost."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published

_PAPER = (
    "X. Zhang, H. Zeng, L. Zhang, "
    "Edge-oriented Convolution Block for Real-time Super Resolution on Mobile Devices, "
    "ACM Multimedia 2021, 4034-4043"
)
_RULE = (
    "the parameters times the LR pixels; the parameters are those of the network that is run, "
    "without its training branches, and count each slope of an activation twice"
)
_NOTHING = Published(parameters=None, multi_adds=None, psnr={})


def _spec(
    blocks: int,
    channels: int,
    cost: Mapping[int, tuple[int, int]],
    published: Mapping[int, Published] = MappingProxyType({}),
    notes: str = "",
) -> NetworkSpec:
    slopes = (blocks + 1) * channels
    return NetworkSpec(
        name=f"ecbsr-m{blocks}c{channels}",
        title=f"ECBSR-M{blocks}C{channels}",
        paper=_PAPER,
        year=2021,
        scales=(2, 3, 4),
        implementation="lightsr.networks.ecbsr:ecbsr",
        arguments=MappingProxyType({"blocks": blocks, "channels": channels}),
        input_convention="Y of BT.601 in 16..235, not rounded",
        statistics="local",
        receptive_radius=blocks + 2,
        counted="deployed",
        cost={scale: Cost(*counts) for scale, counts in cost.items()},
        published={scale: published.get(scale, _NOTHING) for scale in (2, 3, 4)},
        published_accounting={
            scale: Accounting(
                parameters=parameters + slopes,
                per_pixel=parameters + slopes,
                pixels="lr, exact",
                rule=_RULE,
            )
            for scale, (parameters, _) in cost.items()
        },
        notes=notes
        + "The true count is of the network that is run, and includes the fixed bicubic and colour "
        "steps: 102, 207 and 348 per LR pixel at x2, x3 and x4. The authors measured PSNR on luma "
        "that was not rounded.",
    )


M4C8 = _spec(4, 8, {2: (2_748, 2_769), 3: (3_113, 3_234), 4: (3_624, 3_879)})
M4C16 = _spec(4, 16, {2: (10_100, 10_041), 3: (10_825, 10_866), 4: (11_840, 12_015)})
M10C32 = _spec(10, 32, {2: (94_308, 93_705), 3: (95_753, 95_250), 4: (97_776, 97_407)})
M16C64 = _spec(
    16,
    64,
    {2: (594_884, 592_809), 3: (597_769, 595_794), 4: (601_808, 599_967)},
    {
        2: Published(
            parameters="596K",
            multi_adds="137.31G",
            psnr={
                "Set5": (37.90, 0.9615),
                "Set14": (33.34, 0.9178),
                "B100": (32.10, 0.9018),
                "Urban100": (31.71, 0.9250),
            },
        ),
        4: Published(
            parameters="603K",
            multi_adds="34.73G",
            psnr={
                "Set5": (31.92, 0.8946),
                "Set14": (28.34, 0.7817),
                "B100": (27.48, 0.7393),
                "Urban100": (25.81, 0.7773),
            },
        ),
    },
    "The ECBSR of comparison tables. ",
)

SPECS = (M4C8, M4C16, M10C32, M16C64)

"""What can be said of a network without building it. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Statistics = Literal["local", "global"]


@dataclass(frozen=True, slots=True)
class Cost:
    """Size and work of one network at one scale, under one rule of counting.

    Every layer works on a fixed multiple of the LR picture's pixels, or (behind a global pooling)
    once per picture, so the work at any size follows from two integers.
    """

    parameters: int
    per_pixel: int
    """Multi-adds per LR pixel."""
    per_picture: int = 0
    """Multi-adds that do not depend on the picture's size."""

    def multi_adds(self, height: int, width: int) -> int:
        """Return the multi-adds for one LR picture of `height` x `width` pixels."""
        return self.per_pixel * height * width + self.per_picture


@dataclass(frozen=True, slots=True)
class Published:
    """What the paper's tables say of one network at one scale.

    `parameters` and `multi_adds` (at 1280x720 output) are strings as printed, such as "664K" and
    "28.4G"; `psnr` maps a test set to its PSNR in dB and SSIM on luma.
    """

    parameters: str
    multi_adds: str
    psnr: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Everything about a network that can be said without building it."""

    name: str
    """Lower case, with the paper's suffix: "fdiwn-m"."""
    title: str
    """The name as the paper prints it."""
    paper: str
    """Authors, title, venue, and where to find it."""
    year: int
    scales: tuple[int, ...]
    implementation: str
    """Import path of its builder, "package.module:name", called as `name(scale, **arguments)`."""
    input_convention: str
    """What the network sees inside, in words; outside it is always RGB in [0, 1]."""
    statistics: Statistics
    """"local": an output pixel depends on a bounded neighbourhood, and tiles with a halo of
    `receptive_radius` equal the whole picture. "global": it depends on the whole picture."""
    receptive_radius: int | None
    """LR pixels that an output pixel looks around itself; None where statistics are global."""
    cost: Mapping[int, Cost]
    """The true cost by scale: every convolution counted. Tests hold it equal to the network."""
    published: Mapping[int, Published]
    published_cost: Mapping[int, Cost]
    """The cost by scale under the rule that gives the published figures."""
    published_rule: str
    """That rule, in a sentence."""
    arguments: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    notes: str = ""

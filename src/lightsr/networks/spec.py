"""What can be said of a network without building it. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Literal

Statistics = Literal["local", "global"]

Protocol = Literal["common", "luma", "luma, replicated", "unrounded", "chopped"]
"""How the PSNR of a paper was measured. "common": from an LR picture of 8 bits, RGB. "luma": from
unrounded LR luma, made of the original's luma in 8 bits; luma is all that is there. "luma,
replicated": the same with a replicated border, which is how pre-enlarged networks enlarge here.
"unrounded": as is common, but the LR picture is not rounded. "chopped": as is common, but in four
overlapping parts, and from LR pictures made with a replicated border."""


@dataclass(frozen=True, slots=True)
class Reduced:
    """Layers that work on fewer positions than the LR picture has pixels."""

    per_position: int
    """Multi-adds per position that is left."""
    windows: tuple[tuple[int, int], ...]
    """What thins the positions out, in order: a window's size and stride, without padding. With
    padding of p, a window counts as smaller by 2p."""

    def multi_adds(self, height: int, width: int) -> int:
        """Return the multi-adds for one LR picture of `height` x `width` pixels."""
        for size, stride in self.windows:
            height, width = ((side - size) // stride + 1 for side in (height, width))
        return self.per_position * height * width


@dataclass(frozen=True, slots=True)
class Cost:
    """Size and work of one network at one scale, under one rule of counting.

    Nearly every layer works on a fixed multiple of the LR picture's pixels, or (behind a global
    pooling) once per picture; with what strided layers do, the work at any size follows exactly.
    """

    parameters: int
    per_pixel: int
    """Multi-adds per LR pixel."""
    per_picture: int = 0
    """Multi-adds that do not depend on the picture's size."""
    reduced: tuple[Reduced, ...] = ()
    least: int = 1
    """A picture with a shorter side is extended to this, in LR pixels."""

    def multi_adds(self, height: int, width: int) -> int:
        """Return the multi-adds for one LR picture of `height` x `width` pixels."""
        height, width = max(height, self.least), max(width, self.least)
        strided = sum(layers.multi_adds(height, width) for layers in self.reduced)
        return self.per_pixel * height * width + strided + self.per_picture


Pixels = Literal["lr", "lr, rounded up", "lr, exact", "output"]
"""What a published count was multiplied with: the pixels of an LR picture of output // scale (or
rounded up) per side, output pixels / scale^2 where that is no whole picture, or output pixels."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """How a published figure was counted, so that counting so again gives it."""

    parameters: int
    per_pixel: int
    """Multi-adds per pixel of the kind that `pixels` names."""
    rule: str
    """What was counted, to be read behind "the published multi-adds count"."""
    per_picture: int = 0
    pixels: Pixels = "lr"
    reduced: tuple[Reduced, ...] = ()
    """Counted on an LR picture, rounded down."""

    def multi_adds(self, width: int, height: int, scale: int) -> int:
        """Return the multi-adds for an output of `width` x `height` pixels."""
        strided = sum(part.multi_adds(height // scale, width // scale) for part in self.reduced)
        pixels = self._pixels(width, height, scale)
        return round(self.per_pixel * pixels) + strided + self.per_picture

    def _pixels(self, width: int, height: int, scale: int) -> Fraction:
        if self.pixels == "output":
            return Fraction(width * height)
        if self.pixels == "lr, exact":
            return Fraction(width * height, scale**2)
        if self.pixels == "lr, rounded up":
            return Fraction(-(-width // scale) * -(-height // scale))
        return Fraction((width // scale) * (height // scale))


@dataclass(frozen=True, slots=True)
class Published:
    """What the paper's tables say of one network at one scale.

    `parameters` and `multi_adds` (at 1280x720 output) are strings as printed, such as "664K" and
    "28.4G", or None where nothing was printed; `psnr` maps a test set to its PSNR in dB and SSIM
    on luma.
    """

    parameters: str | None
    multi_adds: str | None
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
    """The true cost by scale: every convolution counted. Tests hold it equal to what is
    `counted`."""
    published: Mapping[int, Published]
    published_accounting: Mapping[int, Accounting]
    """By scale, the way of counting that gives the published figures."""
    arguments: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    protocol: Protocol = "common"
    """How its authors measured what `published` says."""
    notes: str = ""
    counted: Literal["network", "deployed"] = "network"
    """What `cost` counts: the network as it is trained, or, where training adds branches that are
    multiplied out for inference, its deploy form."""
    reconstruction: str | None = None
    """For a stand-in, where the published design is not public: what it is, as a sentence without
    its subject and full stop. `label` says so wherever the network is named to people."""
    trained: bool = True
    """False: there is nothing in it to train, and it needs no weights."""

    @property
    def label(self) -> str:
        """The name as people are shown it."""
        return self.name if self.reconstruction is None else f"{self.name} (reconstruction)"

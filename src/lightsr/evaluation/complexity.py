"""Parameters and multiply-adds of a network, beside the published ones. Torch-free."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lightsr.errors import UserError
from lightsr.networks.registry import NetworkSpec, network_spec

HD = (1280, 720)
"""Width and height of the output that the literature counts multiply-adds for."""

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True)
class Complexity:
    """What one network costs at one scale for an output of `size` = (width, height)."""

    spec: NetworkSpec
    scale: int
    size: tuple[int, int]

    @property
    def lr_size(self) -> tuple[int, int]:
        """Width and height of the LR picture that is counted: `size` // `scale`."""
        return self.size[0] // self.scale, self.size[1] // self.scale

    @property
    def parameters(self) -> int:
        """Every parameter, of the network as it is trained unless its spec says otherwise."""
        return self.spec.cost[self.scale].parameters

    @property
    def multi_adds(self) -> int:
        """One for each weight and position that it is applied at; biases are not counted."""
        width, height = self.lr_size
        return self.spec.cost[self.scale].multi_adds(height, width)

    @property
    def published_accounting(self) -> tuple[int, int]:
        """Parameters and multiply-adds counted by the rule that the published figures follow."""
        accounting = self.spec.published_accounting[self.scale]
        return accounting.parameters, accounting.multi_adds(*self.size, self.scale)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `lightsr complexity --json` prints; counts are integers.

        A published count is null where none was published.
        """
        published = self.spec.published[self.scale]
        parameters, multi_adds = self.published_accounting
        return {
            "name": self.spec.name,
            "title": self.spec.title,
            "reconstruction": self.spec.reconstruction,
            "scale": self.scale,
            "size": list(self.size),
            "lr_size": list(self.lr_size),
            "parameters": self.parameters,
            "multi_adds": self.multi_adds,
            "published": {
                "parameters": _printed_or_none(published.parameters),
                "multi_adds": _printed_or_none(published.multi_adds),
                "printed": {
                    "parameters": published.parameters,
                    "multi_adds": published.multi_adds,
                },
                "psnr": {name: psnr for name, (psnr, _) in published.psnr.items()},
                "ssim": {name: ssim for name, (_, ssim) in published.psnr.items()},
            },
            "published_accounting": {
                "parameters": parameters,
                "multi_adds": multi_adds,
                "rule": self.spec.published_accounting[self.scale].rule,
            },
        }


def complexity(model: str, scale: int, size: tuple[int, int] = HD) -> Complexity:
    """Return what `model` costs at `scale` for an output of `size` = (width, height).

    The LR picture has `size` // `scale` pixels, rounded down per side. Raises `UserError` for an
    unknown model or scale and for a size of less than one LR pixel.
    """
    spec = network_spec(model, scale)
    if min(size) < scale:
        raise UserError(f"an output of {size[0]}x{size[1]} has not one LR pixel at x{scale}")
    return Complexity(spec, scale, size)


def printed_count(text: str) -> int:
    """Return the integer that a printed count stands for: "664K", "28.4G", "1,592K"."""
    match = re.fullmatch(r"([\d.,]+)\s*([KMGT]?)", text)
    if match is None:
        raise ValueError(f"{text!r} is no count")
    return int(Decimal(match[1].replace(",", "")) * _UNITS[match[2]])


def _printed_or_none(text: str | None) -> int | None:
    return None if text is None else printed_count(text)

"""Building a network from its spec."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from lightsr.networks.registry import network_spec

if TYPE_CHECKING:
    from torch import nn


def create_network(name: str, scale: int) -> nn.Module:
    """Build the network `name` at `scale`, freshly initialised.

    It takes RGB in [0, 1], float [n, 3, h, w], and gives [n, 3, scale * h, scale * w], not
    clipped. Raises `UserError` for an unknown name or scale.
    """
    spec = network_spec(name, scale)
    module, _, attribute = spec.implementation.partition(":")
    builder = getattr(import_module(module), attribute)
    return cast("nn.Module", builder(scale, **spec.arguments))

"""Lightweight single-image super-resolution: networks, weights, and the tools around them.

The names below are imported when they are first used, so that `import lightsr` is quick and
needs no torch (only `create_network` and `load_network` do).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lightsr._version import __version__
from lightsr.errors import (
    BackendError,
    LightsrError,
    PictureError,
    UserError,
    VideoError,
    WeightsError,
)

if TYPE_CHECKING:
    from lightsr.engine.once import upscale
    from lightsr.engine.upscaler import Upscaler
    from lightsr.networks.registry import list_networks
    from lightsr.weights.create import create_network, load_network

__all__ = [
    "BackendError",
    "LightsrError",
    "PictureError",
    "Upscaler",
    "UserError",
    "VideoError",
    "WeightsError",
    "__version__",
    "create_network",
    "list_networks",
    "load_network",
    "upscale",
]

_HOMES = {
    "Upscaler": "lightsr.engine.upscaler",
    "create_network": "lightsr.weights.create",
    "list_networks": "lightsr.networks.registry",
    "load_network": "lightsr.weights.create",
    "upscale": "lightsr.engine.once",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lightsr' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

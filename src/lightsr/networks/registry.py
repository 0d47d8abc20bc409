"""The networks lightsr knows.

A spec is data and names its class by import path, so that listing networks, choosing weights and
running a backend work where torch is not installed. To add a network: one file with its class,
one with its specs, and a line here.
"""

from __future__ import annotations

from lightsr.errors import UserError, unknown_name
from lightsr.networks.spec import Accounting, Cost, NetworkSpec, Published
from lightsr.networks.specs import (
    awsrn,
    bicubic,
    carn,
    drcn,
    ecbsr,
    fdiwn,
    fsrcnn,
    idn,
    imdn,
    lapar,
    lapsrn,
    madnet,
    maffsrn,
    rfdn,
    srcnn,
    vdsr,
)

__all__ = [
    "Accounting",
    "Cost",
    "NetworkSpec",
    "Published",
    "known_scales",
    "list_networks",
    "network_spec",
]

_ARCHITECTURES = (
    bicubic,
    srcnn,
    fsrcnn,
    vdsr,
    drcn,
    lapsrn,
    idn,
    carn,
    imdn,
    awsrn,
    madnet,
    rfdn,
    maffsrn,
    ecbsr,
    lapar,
    fdiwn,
)

_REGISTRY: dict[str, NetworkSpec] = {
    spec.name: spec for architecture in _ARCHITECTURES for spec in architecture.SPECS
}


def list_networks() -> list[str]:
    """Return the names of all networks, sorted."""
    return sorted(_REGISTRY)


def known_scales() -> tuple[int, ...]:
    """Return every scale that some network comes in, ascending."""
    return tuple(sorted({scale for spec in _REGISTRY.values() for scale in spec.scales}))


def network_spec(name: str, scale: int | None = None) -> NetworkSpec:
    """Return the spec named `name`.

    Raises `UserError` for an unknown name (with the nearest known one) and, where `scale` is
    given, for a scale that the network does not come in.
    """
    if name not in _REGISTRY:
        raise unknown_name("model", name, _REGISTRY)
    spec = _REGISTRY[name]
    if scale is not None and scale not in spec.scales:
        known = ", ".join(f"x{s}" for s in spec.scales)
        raise UserError(f"{name} has no scale x{scale}; it comes in {known}")
    return spec

"""Turning our weights into the checkpoints that others would have saved of the same network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Tensors = dict[str, Tensor]


def renamed(state: Tensors, their_name: Callable[[str], str]) -> Tensors:
    """Return tensors under the authors' names, which must all differ."""
    theirs = {their_name(ours): tensor for ours, tensor in state.items()}
    assert len(theirs) == len(state)
    return theirs


def without_weight_norm(state: Tensors) -> Tensors:
    """Return what is left after `torch.nn.utils.remove_weight_norm`."""
    plain: Tensors = {}
    for name, tensor in state.items():
        if name.endswith(".weight_v"):
            length = state[f"{name.removesuffix('v')}g"]
            norm = tensor.flatten(1).norm(dim=1).view_as(length)
            plain[name.removesuffix("_v")] = tensor * length / norm
        elif not name.endswith(".weight_g"):
            plain[name] = tensor
    return plain


def with_newer_weight_norm(state: Tensors) -> Tensors:
    """Return what `torch.nn.utils.parametrizations.weight_norm` would have stored."""
    part = {"weight_g": "original0", "weight_v": "original1"}
    newer: Tensors = {}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(".")
        newer[f"{layer}.parametrizations.weight.{part[kind]}" if kind in part else name] = tensor
    return newer


FORMS = (dict[str, torch.Tensor], without_weight_norm, with_newer_weight_norm)
"""The ways to store the same weights."""

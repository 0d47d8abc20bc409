"""Where a run computes and in what precision, and its place among the processes that share it.

Processes are started by torchrun, one for each GPU or group of CPU cores, on one machine or many:

    torchrun --nproc_per_node 2 -m lightsr train RECIPE.yaml -o RUN
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import torch

from lightsr.errors import BackendError, UserError
from lightsr.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Place:
    """Place of a process among those of its run, as torchrun tells it by the environment."""

    rank: int
    world: int
    local_rank: int
    local_world: int

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0


def own_place() -> Place:
    """Return this process's place; it is alone unless torchrun started it."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Place(0, 1, 0, 1)
    return Place(*(int(os.environ[name]) for name in names))


def choose_device(named: str, place: Place) -> torch.device:
    """Return this process's device.

    Raises `UserError` for a name that means none, and `BackendError` if the machine lacks it.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", named):
        raise UserError(f"device: {named!r} is none; choose auto, cpu, cuda, cuda:N or mps")
    if named == "auto":
        named = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(named)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise BackendError("device: there is no mps here; choose auto or cpu")
    if device.type != "cuda":
        return device
    chosen = ":" in named
    index = device.index if chosen else place.local_rank
    if place.world > 1 and chosen:
        raise UserError("device: with several processes each has a GPU of its own; choose cuda")
    count = torch.cuda.device_count()
    if index >= count:
        raise BackendError(f"device: cuda:{index} is not there, {count} of them are; choose auto")
    return torch.device("cuda", index)


def check_graphs(recipe: Recipe, device: torch.device, place: Place) -> None:
    """Raise `UserError` where a recipe wants graphs and they cannot be had."""
    if recipe.graphs and (device.type != "cuda" or place.world > 1):
        raise UserError("graphs: one process on a CUDA GPU can record them; leave it out here")


def choose_precision(recipe: Recipe, device: torch.device) -> torch.dtype:
    """Return the type that convolutions compute in.

    Raises `BackendError` for fp16 where gradients of it cannot be scaled.
    """
    if recipe.precision == "fp16" and device.type != "cuda":
        raise BackendError(f"precision: fp16 needs a CUDA GPU, not {device}; choose bf16 or fp32")
    if recipe.precision != "auto":
        kinds = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        return kinds[recipe.precision]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16

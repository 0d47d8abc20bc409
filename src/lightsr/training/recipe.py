"""What a training run is made of: a YAML file, read strictly.

A misspelt key is an error that names the nearest right one; every value is checked before
anything is computed. The resolved recipe is saved in the run folder, so that a run can be told
from its folder alone.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lightsr.errors import UserError

Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]


class Strict(BaseModel):
    """A part of a recipe: unknown keys are refused, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Strict):
    """Training pictures: folders of HR pictures; their LR is made with the exact bicubic."""

    folders: tuple[Path, ...]
    """Folders of HR pictures, read recursively. `~` and relative paths are allowed."""
    cache: Path = Path("cache")
    """Where the decoded pictures are kept, as memory-mapped arrays."""
    border: Literal["symmetric", "replicate"] = "replicate"
    """MATLAB's border rule for the LR pictures."""
    patch: Positive = 48
    """Side of a training patch in LR pixels."""
    batch: Positive = 16
    """Patches an iteration."""


class Optimiser(Strict):
    """Adam, and how its learning rate goes."""

    learning_rate: Rate = 2e-4
    schedule: Literal["cosine", "halve"] = "halve"
    """"halve": halved every `halve_every` iterations. "cosine": to zero at the last one."""
    halve_every: Positive = 200_000
    warm_up: Annotated[int, Field(ge=0)] = 0
    """Iterations over which the rate rises from zero."""
    clip: Rate | None = None
    """Largest norm of the gradient; None leaves it as it is."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the exponential moving average of the weights, which is what is validated and
    kept; 0 keeps the weights themselves."""


class Validation(Strict):
    """Measuring on test sets while training, with the exact protocol."""

    folders: dict[str, Path] = Field(default_factory=dict)
    every: Positive = 1000


class Recipe(Strict):
    """A training run."""

    network: str
    scale: Literal[2, 3, 4, 8]
    iterations: Positive = 1_000_000
    seed: int = 0
    start: Literal["default", "bicubic"] = "default"
    """"default": the network's own initialisation. "bicubic": the same, its skip path set to
    bicubic enlargement."""
    warm_start: Path | None = None
    """A weights file to take tensors from where name and shape agree with this network's, over
    what `start` gave (so a x2 network can start a x3 one)."""
    data: Data
    optimiser: Optimiser = Optimiser()
    validation: Validation = Validation()
    checkpoint_every: Positive = 500
    threads: Positive | None = None
    """CPU threads; None leaves the choice to torch."""


def read_recipe(path: Path, overrides: list[str] | None = None) -> Recipe:
    """Read a YAML recipe; `overrides` are "key=value" strings, "data.batch=8" reaching inside.

    Raises `UserError` for a file that cannot be read, and for unknown keys or unfit values.
    """
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a readable recipe: {reason}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: a recipe is a mapping of keys to values")
    tree = cast("dict[str, Any]", content)
    for override in overrides or []:
        _override(tree, override)
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise UserError(f"{path}: {_explain(error)}") from error


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write the whole recipe, defaults included, as YAML."""
    path.write_text(
        yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), encoding="utf-8"
    )


def _override(tree: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise UserError(f"--set {override}: write it as key=value")
    *parents, last = key.split(".")
    for parent in parents:
        inner = tree.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise UserError(f"--set {override}: {parent} holds a value, not keys")
        tree = cast("dict[str, Any]", inner)
    try:
        tree[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"--set {override}: the value is no YAML") from error


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    if first["type"] != "extra_forbidden":
        return f"{'.'.join(where)}: {first['msg']}"
    known = _keys_beside(where)
    near = get_close_matches(where[-1], known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    return f"unknown key {'.'.join(where)!r}; {hint}"


def _keys_beside(where: list[str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in where[:-1]:
        annotation = model.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return sorted(model.model_fields)

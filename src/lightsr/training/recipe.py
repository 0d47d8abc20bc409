"""What a training run is made of: a YAML file, read strictly.

A misspelt key is an error that names the nearest right one; every value is checked before
anything is computed. The resolved recipe is saved in the run folder, so that a run can be told
from its folder alone. The text under each key is also what editors show for it, by way of the
schema (`recipes/recipe.schema.json`).
"""

from __future__ import annotations

import json
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from lightsr.errors import UserError
from lightsr.networks.registry import network_spec

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def _ordered(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError(f"write the smaller of {span[0]:g} and {span[1]:g} first")
    return span


Span = Annotated[tuple[NotNegative, NotNegative], AfterValidator(_ordered)]
"""[low, high]: a value between them, each as likely as any other."""


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Strict(BaseModel):
    """A part of a recipe: unknown keys are refused, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Degradation(Strict):
    """A step from the HR picture to its LR picture."""

    probability: Share = 1.0
    """How often the step is taken."""


class Blur(Degradation):
    """Gaussian blur."""

    kind: Literal["blur"]
    sigma: Span = (0.2, 2.0)
    """Deviation in pixels of the picture at that point, along the longer axis of the Gaussian."""
    roundness: Span = (1.0, 1.0)
    """The shorter axis as a share of the longer one; [1, 1] is round. The angle is any."""

    @field_validator("roundness")
    @classmethod
    def _at_most_round(cls, span: tuple[float, float]) -> tuple[float, float]:
        if not 0 < span[0] <= span[1] <= 1:
            raise ValueError("lies above 0 and at most at 1")
        return span


Filter = Literal["bicubic", "bilinear", "box", "lanczos"]


class Shrink(Strict):
    """The step down to the LR size, always taken; once in every list."""

    kind: Literal["shrink"]
    filters: Annotated[tuple[Filter, ...], Field(min_length=1)] = ("bicubic",)
    """One of these is drawn; "bicubic" is MATLAB's, the others are Pillow's."""


class Noise(Degradation):
    """Noise of every sample."""

    kind: Literal["noise"]
    gaussian: Span = (0.0, 10.0)
    """Deviation in levels of 0..255."""
    poisson: Span = (0.0, 0.0)
    """Photon noise: the deviation, in levels, that it has at white."""
    grey: Share = 0.0
    """How often red, green and blue get the same noise."""


class Jpeg(Degradation):
    """Compression as JPEG and back."""

    kind: Literal["jpeg"]
    quality: Span = (40, 95)
    """Pillow's quality."""

    @field_validator("quality")
    @classmethod
    def _a_quality(cls, span: tuple[float, float]) -> tuple[float, float]:
        if not 1 <= span[0] <= span[1] <= 100:
            raise ValueError("lies in 1..100")
        return span


AnyDegradation = Annotated[Blur | Shrink | Noise | Jpeg, Field(discriminator="kind")]


class Stage(Strict):
    """Another patch size from some iteration on."""

    after: Positive
    """Iterations that come before it."""
    patch: Positive
    batch: Positive


class Data(Strict):
    """Training pictures: folders of HR pictures; their LR is made with the exact bicubic."""

    folders: Annotated[tuple[Path, ...], Field(min_length=1), BeforeValidator(_several)]
    """Folders of HR pictures, read recursively. `~` and relative paths are allowed."""
    cache: Path = Path("cache")
    """Where the decoded pictures are kept, as memory-mapped arrays."""
    border: Literal["symmetric", "replicate"] = "replicate"
    """MATLAB's border rule for the LR pictures."""
    patch: Positive = 48
    """Side of a training patch in LR pixels."""
    batch: Positive = 16
    """Patches an iteration, over all devices together."""
    stages: tuple[Stage, ...] = ()
    """Other patch and batch sizes later in the run, as [{after: 100000, patch: 64, batch: 8}]."""
    augment: bool = True
    """Flip and transpose patches at random, which gives each in its eight positions."""
    degradations: tuple[AnyDegradation, ...] = ()
    """Steps that make the LR patches of real-looking pictures, in their order; empty for the
    exact bicubic alone. "shrink" is one of them."""
    resident: Literal["auto", "yes", "no"] = "auto"
    """Whether the whole set is held in the memory of the device and patches are cut there.
    "auto": on a GPU where it fits and there are no degradations."""

    @model_validator(mode="after")
    def _consistent(self) -> Data:
        starts = [stage.after for stage in self.stages]
        if any(one >= other for one, other in pairwise(starts)):
            raise ValueError("stages must come one after the other")
        shrinks = sum(step.kind == "shrink" for step in self.degradations)
        if self.degradations and shrinks != 1:
            raise ValueError(f"degradations need {{kind: shrink}} once, not {shrinks} times")
        if self.degradations and self.resident == "yes":
            raise ValueError("degradations are made on the CPU: resident cannot be yes")
        return self

    def sizes(self, iteration: int) -> tuple[int, int]:
        """Return the patch side and the batch of an iteration, counted from 0."""
        sizes = self.patch, self.batch
        for stage in self.stages:
            if iteration >= stage.after:
                sizes = stage.patch, stage.batch
        return sizes

    @property
    def largest_patch(self) -> int:
        """The largest patch side of the run; smaller pictures cannot be used."""
        return max([self.patch, *(stage.patch for stage in self.stages)])


class Loss(Strict):
    """What is made small. Values are on the scale of 0..255 unless `peak` says otherwise."""

    kind: Literal["l1", "l2", "charbonnier"] = "l1"
    """Of the difference d between output and HR: |d|, d^2, or sqrt(d^2 + epsilon^2)."""
    epsilon: Rate = 1e-3
    """For charbonnier, as part of `peak`."""
    luma: bool = False
    """Compare Y of BT.601 alone, for networks that enlarge nothing else."""
    peak: Literal[1, 255] = 255
    """What white counts. Adam hardly cares, SGD's learning rate and every `clip` do."""
    reduction: Literal["mean", "sum"] = "mean"
    """Over a patch; over the patches of a batch it is always the mean."""
    weight: Rate = 1.0
    """What all is multiplied with, such as 0.5 for half the squared error."""
    shave: Count = 0
    """HR pixels along each edge of the patches that are not compared."""
    intermediate: Share = 0.0
    """Part that the network's predictions before the last one have in the loss: LapSRN's lower
    levels, DRCN's recursions. The last one has the rest."""
    intermediate_until: Positive | None = None
    """Iteration until which `intermediate` falls to 0, evenly; None keeps it."""


class Group(Strict):
    """Parameters that learn at a rate of their own."""

    match: str
    """Their names, as a pattern: "*.bias", "body.deconvolution.*"."""
    rate: Rate
    """What the learning rate is multiplied with."""


class Optimiser(Strict):
    """How the weights move, and how the learning rate goes."""

    kind: Literal["adam", "adamw", "sgd", "soap"] = "adam"
    """soap (`lightsr.training.soap`) takes longer for a step and needs several times fewer; its
    learning rate is five to fifty times that of adam."""
    learning_rate: Rate = 2e-4
    betas: (
        tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] | None
    ) = None
    """Of adam and adamw, 0.9 and 0.999 if not given, and of soap, 0.95 and 0.95."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of sgd."""
    weight_decay: NotNegative = 0.0
    """Of adam and sgd as part of the gradient, of adamw and soap apart from it."""
    groups: tuple[Group, ...] = ()
    """Parameters that learn at a rate of their own; the first match counts."""
    schedule: Literal["constant", "halve", "milestones", "cosine"] = "halve"
    """"halve": halved every `halve_every` iterations. "milestones": multiplied with `factor` at
    each of `milestones`. "cosine": down to `floor` at the last iteration, and at each of
    `restarts`, where it begins anew."""
    halve_every: Positive = 200_000
    milestones: tuple[Positive, ...] = ()
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    restarts: tuple[Positive, ...] = ()
    floor: Share = 0.0
    """Part of `learning_rate` below which no schedule goes."""
    warm_up: Count = 0
    """Iterations over which the rate rises, at the start and after each restart."""
    warm_up_from: Share = 0.0
    """Part of the rate that warming up begins with."""
    clip: Rate | None = None
    """Largest norm of the gradient; None leaves it as it is."""
    clip_step: Rate | None = None
    """VDSR's adjustable clipping: no element of the gradient, times the learning rate, is larger
    than this."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the exponential moving average of the weights, which is what is validated and
    kept; 0 keeps the weights themselves."""

    @model_validator(mode="after")
    def _in_order(self) -> Optimiser:
        for name, values in (("milestones", self.milestones), ("restarts", self.restarts)):
            if any(one >= other for one, other in pairwise(values)):
                raise ValueError(f"{name} must come one after the other")
        if self.schedule == "milestones" and not self.milestones:
            raise ValueError("the schedule milestones needs some in optimiser.milestones")
        return self


class Validation(Strict):
    """Measuring on test sets while training, with the exact protocol."""

    folders: dict[str, Path] = Field(default_factory=dict)
    """Folders of HR pictures by the name of the set."""
    every: Positive = 1000
    samples: Count = 2
    """Pictures of each set whose enlargements are shown, in the run folder and TensorBoard."""


class Recipe(Strict):
    """A training run."""

    network: str
    """A name of `lightsr models`."""
    scale: Literal[2, 3, 4, 8]
    iterations: Positive = 1_000_000
    seed: Count = 0
    start: Literal["default", "bicubic"] = "default"
    """"default": the network's own initialisation. "bicubic": the same, its skip path set to
    bicubic enlargement."""
    warm_start: Path | None = None
    """A weights file to take tensors from where name and shape agree with this network's, over
    what `start` gave (so a x2 network can start a x3 one)."""
    data: Data
    loss: Loss = Loss()
    optimiser: Optimiser = Optimiser()
    validation: Validation = Validation()
    checkpoint_every: Positive = 500
    keep: Positive = 2
    """Checkpoints that are kept, newest first; the best one is kept besides."""
    device: str = "auto"
    """"auto" (a GPU if there is one), "cpu", "cuda", "cuda:1" and so on, or "mps"."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """What convolutions compute in; colours, statistics and sums stay in fp32. "auto": fp32 on
    a CPU, bf16 on a GPU that has it, fp16 on one that has not."""
    compile: Literal["auto"] | bool = "auto"
    """Whether torch.compile is used, on the block that the network repeats. "auto": on GPUs.
    On CPUs FDIWN has kernels in C++ instead, compiled if a compiler is there and this not false."""
    graphs: bool = False
    """Whether both passes of the network are recorded as CUDA graphs, one for each patch size, so
    that starting kernels holds up nothing. One process on a CUDA GPU; it has not been measured."""
    tensorboard: bool = True
    """Whether curves and sample pictures are also written for TensorBoard, if it is installed."""
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
        recipe = Recipe.model_validate(tree)
        network_spec(recipe.network, recipe.scale)
    except ValidationError as error:
        raise UserError(f"{path}: {_explain(error)}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return recipe


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write the whole recipe, defaults included, as YAML."""
    path.write_text(
        yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), encoding="utf-8"
    )


def schema() -> str:
    """Return the JSON schema of recipes, which editors complete and check YAML by."""
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()}
    return json.dumps(made, indent=2) + "\n"


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
    # A misspelt key may also be missed where it belongs: it is the cause.
    errors = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    first = errors[0]
    where = [str(part) for part in first["loc"]]
    if first["type"] != "extra_forbidden":
        place = ".".join(where)
        return f"{place}: {first['msg']}" if place else first["msg"]
    known = _keys_beside(first["loc"])
    near = get_close_matches(where[-1], known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    return f"unknown key {'.'.join(where)!r}; {hint}"


def _keys_beside(where: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the part of a recipe that a place such as ("data", "pach") lies in."""
    model: type[BaseModel] = Recipe
    inner: list[type[BaseModel]] = []
    for part in where[:-1]:
        if isinstance(part, int):
            continue
        if part in model.model_fields:
            inner = _models(model.model_fields[part].annotation)
            model = inner[0] if inner else model
        else:  # which of several kinds
            model = next(
                one for one in inner if part in get_args(one.model_fields["kind"].annotation)
            )
    return sorted(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models within a type such as tuple[Stage, ...]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]

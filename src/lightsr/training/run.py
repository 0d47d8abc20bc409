"""A training run in its folder: started, measured, stopped, resumed, finished.

recipe.yaml            the resolved recipe
pictures.json          the pictures that it sees
last.ckpt              everything needed to go on; earlier and best ones: see `checkpoints`
log.csv                iteration, loss, seconds, and the PSNR measured now and then
weights.safetensors    the weights of the last measurement, in lightsr's format
best.safetensors       those that measured best
samples/, tensorboard/ pictures enlarged at the last measurement; curves
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader

from lightsr.errors import LightsrError, UserError
from lightsr.training.checkpoints import Checkpoints, WholeFiles
from lightsr.training.data import load_pairs
from lightsr.training.devices import (
    Place,
    check_graphs,
    choose_device,
    choose_precision,
    own_place,
)
from lightsr.training.inventory import take_stock
from lightsr.training.keeper import Keeper
from lightsr.training.measuring import find_sets
from lightsr.training.module import SuperResolution
from lightsr.training.progress import LoggedProgress, Progress
from lightsr.training.recipe import Recipe, read_recipe, write_recipe
from lightsr.training.resident import choose_patches
from lightsr.training.stopping import Stopped, StopSignals

log = logging.getLogger(__name__)

_LONGEST_WAIT = timedelta(hours=2)
"""How long processes wait for one that measures."""


def train(
    recipe: Recipe, folder: Path, *, device: str | None = None, progress: Progress | None = None
) -> Path:
    """Train from the start in a new run folder; return the weights file.

    `device` goes before the recipe's. Raises `UserError` if the folder holds a run already or the
    recipe's data is not usable, and `Stopped` when it was told to stop.
    """
    if own_place().first and (folder / "recipe.yaml").exists():
        raise UserError(f"{folder}: holds a run already; resume it, or name another folder")
    return _fit(recipe, folder, None, device, progress or LoggedProgress())


def resume(folder: Path, *, device: str | None = None, progress: Progress | None = None) -> Path:
    """Go on with the run in `folder` from its last checkpoint; return the weights file."""
    if not (folder / "recipe.yaml").exists():
        raise UserError(f"{folder}: holds no run to resume (no recipe.yaml)")
    recipe = read_recipe(folder / "recipe.yaml")
    checkpoints = Checkpoints(folder, recipe.keep)
    if own_place().first:
        checkpoints.clean()
    return _fit(recipe, folder, checkpoints.newest(), device, progress or LoggedProgress())


def _fit(
    recipe: Recipe,
    folder: Path,
    newest: tuple[Path, int] | None,
    device_named: str | None,
    progress: Progress,
) -> Path:
    place = own_place()
    device = choose_device(device_named or recipe.device, place)
    compute = choose_precision(recipe, device)
    check_graphs(recipe, device, place)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    checkpoint, first = newest or (None, 0)
    sets = find_sets(recipe)
    pairs = load_pairs(recipe.data, recipe.scale)
    patches = choose_patches(
        pairs, recipe.data, recipe.scale, recipe.seed, first, device, place.rank, place.world
    )
    module = SuperResolution(recipe, compute)
    if place.first:
        # Only now: what is wrong with a recipe shows before, and leaves no folder behind.
        folder.mkdir(parents=True, exist_ok=True)
        if checkpoint is None:
            beside = folder / "recipe.yaml.part"
            write_recipe(recipe, beside)
            beside.replace(folder / "recipe.yaml")
        take_stock(pairs, folder, first)
        log.info("%d pictures, on %s in %s", len(pairs), _named(device, place), _short(compute))
        if checkpoint is not None:
            log.info("going on from iteration %d", first)
    with StopSignals() as signals, _only_what_matters():
        keeper = Keeper(recipe, folder, sets, place, device, first, progress, signals)
        trainer = _trainer(recipe, folder, place, device, compute, keeper)
        # One batch a time comes out of the set ready-made, so the loader must not batch again.
        loader = DataLoader(patches, batch_size=None)
        try:
            trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
        except Stopped:
            if place.first:
                log.info("stopped after iteration %d", trainer.global_step)
            raise
        except RuntimeError as error:
            if place.world == 1:
                raise
            raise _lost_process(folder, recipe, error) from error
    return folder / "weights.safetensors"


def _trainer(
    recipe: Recipe,
    folder: Path,
    place: Place,
    device: torch.device,
    compute: torch.dtype,
    keeper: Keeper,
) -> lightning.Trainer:
    plugins: list[Any] = [WholeFiles()]
    if compute == torch.float16:
        plugins.append(ScaledGradients("16-mixed", device.type, torch.amp.GradScaler(device.type)))
    several = DDPStrategy(timeout=_LONGEST_WAIT, gradient_as_bucket_view=True)
    devices: Any = place.local_world
    if place.world == 1 and device.type == "cuda":
        devices = [device.index]
    return lightning.Trainer(
        max_steps=recipe.iterations,
        accelerator={"cuda": "gpu"}.get(device.type, device.type),
        devices=devices,
        num_nodes=place.world // place.local_world,
        strategy=several if place.world > 1 else "auto",
        plugins=plugins,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[keeper],
    )


class ScaledGradients(MixedPrecision):
    """Loss scaling for fp16; what is computed in fp16 is for the trained form to say."""

    @contextlib.contextmanager
    def forward_context(self) -> Any:
        """Change nothing."""
        yield


@contextlib.contextmanager
def _only_what_matters() -> Any:
    """Keep quiet what Lightning says that a user could not act on."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*num_workers.*|.*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*`IterableDataset` has `__len__`.*")
        warnings.filterwarnings("ignore", message=".*available but not used.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        yield


def _lost_process(folder: Path, recipe: Recipe, error: RuntimeError) -> LightsrError:
    newest = Checkpoints(folder, recipe.keep).newest()
    reached = f"from iteration {newest[1]}" if newest is not None else "from the start"
    return LightsrError(
        f"a process of this run was lost ({str(error).splitlines()[0]}); start the same command "
        f"with --resume {folder} to go on {reached}"
    )


def _named(device: torch.device, place: Place) -> str:
    return f"{place.world} x {device.type}" if place.world > 1 else str(device)


def _short(compute: torch.dtype) -> str:
    return {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(compute, "fp32")

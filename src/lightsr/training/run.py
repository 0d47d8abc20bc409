"""A training run in its folder: started, measured, stopped, resumed, finished.

recipe.yaml            the resolved recipe
last.ckpt              everything needed to go on
log.csv                iteration, loss, seconds, and the PSNR measured now and then
weights.safetensors    the weights of the last measurement, in lightsr's format
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import csv
import logging
import time
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lightsr.errors import UserError
from lightsr.images.resize import degrade, mod_crop
from lightsr.metrics import compare
from lightsr.training.data import Patches, load_pairs
from lightsr.training.module import SuperResolution
from lightsr.training.recipe import Recipe, read_recipe, write_recipe
from lightsr.weights.files import save_tensors

log = logging.getLogger(__name__)


def train(recipe: Recipe, folder: Path) -> Path:
    """Train from the start in a new run folder; return the weights file.

    Raises `UserError` if the folder holds a run already or the recipe's data is not usable.
    """
    if (folder / "recipe.yaml").exists():
        raise UserError(f"{folder}: holds a run already; resume it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_recipe(recipe, folder / "recipe.yaml")
    return _fit(recipe, folder, None)


def resume(folder: Path) -> Path:
    """Go on with the run in `folder` from its last checkpoint; return the weights file."""
    if not (folder / "recipe.yaml").exists():
        raise UserError(f"{folder}: holds no run to resume (no recipe.yaml)")
    last = folder / "last.ckpt"
    return _fit(read_recipe(folder / "recipe.yaml"), folder, last if last.exists() else None)


def measure(network: nn.Module, pictures: list[Path], recipe: Recipe) -> float:
    """Return the mean PSNR in dB on luma of whole-picture inference, by the exact protocol."""
    scores: list[float] = []
    for path in pictures:
        with Image.open(path) as picture:
            hr = mod_crop(np.asarray(picture.convert("RGB")), recipe.scale)
        lr = degrade(hr, recipe.scale, recipe.data.border)
        with torch.inference_mode():
            sr: Tensor = network(torch.from_numpy(lr).permute(2, 0, 1)[None].float() / 255)
        scores.append(compare(_to_pixels(sr), hr, recipe.scale).psnr)
    return float(np.mean(scores))


class _Keeper(Callback):
    """Measures, logs and checkpoints at the intervals of the recipe."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe, self.folder = recipe, folder
        self.sets = {
            name: sorted(p for p in root.expanduser().iterdir() if p.is_file())
            for name, root in recipe.validation.folders.items()
        }
        self.losses: list[float] = []
        self.since = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: Any,
        outputs: Any,
        batch: Any,  # noqa: ARG002 - Lightning passes it by name
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        step, recipe = trainer.global_step, self.recipe
        self.losses.append(float(outputs["loss"]))
        ended = step == recipe.iterations
        row: dict[str, float] = {}
        if step % recipe.validation.every == 0 or ended:
            row = {
                name: measure(pl_module.kept, pictures, recipe)
                for name, pictures in self.sets.items()
            }
            self._write_weights(pl_module.kept)
        if row or step % 50 == 0:
            self._log(step, row)
        if step % recipe.checkpoint_every == 0 or ended:
            beside = self.folder / "next.ckpt"
            trainer.save_checkpoint(beside)
            beside.replace(self.folder / "last.ckpt")

    def _log(self, step: int, scores: dict[str, float]) -> None:
        seconds = (time.perf_counter() - self.since) / max(1, len(self.losses))
        row = {"iteration": step, "loss": float(np.mean(self.losses)), "seconds": seconds}
        path = self.folder / "log.csv"
        fields = [*row, *self.sets]
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fields)
            if new:
                writer.writeheader()
            writer.writerow({key: f"{value:.6g}" for key, value in {**row, **scores}.items()})
        told = "".join(f"  {name} {psnr:.3f} dB" for name, psnr in scores.items())
        log.info("%6d  loss %.4f  %.2f s/it%s", step, row["loss"], seconds, told)
        self.losses.clear()
        self.since = time.perf_counter()

    def _write_weights(self, network: nn.Module) -> None:
        tensors = {name: value.numpy() for name, value in network.state_dict().items()}
        about = {"network": self.recipe.network, "scale": str(self.recipe.scale)}
        save_tensors(self.folder / "weights.safetensors", tensors, about)


def _fit(recipe: Recipe, folder: Path, checkpoint: Path | None) -> Path:
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    pairs = load_pairs(recipe.data, recipe.scale)
    log.info("%d pictures", len(pairs))
    first = 0
    if checkpoint is not None:
        first = int(torch.load(checkpoint, weights_only=True)["global_step"])
        log.info("going on from iteration %d", first)
    patches = Patches(pairs, recipe.data, recipe.scale, recipe.seed, first)
    # It says nothing here that a user could act on; what it warns of is shown.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    trainer = lightning.Trainer(
        max_steps=recipe.iterations,
        accelerator="auto",
        devices=1,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=recipe.optimiser.clip,
        callbacks=[_Keeper(recipe, folder)],
    )
    # One batch a time comes out of the set ready-made, so the loader must not batch again.
    loader = DataLoader(patches, batch_size=None)
    trainer.fit(SuperResolution(recipe), loader, ckpt_path=checkpoint, weights_only=True)
    return folder / "weights.safetensors"


def _to_pixels(sr: Tensor) -> NDArray[np.uint8]:
    pixels = (sr[0].clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(1, 2, 0).cpu().numpy())

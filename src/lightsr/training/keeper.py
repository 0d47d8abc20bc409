"""What a run does beside training: measuring, recording, checkpoints, guarding, stopping."""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image

from lightsr.errors import LightsrError
from lightsr.training.checkpoints import Checkpoints
from lightsr.training.devices import Place
from lightsr.training.logs import CsvLog, TensorBoardLog
from lightsr.training.measuring import Measured, measure
from lightsr.training.meter import Meter
from lightsr.training.module import SuperResolution
from lightsr.training.progress import Progress, Status
from lightsr.training.recipe import Recipe
from lightsr.training.stopping import Stopped, StopSignals
from lightsr.weights.files import save_tensors

ROW_EVERY = 50
"""Iterations between rows of the log."""


class Keeper(Callback):
    """Keeps a run: everything at the end of an iteration that is not training.

    All processes of a run go through the same steps; only the first one writes.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        sets: dict[str, list[Path]],
        place: Place,
        device: torch.device,
        first: int,
        progress: Progress,
        signals: StopSignals,
    ) -> None:
        self.recipe, self.folder, self.place = recipe, folder, place
        self.progress, self.signals = progress, signals
        self.sets = sets
        self.meter = Meter(device)
        self.checkpoints = Checkpoints(folder, recipe.keep)
        self.csv = CsvLog(folder / "log.csv", list(self.sets))
        self.curves = TensorBoardLog(folder, first, wanted=recipe.tensorboard and place.first)
        if place.first:
            self.csv.forget_after(first)
        self.best, self.measured = -math.inf, dict[str, float]()
        self.clock = _Clock(first)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold besides weights and optimiser."""
        return {
            "best": self.best,
            "measured": dict(self.measured),
            "total": self.meter.total,
            "count": self.meter.count,
            "random": torch.get_rng_state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take that up again."""
        self.best, self.measured = state_dict["best"], dict(state_dict["measured"])
        self.meter.total, self.meter.count = state_dict["total"], state_dict["count"]
        torch.set_rng_state(state_dict["random"])

    def on_train_start(
        self,
        trainer: lightning.Trainer,
        pl_module: Any,  # noqa: ARG002 - Lightning's signature
    ) -> None:
        """Take the signals back, which Lightning took over."""
        self.signals.listen()
        self.clock = _Clock(trainer.global_step)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: Any,
        outputs: Any,
        batch: Any,  # noqa: ARG002 - Lightning's signature
        batch_idx: int,  # noqa: ARG002 - Lightning's signature
    ) -> None:
        """Do what is due after an iteration."""
        step, recipe = trainer.global_step, self.recipe
        ended = step >= recipe.iterations
        measuring = step % recipe.validation.every == 0 or ended
        saving = measuring or step % recipe.checkpoint_every == 0
        writing = measuring or step % ROW_EVERY == 0
        self.meter.add(outputs["loss"])
        heard = 0
        if saving or writing or self.meter.is_due(step):
            heard = self.meter.look(self.signals.heard)
            self._guard(step)
            if self.place.first:
                self.progress.step(self._status(step))
        best = self._measure(step, pl_module) if measuring and self.place.first else False
        if writing:
            self._write_row(step, pl_module, measured=measuring)
        if saving or heard:
            self._save(trainer, pl_module, best=best)
        if heard and not ended:
            raise Stopped(heard)

    def teardown(
        self,
        trainer: lightning.Trainer,  # noqa: ARG002 - Lightning's signature
        pl_module: Any,  # noqa: ARG002 - Lightning's signature
        stage: str,  # noqa: ARG002 - Lightning's signature
    ) -> None:
        """Close the curves."""
        self.curves.close()

    def _guard(self, step: int) -> None:
        if not math.isfinite(self.meter.total):
            raise LightsrError(f"the loss at iteration {step} is not finite; {self._way_out()}")

    def _way_out(self) -> str:
        newest = self.checkpoints.newest()
        change = f"lower optimiser.learning_rate or optimiser.clip in {self.folder / 'recipe.yaml'}"
        if newest is None:
            return f"there is no checkpoint yet: {change} and start anew"
        path, iteration = newest
        return (
            f"the last good checkpoint is {path} of iteration {iteration}: {change} and go on "
            f"with `lightsr train --resume {self.folder}`"
        )

    def _measure(self, step: int, module: SuperResolution) -> bool:
        """Measure on all sets and keep the weights; return whether they are the best so far."""
        for name, pictures in self.sets.items():
            measured = measure(module.kept, pictures, self.recipe)
            self.measured[name] = float(np.mean([picture.psnr for picture in measured]))
            self._show(step, name, measured[: self.recipe.validation.samples])
        self._write_weights(module, "weights.safetensors")
        mean = float(np.mean(list(self.measured.values()))) if self.sets else -math.inf
        if not mean > self.best:
            return False
        self.best = mean
        self._write_weights(module, "best.safetensors")
        return True

    def _show(self, step: int, name: str, pictures: list[Measured]) -> None:
        for picture in pictures:
            path = self.folder / "samples" / f"{name}-{picture.name}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(picture.sr).save(path)
            self.curves.picture(step, f"{name}/{picture.name}", picture.sr)

    def _write_row(self, step: int, module: Any, *, measured: bool) -> None:
        seconds = self.clock.row(step)
        if self.place.first:
            scores = self.measured if measured else {}
            values = {"loss": self.meter.mean, "seconds": seconds}
            rate = module.trainer.optimizers[0].param_groups[0]["lr"]
            self.csv.write({"iteration": step, **values, **scores})
            self.curves.curves(step, {**values, "learning rate": rate})
            self.curves.curves(step, {f"PSNR/{name}": psnr for name, psnr in scores.items()})
            self.progress.row(self._status(step, scores))
        self.meter.clear()

    def _save(self, trainer: lightning.Trainer, module: SuperResolution, *, best: bool) -> None:
        if not module.is_finite():
            raise LightsrError(
                f"a weight at iteration {trainer.global_step} is not finite; {self._way_out()}"
            )
        self.curves.flush()
        trainer.save_checkpoint(self.checkpoints.path(trainer.global_step))
        if self.place.first:
            self.checkpoints.settle(trainer.global_step, best=best)

    def _status(self, step: int, scores: dict[str, float] | None = None) -> Status:
        speed = self.clock.speed(step)
        shown = self.measured if scores is None else scores
        return Status(step, self.recipe.iterations, self.meter.mean, speed, dict(shown))

    def _write_weights(self, module: SuperResolution, name: str) -> None:
        state = module.kept.state_dict()
        tensors = {key: value.detach().cpu().numpy() for key, value in state.items()}
        about = {"network": self.recipe.network, "scale": str(self.recipe.scale)}
        save_tensors(self.folder / name, tensors, about)


class _Clock:
    """How long iterations take."""

    def __init__(self, step: int) -> None:
        self.start = self.row_start = time.perf_counter()
        self.first = self.row_first = step

    def row(self, step: int) -> float:
        """Return the seconds of an iteration since the last row."""
        now = time.perf_counter()
        seconds = (now - self.row_start) / max(1, step - self.row_first)
        self.row_start, self.row_first = now, step
        return seconds

    def speed(self, step: int) -> float:
        """Return the iterations a second since the run went on."""
        taken = time.perf_counter() - self.start
        return (step - self.first) / taken if taken > 0 else 0.0

"""Put a finished run's weights into the package: measure them, export them, write their card.

    python tools/ship.py RUN --data Set5=DIR --data Set14=DIR --data B100=DIR --trained-on TEXT

Measured is the graph itself: whole pictures, LR by the bicubic with replicate border. Weights that
are shipped already are replaced only by ones that do better on every set, or with --force.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path

from lightsr.errors import LightsrError, WeightsError
from lightsr.evaluation.evaluate import evaluate
from lightsr.export.onnx import export_onnx
from lightsr.networks.registry import network_spec
from lightsr.training.recipe import Recipe, read_recipe
from lightsr.weights.catalogue import add_to_catalogue, find
from lightsr.weights.create import create_network

LICENCE = "Apache-2.0"
NAMES = {"l1": "L1", "l2": "L2", "charbonnier": "Charbonnier"}
NAMES |= {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "soap": "SOAP"}
"""How a card writes losses and optimisers."""


def main() -> None:
    """Ship what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--trained-on", required=True, help="the training pictures, for the card")
    parser.add_argument(
        "--before", default="earlier weights of ours", help="what a warm start began with"
    )
    parser.add_argument("--force", action="store_true", help="replace better weights too")
    options = parser.parse_args()
    folders = {name: Path(folder) for name, folder in (d.split("=", 1) for d in options.data)}
    try:
        ship(options.run, folders, options.trained_on, options.before, force=options.force)
    except LightsrError as error:
        sys.exit(f"ship.py: {error}")


def ship(run: Path, folders: dict[str, Path], trained_on: str, before: str, *, force: bool) -> None:
    """Measure, export and record the weights of a run folder."""
    recipe = read_recipe(run / "recipe.yaml")
    weights = run / "weights.safetensors"
    with tempfile.TemporaryDirectory() as made:
        graph, card = Path(made) / "graph.onnx", Path(made) / "card.md"
        network = create_network(recipe.network, recipe.scale, weights)
        export_onnx(network, graph, name=recipe.network, scale=recipe.scale)
        psnr = measure(graph, recipe, folders)
        if not force and not improves(recipe, psnr):
            raise WeightsError(f"{run}: the shipped weights are better on some set; kept them")
        card.write_text(model_card(run, recipe, psnr, trained_on, before), encoding="utf-8")
        add_to_catalogue(
            recipe.network,
            recipe.scale,
            safetensors=weights,
            onnx=graph,
            card=card,
            psnr=psnr,
            licence=LICENCE,
        )


def measure(
    graph: Path, recipe: Recipe, folders: dict[str, Path]
) -> dict[str, tuple[float, float]]:
    """Return mean PSNR and SSIM by test set."""
    measured: dict[str, tuple[float, float]] = {}
    for name, folder in folders.items():
        result = evaluate(recipe.network, recipe.scale, folder, weights=graph, border="replicate")
        measured[name] = (round(result.psnr, 4), round(result.ssim, 5))
        print(f"{name}: {measured[name][0]:.3f} dB / {measured[name][1]:.4f}")
    return measured


def improves(recipe: Recipe, psnr: dict[str, tuple[float, float]]) -> bool:
    """Whether nothing is shipped yet, or every set that was measured then is better now."""
    try:
        shipped = find(recipe.network, recipe.scale)
    except WeightsError:
        return True
    return all(psnr[name][0] > values[0] for name, values in shipped.psnr.items() if name in psnr)


def model_card(
    run: Path,
    recipe: Recipe,
    psnr: dict[str, tuple[float, float]],
    trained_on: str,
    before: str,
) -> str:
    """Return the card as Markdown."""
    spec = network_spec(recipe.network, recipe.scale)
    warm = f", then the tensors that fit of {before}" if recipe.warm_start else ""
    published = spec.published[recipe.scale].psnr
    with (run / "log.csv").open(newline="", encoding="utf-8") as file:
        iterations = list(csv.DictReader(file))[-1]["iteration"]
    rows = "\n".join(
        f"| {name} | {_pair(measured)} | {_pair(published.get(name))} |"
        for name, measured in psnr.items()
    )
    apart = [
        f"{dB - published[name][0]:+.2f} dB on {name}"
        for name, (dB, _) in psnr.items()
        if name in published
    ]
    distance = f"; against the paper's figures {', '.join(apart)}" if apart else ""
    loss, optimiser = recipe.loss, recipe.optimiser
    return f"""# {spec.title} x{recipe.scale}

Weights trained by lightsr from its own initialisation, in the form of {spec.paper}.

- **Licence**: {LICENCE}.
- **Data**: {trained_on}. LR by MATLAB's bicubic, {recipe.data.border} border.
- **Recipe**: start "{recipe.start}"{warm}, {recipe.data.batch} patches of {recipe.data.patch}x\
{recipe.data.patch} LR pixels an iteration, {NAMES[loss.kind]}{" of luma" if loss.luma else ""}, \
{NAMES[optimiser.kind]}, learning rate {optimiser.learning_rate:g} ({optimiser.schedule}, \
{optimiser.warm_up} iterations of warm-up), weights averaged with decay {optimiser.ema:g}, \
seed {recipe.seed}.
- **How far**: {iterations} of the {recipe.iterations} iterations of its schedule{distance}.

PSNR in dB and SSIM on luma, whole pictures, border of {recipe.scale} pixels cut:

| set | these weights | the paper's |
| --- | --- | --- |
{rows}
"""


def _pair(figures: tuple[float, float] | None) -> str:
    return "not known" if figures is None else f"{figures[0]:.2f} / {figures[1]:.4f}"


if __name__ == "__main__":
    main()

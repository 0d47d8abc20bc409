"""`lightsr evaluate`: PSNR and SSIM of a network on a folder of pictures."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lightsr.cli.options import Backend, BorderOfLR, Device, Forward, Precision, Weights
from lightsr.cli.progress import Reporter, before_the_first, reporter
from lightsr.errors import UserError

if TYPE_CHECKING:
    from lightsr.evaluation.evaluate import Evaluation, ImageScore
    from lightsr.evaluation.pairs import Picture8


def evaluate(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder of originals.")],
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help='The network\'s name (see `lightsr models`), or "bicubic"; what --weights FILE '
            "holds if left out.",
        ),
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            metavar="S", help="How many times larger; what --weights FILE is for if left out."
        ),
    ] = None,
    weights: Weights = "default",
    lr_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="LR pictures of the originals' names (NAME, NAMEx4, NAME_x4); made from the "
            "originals if left out.",
        ),
    ] = None,
    border: BorderOfLR = "symmetric",
    forward: Forward = "whole",
    protocol: Annotated[
        Literal["common", "own"],
        typer.Option(
            metavar="common|own",
            help="The protocol of the published tables, or the one by which the network's own "
            "paper was measured.",
        ),
    ] = "common",
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the measurements to this file."),
    ] = None,
    save_images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the enlarged pictures here.")
    ] = None,
    backend: Backend = "auto",
    device: Device = "auto",
    precision: Precision = "fp32",
) -> None:
    """Measure PSNR and SSIM on luma by the protocol of the published tables.

    Output is clipped and rounded to 8 bits, luma is BT.601's, a border of the scale is cut, and
    grey pictures become three equal channels. Networks of luma, and FDIWN, were measured otherwise
    in their own papers: --protocol own does the same.
    """
    from lightsr.evaluation.evaluate import evaluate as measure

    if json_file is not None and json_file.is_dir():
        raise UserError(f"{json_file} is a folder; --json takes the name of a file")
    _require_apart(save_images, data, lr_dir)
    with before_the_first(quiet=False), ExitStack() as stack:
        measured = measure(
            model,
            scale,
            data,
            weights=weights,
            lr_dir=lr_dir,
            border=border,
            forward=forward,
            backend=backend,
            device=device,
            precision=precision,
            watcher=_Shown(save_images, stack),
            protocol=protocol,
        )
    if json_file is not None:
        measured.write_json(json_file)
    _print(measured)


def _require_apart(save_images: Path | None, *inputs: Path | None) -> None:
    """Raise where enlarged pictures would be written among those that are measured against."""
    for folder in inputs:
        if save_images is not None and folder is not None:
            target, source = save_images.resolve(), folder.resolve()
            if target == source or source in target.parents or target in source.parents:
                raise UserError(f"--save-images {save_images} must not lie in or around {folder}")


class _Shown:
    """Shows how the evaluation goes on, and saves what it is given."""

    def __init__(self, save_images: Path | None, stack: ExitStack) -> None:
        self._save_images = save_images
        self._stack = stack
        self._to: Reporter

    def start(self, pictures: int) -> None:
        self._to = self._stack.enter_context(reporter(pictures, quiet=False))

    def begin(self, name: str) -> None:
        self._to.begin(name)

    def finish(self, score: ImageScore, enlarged: Picture8) -> None:
        from lightsr.evaluation.evaluate import save_image

        if self._save_images is not None:
            save_image(enlarged, self._save_images, score.name)
        self._to.finish(f"{score.name}: {score.psnr:.4f} dB ({score.seconds:.2f} s)")


def _protocol(how: dict[str, Any]) -> str:
    if how["name"] == "common":
        return "common protocol"
    return f"own protocol ({'the common one' if how['rule'] == 'common' else how['rule']})"


def _print(measured: Evaluation) -> None:
    from lightsr.cli.tables import print_table
    from lightsr.networks.registry import network_spec

    held = f" ({measured.weights})" if measured.weights is not None else ""
    how = measured.protocol
    sys.stdout.write(
        f"{network_spec(measured.model).label} x{measured.scale}{held} on {measured.dataset}: "
        f"{_protocol(how)}, LR {how['lr']}, border {how['border']}, forward {how['forward']}\n"
    )
    seconds = sum(image.seconds for image in measured.images) / len(measured.images)
    print_table(
        ("picture", "PSNR", "SSIM", "seconds"),
        [(i.name, f"{i.psnr:.4f}", f"{i.ssim:.4f}", f"{i.seconds:.2f}") for i in measured.images],
        footer=("mean", f"{measured.psnr:.4f}", f"{measured.ssim:.4f}", f"{seconds:.2f}"),
    )

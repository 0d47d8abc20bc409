"""Draw what tiles change: their difference from the whole picture, twenty times enlarged.

    python tools/tiles_picture.py -o docs/pictures/tiles.png [--weights FILE] [--scale 2]
                                  [--tile 128] [--network fdiwn]

From left to right: the result, the difference when each tile reads its own statistics, and that
when all share one set. Grey is none. FDIWN x2 in tiles of 128, with the weights shipped here,
unless told otherwise. Printed are both, and tiles with the statistics of the whole picture
instead of a sample. The picture is two of scikit-image's side by side, so large that its
statistics are sampled and not read whole; a part of it is drawn, all of it measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

import lightsr
from lightsr.engine.upscaler import Tile

TIMES = 20
Pixels = NDArray[np.uint8]
STATISTICS = ("own", "shared", "whole")


def main() -> None:
    """Draw the picture, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--weights", default="default")
    parser.add_argument("--network", default="fdiwn")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--tile", type=int, default=128)
    options = parser.parse_args()
    picture = np.concatenate([data.coffee(), data.astronaut()[:400, :400]], 1)
    whole = upscaler(options, "off")(picture)
    results = {kind: enlarged_in_tiles(picture, options, kind) for kind in STATISTICS}
    for kind, result in results.items():
        error = result.astype(float) - whole
        square = float(np.mean(error**2))
        decibels = f"{10 * np.log10(255**2 / square):.1f} dB" if square else "equal"
        print(f"{kind} statistics: {decibels}, at most {np.abs(error).max():.0f} grey levels")
    differences = [difference(results[kind], whole) for kind in ("own", "shared")]
    part = np.s_[
        100 * options.scale : 300 * options.scale, 150 * options.scale : 450 * options.scale
    ]
    drawn = np.concatenate([panel[part] for panel in (whole, *differences)], 1)
    Image.fromarray(drawn).save(options.output, optimize=True)


def upscaler(options: argparse.Namespace, tile: Tile) -> lightsr.Upscaler:
    """Return the network with tiles of a size."""
    return lightsr.Upscaler(options.network, options.scale, tile=tile, weights=options.weights)


def enlarged_in_tiles(picture: Pixels, options: argparse.Namespace, statistics: str) -> Pixels:
    """Return the result in tiles with statistics of each tile, a sample, or all of the picture."""
    tiled = upscaler(options, options.tile)
    backend: Any = tiled.backend
    if statistics == "own":
        backend.tuned_to = _nothing_to_share
    elif statistics == "whole":
        read = backend.tuned_to
        batch = np.ascontiguousarray(picture.transpose(2, 0, 1)[np.newaxis], np.float32) / 255
        backend.tuned_to = lambda _: read([batch])
    return tiled(picture)


def _nothing_to_share(_: object) -> None:
    """Stand in for `Tunable.tuned_to`."""


def difference(result: Pixels, whole: Pixels) -> Pixels:
    """Return the difference around middle grey."""
    many = (result.astype(int) - whole) * TIMES + 128
    return many.clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()

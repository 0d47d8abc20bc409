"""Draw what tiles change: their difference from the whole picture, twenty times enlarged.

    python tools/tiles_picture.py -o docs/pictures/tiles.png [--weights FILE]

From left to right: the result, the difference when each tile reads its own statistics, and that
when all share one set. Grey is none. FDIWN x2 in tiles of 128, with the weights shipped here
unless a file is given. The picture is two of scikit-image's side by side, so large that its
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

TILE, SCALE, TIMES = 128, 2, 20
Pixels = NDArray[np.uint8]
DRAWN = (slice(200, 600), slice(300, 900))


def main() -> None:
    """Draw the picture, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--weights", default="default")
    options = parser.parse_args()
    picture = np.concatenate([data.coffee(), data.astronaut()[:400, :400]], 1)
    whole = lightsr.Upscaler("fdiwn", SCALE, tile="off", weights=options.weights)(picture)
    own, shared = (
        enlarged_in_tiles(picture, options.weights, share=share) for share in (False, True)
    )
    for name, result in (("own", own), ("shared", shared)):
        error = result.astype(float) - whole
        print(
            f"{name} statistics: {10 * np.log10(255**2 / np.mean(error**2)):.1f} dB, "
            f"at most {np.abs(error).max():.0f} grey levels"
        )
    panels = [whole, difference(own, whole), difference(shared, whole)]
    drawn = np.concatenate([panel[DRAWN] for panel in panels], 1)
    Image.fromarray(drawn).save(options.output, optimize=True)


def enlarged_in_tiles(picture: Pixels, weights: str, *, share: bool) -> Pixels:
    """Return the result in tiles that share their statistics, or do not."""
    upscaler = lightsr.Upscaler("fdiwn", SCALE, tile=TILE, weights=weights)
    if not share:
        backend: Any = upscaler.backend
        backend.tuned_to = _nothing_to_share
    return upscaler(picture)


def _nothing_to_share(_: object) -> None:
    """Stand in for `Tunable.tuned_to`."""


def difference(result: Pixels, whole: Pixels) -> Pixels:
    """Return the difference around middle grey."""
    many = (result.astype(int) - whole) * TIMES + 128
    return many.clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()

"""Draw a sheet of what a recipe's degradations make of a picture, to be looked at.

    python tools/degradations.py RECIPE PICTURE -o SHEET.png [--at Y,X] [--patch 48] [--count 24]

First the patch by the exact bicubic, then `count` of the recipe's, each as the training of one
iteration would see it, all enlarged three times without smoothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from lightsr.images.resize import degrade, mod_crop
from lightsr.training.degradations import Degrader
from lightsr.training.library import find_recipe
from lightsr.training.pictures import Pixels, read_rgb
from lightsr.training.recipe import Recipe, read_recipe

COLUMNS = 5
ENLARGED = 3


def main() -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recipe")
    parser.add_argument("picture", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--at", default="0,0", metavar="Y,X", help="corner, in LR pixels")
    parser.add_argument("--patch", type=int, default=48)
    parser.add_argument("--count", type=int, default=24)
    options = parser.parse_args()
    y, x = (int(value) for value in options.at.split(","))
    recipe = read_recipe(find_recipe(options.recipe))
    picture = read_rgb(options.picture)
    height, width = (side // recipe.scale for side in picture.shape[:2])
    if min(y, x, height - y - options.patch, width - x - options.patch) < 0:
        sys.exit(f"degradations.py: the patch is not within the {width}x{height} LR pixels")
    patches = draw(recipe, picture, y, x, options.patch, options.count)
    sheet(patches).save(options.output)


def draw(recipe: Recipe, picture: Pixels, y: int, x: int, p: int, count: int) -> list[Pixels]:
    """Return the patch at (y, x) by the bicubic, then as `count` iterations would see it."""
    hr = mod_crop(picture, recipe.scale)
    degrader = Degrader(recipe.data, recipe.scale)
    plain = degrade(hr, recipe.scale, recipe.data.border)[y : y + p, x : x + p]
    randoms = (np.random.default_rng((recipe.seed, i, 0)) for i in range(count))
    return [plain, *(degrader.patch(hr, y, x, p, random) for random in randoms)]


def sheet(patches: list[Pixels]) -> Image.Image:
    """Return the patches side by side, in rows."""
    side = ENLARGED * patches[0].shape[0] + 4
    whole = Image.new("RGB", (side * COLUMNS, side * -(-len(patches) // COLUMNS)), "white")
    for index, patch in enumerate(patches):
        large = Image.fromarray(np.ascontiguousarray(patch.repeat(ENLARGED, 0).repeat(ENLARGED, 1)))
        whole.paste(large, (index % COLUMNS * side, index // COLUMNS * side))
    return whole


if __name__ == "__main__":
    main()

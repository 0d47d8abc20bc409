"""Make the picture in the README: a crop of a sample, bicubic beside the shipped FDIWN, x4.

python tools/before_after.py [-o docs/pictures/before-after.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import lightsr
from lightsr.images.resize import imresize

SAMPLE = Path(__file__).parents[1] / "samples" / "astronaut.png"
CROP = (slice(10, 110), slice(70, 170))
GAP = 8
SCALE = 4


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/pictures/before-after.png"))
    options = parser.parse_args()
    with Image.open(SAMPLE) as picture:
        lr = np.asarray(picture.convert("RGB"))
    # The whole picture is enlarged and then cropped, as a user would see it.
    sides = (imresize(lr, scale=SCALE), lightsr.upscale(lr, scale=SCALE, model="fdiwn"))
    rows, columns = (slice(SCALE * part.start, SCALE * part.stop) for part in CROP)
    before, after = (np.asarray(side)[rows, columns] for side in sides)
    gap = np.full((before.shape[0], GAP, 3), 255, np.uint8)
    Image.fromarray(np.concatenate((before, gap, after), 1)).save(options.output, optimize=True)


if __name__ == "__main__":
    main()

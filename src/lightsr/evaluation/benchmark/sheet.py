"""The visual comparison as one picture a scale: the original and every contender, side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import PurePosixPath

from PIL import Image, ImageDraw, ImageFont

from lightsr.evaluation.benchmark.contenders import Contender
from lightsr.evaluation.benchmark.crops import Comparison
from lightsr.evaluation.pairs import Picture8
from lightsr.metrics import Score

_WIDTH = 192
"""About how wide a part is drawn, in pixels; each of its pixels becomes a square."""
_COLUMNS = 6
_GAP = 12
_LINE = 17
_FONT = 13


def sheet(comparisons: Sequence[Comparison]) -> bytes:
    """Return a PNG of comparisons below each other."""
    blocks = [_block(one) for one in comparisons]
    width = max(block.width for block in blocks)
    height = sum(block.height for block in blocks)
    whole = Image.new("RGB", (width, height), "white")
    top = 0
    for block in blocks:
        whole.paste(block, (0, top))
        top += block.height
    return png(whole)


def enlarged(samples: Picture8) -> Image.Image:
    """Return a part with every pixel drawn as a square."""
    zoom = max(1, round(_WIDTH / samples.shape[1]))
    picture = Image.fromarray(samples)
    return picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST)


def png(picture: Image.Image) -> bytes:
    """Return the file of a picture."""
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


def headline(one: Comparison) -> str:
    """Return what a comparison shows, in words."""
    crop = one.crop
    return (
        f"{one.set}, {crop.name}, x{one.scale}: {crop.width}x{crop.height} pixels at "
        f"{crop.x}, {crop.y}"
    )


def held_by(contender: Contender) -> str:
    """Return the weights in a word or two; nothing for bicubic."""
    held = contender.weights
    if held is None:
        return ""
    return "shipped" if held.shipped else PurePosixPath(held.label).name


def caption(score: Score) -> str:
    """Return a part's score as it stands below it."""
    return f"{score.psnr:.2f} dB / {score.ssim:.4f}"


def _block(one: Comparison) -> Image.Image:
    cells = [(one.original, ["Original", "", "PSNR / SSIM of the part"])]
    cells += [
        (tile.samples, [tile.contender.title, held_by(tile.contender), caption(tile.score)])
        for tile in one.tiles
    ]
    pictures = [enlarged(samples) for samples, _ in cells]
    wide, high = pictures[0].width + _GAP, pictures[0].height + 3 * _LINE + _GAP
    columns = min(_COLUMNS, len(cells))
    rows = -(-len(cells) // columns)
    block = Image.new("RGB", (columns * wide + _GAP, rows * high + 2 * _LINE + _GAP), "white")
    draw = ImageDraw.Draw(block)
    font = ImageFont.load_default(_FONT)
    draw.text((_GAP, _GAP), headline(one), "black", font)
    for index, (picture, (_, lines)) in enumerate(zip(pictures, cells, strict=True)):
        left, top = _GAP + index % columns * wide, 2 * _LINE + _GAP + index // columns * high
        block.paste(picture, (left, top))
        for number, line in enumerate(lines):
            at = (left, top + picture.height + 2 + number * _LINE)
            draw.text(at, _shortened(line, picture.width, draw, font), "black", font)
    return block


def _shortened(
    text: str,
    width: int,
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> str:
    """Take as much out of the middle as must be for a line to fit."""
    if draw.textlength(text, font) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: kept // 2]}...{text[len(text) - (kept - kept // 2) :]}"
        if draw.textlength(short, font) <= width:
            return short
    return text[:1]

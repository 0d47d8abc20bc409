"""Reading convolutions, plain and transposed, and the padding around them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lightsr.engine.backends.fused.draft import INSIDE, Draft, Map, Operation
from lightsr.engine.backends.fused.graph import (
    Convolution,
    Floats,
    UnsupportedError,
    ready,
    whole,
)

_WIDEST = 9
"""Columns of a convolution: half of them must fit a row's margin."""


def read_convolution(draft: Draft, operation: Operation) -> None:
    """Read a convolution of odd sides that keeps the map's."""
    attributes = operation.attributes
    weight = draft.constants[operation.inputs[1]]
    bias = _bias(draft, operation, len(weight))
    high, wide = weight.shape[2:]
    found = draft.maps[operation.inputs[0]]
    around = (high // 2, wide // 2, high // 2, wide // 2)
    pads = tuple(attributes.get("pads", INSIDE))
    repeat = pads == INSIDE and found.pads == around
    if (
        not high % 2 == wide % 2 == 1
        or max(high, wide) > _WIDEST
        or found.excess
        or not (repeat or (pads == around and found.pads == INSIDE))
        or any(n != 1 for name in ("strides", "dilations") for n in attributes.get(name, ()))
    ):
        raise UnsupportedError(f"a convolution of {high}x{wide} like this")
    groups = int(attributes.get("group", 1))
    if found.block > 1 and (high, wide, groups) == (1, 1, 1):
        _before_shuffle(draft, found, operation.output, weight, bias)
        return
    found = draft.full(operation.inputs[0])
    repeat = repeat and (high, wide) != (1, 1)
    level, size = ready(found.view), found.size
    node = Convolution(level, size, len(weight), found.view, weight, bias, groups, repeat)
    draft.add(node, operation.output)


def read_transposed(draft: Draft, operation: Operation) -> None:
    """Read a transposed convolution as a convolution and a shuffle."""
    attributes = operation.attributes
    weight = draft.constants[operation.inputs[1]]
    found = draft.full(operation.inputs[0])
    side, stride = weight.shape[2], attributes["strides"][0]
    pad, more = attributes.get("pads", INSIDE)[0], attributes.get("output_padding", (0, 0))[0]
    excess = side - stride - 2 * pad + more
    odd = (
        weight.shape[3] != side
        or found.pads != INSIDE
        or excess not in (0, 1)
        or attributes.get("group", 1) != 1
        or any(n != stride for n in attributes["strides"])
        or any(n != pad for n in attributes.get("pads", INSIDE))
        or any(n != more for n in attributes.get("output_padding", (0, 0)))
        or any(n != 1 for n in attributes.get("dilations", ()))
    )
    if odd or stride < 2:
        raise UnsupportedError(f"a transposed convolution of {side}x{side} like this")
    spread = _in_places(weight, stride, pad)
    bias = np.repeat(_bias(draft, operation, weight.shape[1]), stride**2)
    node = Convolution(ready(found.view), found.size, len(spread), found.view, spread, bias)
    draft.add(node, operation.output)
    draft.maps[operation.output] = Map(whole(node), stride, excess=excess)


def read_padding(draft: Draft, operation: Operation) -> None:
    """Read a repeated edge around a map, or the cut that ends a transposed convolution."""
    found = draft.maps[operation.inputs[0]]
    sides = draft.constants[operation.inputs[1]].tolist()
    mode = operation.attributes.get("mode")
    pads = (*sides[2:4], *sides[6:8])
    if len(sides) != 8 or any(sides[:2] + sides[4:6]):
        raise UnsupportedError("padding of channels")
    if found.excess and pads == (0, 0, -found.excess, -found.excess):
        draft.maps[operation.output] = replace(found, excess=0)
    elif found.pads != INSIDE or found.excess or min(pads) < 0:
        raise UnsupportedError("padding like this")
    elif any(pads) and mode != b"edge":
        raise UnsupportedError(f"padding of mode {mode}")
    else:
        draft.maps[operation.output] = replace(found, pads=pads)


def _bias(draft: Draft, operation: Operation, channels: int) -> Floats:
    if len(operation.inputs) > 2:
        return draft.constants[operation.inputs[2]]
    return np.zeros(channels, np.float32)


def _before_shuffle(draft: Draft, found: Map, output: str, weight: Floats, bias: Floats) -> None:
    """Let a 1x1 convolution work on each place of a block, in a group of its own."""
    places = found.block**2
    view = tuple(part for place in range(places) for part in found.view[place::places])
    node = Convolution(
        ready(view),
        view[0][0].size,
        places * len(weight),
        view,
        np.tile(weight, (places, 1, 1, 1)),
        np.tile(bias, places),
        places,
    )
    draft.nodes.append(node)
    made = whole(node)
    ordered = tuple(part for channel in range(len(weight)) for part in made[channel :: len(weight)])
    draft.maps[output] = Map(ordered, found.block)


def _in_places(weight: Floats, stride: int, pad: int) -> Floats:
    """Return the convolution that makes every place of a block as a transposed one does.

    `weight` is [inputs, outputs, k, k]; the result [outputs * stride^2, inputs, odd, odd]. The
    sample at stride * y + i gets, from the input at y + d, weight i + pad - stride * d.
    """
    inputs, outputs, side, _ = weight.shape
    reach = max((stride - 1 + pad) // stride, (side - 1 - pad) // stride)
    width = 2 * reach + 1
    spread = np.zeros((outputs, stride, stride, inputs, width, width), np.float32)
    taps = [
        (i, d + reach, i + pad - stride * d)
        for i in range(stride)
        for d in range(-reach, reach + 1)
        if 0 <= i + pad - stride * d < side
    ]
    for i, row, from_row in taps:
        for j, column, from_column in taps:
            spread[:, i, j, :, row, column] = weight[:, :, from_row, from_column].T
    return spread.reshape(outputs * stride**2, inputs, width, width)

"""Make an int8 graph of a network by NNCF's post-training quantisation with accuracy control.

    pip install nncf onnx
    python tools/quantise.py NETWORK --scale S --pictures DIR -o FILE.onnx
                             [--weights TAG|FILE.onnx] [--most-lost 0.1]
                             [--calibrate 64] [--check 24]

`--pictures` are originals (training pictures, none of a test set). Patches of them, made small by
the bicubic, calibrate the ranges; patches of others say what PSNR on luma is lost, and NNCF takes
operations back to float32, the most harmful first, until that is at most `--most-lost` dB. Only
convolutions over the picture are quantised; those on statistics stay in float32.

`lightsr upscale --precision int8 --weights FILE.onnx` runs the result on ONNX Runtime, and
`benchmarks/int8.py` measures it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.samples import from_float, to_float
from lightsr.errors import LightsrError, UserError
from lightsr.images.reading import read_picture
from lightsr.images.resize import degrade
from lightsr.metrics import compare
from lightsr.weights.catalogue import find
from lightsr.weights.files import write_whole

SIDE = 48
"""Of the LR patches."""
FEW = 4
"""Channels of a map that is nearly the picture."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A patch and what it was made from."""

    lr: NDArray[np.float32]
    """[1, 3, h, w] in [0, 1]."""
    hr: NDArray[np.uint8]
    """[scale * h, scale * w, 3]."""


def main() -> None:
    """Quantise what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("network")
    parser.add_argument("--scale", type=int, required=True)
    parser.add_argument("--weights", default="default", help="a tag, or an ONNX graph")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--most-lost", type=float, default=0.1, help="dB on patches held back")
    parser.add_argument("--calibrate", type=int, default=64, help="patches that set the ranges")
    parser.add_argument("--check", type=int, default=24, help="patches that are held back")
    options = parser.parse_args()
    try:
        import onnx

        path = _graph(options.network, options.scale, options.weights)
        pairs = list(_pairs(options.pictures, options.scale, options.calibrate + options.check))
        held_back, calibrating = pairs[: options.check], pairs[options.check :]
        model = quantised(onnx.load(path), options.scale, calibrating, held_back, options.most_lost)
        write_whole(options.output, model.SerializeToString())
    except LightsrError as error:
        sys.exit(f"quantise.py: {error}")


def quantised(
    model: Any, scale: int, calibrating: list[Pair], held_back: list[Pair], most_lost: float
) -> Any:
    """Return an ONNX model with convolutions in int8, its metadata kept.

    Their weights and inputs pass through QuantizeLinear and DequantizeLinear. On the patches held
    back it loses at most `most_lost` dB of PSNR, as far as NNCF can bring that about.
    """
    import nncf  # pyright: ignore[reportMissingImports]
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet  # pyright: ignore[reportMissingImports]
    from onnx import helper

    said = {one.key: one.value for one in model.metadata_props}

    def lr(pair: Pair) -> dict[str, NDArray[np.float32]]:
        return {"lr": pair.lr}

    def check(candidate: Any, pairs: Iterable[Pair]) -> tuple[float, list[float]]:
        values = psnr(candidate, scale, pairs)
        return float(np.mean(values)), values

    result = nncf.quantize_with_accuracy_control(
        model,
        nncf.Dataset(calibrating, lr),
        # NNCF asks for positions in this one, and gives what they hold to `check` as it is.
        nncf.Dataset(held_back),
        check,
        preset=nncf.QuantizationPreset.MIXED,
        max_drop=most_lost,
        drop_type=nncf.DropType.ABSOLUTE,
        subset_size=len(calibrating),
        ignored_scope=nncf.IgnoredScope(names=_kept_exact(model), validate=False),
        # By default it takes the mean of the pictures' ranges, which clips white in most.
        advanced_quantization_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
        ),
        advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
            ranking_subset_size=max(2, len(held_back) // 4), num_ranking_workers=1
        ),
    )
    del result.metadata_props[:]
    helper.set_model_props(result, {**said, "lightsr.precision": "int8"})
    return result


def psnr(model: Any, scale: int, pairs: Iterable[Pair]) -> list[float]:
    """Return the PSNR of each pair in dB, as `lightsr evaluate` measures it."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: list[float] = []
    for pair in pairs:
        sr: Any = session.run(["sr"], {"lr": pair.lr})[0]
        pixels = from_float(sr[0].transpose(1, 2, 0), np.dtype(np.uint8))
        found.append(compare(pixels, pair.hr, border=scale).psnr)
    return found


def _kept_exact(model: Any) -> list[str]:
    """Return the names of all but the convolutions inside, naming nodes that have no name.

    Not inside are those that read statistics, the picture or few channels more, and those whose
    results are the picture: what is lost in them is seen at once.
    """
    import onnx

    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node{number}"
    exact = _last(model.graph)
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    for axis, length in enumerate((1, 3, SIDE, SIDE)):
        sized.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = length
    inferred = onnx.shape_inference.infer_shapes(sized, data_prop=True)
    sizes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in inferred.graph.value_info
    }
    return [
        node.name
        for node in model.graph.node
        if node.op_type not in ("Conv", "ConvTranspose")
        or node.name in exact
        or sizes.get(node.input[0], [])[2:] == [1, 1]
        or sizes.get(node.input[0], [0, 0])[1] <= FEW
    ]


def _last(graph: Any) -> set[str]:
    """Return the names of the convolutions from which no other one leads to the output."""
    made = {output: node for node in graph.node for output in node.output}
    found, seen, waiting = set[str](), set[str](), [graph.output[0].name]
    while waiting:
        name = waiting.pop()
        node = made.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type in ("Conv", "ConvTranspose"):
            found.add(node.name)
        else:
            waiting += node.input
    return found


def _graph(network: str, scale: int, weights: str) -> Path:
    if weights.endswith(".onnx"):
        return Path(weights)
    return find(network, scale, weights).verified("onnx")


def _pairs(folder: Path, scale: int, count: int) -> Iterator[Pair]:
    """Yield patches from the middles of `count` pictures, spread over all there are."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
    if len(paths) < count:
        raise UserError(f"{folder} holds {len(paths)} pictures, not {count}; ask for fewer patches")
    side = SIDE * scale
    for number in range(count):
        path = paths[number * len(paths) // count]
        pixels = np.asarray(read_picture(path).samples)[..., :3]
        top, left = ((length - side) // 2 for length in pixels.shape[:2])
        if min(top, left) < 0 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise UserError(f"{path} is not of 8-bit RGB and at least {side}x{side} pixels")
        hr = np.ascontiguousarray(pixels[top : top + side, left : left + side])
        small = to_float(degrade(hr, scale))
        yield Pair(np.ascontiguousarray(small.transpose(2, 0, 1)[np.newaxis]), hr)


if __name__ == "__main__":
    main()

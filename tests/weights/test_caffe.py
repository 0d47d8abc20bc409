"""Caffe models are read without Caffe; the files are made here, after caffe.proto."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from errors import one_line
from weights.wire import blob, caffemodel, part, small, whole

from lightsr.errors import WeightsError
from lightsr.weights.caffe import is_caffemodel
from lightsr.weights.checkpoints import read_checkpoint
from lightsr.weights.convert import convert, expected_shapes, identify
from lightsr.weights.families import Found
from lightsr.weights.official_idn import caffe_name

LAYERS = {
    "conv1": (small(4, 1, 3, 3), small(4, seed=1)),
    "relu1": (),
    "up": (small(4, 2, 5, 5), small(2), small(1)),
}


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("v1", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("old", [False, True])
def test_every_blob_is_read(v1: bool, packed: bool, old: bool, tmp_path: Path) -> None:
    content = caffemodel(LAYERS, v1=v1, packed=packed, old=old)
    read = read_checkpoint(written(tmp_path / "w.caffemodel", content)).tensors
    wanted = {
        "conv1.weight": LAYERS["conv1"][0],
        "conv1.bias": LAYERS["conv1"][1],
        **dict(zip(("up.weight", "up.bias", "up.3"), LAYERS["up"], strict=True)),
    }
    assert read.keys() == wanted.keys()
    for name, value in wanted.items():
        assert read[name].dtype == np.float32
        np.testing.assert_array_equal(read[name], value)


def test_idn_comes_out_of_a_caffe_model(tmp_path: Path) -> None:
    names = [name for name in expected_shapes("idn", 2) if name.endswith("weight")]
    shapes = expected_shapes("idn", 2)
    layers = {
        caffe_name(name).removesuffix(".weight"): (
            small(*shapes[name], seed=i),
            small(*shapes[name.replace("weight", "bias")], seed=i),
        )
        for i, name in enumerate(names)
    }
    path = written(tmp_path / "IDN_x2.caffemodel", caffemodel(layers))
    assert identify(read_checkpoint(path)) == Found("idn", None)
    ours = convert(path, "idn", 2)
    assert ours.keys() == shapes.keys()
    block = ours["body.blocks.1.further.0.weight"]
    np.testing.assert_array_equal(block, layers["conv4_4"][0])


def test_doubles_and_values_in_several_parts(tmp_path: Path) -> None:
    whole_blob = small(2, 3)
    parts = part(5, whole_blob[0].tobytes()) + part(5, whole_blob[1].tobytes())
    shape = part(7, whole(1, 2) + whole(1, 3))
    doubles = part(8, whole_blob.astype("<f8").tobytes()) + shape
    layer = part(1, "a") + part(7, parts + shape) + part(7, doubles)
    read = read_checkpoint(written(tmp_path / "w", part(1, "n") + part(100, layer))).tensors
    np.testing.assert_array_equal(read["a.weight"], whole_blob)
    np.testing.assert_array_equal(read["a.bias"], whole_blob)


HUGE = part(7, part(1, b"\xff" * 9 + b"\x01"))


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (part(1, "a") + part(7, part(5, b"123")), "damaged or truncated"),
        (part(1, "a") + part(7, part(5, bytes(8))), "damaged or truncated"),
        (part(1, "a") + part(7, HUGE), "damaged or truncated"),
        (part(1, "a") + part(7, part(7, part(1, b"\x00" * 40))), "damaged or truncated"),
        (part(1, "a") + part(7, b"\x2a\xff\xff\xff\xff\x0f"), "damaged or truncated"),
        (part(1, "a") + part(7, b"\xff" * 11), "damaged or truncated"),
        (part(1, "a") + part(7, b"\x2b"), "damaged or truncated"),
        (part(1, b"\xff\xfe") + part(7, b""), "damaged or truncated"),
        (part(1, "a"), "holds no tensors"),
        (part(1, "a") + part(7, blob(np.full(2, np.nan, np.float32))), "'a.weight' are not finite"),
    ],
)
def test_a_blob_that_cannot_be_is_told(layer: bytes, problem: str, tmp_path: Path) -> None:
    path = written(tmp_path / "w.caffemodel", part(1, "net") + part(100, layer))
    with one_line(WeightsError, match=problem) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(str(path))


def test_what_is_not_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    oldest = part(2, part(1, part(1, "conv1")))
    with pytest.raises(WeightsError, match="upgrade_net_proto_binary"):
        read_checkpoint(written(tmp_path / "v0", part(1, "net") + oldest))
    twice = caffemodel(LAYERS) + caffemodel(LAYERS)
    with pytest.raises(WeightsError, match="two layers named 'conv1'"):
        read_checkpoint(written(tmp_path / "twice", twice))


@pytest.mark.parametrize("v1", [False, True])
def test_damaged_files_are_told(v1: bool, tmp_path: Path) -> None:
    whole_file = caffemodel({"a": (small(3, 3), small(3)), "b": (small(2, 2),)}, v1=v1)
    path = tmp_path / "w.caffemodel"
    names = {"a.weight", "a.bias", "b.weight"}
    for length in range(1, len(whole_file)):
        # Cut between two layers, a file is a whole one of fewer.
        assert _read_or_told(written(path, whole_file[:length])) < names
    random = np.random.default_rng(1)
    for _ in range(500):
        changed = bytearray(whole_file)
        for position in random.integers(0, len(whole_file), 3):
            changed[position] = random.integers(256)
        _read_or_told(written(path, bytes(changed)))


def _read_or_told(path: Path) -> set[str]:
    told = ""
    try:
        return set(read_checkpoint(path).tensors)
    except WeightsError as error:
        told = str(error)
    assert str(path) in told
    return set()


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\x89PNG\r\n\x1a\n", b"hello, no net\n", bytes(99), b"\x80\x02}."]
)
def test_other_files_are_no_caffe_models(content: bytes) -> None:
    assert not is_caffemodel(content)

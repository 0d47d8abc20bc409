"""TensorFlow checkpoints are read without TensorFlow; the files are made here, by its formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from errors import one_line
from hypothesis import given
from hypothesis import strategies as st
from weights.wire import HEADER, bundle, entry, part, plain_crc32c, small, table, whole

from lightsr.errors import WeightsError
from lightsr.weights.checkpoints import read_checkpoint
from lightsr.weights.convert import convert, expected_shapes, identify
from lightsr.weights.crc32c import crc32c
from lightsr.weights.create import create_network, locate
from lightsr.weights.families import Found
from lightsr.weights.ported import drcn_name

TENSORS = {
    "layer/conv/kernel": small(3, 3, 2, 4),
    "layer/conv/bias": small(4),
    "layer/conv2/kernel": small(1, 1, 4, 2).astype(np.float64),
    "half": small(5).astype(np.float16),
    "global_step": np.array(7, np.int64),
    **{f"many/{i:03}": small(2, seed=i) for i in range(60)},
}


@pytest.mark.parametrize(
    "given", [".index", ".data-00000-of-00001", ".meta", ""], ids=["index", "data", "meta", "none"]
)
def test_every_number_is_read_whichever_file_is_given(given: str, tmp_path: Path) -> None:
    bundle(tmp_path, TENSORS, "model_F96_D9_LR0.001000.ckpt")
    path = tmp_path / f"model_F96_D9_LR0.001000.ckpt{given}"
    read = read_checkpoint(path).tensors
    assert read.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        np.testing.assert_array_equal(read[name], value.astype(read[name].dtype))
        assert read[name].shape == value.shape
    assert locate("drcn-f96d9", 2, path).name.endswith(".index")


def test_the_reduced_drcn_comes_out_of_a_bundle(tmp_path: Path) -> None:
    ours = {name: small(*shape) for name, shape in expected_shapes("drcn-f96d9", 2).items()}
    theirs = {
        drcn_name(name).replace("conv.", "conv/"): np.ascontiguousarray(
            tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor
        )
        for name, tensor in ours.items()
    }
    # Checksums are held here bit by bit, which takes its time: a small one for the optimiser.
    theirs["B/Adam"] = small(96)
    theirs["beta1_power"] = np.array(0.9, np.float32)
    index = bundle(tmp_path, theirs)
    assert identify(read_checkpoint(index)) == Found("drcn-f96d9", 2)
    converted = convert(index.with_suffix(""), "drcn-f96d9", 2)
    assert all(np.array_equal(converted[name], ours[name]) for name in ours)
    network = create_network("drcn-f96d9", 2, str(index.with_suffix("")))
    assert len(network.state_dict()) == len(ours)


def written(folder: Path, entries: dict[bytes, bytes], values: bytes, **how: int) -> Path:
    index = folder / "w.index"
    index.write_bytes(table({b"": HEADER, **entries}, **how))
    (folder / "w.data-00000-of-00001").write_bytes(values)
    return index


def test_bfloat16_and_what_is_no_number(tmp_path: Path) -> None:
    value = np.array([1.5, -2.0], np.float32)
    half = (value.view(np.uint32) >> 16).astype("<u2")
    entries = {b"b": entry(half, 0, kind=14), b"text": entry(half, 0, kind=7)}
    read = read_checkpoint(written(tmp_path, entries, half.tobytes())).tensors
    assert read.keys() == {"b"}
    np.testing.assert_array_equal(read["b"], value)


VALUE = small(2, 3)
DATA = VALUE.tobytes()


def claims(**fields: bytes) -> bytes:
    given = {
        "type": whole(1, 1),
        "shape": part(2, part(2, whole(1, 2)) + part(2, whole(1, 3))),
        "rest": entry(VALUE, 0)[-7:],
        **fields,
    }
    return b"".join(given.values())


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (entry(VALUE, 4), r"data-00000-of-00001 is truncated, or belongs to another index"),
        (entry(VALUE, 2**62), "truncated, or belongs"),
        (entry(VALUE, 2**64 - 8), "truncated, or belongs"),
        (entry(VALUE + 1, 0), r"data-00000-of-00001 is damaged, .* checksum is off"),
        (entry(VALUE, 0, kind=2), "shape is not that of its values"),
        (claims(shape=part(2, part(2, whole(1, 2**60)))), "shape is not that of its values"),
        (entry(VALUE, 0, shard=5), "a file that there is none of"),
        (entry(VALUE, 0, more=part(7, b"")), "in slices, which lightsr does not read"),
        (b"\x0a\xff", "is a damaged TensorFlow checkpoint"),
    ],
)
def test_an_entry_that_cannot_be_is_told(made: bytes, problem: str, tmp_path: Path) -> None:
    index = written(tmp_path, {b"w": made}, DATA)
    with one_line(WeightsError, match=problem) as caught:
        read_checkpoint(index)
    assert str(caught.value).startswith(str(tmp_path))


def test_what_is_not_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    index = written(tmp_path, {b"w": entry(VALUE, 0)}, DATA, compression=1)
    with pytest.raises(WeightsError, match="is compressed, which lightsr does not read"):
        read_checkpoint(index)
    index.write_bytes(table({b"": HEADER + whole(2, 1), b"w": entry(VALUE, 0)}))
    with pytest.raises(WeightsError, match="big-endian"):
        read_checkpoint(index)
    written(tmp_path, {b"w": entry(VALUE, 0)}, DATA)
    (tmp_path / "w.data-00000-of-00001").unlink()
    with pytest.raises(WeightsError, match=r"w\.data-00000-of-00001 does not exist"):
        read_checkpoint(tmp_path / "w")
    index.unlink()
    with pytest.raises(WeightsError, match="w does not exist"):
        read_checkpoint(tmp_path / "w")


def test_a_name_that_no_file_can_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read: File name too long"):
        read_checkpoint(tmp_path / ("w" * 300))


def test_one_part_of_the_values_is_not_taken_for_many_tensors(tmp_path: Path) -> None:
    """A small file must not become large."""
    entries = {f"w{i:04}".encode(): entry(VALUE, 0) for i in range(3)}
    with pytest.raises(WeightsError, match="truncated, or belongs"):
        read_checkpoint(written(tmp_path, entries, DATA))


def test_damaged_files_are_told(tmp_path: Path) -> None:
    index = bundle(tmp_path, {"a": small(3), "a/b": small(2, 2), "c": small(4)})
    content, random = index.read_bytes(), np.random.default_rng(1)
    for length in range(1, len(content), 3):
        index.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=r"model\.ckpt"):
            read_checkpoint(index)
    for _ in range(300):
        changed = bytearray(content)
        for position in random.integers(0, len(content) - 8, 3):
            changed[position] ^= 1 << random.integers(8)
        index.write_bytes(changed)
        # Only the block without entries may change and nothing be missed.
        assert _read_or_told(index) in (3, None)


def _read_or_told(path: Path) -> int | None:
    told = ""
    try:
        return len(read_checkpoint(path).tensors)
    except WeightsError as error:
        told = str(error)
    assert str(path.parent) in told
    return None


@given(st.binary(max_size=300))
def test_checksums(data: bytes) -> None:
    assert crc32c(data) == plain_crc32c(data)


def test_checksums_of_the_standard() -> None:
    """RFC 3720, appendix B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"123456789" * 0) == 0
    assert crc32c(b"123456789") == 0xE3069283

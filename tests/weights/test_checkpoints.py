"""Foreign checkpoint files are read safely, and everything wrong with one is said in a line."""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from errors import one_line
from safetensors.torch import save_file as save_safetensors

from lightsr.errors import WeightsError
from lightsr.weights.checkpoints import read_checkpoint

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.tensor([1.0, -2.0])}


def save_torch(content: object, path: Path) -> None:
    torch.save(content, path)


def save_legacy(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_file(content: Any, path: Path) -> None:
    save_safetensors(content, path)


def assert_is_tensors(path: Path) -> None:
    read = read_checkpoint(path).tensors
    assert list(read) == list(TENSORS)
    for name, tensor in TENSORS.items():
        assert read[name].dtype == np.float32
        np.testing.assert_array_equal(read[name], tensor.numpy())


@pytest.mark.parametrize("save", [save_torch, save_legacy])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: t,
        OrderedDict,
        lambda t: {"state_dict": t, "epoch": 3},
        lambda t: {"params": {"a.weight": torch.zeros(2, 3)}, "params_ema": t},
        lambda t: {"model": {"state_dict": t}},
        lambda t: {f"module.{name}": tensor for name, tensor in t.items()},
        lambda t: {"state_dict": {f"model._orig_mod.{n}": x for n, x in t.items()}},
        lambda t: {name: tensor.double() for name, tensor in t.items()},
        lambda t: {name: tensor.bfloat16() for name, tensor in t.items()},
        lambda t: {name: torch.nn.Parameter(tensor) for name, tensor in t.items()},
    ],
)
def test_tensors_are_found_in_whatever_wraps_them(
    save: Callable[[object, Path], None], wrap: Callable[[Any], Any], tmp_path: Path
) -> None:
    save(wrap(TENSORS), tmp_path / "checkpoint.pth")
    assert_is_tensors(tmp_path / "checkpoint.pth")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_safetensors_of_every_float_type(dtype: torch.dtype, tmp_path: Path) -> None:
    save_file({n: t.to(dtype) for n, t in reversed(TENSORS.items())}, tmp_path / "w.safetensors")
    read = read_checkpoint(tmp_path / "w.safetensors").tensors
    assert set(read) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert read[name].dtype == np.float32
        np.testing.assert_array_equal(read[name], tensor.numpy())


@pytest.mark.parametrize("suffix", [".safetensors", ".png", ""])
def test_the_content_decides_not_the_name(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    save_legacy(TENSORS, path)
    assert_is_tensors(path)
    other = tmp_path / "really.pth"
    save_file(TENSORS, other)
    assert set(read_checkpoint(other).tensors) == set(TENSORS)


class Trap:
    """Pickles into a call that writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (f"open({str(self.path)!r}, 'w')",))


class Unknown:
    """Needs no call of note, but a class of somebody's own."""


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kind", ["zip", "legacy", "0", "1", "2", "3", "4", "5", "deep"])
def test_a_pickle_that_would_run_code_runs_nothing(kind: str, suffix: str, tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / f"trap{suffix}"
    content = {"a.weight": torch.zeros(2), "trap": Trap(sprung)}
    if kind == "zip":
        save_torch(content, path)
    elif kind == "legacy":
        save_legacy(content, path)
    elif kind == "deep":
        save_torch({"state_dict": {"module": [content]}}, path)
    else:
        path.write_bytes(pickle.dumps({"trap": Trap(sprung)}, protocol=int(kind)))
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert not sprung.exists()
    message = str(caught.value)
    assert str(path) in message
    assert "exec" in message
    assert "nothing of it was run" in message
    assert "\n" not in message
    # The trap does work where it is not looked out for.
    if kind == "4":
        pickle.loads(path.read_bytes())
        assert sprung.exists()


def test_a_pickled_module_is_refused_by_its_class(tmp_path: Path) -> None:
    save_torch(torch.nn.Conv2d(1, 1, 1), tmp_path / "module.pt")
    with pytest.raises(WeightsError, match=r"torch\.nn\.modules\.conv\.Conv2d"):
        read_checkpoint(tmp_path / "module.pt")
    save_torch({"model": Unknown()}, tmp_path / "own.pt")
    with pytest.raises(WeightsError, match=rf"{Unknown.__module__}\.Unknown"):
        read_checkpoint(tmp_path / "own.pt")


def _truncated(save: Callable[[object, Path], None], part: float, path: Path) -> None:
    save({"weight": torch.zeros(5000)}, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


def _not_torch_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no weights")


def _cyclic(path: Path) -> None:
    loop: dict[str, Any] = {}
    loop["model"] = loop
    save_torch(loop, path)


def _picture(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: p.write_bytes(b"\x80"), "truncated or damaged"),
        (lambda p: p.write_bytes(b"hello, here are no weights\n"), "is no checkpoint"),
        (_picture, "is no checkpoint"),
        (lambda p: p.write_bytes(bytes(300)), "is no checkpoint"),
        (lambda p: _truncated(save_torch, 0.01, p), "truncated or damaged"),
        (lambda p: _truncated(save_torch, 0.7, p), "truncated or damaged"),
        (lambda p: _truncated(save_legacy, 0.01, p), "truncated or damaged"),
        (lambda p: _truncated(save_legacy, 0.7, p), "truncated or damaged"),
        (lambda p: _truncated(save_file, 0.0005, p), "safetensors"),
        (lambda p: _truncated(save_file, 0.7, p), "damaged safetensors"),
        (lambda p: p.write_bytes((2**60).to_bytes(8, "little") + b'{"a"'), "damaged safetensors"),
        (_not_torch_zip, "is no PyTorch checkpoint"),
        (lambda p: save_torch([1, 2], p), "holds a list, not a mapping"),
        (lambda p: save_torch({"epoch": 3}, p), "holds no tensors"),
        (_cyclic, "holds no tensors"),
        (lambda p: p.write_bytes(pickle.dumps([1, 2], 4)), "a pickle, but not of tensors"),
        (lambda p: save_torch({"a": torch.zeros(3, 3).to_sparse()}, p), "'a' is not a plain"),
        (lambda p: save_torch({"a": torch.zeros(1).expand(10**6, 10**6)}, p), "'a' claims"),
        (lambda p: None, "does not exist"),
        (lambda p: p.mkdir(), "is a folder"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_is_no_checkpoint_is_named(
    write: Callable[[Path], object], problem: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"file{suffix}"
    write(path)
    with one_line(WeightsError, match=problem) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("save", [save_torch, save_legacy, save_file])
def test_values_that_are_not_finite_are_refused_by_name(
    save: Callable[[object, Path], None], value: float, tmp_path: Path
) -> None:
    save({"good": torch.ones(2), "body.0.weight": torch.tensor([1.0, value])}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"1 of the 2 values of tensor 'body\.0\.weight'"):
        read_checkpoint(tmp_path / "w.pt")


def test_safetensors_need_no_torch_and_pickles_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(TENSORS, tmp_path / "w.safetensors")
    buffer = io.BytesIO()
    torch.save(TENSORS, buffer)
    (tmp_path / "w.pt").write_bytes(buffer.getvalue())
    monkeypatch.setitem(sys.modules, "torch", None)
    assert set(read_checkpoint(tmp_path / "w.safetensors").tensors) == set(TENSORS)
    with pytest.raises(WeightsError, match=r"pip install lightsr\[torch\]"):
        read_checkpoint(tmp_path / "w.pt")

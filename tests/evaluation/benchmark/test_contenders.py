"""What a folder of weights is seen to hold."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lightsr.errors import UserError
from lightsr.evaluation.benchmark.contenders import Skipped, contenders
from lightsr.evaluation.benchmark.settings import (
    Crop,
    Settings,
    parse_crop,
    parse_test_set,
)
from lightsr.networks.build import create_network
from lightsr.networks.registry import list_networks
from lightsr.weights.files import save_tensors

Graph = Callable[..., Path]
Held = tuple[str, int]


def save(path: Path, network: str, scale: int, says: Held | None = None) -> Path:
    state = create_network(network, scale).state_dict()
    name, at = says or (network, scale)
    tensors = {key: tensor.numpy() for key, tensor in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path, tensors, {"network": name, "scale": str(at)})
    return path


def found(
    folder: Path | None,
    networks: tuple[str, ...] | None = None,
    scales: tuple[int, ...] = (2, 3, 4),
) -> tuple[dict[str, list[Held]], list[Skipped]]:
    rows, skipped = contenders(Settings(Path("out"), (), networks=networks, weights_dir=folder))
    held: dict[str, list[Held]] = {}
    for row in rows:
        if row.weights is not None and not row.weights.shipped:
            held.setdefault(row.weights.label, []).append((row.network, row.scale))
    return held, skipped


def test_every_network_has_a_row_at_each_of_its_scales() -> None:
    rows, skipped = contenders(Settings(Path("out"), (), scales=(2, 4)))
    assert not skipped
    assert [row.network for row in rows if row.network == "bicubic"] == ["bicubic"] * 2
    assert {row.network for row in rows} == {"bicubic", *list_networks()}
    assert rows[0].network == "bicubic"
    assert all(row.weights is None or row.weights.shipped for row in rows)
    assert any(row.weights is not None and row.measurable for row in rows)
    assert any(row.weights is None and not row.measurable for row in rows)


def test_files_are_told_by_what_they_hold(tmp_path: Path, graph: Graph) -> None:
    save(tmp_path / "deep" / "er" / "ours.safetensors", "fsrcnn", 3)
    shutil.copy(graph(2, network="vdsr"), tmp_path / "graph.onnx")
    held, skipped = found(tmp_path)
    assert held == {"deep/er/ours.safetensors": [("fsrcnn", 3)], "graph.onnx": [("vdsr", 2)]}
    assert not skipped


def test_what_is_not_used_is_named_with_the_reason(tmp_path: Path, graph: Graph) -> None:
    good = save(tmp_path / "a.safetensors", "ecbsr-m4c8", 2)
    shutil.copy(good, tmp_path / "b.safetensors")
    (tmp_path / "c.safetensors").write_bytes(good.read_bytes()[:-9])
    (tmp_path / "notes.md").write_text("these are weights")
    (tmp_path / "empty.pth").touch()
    (tmp_path / ".hidden").write_text("not looked at")
    save(tmp_path / "false.safetensors", "ecbsr-m4c8", 2, says=("ecbsr-m4c8", 4))
    save(tmp_path / "unheard.safetensors", "ecbsr-m4c8", 2, says=("no-such-network", 4))
    shutil.copy(graph(2, kind="nan weights"), tmp_path / "nan.onnx")
    held, skipped = found(tmp_path)
    assert held == {"a.safetensors": [("ecbsr-m4c8", 2)]}
    reasons = {one.file: one.reason for one in skipped}
    assert set(reasons) == {
        *("b.safetensors", "c.safetensors", "notes.md", "empty.pth", "false.safetensors"),
        *("unheard.safetensors", "nan.onnx"),
    }
    assert reasons["b.safetensors"] == "is the same as a.safetensors"
    assert "damaged" in reasons["c.safetensors"]
    assert "no checkpoint that lightsr reads" in reasons["notes.md"]
    assert "empty" in reasons["empty.pth"]
    assert "no-such-network" in reasons["unheard.safetensors"]
    assert "not finite" in reasons["nan.onnx"]
    assert "says that it holds ecbsr-m4c8 x4" in reasons["false.safetensors"]


def test_published_files_that_do_not_tell_their_scale(assets: Path, tmp_path: Path) -> None:
    held, skipped = found(assets / "checkpoints", ("srcnn", "vdsr", "lapsrn", "carn-m", "fdiwn"))
    assert held["srcnn/SRCNN_9-5-5_ImageNet_x2.mat"] == [("srcnn", 2)]
    assert held["vdsr/VDSR_Official.mat"] == [("vdsr", scale) for scale in (2, 3, 4)]
    assert held["lapsrn/LapSRN_x4.mat"] == [("lapsrn", 3), ("lapsrn", 4)]
    assert held["carn/carn_m.pth"] == [("carn-m", scale) for scale in (2, 3, 4)]
    assert held["fdiwn/FDIWNx4.pt"] == [("fdiwn", 4)]
    assert not any(one.file in held for one in skipped)
    shutil.copy(
        assets / "checkpoints" / "srcnn" / "SRCNN_9-5-5_ImageNet_x2.mat", tmp_path / "srcnn.mat"
    )
    held, skipped = found(tmp_path)
    assert not held
    assert "for which scale; put x2, x3 or x4 into its name" in skipped[0].reason


def test_what_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'fdiwn'"):
        found(None, ("fdiwnn",))
    with pytest.raises(UserError, match="does not exist"):
        found(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is no folder"):
        found(tmp_path / "file")


def test_test_sets_are_named_by_hand_or_by_folder(tmp_path: Path) -> None:
    (tmp_path / "Set5" / "HR").mkdir(parents=True)
    (tmp_path / "a=b").mkdir()
    plain = parse_test_set(str(tmp_path / "Set5"))
    assert (plain.name, plain.hr) == ("Set5", tmp_path / "Set5" / "HR")
    assert parse_test_set(str(tmp_path / "Set5" / "HR")).name == "Set5"
    assert parse_test_set(f"mine={tmp_path / 'Set5'}").name == "mine"
    assert parse_test_set(str(tmp_path / "a=b")).name == "a=b"
    with pytest.raises(UserError, match="does not exist"):
        parse_test_set(f"mine={tmp_path / 'none'}")
    with pytest.raises(UserError, match="NAME=FOLDER"):
        parse_test_set("=")


def test_crops_are_read_strictly() -> None:
    assert parse_crop("a:b:1,2,30,40") == Crop("a:b", 1, 2, 30, 40)
    for text in ("a", "a:1,2,3", ":1,2,30,40", "a:-1,2,30,40", "a:1,2,15,40", "a:1,2,30,x"):
        with pytest.raises(UserError, match="is no crop"):
            parse_crop(text)

"""Published checkpoints become weights of ours, strictly, and go into networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from errors import one_line
from safetensors.torch import save_file

from lightsr.errors import UserError, WeightsError
from lightsr.weights.catalogue import shipped
from lightsr.weights.checkpoints import read_checkpoint
from lightsr.weights.convert import convert, convert_file, identify
from lightsr.weights.create import create_network
from lightsr.weights.families import Found
from lightsr.weights.files import load_tensors, load_weights_of
from lightsr.weights.official_fdiwn import official_name

Tensors = dict[str, torch.Tensor]


def official(scale: int, seed: int = 0) -> Tensors:
    """Make up an FDIWN checkpoint in the authors' names and shapes."""
    torch.manual_seed(seed)
    attention = (".cweight", ".cbias", ".sweight", ".sbias")
    ours = create_network("fdiwn", scale, weights=None).state_dict()
    theirs = {official_name(name): torch.rand_like(tensor) for name, tensor in ours.items()}
    return {
        name: tensor.view(1, -1, 1, 1) if name.endswith(attention) else tensor
        for name, tensor in theirs.items()
    }


@pytest.fixture(scope="module")
def x4() -> Tensors:
    return official(4)


def saved(tensors: Tensors, path: Path) -> Path:
    torch.save(tensors, path)
    return path


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_tensor_finds_its_place(scale: int, tmp_path: Path) -> None:
    theirs = official(scale)
    network = create_network("fdiwn", scale, saved(theirs, tmp_path / "model_best.pt"))
    state = network.state_dict()
    assert len(state) == len(theirs) == 1591
    for name, tensor in state.items():
        assert torch.equal(tensor, theirs[official_name(name)].view(tensor.shape))
    assert not network.training


@pytest.mark.parametrize("scale", [2, 4])
def test_the_authors_checkpoints_convert(scale: int, assets: Path) -> None:
    checkpoint = assets / "checkpoints" / "fdiwn" / f"FDIWNx{scale}.pt"
    assert identify(read_checkpoint(checkpoint)) == Found("fdiwn", scale)
    tensors = convert(checkpoint, "fdiwn", scale)
    assert sum(tensor.size for tensor in tensors.values()) == {2: 629_176, 4: 663_848}[scale]


def remove_three(tensors: Tensors) -> None:
    for name in ("head.bias", "Li2.MY1.srb3.body.2.weight_g", "UP2.0.weight"):
        del tensors[name]


def remove_many(tensors: Tensors) -> None:
    for name in [name for name in tensors if name.startswith("Li3.")]:
        del tensors[name]


def add_one(tensors: Tensors) -> None:
    tensors["Li4.conv.weight"] = torch.zeros(24, 24, 3, 3)


def bend_one(tensors: Tensors) -> None:
    tensors["Li1.MY2.SAlayer.cbias"] = torch.zeros(1, 3, 1, 1)


def turn_one(tensors: Tensors) -> None:
    tensors["Li1.MY1.fuse2.weight"] = tensors["Li1.MY1.fuse2.weight"].transpose(0, 1)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (
            remove_three,
            r"3 of 1591 tensors are missing: head\.bias, UP2\.0\.weight, "
            r"Li2\.MY1\.srb3\.body\.2\.weight_g|3 of 1591 tensors are missing: .*head\.bias",
        ),
        (remove_many, r"\d+ of 1591 tensors are missing: Li3\.\S+, Li3\.\S+, Li3\.\S+, \.\.\.$"),
        (add_one, r"1 too many: Li4\.conv\.weight"),
        (bend_one, r"1 of 1591.*: Li1\.MY2\.SAlayer\.cbias is 1x3x1x1 and must be 1x2x1x1"),
        (turn_one, r"Li1\.MY1\.fuse2\.weight is 48x24x1x1 and must be 24x48x1x1"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    damage: Callable[[Tensors], None], problem: str, x4: Tensors, tmp_path: Path
) -> None:
    tensors = dict(x4)
    damage(tensors)
    with one_line(WeightsError, match=problem) as caught:
        convert(saved(tensors, tmp_path / "w.pt"), "fdiwn", 4)
    assert str(caught.value).startswith(f"{tmp_path / 'w.pt'} does not fit")


def test_a_nan_is_named(x4: Tensors, tmp_path: Path) -> None:
    bad = torch.full_like(x4["head.bias"], float("nan"))
    path = saved({**x4, "head.bias": bad}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"tensor 'head\.bias' are not finite"):
        create_network("fdiwn", 4, path)


@pytest.mark.parametrize(("network", "scale"), [("fdiwn", 2), ("fdiwn", 3), ("fdiwn-m", 4)])
def test_another_network_or_scale_is_told(
    network: str, scale: int, x4: Tensors, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=f"holds fdiwn x4, not {network} x{scale}"):
        convert(saved(x4, tmp_path / "w.pt"), network, scale)


def test_a_checkpoint_of_some_other_network_is_told(tmp_path: Path) -> None:
    path = saved({f"stem.{i}.weight": torch.rand(2) for i in range(92)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"no checkpoint of fdiwn.*92 tensors.*stem\.0\.weight"):
        convert(path, "fdiwn", 4)


def test_unknown_networks_and_scales_come_before_reading(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'fdiwn'"):
        convert(tmp_path / "none.pt", "fdwin", 4)
    with pytest.raises(UserError, match="fdiwn has no scale x5"):
        convert(tmp_path / "none.pt", "fdiwn", 5)


def test_converting_to_a_file(x4: Tensors, tmp_path: Path) -> None:
    source, target = saved(x4, tmp_path / "best.pt"), tmp_path / "out" / "fdiwn.safetensors"
    convert_file(source, "fdiwn", 4, target)
    assert load_tensors(target)[1] == {
        "format": "lightsr",
        "format_version": "1",
        "network": "fdiwn",
        "scale": "4",
        "source": "best.pt",
    }
    written = load_weights_of(target, "fdiwn", 4)
    direct = convert(source, "fdiwn", 4)
    assert written.keys() == direct.keys()
    assert all(np.array_equal(written[name], direct[name]) for name in direct)

    before = target.read_bytes()
    with pytest.raises(WeightsError, match="exists already; give --overwrite"):
        convert_file(source, "fdiwn", 4, target)
    broken = saved({**x4, "more": torch.zeros(1)}, tmp_path / "broken.pt")
    with pytest.raises(WeightsError, match="1 too many: more"):
        convert_file(broken, "fdiwn", 4, target, overwrite=True)
    assert target.read_bytes() == before
    convert_file(saved(official(4, seed=1), source), "fdiwn", 4, target, overwrite=True)
    assert target.read_bytes() != before
    assert list(target.parent.iterdir()) == [target]
    with pytest.raises(WeightsError, match=r"must end in \.safetensors"):
        convert_file(source, "fdiwn", 4, tmp_path / "weights.pt")


def test_our_own_file_goes_where_it_belongs_only(x4: Tensors, tmp_path: Path) -> None:
    ours = tmp_path / "ours.safetensors"
    convert_file(saved(x4, tmp_path / "w.pt"), "fdiwn", 4, ours)
    assert identify(read_checkpoint(ours)) == Found("fdiwn", 4)
    loaded = create_network("fdiwn", 4, str(ours)).state_dict()
    again = convert(ours, "fdiwn", 4)
    assert all(np.array_equal(again[name], tensor.numpy()) for name, tensor in loaded.items())
    with pytest.raises(WeightsError, match="holds weights of fdiwn x4, not of fdiwn x2"):
        create_network("fdiwn", 2, ours)


def test_our_names_in_somebody_elses_file(tmp_path: Path) -> None:
    state = create_network("fdiwn-m", 2, weights=None).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    loaded = create_network("fdiwn-m", 2, tmp_path / "w.safetensors").state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    del state["head.bias"]
    torch.save({"state_dict": state}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"1 of \d+ tensors are missing: head\.bias"):
        create_network("fdiwn-m", 2, tmp_path / "w.pt")


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pt does not exist"):
        create_network("fdiwn", 4, tmp_path / "none.pt")
    with pytest.raises(WeightsError, match=r"none\.pt does not exist"):
        create_network("fdiwn", 4, "none.pt")
    with pytest.raises(WeightsError, match="no weights are shipped for fdiwn-m x2"):
        create_network("fdiwn-m", 2)
    with pytest.raises(UserError, match="did you mean 'fdiwn-m'"):
        create_network("fdiwnm", 2)


def test_shipped_weights_load() -> None:
    entries = shipped()
    if not entries:
        pytest.skip("nothing is shipped yet")
    for entry in entries:
        network = create_network(entry.network, entry.scale, entry.tag)
        held = load_weights_of(entry.safetensors, entry.network, entry.scale)
        assert all(np.array_equal(held[name], t) for name, t in network.state_dict().items())

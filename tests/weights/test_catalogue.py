"""The catalogue of shipped weights: adding, finding, and noticing damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lightsr.errors import WeightsError
from lightsr.weights.catalogue import FileKind, Shipped, add_to_catalogue, best, find, shipped
from lightsr.weights.files import save_tensors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


def add(folder: Path, network: str, scale: int, psnr: float, tag: str = "default") -> Shipped:
    made = folder.parent / "made"
    weights = made / "weights.safetensors"
    values = {"w": np.full(3, psnr, np.float32)}
    save_tensors(weights, values, {"network": network, "scale": str(scale)})
    (made / "graph.onnx").write_bytes(f"{network} {scale} {tag}".encode())
    (made / "card.md").write_text("# Card")
    return add_to_catalogue(
        network,
        scale,
        safetensors=weights,
        onnx=made / "graph.onnx",
        card=made / "card.md",
        psnr={"Set5": (psnr, 0.9), "Set14": (psnr - 3, 0.8)},
        licence="Apache-2.0",
        tag=tag,
        folder=folder,
    )


def test_an_empty_catalogue_says_so(folder: Path) -> None:
    assert shipped(folder) == []
    with pytest.raises(WeightsError, match="no weights are shipped for fdiwn x4; give a file"):
        find("fdiwn", 4, folder=folder)
    with pytest.raises(WeightsError, match="no weights are shipped for x4; there are none"):
        best(4, folder)


def test_what_is_added_is_found_whole(folder: Path) -> None:
    added = add(folder, "fdiwn", 4, 31.5)
    assert find("fdiwn", 4, folder=folder) == added
    assert (added.network, added.scale, added.tag, added.name) == (
        "fdiwn",
        4,
        "default",
        "fdiwn-x4",
    )
    assert added.psnr == {"Set5": (31.5, 0.9), "Set14": (28.5, 0.8)}
    assert added.licence == "Apache-2.0"
    assert added.card.read_text() == "# Card"
    assert added.verified("onnx").read_bytes() == b"fdiwn 4 default"
    assert added.verified("safetensors").parent == folder
    with pytest.raises(WeightsError, match="only for x4"):
        find("fdiwn", 2, folder=folder)
    with pytest.raises(WeightsError, match="did you mean 'default'"):
        find("fdiwn", 4, "defualt", folder=folder)


def test_adding_again_replaces(folder: Path) -> None:
    add(folder, "fdiwn", 4, 31.5)
    add(folder, "fdiwn", 4, 32.0)
    assert [entry.psnr["Set5"][0] for entry in shipped(folder)] == [32.0]


def test_the_best_is_the_one_that_measured_best_on_set5(folder: Path) -> None:
    add(folder, "fdiwn", 4, 32.2)
    add(folder, "carn", 4, 32.3)
    add(folder, "fdiwn-m", 2, 38.0)
    assert best(4, folder).network == "carn"
    assert best(2, folder).network == "fdiwn-m"
    assert [entry.name for entry in shipped(folder)] == ["carn-x4", "fdiwn-x4", "fdiwn-m-x2"]
    with pytest.raises(WeightsError, match="for x3; there are: x2, x4"):
        best(3, folder)


def test_default_is_the_best_tag_where_none_is_called_so(folder: Path) -> None:
    add(folder, "fdiwn", 4, 31.0, tag="small")
    add(folder, "fdiwn", 4, 32.0, tag="long")
    assert find("fdiwn", 4, folder=folder).tag == "long"
    assert find("fdiwn", 4, "small", folder=folder).name == "fdiwn-x4.small"
    add(folder, "fdiwn", 4, 30.0)
    assert find("fdiwn", 4, folder=folder).tag == "default"


@pytest.mark.parametrize("kind", ["safetensors", "onnx"])
def test_a_damaged_or_missing_file_is_named(kind: FileKind, folder: Path) -> None:
    entry = add(folder, "fdiwn", 4, 31.5)
    path = entry.safetensors if kind == "safetensors" else entry.onnx
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"is damaged.*reinstall"):
        entry.verified(kind)
    path.unlink()
    with pytest.raises(WeightsError, match=rf"{path.name} does not exist"):
        entry.verified(kind)


def test_a_damaged_catalogue_is_named(folder: Path) -> None:
    folder.mkdir()
    (folder / "catalogue.json").write_text("[{")
    with pytest.raises(WeightsError, match=r"catalogue\.json is damaged"):
        shipped(folder)


def test_only_measured_weights_of_the_right_network_are_shipped(
    folder: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "w.safetensors"
    save_tensors(weights, {"w": np.ones(1, np.float32)}, {"network": "fdiwn", "scale": "2"})

    def ship(scale: int, psnr: dict[str, tuple[float, float]]) -> None:
        add_to_catalogue(
            "fdiwn",
            scale,
            safetensors=weights,
            onnx=weights,
            card=weights,
            psnr=psnr,
            licence="Apache-2.0",
            folder=folder,
        )

    with pytest.raises(WeightsError, match="Set5; measure it"):
        ship(2, {})
    with pytest.raises(WeightsError, match="fdiwn x2, not of fdiwn x4"):
        ship(4, {"Set5": (31.0, 0.9)})
    assert shipped(folder) == []


def test_everything_shipped_is_undamaged() -> None:
    for entry in shipped():
        entry.verified("safetensors")
        entry.verified("onnx")
        assert entry.card.is_file()
        assert entry.psnr["Set5"][0] > 28

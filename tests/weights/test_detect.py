"""Files of weights tell which network they hold, or which networks they could."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from errors import one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import save_file

import lightsr
from lightsr.errors import LightsrError, UserError, WeightsError
from lightsr.networks.registry import list_networks, network_spec
from lightsr.weights import detect as module
from lightsr.weights import official_carn, official_imdn
from lightsr.weights.checkpoints import Checkpoint
from lightsr.weights.convert import expected_shapes
from lightsr.weights.create import create_network
from lightsr.weights.detect import Held, candidates, detect, detect_in
from lightsr.weights.families import Shapes
from lightsr.weights.files import save_tensors

EVERY = [
    (name, scale)
    for name in list_networks()
    for scale in network_spec(name).scales
    if expected_shapes(name, scale)
]
"""Every network that has tensors, at every scale."""

HERE = Path("some.pth")


@pytest.fixture(scope="module")
def alike() -> Mapping[object, list[Held]]:
    """The networks and scales by their tensors' names and shapes, from comparing all."""
    found: defaultdict[object, list[Held]] = defaultdict(list)
    for name, scale in EVERY:
        found[frozenset(expected_shapes(name, scale).items())].append(Held(name, scale))
    return found


def zeros(shapes: Shapes) -> dict[str, NDArray[Any]]:
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def ours(network: str, scale: int, said: tuple[str, int], path: Path) -> Path:
    save_tensors(
        path,
        zeros(expected_shapes(network, scale)),
        {"network": said[0], "scale": str(said[1])},
    )
    return path


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_every_network_is_known_in_our_names(
    name: str, scale: int, alike: Mapping[object, list[Held]]
) -> None:
    shapes = expected_shapes(name, scale)
    held = candidates(Checkpoint(zeros(shapes), {}), HERE)
    assert held == alike[frozenset(shapes.items())]
    assert Held(name, scale) in held
    assert detect_in(Checkpoint(zeros(shapes), {}), HERE, scale=scale).scale == scale


def test_few_networks_are_built_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the number of values to leave most of them out."""
    built: list[tuple[str, int]] = []

    def counted(name: str, scale: int) -> Shapes:
        built.append((name, scale))
        return expected_shapes(name, scale)

    monkeypatch.setattr(module, "expected_shapes", counted)
    assert detect_in(Checkpoint(zeros(expected_shapes("fdiwn", 3)), {}), HERE) == ("fdiwn", 3)
    of_branches = [1 for name, _ in EVERY if network_spec(name).counted == "deployed"]
    assert len(built) <= len(of_branches) + 3


def test_what_is_alike_has_to_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "srcnn.pt"
    torch.save(create_network("srcnn", 3, None).state_dict(), path)
    with pytest.raises(WeightsError) as caught:
        detect(path)
    assert str(caught.value) == (
        f"{path} fits srcnn x2, srcnn x3 and srcnn x4 alike; choose with --scale, or once and for "
        f"all with `lightsr convert`"
    )
    assert detect(path, scale=3) == detect(path, "srcnn", 3) == ("srcnn", 3)
    with pytest.raises(WeightsError, match="fits srcnn x2, srcnn x3 and srcnn x4"):
        detect(path, "srcnn")
    with pytest.raises(WeightsError, match=r"holds srcnn x2, srcnn x3 and srcnn x4, not x8"):
        detect(path, scale=8)
    with pytest.raises(WeightsError, match=r"and srcnn x4, not vdsr; ask"):
        detect(path, "vdsr")
    with pytest.raises(UserError, match="did you mean 'srcnn'"):
        detect(tmp_path / "none.pt", "srcn")
    with pytest.raises(UserError, match="srcnn has no scale x8"):
        detect(tmp_path / "none.pt", "srcnn", 8)


def test_networks_that_are_alike_are_chosen_by_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = expected_shapes("imdn", 2)
    monkeypatch.setattr(module, "expected_shapes", lambda *_: shapes)
    with pytest.raises(WeightsError, match=r"x2.* and imdn x2 alike; choose with --model"):
        detect_in(Checkpoint(zeros(shapes), {}), HERE)


def test_our_files_say_it_themselves(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    assert detect(ours("srcnn", 3, ("srcnn", 3), path)) == ("srcnn", 3)
    with pytest.raises(WeightsError, match="holds srcnn x3, not x2"):
        detect(path, scale=2)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (("imdn", 4), "says that it holds imdn x4, but its tensors are those of imdn x2"),
        (("vdsr", 2), "says that it holds vdsr x2, but its tensors are those of imdn x2"),
        (("resnet", 2), "says that it holds resnet x2, which this lightsr does not have"),
        (("imdn", 8), "says that it holds imdn x8, which this lightsr does not have"),
    ],
)
def test_a_file_of_ours_that_contradicts_itself_is_refused(
    said: tuple[str, int], problem: str, tmp_path: Path
) -> None:
    path = ours("imdn", 2, said, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError) as caught:
        detect(path)
    assert str(caught.value).startswith(f"{path} {problem}")


def test_a_file_of_ours_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    tensors = zeros(expected_shapes("imdn", 2))
    del tensors["head.bias"]
    save_tensors(tmp_path / "w.safetensors", tensors, {"network": "imdn", "scale": "2"})
    with pytest.raises(WeightsError, match=r"imdn x2, which it says it holds: 1 of .*head\.bias"):
        detect(tmp_path / "w.safetensors")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_authors_names_are_known(scale: int, tmp_path: Path) -> None:
    state = create_network("imdn", scale, None).state_dict()
    theirs = {f"module.{official_imdn.official_name(name)}": t for name, t in state.items()}
    torch.save(theirs, tmp_path / "IMDN.pth")
    assert detect(tmp_path / "IMDN.pth") == ("imdn", scale)
    network = lightsr.load_network(tmp_path / "IMDN.pth")
    assert not network.training
    assert all(torch.equal(network.state_dict()[name], t) for name, t in state.items())


def test_a_checkpoint_for_all_scales_fits_all(tmp_path: Path) -> None:
    theirs: dict[str, torch.Tensor] = {}
    for scale in (2, 3, 4):
        for name, tensor in create_network("carn-m", scale, None).state_dict().items():
            theirs.setdefault(official_carn.official_name(name, scale), tensor)
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        theirs[f"{name}.shifter.weight"] = torch.eye(3)[:, :, None, None]
        theirs[f"{name}.shifter.bias"] = sign * torch.tensor([0.4488, 0.4371, 0.4040])
    path = tmp_path / "carn_m.pth"
    torch.save(theirs, path)
    with pytest.raises(WeightsError, match="fits carn-m x2, carn-m x3 and carn-m x4 alike"):
        lightsr.load_network(path)
    assert lightsr.load_network(path, scale=3)(torch.zeros(1, 3, 5, 4)).shape == (1, 3, 15, 12)
    torch.save({name: t for name, t in theirs.items() if "up3" not in name}, path)
    with pytest.raises(WeightsError, match="fits carn-m x2 and carn-m x4 alike"):
        detect(path)


@pytest.mark.parametrize(
    ("file", "network", "scales"),
    [
        ("carn/CARN_2x.safetensors", "carn", [2]),
        ("carn/carn_m.pth", "carn-m", [2, 3, 4]),
        ("fdiwn/FDIWNx2.pt", "fdiwn", [2]),
        ("fdiwn/FDIWNx4.pt", "fdiwn", [4]),
        ("fsrcnn/FSRCNN_x2.mat", "fsrcnn", [2, 3, 4]),
        ("imdn/IMDN_x2.pth", "imdn", [2]),
        ("imdn/IMDN_x4.pth", "imdn", [4]),
        ("lapsrn/LapSRN_x2.mat", "lapsrn", [2]),
        ("lapsrn/LapSRN_x4.mat", "lapsrn", [3, 4]),
        ("rfdn/RFDN_AIM.pth", "e-rfdn", [4]),
        ("srcnn/SRCNN_9-5-5_ImageNet_x4.mat", "srcnn", [2, 3, 4]),
        ("vdsr/VDSR_Official.mat", "vdsr", [2, 3, 4]),
    ],
)
def test_the_authors_files_are_known(
    file: str, network: str, scales: list[int], assets: Path
) -> None:
    path = assets / "checkpoints" / file
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    assert candidates(module.read_checkpoint(path), path) == [Held(network, s) for s in scales]
    held = detect(path, scale=scales[0])
    network_spec(*held)


def _saved(content: object, path: Path) -> None:
    torch.save(content, path)


def _without(name: str, network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {other: t for other, t in network.state_dict().items() if other != name}


def _like_imdn(outputs: int) -> dict[str, torch.Tensor]:
    return {"IMDB1.c1.weight": torch.zeros(2), "upsampler.0.bias": torch.zeros(outputs)}


class Trap:
    """Pickles into a call that writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (f"open({str(self.path)!r}, 'w')",))


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (lambda p: None, "does not exist"),
        (lambda p: p.mkdir(), "is a folder"),
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: p.write_bytes(b"GIF89a, not weights"), "is no checkpoint"),
        (lambda p: p.write_bytes((1 << 62).to_bytes(8, "little") + b"{"), "damaged safetensors"),
        (lambda p: p.write_bytes(pickle.dumps(Trap(p.with_name("sprung")))), "nothing of it was"),
        (lambda p: _saved({"a": torch.zeros(1).expand(10**6, 10**6)}, p), "claims"),
        (lambda p: _saved({"a": torch.zeros(1)}, p), r"no network that.*\(tensors: 1.*'a'\)"),
        (lambda p: _saved(torch.zeros(3), p), "not a mapping"),
        (
            lambda p: _saved(_without("head.weight", create_network("imdn", 3, None)), p),
            r"does not fit imdn x3, the nearest: 1 of 92 tensors are missing: head\.weight",
        ),
        (
            lambda p: _saved(_like_imdn(75), p),
            "holds imdn x5 in the naming of the IMDN authors' checkpoints, which lightsr does not",
        ),
        (lambda p: _saved(_like_imdn(12), p), "does not fit: 90 of 92 tensors are missing"),
    ],
)
def test_what_fits_nothing_is_one_line(
    write: Callable[[Path], object], problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    write(path)
    with one_line(WeightsError, match=problem) as caught:
        lightsr.load_network(path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "sprung").exists()


KNOWN = sorted(
    {
        *("Li1.MY1.fuse2.weight", "UP1.0.weight", "weights_conv.1", "prelu_conv.1", "weight.1"),
        *("weight.20", "bias.1", "bias.20", "weights_conv1", "weights_conv2", "weights_conv3"),
        *("net.params.level1_img_up_f.value", "IMDB1.c1.weight", "upsampler.0.bias"),
        *("b1.b1.body.0.weight", "b1.c1.body.0.weight", "upsample.up.body.0.bias"),
        *("B1.c1_d.weight", "B1.esa.conv1.weight", "backbone.0.conv3x3.bias"),
        *("backbone.0.conv1x1_3x3.k0", "backbone.0.conv1x1_sbx.mask", "head.weight"),
        *(f"backbone.{'9' * 5000}.conv3x3.bias", "two\nlines"),
    }
)
"""Names that say whose a checkpoint is, and which its scale is read from."""


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(KNOWN), st.lists(st.integers(0, 3), max_size=5).map(tuple), min_size=1
    )
)
def test_known_names_on_bent_tensors_are_an_error(shapes: dict[str, tuple[int, ...]]) -> None:
    with one_line(LightsrError) as caught:
        detect_in(Checkpoint(zeros(shapes), {}), HERE)
    assert len(str(caught.value)) < 1000


def test_looking_leaves_torch_as_it_was() -> None:
    expected_shapes.cache_clear()
    torch.manual_seed(3)
    first = torch.rand(4)
    torch.manual_seed(3)
    detect_in(Checkpoint(zeros(expected_shapes("carn", 2)), {}), HERE)
    assert torch.equal(torch.rand(4), first)


def test_loaded_networks_do_what_created_ones_do(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = create_network("ecbsr-m4c8", 2, None)
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    loaded = lightsr.load_network(str(tmp_path / "w.safetensors"))
    picture = torch.rand(1, 3, 7, 9)
    with torch.inference_mode():
        assert torch.equal(loaded(picture), network(picture))

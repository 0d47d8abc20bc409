"""What others may rely on. A change here is a change of the public contract: see CHANGELOG.md."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import lightsr

NAMES = {
    "BackendError",
    "LightsrError",
    "PictureError",
    "Upscaler",
    "UserError",
    "VideoError",
    "WeightsError",
    "__version__",
    "create_network",
    "list_networks",
    "load_network",
    "upscale",
}


def _parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


def test_the_package_hands_out_these_names() -> None:
    assert set(lightsr.__all__) == NAMES
    assert set(dir(lightsr)) == NAMES
    for name in NAMES - {"create_network", "load_network"}:
        assert getattr(lightsr, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = lightsr.no_such_name  # type: ignore[attr-defined]


def test_networks_are_listed_by_name() -> None:
    assert {"fdiwn", "fdiwn-m"} <= set(lightsr.list_networks())


def test_parameters_of_upscale() -> None:
    assert _parameters(lightsr.upscale) == [
        *("image", "scale", "width", "height", "output", "overwrite", "model", "weights"),
        *("backend", "device", "precision", "tile", "ensemble", "memory"),
    ]


def test_parameters_of_the_upscaler() -> None:
    assert _parameters(lightsr.Upscaler) == [
        *("model", "scale", "backend", "device", "precision", "weights", "tile", "ensemble"),
        "memory",
    ]
    assert {"batch", "upscale_picture", "enlarge", "scale", "backend"} <= {
        *dir(lightsr.Upscaler),
        "backend",
    }


def test_parameters_of_create_network() -> None:
    pytest.importorskip("torch")
    assert _parameters(lightsr.create_network) == ["name", "scale", "weights"]


def test_parameters_of_load_network() -> None:
    pytest.importorskip("torch")
    assert _parameters(lightsr.load_network) == ["path", "model", "scale"]


def test_errors_derive_from_each_other() -> None:
    assert issubclass(lightsr.UserError, lightsr.LightsrError)
    for error in (
        lightsr.PictureError,
        lightsr.VideoError,
        lightsr.WeightsError,
        lightsr.BackendError,
    ):
        assert issubclass(error, lightsr.UserError)


def test_importing_is_quick_and_takes_no_torch() -> None:
    """Importing costs under 0.2 s; the best of three, since the machine has other work."""
    code = (
        "import sys, time; t = time.perf_counter(); import lightsr; "
        "t = time.perf_counter() - t; heavy = [m for m in ('torch', 'onnxruntime', 'pyvips', "
        "'numpy', 'PIL', 'typer') if m in sys.modules]; print(t, *heavy)"
    )
    outcomes = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    words = [outcome.stdout.split() for outcome in outcomes]
    assert [heavy for _, *heavy in words] == [[], [], []]
    assert min(float(seconds) for seconds, *_ in words) < 0.2

"""What every network must do. A network's test class names it and inherits these tests."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from lightsr.evaluation.counting import count
from lightsr.export.onnx import export_onnx
from lightsr.networks.build import create_network
from lightsr.networks.registry import network_spec


def perturbed(network: nn.Module, seed: int = 0) -> nn.Module:
    """Move every parameter a little, so that none is at a value that hides what it does."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            size = 0.02 * (parameter.abs().mean() + 0.1)
            parameter.add_(torch.randn(parameter.shape, generator=random) * size)
    return network


def noise(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@functools.cache
def _built(name: str, scale: int, dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    return perturbed(create_network(name, scale)).to(dtype).eval()


class NetworkTester:
    """Inherit, set `name`, and add what only this network does."""

    name: ClassVar[str]
    slow: ClassVar[tuple[str, ...]] = ()
    """Tests that take more than a few seconds for this network."""
    graph_tolerance: ClassVar[float] = 2e-4
    """What single precision may cost, relative to the range, with weights at random."""

    def build(self, scale: int, dtype: torch.dtype = torch.float32) -> nn.Module:
        """Return the network, perturbed; the same object each time, so leave it as it is."""
        return _built(self.name, scale, dtype)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "scale" not in metafunc.fixturenames:
            return
        test, scales = metafunc.function.__name__, network_spec(self.name).scales
        # torch.export takes long, and does the same at all scales.
        quick = scales[:1] if test == "test_torch_export_is_equal" else scales
        quick = () if test in self.slow else quick
        metafunc.parametrize(
            "scale",
            [s if s in quick else pytest.param(s, marks=pytest.mark.slow) for s in scales],
        )

    @pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 3), (12, 9)])
    def test_any_size_is_enlarged(self, size: tuple[int, int], scale: int) -> None:
        sr = self.build(scale)(noise(1, 3, *size))
        assert sr.shape == (1, 3, scale * size[0], scale * size[1])
        assert torch.isfinite(sr).all()

    def test_batch_equals_single(self, scale: int) -> None:
        network, batch = self.build(scale, torch.float64), noise(3, 3, 8, 6, dtype=torch.float64)
        with torch.no_grad():
            single = torch.cat([network(picture[None]) for picture in batch])
            torch.testing.assert_close(network(batch), single, rtol=1e-9, atol=1e-9)

    def test_same_input_same_output(self, scale: int) -> None:
        network, x = self.build(scale), noise(1, 3, 9, 8)
        assert torch.equal(network(x), network(x))

    def test_input_is_left_alone(self, scale: int) -> None:
        x = noise(1, 3, 6, 6)
        before = x.clone()
        self.build(scale)(x)
        assert torch.equal(x, before)

    @pytest.mark.parametrize("flat", [False, True], ids=["noise", "one colour"])
    def test_gradients_are_finite(self, flat: bool, scale: int) -> None:
        network = copy.deepcopy(self.build(scale, torch.float64))
        x = noise(2, 3, 6, 5, dtype=torch.float64)
        x = (torch.full_like(x, 0.5) if flat else x).requires_grad_()
        network(x).sum().backward()
        assert x.grad is not None
        assert torch.isfinite(x.grad).all()
        trained = [p for p in network.parameters() if p.requires_grad]
        assert bool(trained) == network_spec(self.name).trained
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in trained)

    def test_state_survives_saving(self, scale: int, tmp_path: Path) -> None:
        from safetensors.torch import load_file, save_file

        network, x = self.build(scale), noise(1, 3, 6, 7)
        save_file(network.state_dict(), tmp_path / "weights.safetensors")
        other = create_network(self.name, scale).eval()
        other.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
        assert torch.equal(network(x), other(x))

    def test_deploy_form_is_equal(self, scale: int) -> None:
        network, x = self.build(scale, torch.float64), noise(2, 3, 10, 7, dtype=torch.float64)
        before = copy.deepcopy(network.state_dict())
        with torch.no_grad():
            wanted, got = network(x), cast("Any", network).deploy()(x)
        assert (got - wanted).abs().max() <= 1e-9 * wanted.abs().max()
        after = network.state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before), "deploy() changed it"

    def test_deploy_form_is_equal_in_single_precision(self, scale: int) -> None:
        network, x = self.build(scale), noise(1, 3, 11, 8)
        with torch.no_grad():
            wanted, got = network(x), cast("Any", network).deploy()(x)
        assert (got - wanted).abs().max() <= 1e-4 * wanted.abs().max()

    def test_onnx_graph_is_equal(self, scale: int, tmp_path: Path) -> None:
        network, path = self.build(scale), tmp_path / "network.onnx"
        export_onnx(network, path, name=self.name, scale=scale)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for size in ((1, 3, 1, 1), (3, 3, 7, 20), (1, 3, 15, 16), (1, 3, 33, 18)):
            lr = noise(*size)
            with torch.no_grad():
                wanted = network(lr).numpy()
            sr = np.asarray(session.run(["sr"], {"lr": lr.numpy()})[0])
            np.testing.assert_allclose(sr, wanted, atol=self.graph_tolerance * np.abs(wanted).max())

    def test_torch_export_is_equal(self, scale: int) -> None:
        """Exported with all sizes free, and run at one that it was not exported with."""
        deployed = cast("Any", self.build(scale)).deploy()
        # No smaller, since torch settles for a size of 1, which pooling would leave.
        sizes = {axis: torch.export.Dim(name, min=24) for axis, name in ((2, "h"), (3, "w"))}
        free = {0: torch.export.Dim("n"), **sizes}
        program = torch.export.export(deployed, (noise(2, 3, 27, 30),), dynamic_shapes=(free,))
        x = noise(3, 3, 34, 25)
        with torch.no_grad():
            torch.testing.assert_close(program.module()(x), deployed(x))

    def test_cost_is_as_registered(self, scale: int) -> None:
        spec, network = network_spec(self.name), self.build(scale)
        if spec.counted == "deployed":
            network = cast("Any", network).deploy()
        for size in ((5, 6), (9, 4)):
            counted = count(network, *size)
            assert counted.parameters == spec.cost[scale].parameters
            assert counted.multi_adds == spec.cost[scale].multi_adds(*size)

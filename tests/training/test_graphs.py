"""Passes are recorded for each shape; what records is CUDA's, and stood in for without one."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor, nn

from lightsr.training.graphs import Pass, record_passes, recorded


class _Recorder:
    """Records as torch does: the module gets another forward, for one shape alone."""

    def __init__(self) -> None:
        self.made: list[tuple[int, ...]] = []
        self.run = 0

    def __call__(self, network: nn.Module, like: Tensor) -> Pass:
        plain, shape = network.forward, like.shape
        self.made.append(tuple(shape))

        def forward(x: Tensor) -> Tensor:
            assert x.shape == shape
            self.run += 1
            return plain(x)

        network.forward = forward
        return network.forward


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))


def _gradient(network: nn.Module, side: int) -> list[Tensor]:
    network.zero_grad()
    x = torch.linspace(0, 1, 3 * side * side).view(1, 3, side, side)
    network(x).square().sum().backward()
    return [
        parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None
    ]


def test_each_shape_is_recorded_once() -> None:
    network, expected, recorder = _network(), _network(), _Recorder()
    record_passes(network, recorder)
    for side in (8, 12, 8, 8, 12):
        for got, wanted in zip(_gradient(network, side), _gradient(expected, side), strict=True):
            assert torch.equal(got, wanted)
    assert recorder.made == [(1, 3, 8, 8), (1, 3, 12, 12)]
    assert recorder.run == 5


def test_validation_runs_the_network_as_it_is() -> None:
    network, recorder = _network(), _Recorder()
    record_passes(network, recorder)
    with torch.no_grad():
        network(torch.zeros(1, 3, 8, 8))
    network.eval()(torch.zeros(1, 3, 8, 8))
    assert recorder.made == []


def test_what_cannot_be_recorded_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    def fail(network: nn.Module, like: Tensor) -> Pass:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    network = _network()
    record_passes(network, fail)
    with caplog.at_level(logging.WARNING, "lightsr"):
        for _ in range(3):
            assert len(_gradient(network, 8)) == 4
    (record,) = caplog.records
    assert record.getMessage().endswith(
        "(operation not permitted when stream is capturing), and runs without"
    )


def test_state_and_copies_are_the_networks_own() -> None:
    network = _network()
    keys = list(network.state_dict())
    record_passes(network, _Recorder())
    _gradient(network, 8)
    assert list(network.state_dict()) == keys


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_recorded_passes_give_the_same_gradients() -> None:
    network = _network().cuda()
    x = torch.rand(2, 3, 16, 16, device="cuda")
    network(x).square().sum().backward()
    expected = [parameter.grad for parameter in network.parameters()]
    record_passes(network, recorded)
    for _ in range(3):
        network.zero_grad()
        network(x).square().sum().backward()
    for parameter, wanted in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, wanted)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightsr.engine.backends.base import Batch
from lightsr.engine.ensemble import VIEWS, back, enlarge_in_eight_views, turn
from lightsr.engine.forward import Forward
from lightsr.engine.samples import from_float, to_float, to_grey
from lightsr.errors import LightsrError


class Fake:
    """A backend that repeats samples and rings: it overshoots by `ringing` times an edge."""

    name, network, device, precision = "fake", "none", "cpu", "fp32"
    radius: int | None = 1

    def __init__(self, scale: int = 2, ringing: float = 0.0, value: float | None = None) -> None:
        self.scale = scale
        self.ringing = ringing
        self.value = value
        self.runs: list[tuple[int, ...]] = []

    def run(self, batch: Batch) -> Batch:
        assert batch.dtype == np.float32
        assert batch.flags.c_contiguous
        self.runs.append(batch.shape)
        edges = np.zeros_like(batch)
        edges[..., 1:] = batch[..., 1:] - batch[..., :-1]
        out: Batch = (batch + self.ringing * edges).astype(np.float32)
        if self.value is not None:
            out[0, 0, 0, 0] = self.value
        return out.repeat(self.scale, 2).repeat(self.scale, 3)

    def peak_bytes(self, batch: int, height: int, width: int) -> int:
        return batch * height * width

    def free_bytes(self) -> int | None:
        return None


def _batch(*shape: int) -> Batch:
    return np.random.default_rng(3).random(shape).astype(np.float32)


def test_colour_keeps_its_channels() -> None:
    batch = _batch(2, 5, 6, 3)
    np.testing.assert_array_equal(Forward(Fake())(batch), batch.repeat(2, 1).repeat(2, 2))


def test_grey_goes_in_as_three_equal_channels_and_comes_out_as_one() -> None:
    backend, batch = Fake(), _batch(1, 5, 6, 1)
    result = Forward(backend)(batch)
    assert backend.runs == [(1, 3, 5, 6)]
    np.testing.assert_array_equal(result, batch.repeat(2, 1).repeat(2, 2))


@pytest.mark.parametrize("colour", [1, 3])
def test_alpha_is_enlarged_on_its_own(colour: int) -> None:
    backend, batch = Fake(), _batch(2, 5, 6, colour + 1)
    result = Forward(backend)(batch)
    assert backend.runs == [(2, 3, 5, 6), (1, 3, 5, 6), (1, 3, 5, 6)]
    np.testing.assert_array_equal(result, batch.repeat(2, 1).repeat(2, 2))


def test_constant_alpha_stays_and_costs_nothing() -> None:
    backend, batch = Fake(ringing=0.5), _batch(1, 5, 6, 4)
    batch[..., 3] = 0.3
    result = Forward(backend)(batch)
    assert backend.runs == [(1, 3, 5, 6)]
    assert (result[..., 3] == np.float32(0.3)).all()


def test_alpha_does_not_ring() -> None:
    """Where alpha is constant around a pixel it stays so; nowhere does it leave its neighbours."""
    batch = _batch(1, 6, 12, 4)
    batch[..., 3] = 0.2
    batch[:, :, 6:, 3] = 0.8
    result = Forward(Fake(ringing=0.5))(batch)
    alpha = result[0, ..., 3]
    assert alpha.min() == np.float32(0.2)
    assert alpha.max() == np.float32(0.8)
    assert (alpha[:, :10] == np.float32(0.2)).all()
    assert (alpha[:, 14:] == np.float32(0.8)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_never_a_picture(value: float) -> None:
    with pytest.raises(LightsrError, match="not finite"):
        Forward(Fake(value=value))(_batch(1, 4, 4, 3))


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), view=st.integers(0, VIEWS - 1))
def test_views_are_undone(height: int, width: int, view: int) -> None:
    batch = _batch(1, 3, height, width)
    np.testing.assert_array_equal(back(turn(batch, view), view), batch)


def test_views_are_eight_different_ones() -> None:
    batch = _batch(1, 1, 5, 5)
    assert len({turn(batch, view).tobytes() for view in range(VIEWS)}) == 8


def test_the_ensemble_is_the_mean_over_the_views() -> None:
    # "previous column" seen from all sides: the mean of the four neighbours.
    def shifted(batch: Batch) -> Batch:
        return np.roll(batch, 1, axis=3)

    batch = _batch(2, 3, 6, 8)
    expected = sum(np.roll(batch, by, axis) for axis in (2, 3) for by in (1, -1)) / 4
    np.testing.assert_allclose(enlarge_in_eight_views([shifted] * 8, batch), expected, atol=1e-6)


def test_ensemble_of_a_symmetric_network_changes_nothing() -> None:
    batch = _batch(1, 4, 7, 3)
    plain, eight = Forward(Fake())(batch), Forward(Fake(), ensemble=True)(batch)
    np.testing.assert_allclose(eight, plain, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integer_samples_survive_the_way_to_float_and_back(dtype: type[np.unsignedinteger]) -> None:
    every = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(-1, 1, 1)
    floats = to_float(every)
    assert floats.dtype == np.float32
    assert (floats.min(), floats.max()) == (0, 1)
    np.testing.assert_array_equal(from_float(floats, np.dtype(dtype)), every)


def test_samples_are_clipped_and_rounded_half_up() -> None:
    floats = np.array([-0.1, 0.0, 0.5 / 255, 1.4999 / 255, 1.0, 1.7], np.float32)
    assert from_float(floats, np.dtype(np.uint8)).tolist() == [0, 0, 1, 1, 255, 255]
    assert from_float(floats, np.dtype(np.float32)).tolist()[-1] == 1.0


def test_grey_of_equal_channels_is_that_channel_exactly() -> None:
    grey = _batch(1, 30, 30, 1)
    np.testing.assert_array_equal(to_grey(grey.repeat(3, -1)), grey)
    assert to_grey(np.array([1.0, 0, 0], np.float32))[0] == pytest.approx(0.299)

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from training.making import data_of, folder_of, smooth

from lightsr.images.resize import degrade, imresize
from lightsr.training.data import Patches, load_pairs
from lightsr.training.degradations import Degrader, blur, gaussian_kernel, shrink

SHRINK = {"kind": "shrink"}


def degrader(*steps: dict[str, Any], scale: int = 2) -> Degrader:
    return Degrader(data_of(Path("pictures"), degradations=steps), scale)


def picture(height: int = 64, width: int = 48) -> Any:
    return np.asarray(smooth(height, width))


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_shrinking_alone_is_the_exact_bicubic() -> None:
    got = degrader(SHRINK)(picture(), random())
    np.testing.assert_array_equal(got, degrade(picture(), 2, "replicate"))


@pytest.mark.parametrize("how", ["bilinear", "box", "lanczos"])
def test_other_filters_keep_everything_in_place(how: str) -> None:
    got = shrink(picture(61, 50), 3, how, "replicate").astype(float)
    wanted = degrade(picture(61, 50), 3, "replicate")
    assert got.shape == wanted.shape == (20, 16, 3)
    assert np.abs(got - wanted).mean() < 4


def test_blur_keeps_the_mean_and_takes_detail() -> None:
    kernel = gaussian_kernel(2.0, 0.7, 0.3, 6)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    y, x = np.mgrid[-6:7, -6:7]
    along = x * math.cos(0.3) + y * math.sin(0.3)
    across = y * math.cos(0.3) - x * math.sin(0.3)
    assert math.sqrt((kernel * along**2).sum()) == pytest.approx(2.0, rel=0.02)
    assert math.sqrt((kernel * across**2).sum()) == pytest.approx(0.7, rel=0.02)
    flat = np.full((9, 9, 3), 77, np.float32)
    np.testing.assert_allclose(blur(flat, 1.5, 1.5, 0), flat, rtol=1e-3)
    point = np.zeros((21, 21, 3), np.float32)
    point[10, 10] = 1
    np.testing.assert_allclose(blur(point, 2.0, 0.7, 0.3)[4:17, 4:17, 0], kernel, atol=2e-6)


def test_noise_is_as_strong_as_said() -> None:
    grey = np.full((200, 200, 3), 100, np.uint8)
    got = degrader(SHRINK, {"kind": "noise", "gaussian": (8, 8)})(grey, random()).astype(float)
    assert (got - 100).std() == pytest.approx(8, rel=0.03)
    assert abs((got - 100).mean()) < 0.2
    assert np.abs(got[..., 0] - got[..., 1]).max() > 0
    photons = {"kind": "noise", "gaussian": (0, 0), "poisson": (10, 10), "grey": 1.0}
    got = degrader(SHRINK, photons)(grey, random()).astype(float)
    assert (got - 100).std() == pytest.approx(10 * math.sqrt(100 / 255), rel=0.05)
    np.testing.assert_array_equal(got[..., 0], got[..., 2])


def test_jpeg_does_more_at_lower_quality() -> None:
    sharp = random().integers(256, size=(64, 64, 3), dtype=np.uint8)
    clean = degrade(sharp, 2, "replicate").astype(float)
    harm = [
        np.abs(
            degrader(SHRINK, {"kind": "jpeg", "quality": (q, q)})(sharp, random()) - clean
        ).mean()
        for q in (95, 60, 20)
    ]
    assert 0 < harm[0] < harm[1] < harm[2]


def test_steps_are_taken_in_order_and_as_often_as_said() -> None:
    never = {"kind": "blur", "sigma": (3, 3), "probability": 0.0}
    np.testing.assert_array_equal(
        degrader(never, SHRINK)(picture(), random()), degrade(picture(), 2, "replicate")
    )
    before = degrader({"kind": "noise", "gaussian": (9, 9)}, SHRINK)(picture(), random())
    after = degrader(SHRINK, {"kind": "noise", "gaussian": (9, 9)})(picture(), random())
    clean = degrade(picture(), 2, "replicate").astype(float)
    assert (before - clean).std() < 0.7 * (after - clean).std()  # shrinking averages noise


def test_a_patch_has_no_edge_of_its_own() -> None:
    """Inside the picture, a blurred patch is what it is in the whole blurred picture."""
    whole = degrader({"kind": "blur", "sigma": (1.5, 1.5)}, SHRINK)
    made = whole(picture(160, 160), random(3)).astype(int)
    patch = whole.patch(picture(160, 160), 30, 25, 12, random(3)).astype(int)
    assert np.abs(patch - made[30:42, 25:37]).max() <= 1


@pytest.mark.parametrize("corner", [(0, 0), (24, 8), (0, 8), (24, 0), (11, 5)])
def test_patches_at_every_edge(corner: tuple[int, int]) -> None:
    assert degrader(SHRINK).patch(picture(64, 32), *corner, 8, random()).shape == (8, 8, 3)


def test_batches_depend_on_seed_and_iteration_alone(tmp_path: Path) -> None:
    steps = (
        {"kind": "blur", "sigma": (0.2, 2), "roundness": (0.4, 1)},
        {"kind": "shrink", "filters": ("bicubic", "box")},
        {"kind": "noise", "gaussian": (0, 10), "grey": 0.4},
        {"kind": "jpeg", "quality": (40, 90)},
    )
    folder = folder_of(tmp_path / "pictures", (64, 70))
    plain, data = data_of(folder), data_of(folder, degradations=steps)
    pairs = load_pairs(data, 2)
    one = Patches(pairs, data, 2, 3, 0)
    assert torch.equal(one.batch(4)[0], Patches(pairs, data, 2, 3, 0).batch(4)[0])
    assert not torch.equal(one.batch(4)[0], one.batch(5)[0])
    clean = Patches(pairs, plain, 2, 3, 0)
    assert torch.equal(one.batch(4)[1], clean.batch(4)[1])
    assert not torch.equal(one.batch(4)[0], clean.batch(4)[0])
    halves = [Patches(pairs, data, 2, 3, 0, rank, 2).batch(4)[0] for rank in range(2)]
    assert torch.equal(torch.stack(halves, dim=1).flatten(0, 1), one.batch(4)[0])


def test_colours_and_place_are_kept(tmp_path: Path) -> None:
    steps = ({"kind": "blur", "sigma": (0.5, 0.5)}, SHRINK, {"kind": "jpeg", "quality": (95, 95)})
    smooth(200, 200).save(tmp_path / "one.png")
    data = data_of(tmp_path, degradations=steps, cache=tmp_path / "cache", patch=24)
    pairs = load_pairs(data, 4)
    lr, hr = Patches(pairs, data, 4, 0, 0).batch(0)
    for one, other in zip(lr, hr, strict=True):
        wanted = imresize(other.permute(1, 2, 0).numpy(), size=(24, 24))
        assert np.abs(one.permute(1, 2, 0).numpy() - wanted).mean() < 0.02


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (({"kind": "blur"},), "shrink} once, not 0 times"),
        ((SHRINK, SHRINK), "not 2 times"),
        ((SHRINK, {"kind": "noise", "gaussian": (9, 1)}), "smaller of 9 and 1 first"),
        ((SHRINK, {"kind": "jpeg", "quality": (0, 50)}), r"1\.\.100"),
        (({"kind": "blur", "roundness": (0, 1)}, SHRINK), "above 0"),
        (({"kind": "fog"}, SHRINK), "fog"),
    ],
)
def test_mistakes_are_named(steps: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        data_of(Path("pictures"), degradations=steps)


def test_jpeg_blocks_begin_anywhere() -> None:
    """The grid of 8 x 8 blocks must not be tied to the patch."""
    flat = np.asarray(Image.linear_gradient("L").resize((400, 400)).convert("RGB"))
    made = degrader(SHRINK, {"kind": "jpeg", "quality": (5, 5)})
    seams: set[int] = set()
    for seed in range(40):
        patch = made.patch(flat, 60, 60, 32, random(seed)).astype(int)
        steps = np.abs(np.diff(patch[:, :, 0], axis=0)).sum(axis=1)
        seams.add(int(steps.argmax()) % 8)
    assert len(seams) > 3

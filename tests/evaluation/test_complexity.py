"""Costs as they are told to people: the papers' digits, both rules, and integers in JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lightsr.errors import UserError
from lightsr.evaluation.complexity import complexity, printed_count
from lightsr.evaluation.models import models
from lightsr.networks.registry import list_networks, network_spec


@pytest.mark.parametrize(
    ("name", "scale", "parameters", "true", "published"),
    [
        ("fdiwn", 2, 629_176, "270.89", "112.03"),
        ("fdiwn", 3, 646_486, "121.98", "51.49"),
        ("fdiwn", 4, 663_848, "71.21", "28.36"),
        ("fdiwn-m", 2, 433_840, "187.88", "73.61"),
        ("fdiwn-m", 3, 446_814, "82.93", "35.94"),
        ("fdiwn-m", 4, 454_648, "48.17", "19.60"),
    ],
)
def test_fdiwn_at_1280x720(
    name: str, scale: int, parameters: int, true: str, published: str
) -> None:
    counted = complexity(name, scale)
    assert counted.parameters == parameters
    assert f"{counted.multi_adds / 1e9:.2f}" == true
    assert f"{counted.published_accounting[1] / 1e9:.2f}" == published
    assert counted.lr_size == (1280 // scale, 720 // scale)


def test_json_holds_integers_and_both_rules() -> None:
    told = json.loads(json.dumps(complexity("fdiwn", 4).as_json()))
    assert (told["name"], told["scale"], told["size"]) == ("fdiwn", 4, [1280, 720])
    assert told["parameters"] == 663_848
    assert told["multi_adds"] == 71_212_110_336
    assert told["published"]["parameters"] == 664_000
    assert told["published"]["multi_adds"] == 28_400_000_000
    assert told["published"]["psnr"]["Set5"] == 32.23
    assert told["published"]["ssim"]["Set5"] == 0.8955
    assert told["published_accounting"]["multi_adds"] == 28_363_239_936
    assert "weight-normalised" in told["published_accounting"]["rule"]
    for counts in (told, told["published"], told["published_accounting"]):
        assert type(counts["parameters"]) is type(counts["multi_adds"]) is int


def test_what_was_not_published_is_null() -> None:
    told = complexity("fsrcnn-s", 2).as_json()
    assert told["published"]["parameters"] == 3937
    assert told["published"]["multi_adds"] is None
    assert told["published"]["printed"]["multi_adds"] is None


def test_another_size_is_cut_down_to_whole_lr_pixels() -> None:
    one = complexity("fdiwn", 4, (4, 4))
    assert complexity("fdiwn", 4, (7, 6)).multi_adds == one.multi_adds
    assert complexity("fdiwn", 4, (8, 4)).multi_adds > one.multi_adds
    with pytest.raises(UserError, match="3x400 has not one LR pixel at x4"):
        complexity("fdiwn", 4, (3, 400))


def test_unknown_names_and_scales() -> None:
    with pytest.raises(UserError, match="did you mean 'fdiwn'"):
        complexity("fdwin", 4)
    with pytest.raises(UserError, match="fdiwn has no scale x8"):
        complexity("fdiwn", 8)


@pytest.mark.parametrize(
    ("text", "value"),
    [("664K", 664_000), ("28.4G", 28_400_000_000), ("1,592K", 1_592_000), ("57", 57)],
)
def test_printed_counts(text: str, value: int) -> None:
    assert printed_count(text) == value


def test_every_network_is_listed_at_every_scale() -> None:
    listed = [(model.cost.spec.name, model.cost.scale) for model in models()]
    expected = [(n, s) for n in list_networks() for s in network_spec(n).scales]
    assert listed == expected
    for model in models():
        told = model.as_json()
        assert told["multi_adds"] == model.cost.multi_adds
        assert len(told["weights"]) == len(model.weights)


def test_counting_from_the_registry_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from lightsr.evaluation.models import models\n"
        "print(len(models()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == str(len(models())), done.stderr

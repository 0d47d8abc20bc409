"""`lightsr complexity` and `lightsr models` in processes of their own."""

from __future__ import annotations

import json

import pytest
from process import mistake, run_lightsr

from lightsr.evaluation.complexity import complexity
from lightsr.networks.registry import list_networks, network_spec


def test_people_are_told_both_rules() -> None:
    done = run_lightsr("complexity", "fdiwn", "--scale", "3")
    assert done.returncode == 0, done.stderr
    for words in ("646,486", "121.98G", "51.49G", "645K", "51.5G", "426x240", "1280x720"):
        assert words in done.stdout
    assert "except the weight-normalised ones" in done.stdout


def test_programs_are_told_in_json() -> None:
    done = run_lightsr("complexity", "fdiwn-m", "--scale", "4", "--size", "640x360", "--json")
    told = json.loads(done.stdout)
    assert told["parameters"] == 454_648
    assert told["lr_size"] == [160, 90]
    whole = json.loads(run_lightsr("complexity", "fdiwn-m", "--scale", "4", "--json").stdout)
    assert whole["size"] == [1280, 720]
    assert told["multi_adds"] < whole["multi_adds"] / 3.9
    assert told["published"] == whole["published"]


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'fdiwn'" in mistake(capsys, "complexity", "fdwin", "--scale", "4")
    assert "in x2, x3, x4" in mistake(capsys, "complexity", "fdiwn", "--scale", "5")
    for size in ("1280", "1280x", "0x0", "4x-4"):
        given = ("complexity", "fdiwn", "--scale", "4", f"--size={size}")
        assert size in mistake(capsys, *given)


def test_models_lists_every_network_at_every_scale() -> None:
    done = run_lightsr("models", "--json")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    expected = [(name, scale) for name in list_networks() for scale in network_spec(name).scales]
    assert [(entry["name"], entry["scale"]) for entry in listed] == expected
    for entry in listed:
        one = json.loads(json.dumps(complexity(entry["name"], entry["scale"]).as_json()))
        assert one.items() <= entry.items()
        assert isinstance(entry["weights"], list)
    lines = run_lightsr("models").stdout.splitlines()
    assert len(lines) == 1 + len(listed) + 2
    assert lines[-1].startswith("Backends here: ")
    assert lines[1].split()[:1] == [listed[0]["name"]]

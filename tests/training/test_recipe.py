from __future__ import annotations

import json
from pathlib import Path

import pytest
from errors import one_line

from lightsr.errors import UserError
from lightsr.training.recipe import read_recipe, schema, write_recipe

SMALL = "network: fdiwn\nscale: 2\ndata:\n  folders: [pictures]\n"


def recipe(tmp_path: Path, text: str = SMALL) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_resolved_recipe_reads_back(tmp_path: Path) -> None:
    read = read_recipe(recipe(tmp_path), ["data.batch=3", "validation.folders={Set5: some/where}"])
    assert read.data.batch == 3
    write_recipe(read, tmp_path / "resolved.yaml")
    assert read_recipe(tmp_path / "resolved.yaml") == read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL + "itertions: 5\n", "'itertions'.*did you mean 'iterations'"),
        (SMALL + "  pach: 5\n", "'data.pach'.*did you mean 'patch'"),
        (SMALL + "  stages: [{after: 5, pach: 8, batch: 1}]\n", "did you mean 'patch'"),
        (SMALL + "  stages: [{after: 5, patch: 8}]\n", r"data\.stages\.0\.batch: Field required"),
        (
            SMALL + "  degradations: [{kind: shrink}, {kind: noise, gausian: [1, 2]}]\n",
            "did you mean 'gaussian'",
        ),
        (SMALL + "  degradations: [{kind: shrimk}]\n", r"data\.degradations\.0: .*'shrink'"),
        (SMALL + "  folders: []\n", r"data\.folders: .*at least 1"),
        (
            SMALL + "optimiser: {schedule: cosine, restarts: [9, 4]}\n",
            "optimiser: .*restarts must come one after the other",
        ),
        ("network: fdwin\nscale: 2\ndata:\n  folders: [a]\n", "did you mean 'fdiwn'"),
        ("network: fdiwn\nscale: 8\ndata:\n  folders: [a]\n", "no scale x8"),
        (SMALL + "iterations: 0\n", "iterations: .*greater than 0"),
        (SMALL + "iterations: many\n", "iterations: .*integer"),
        ("network: fdiwn\nscale: 2\n", "data: Field required"),
        ("- fdiwn\n", "mapping"),
        ("network: [\n", "not a readable recipe"),
    ],
)
def test_mistakes_are_named(text: str, message: str, tmp_path: Path) -> None:
    with one_line(UserError, match=message) as caught:
        read_recipe(recipe(tmp_path, text))
    assert "recipe.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [("data.batch", "key=value"), ("scale.x=1", "holds a value"), ("data.bach=1", "'batch'")],
)
def test_mistakes_in_overrides_are_named(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        read_recipe(recipe(tmp_path), [override])


def test_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml"):
        read_recipe(tmp_path / "none.yaml")


def test_sizes_follow_the_stages(tmp_path: Path) -> None:
    stages = "data.stages=[{after: 10, patch: 64, batch: 8}, {after: 20, patch: 32, batch: 4}]"
    data = read_recipe(recipe(tmp_path), [stages]).data
    sizes = [data.sizes(iteration) for iteration in (0, 9, 10, 19, 20, 99)]
    assert sizes == [(48, 16), (48, 16), (64, 8), (64, 8), (32, 4), (32, 4)]
    assert data.largest_patch == 64


def test_schema_knows_what_editors_need() -> None:
    made = json.loads(schema())
    assert made["additionalProperties"] is False
    assert set(made["required"]) == {"network", "scale", "data"}
    assert made["properties"]["scale"]["enum"] == [2, 3, 4, 8]
    data = made["$defs"]["Data"]
    assert "flip" in data["properties"]["augment"]["description"].lower()
    assert data["additionalProperties"] is False


def test_a_single_folder_needs_no_list(tmp_path: Path) -> None:
    read = read_recipe(recipe(tmp_path), ["data.folders=some/where"])
    assert read.data.folders == (Path("some/where"),)

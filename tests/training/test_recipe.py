from __future__ import annotations

from pathlib import Path

import pytest

from lightsr.errors import UserError
from lightsr.training.recipe import read_recipe, write_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = "network: fdiwn\nscale: 2\ndata:\n  folders: [pictures]\n"


def recipe(tmp_path: Path, text: str = SMALL) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_that_come_along_are_valid(path: Path) -> None:
    read_recipe(path)


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
        (SMALL + "iterations: 0\n", "iterations: .*greater than 0"),
        (SMALL + "iterations: many\n", "iterations: .*integer"),
        ("network: fdiwn\nscale: 2\n", "data: Field required"),
        ("- fdiwn\n", "mapping"),
        ("network: [\n", "not a readable recipe"),
    ],
)
def test_mistakes_are_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_recipe(recipe(tmp_path, text))
    assert "recipe.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


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

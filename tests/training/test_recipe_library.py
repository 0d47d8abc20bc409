from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lightsr.errors import UserError
from lightsr.networks.build import create_network
from lightsr.networks.registry import list_networks, network_spec
from lightsr.training import library
from lightsr.training.library import find_recipe, list_recipes, recipes_folder
from lightsr.training.losses import build_loss
from lightsr.training.optimise import build_optimiser, clip_gradients, rate_factor
from lightsr.training.recipe import read_recipe, schema

ROOT = Path(__file__).parents[2]
NETWORKS = [
    name
    for name in list_networks()
    if any(cost.parameters for cost in network_spec(name).cost.values())
]
"""Those that can be trained."""


def _of_registered_network(name: str) -> bool:
    return any(
        line.startswith("network: ") and line.split()[1] in list_networks()
        for line in find_recipe(name).read_text(encoding="utf-8").splitlines()
    )


RECIPES = [name for name in list_recipes() if _of_registered_network(name)]


def test_every_network_has_a_recipe_of_its_name() -> None:
    assert set(NETWORKS) <= set(list_recipes())
    for name in NETWORKS:
        assert read_recipe(find_recipe(name)).network == name


@pytest.mark.parametrize("name", list_recipes())
def test_recipes_say_what_they_are_and_where_their_schema_is(name: str) -> None:
    lines = find_recipe(name).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# yaml-language-server: $schema=recipe.schema.json"
    assert 20 < len(list_recipes()[name]) <= 120
    assert max(map(len, lines)) <= 120


def test_the_schema_beside_the_recipes_is_up_to_date() -> None:
    written = (ROOT / "recipes" / "recipe.schema.json").read_text(encoding="utf-8")
    assert written == schema(), "lightsr train --schema > recipes/recipe.schema.json"


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_build_their_loss_and_optimiser_and_take_a_step(name: str) -> None:
    recipe = read_recipe(find_recipe(name), ["start=default"])
    torch.manual_seed(0)
    network = create_network(recipe.network, recipe.scale)
    loss = build_loss(recipe, network)
    optimiser, schedule = build_optimiser(recipe, network)
    side = 20 if recipe.loss.shave else 16
    hr = torch.rand(1, 3, recipe.scale * side, recipe.scale * side)
    lr = torch.nn.functional.avg_pool2d(hr, recipe.scale)
    value: Any = loss(network, lr, hr, 0)
    value.backward()
    clip_gradients(recipe.optimiser, optimiser)
    optimiser.step()
    schedule.step()
    assert math.isfinite(value.item())
    assert all(bool(torch.isfinite(p).all()) for p in network.parameters())
    after: Any = loss(network, lr, hr, 1)
    assert math.isfinite(after.item())
    held = sum(p.numel() for group in optimiser.param_groups for p in group["params"])
    assert held == sum(p.numel() for p in network.parameters() if p.requires_grad)


def test_fdiwn_has_the_settings_of_its_paper() -> None:
    recipe = read_recipe(find_recipe("fdiwn"))
    assert (recipe.data.patch, recipe.data.batch, recipe.data.augment) == (48, 16, True)
    assert (recipe.loss.kind, recipe.optimiser.kind) == ("l1", "adam")
    assert recipe.iterations == 1_000_000
    assert not recipe.data.degradations
    factors = [
        rate_factor(recipe.optimiser, step, recipe.iterations) for step in (0, 200_000, 999_999)
    ]
    assert recipe.optimiser.learning_rate == 2e-4
    assert factors == [1, 0.5, 0.0625]


def test_recipes_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    assert find_recipe("fdiwn") == recipes_folder() / "fdiwn.yaml"
    own = tmp_path / "fdiwn"
    own.write_text("network: fdiwn\n", encoding="utf-8")
    assert find_recipe(str(own)) == own
    with pytest.raises(UserError, match="no recipe is named 'fdwin'; did you mean 'fdiwn'"):
        find_recipe("fdwin")
    with pytest.raises(UserError, match=r"nowhere\.yaml: no such recipe.*--list"):
        find_recipe("nowhere.yaml")
    with pytest.raises(UserError, match="no such recipe"):
        find_recipe("../recipes/fdiwn")


def test_recipes_are_found_in_the_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text("# Mine\nnetwork: fdiwn\n", encoding="utf-8")
    monkeypatch.setattr(library, "_PACKAGED", tmp_path)
    assert list_recipes() == {"mine": "Mine"}
    assert find_recipe("mine") == tmp_path / "mine.yaml"


def test_the_command_line_lists_recipes_without_torch() -> None:
    code = (
        "import sys\nfrom lightsr.cli import main\n"
        "sys.argv = ['lightsr', 'train', '--list']\n"
        "try:\n    main()\nfinally:\n    assert not {'torch', 'lightning'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(list_recipes())


def test_the_command_line_prints_the_schema() -> None:
    command = [sys.executable, "-m", "lightsr", "train", "--schema"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == schema()

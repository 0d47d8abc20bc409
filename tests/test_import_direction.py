"""The rooms of the package build on each other in one direction, and torch stays in its rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "lightsr"

ROOMS = (
    *("images", "metrics", "networks", "weights", "engine", "evaluation", "training", "export"),
    *("server", "cluster", "cli"),
)
"""From the ground floor up: a room imports from itself and from those before it."""

BENEATH = ("_version.py", "cache.py", "errors.py")
"""What every room may import: it imports from none."""

MAY_IMPORT_TORCH = (
    *("networks/", "engine/backends/torch.py", "engine/backends/torch_"),
    *("evaluation/counting.py", "training/", "export/"),
)
"""Anywhere in the file."""
TORCH_INSIDE_FUNCTIONS = ("weights/", "evaluation/")
NEVER_TORCH = (
    *("networks/__init__.py", "networks/registry.py", "networks/spec", "export/__init__.py"),
)
"""What listing networks, and running them without torch, imports."""

MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


def _imports(tree: ast.AST, *, inside_functions: bool) -> Iterator[str]:
    """Yield the modules that are imported, but for those that only the type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not _is_skipped(node, inside_functions):
            yield from _imports(node, inside_functions=inside_functions)


def _is_skipped(node: ast.AST, inside_functions: bool) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    return is_function and not inside_functions


def _parsed(module: str) -> ast.Module:
    return ast.parse((SOURCE / module).read_text(encoding="utf-8"), module)


def _is_of(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("module", [module for module in MODULES if "/" in module])
def test_rooms_import_only_from_rooms_below(module: str) -> None:
    room = module.split("/")[0]
    allowed = ROOMS[: ROOMS.index(room) + 1]
    for name in _imports(_parsed(module), inside_functions=True):
        parts = name.split(".")
        if parts[0] == "lightsr" and len(parts) > 1 and parts[1] in ROOMS:
            assert parts[1] in allowed, f"{module} imports {name}"


@pytest.mark.parametrize("module", BENEATH)
def test_what_lies_beneath_imports_from_no_room(module: str) -> None:
    for name in _imports(_parsed(module), inside_functions=True):
        assert not any(_is_of(name, f"lightsr.{room}") for room in ROOMS), f"imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_torch_is_imported_only_where_it_may_be(module: str) -> None:
    tree = _parsed(module)
    if module.startswith(NEVER_TORCH) or not module.startswith(MAY_IMPORT_TORCH):
        anywhere = not module.startswith(TORCH_INSIDE_FUNCTIONS)
        for name in _imports(tree, inside_functions=anywhere):
            for package in ("torch", "torchvision", "lightning"):
                assert not _is_of(name, package), f"{module} imports {name}"


def test_every_room_is_known() -> None:
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name[0] != "_"}
    assert rooms <= set(ROOMS)


def test_the_check_sees_what_it_should() -> None:
    tree = ast.parse(
        "import torch\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import hidden\n"
        "def f():\n    from lightsr.cli import app\n"
    )
    everything = list(_imports(tree, inside_functions=True))
    assert everything == ["torch", "typing.TYPE_CHECKING", "lightsr.cli.app"]
    assert list(_imports(tree, inside_functions=False)) == everything[:2]

"""The recipes that come along, by name. Nothing here needs torch or pydantic."""

from __future__ import annotations

from pathlib import Path

from lightsr.errors import UserError, unknown_name

_PACKAGED = Path(__file__).parents[1] / "recipes"
_IN_REPOSITORY = Path(__file__).parents[3] / "recipes"


def recipes_folder() -> Path:
    """Return the folder of the recipes: in the installed package, or in the repository."""
    return _PACKAGED if _PACKAGED.is_dir() else _IN_REPOSITORY


def list_recipes() -> dict[str, str]:
    """Return what each recipe is for, by its name."""
    return {path.stem: _title(path) for path in _files()}


def find_recipe(named: str) -> Path:
    """Return the file of a recipe that is named, or given as a path.

    Raises `UserError` if there is none.
    """
    path = Path(named).expanduser()
    if path.is_file():
        return path
    packaged = recipes_folder() / f"{named}.yaml"
    if packaged.parent == recipes_folder() and packaged.is_file():
        return packaged
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise UserError(f"{named}: no such recipe; `lightsr train --list` shows those by name")
    raise unknown_name("recipe", named, list_recipes())


def _files() -> list[Path]:
    return sorted(recipes_folder().glob("*.yaml"), key=lambda path: path.stem)


def _title(path: Path) -> str:
    """Return the first comment that is not for editors."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") and "yaml-language-server" not in line:
            return line[2:]
    return ""

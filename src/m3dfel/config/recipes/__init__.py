"""The recipes that ship with the package: YAML files that set a run up."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from m3dfel.errors import InputError


def find_recipe(name: str) -> Path:
    """Return the YAML file of a recipe: a shipped one by its name, or any file by its path.

    Raises:
        InputError: neither a shipped recipe nor a file.
    """
    shipped = recipes()
    if name in shipped:
        return shipped[name]
    if Path(name).is_file():
        return Path(name)
    raise InputError(f"no recipe {name!r}: give a YAML file or one of {', '.join(shipped)}")


def recipes() -> dict[str, Path]:
    """Return the recipes that ship with the package: name to YAML file, sorted by name."""
    folder = Path(str(files(__package__)))
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}

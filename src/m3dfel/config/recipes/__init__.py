"""The recipes that ship with the package: YAML files that set a run up."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from m3dfel.config.bounded_yaml import read_yaml
from m3dfel.errors import InputError


def find_recipe(name: str) -> Path:
    """Return the YAML file of a recipe: a shipped one by its name, or any file by its path.

    Raises:
        InputError: neither a shipped recipe nor a file, or it cannot be read.
    """
    shipped = recipes()
    if name in shipped:
        return shipped[name]
    path = Path(name)
    try:
        if path.is_file():
            read_yaml(path.read_text(encoding="utf-8"))
            return path
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read the recipe {name}: {reason}") from error
    raise InputError(f"no recipe {name!r}: give a YAML file or one of {', '.join(shipped)}")


def recipes() -> dict[str, Path]:
    """Return the recipes that ship with the package: name to YAML file, sorted by name."""
    folder = Path(str(files(__package__)))
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}

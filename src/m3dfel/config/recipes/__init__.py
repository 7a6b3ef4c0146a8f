"""The recipes that ship with the package: YAML files that set a run up."""

from __future__ import annotations

import math
from importlib.resources import files
from itertools import chain
from pathlib import Path

import yaml

from m3dfel.errors import InputError, first_line


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
            _check(path.read_text(encoding="utf-8"))
            return path
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"cannot read the recipe {name}: {reason}") from error
    raise InputError(f"no recipe {name!r}: give a YAML file or one of {', '.join(shipped)}")


_MAX_NODES = 10_000
"""Values and names of a recipe, with all aliases written out. There are some hundred settings."""


def _check(text: str) -> None:
    node = yaml.compose(text, yaml.SafeLoader)
    if _nodes(node, {}) > _MAX_NODES:
        raise ValueError("it has too many values, or aliases without end")
    yaml.safe_load(text)


def _nodes(node: yaml.Node | None, known: dict[int, float]) -> float:
    """Return the number of nodes with aliases written out, which takes no memory here."""
    if id(node) not in known:
        known[id(node)] = math.inf  # if it contains itself
        children = chain(*node.value) if isinstance(node, yaml.MappingNode) else ()
        children = node.value if isinstance(node, yaml.SequenceNode) else children
        known[id(node)] = 1 + sum(_nodes(child, known) for child in children)
    return known[id(node)]


def recipes() -> dict[str, Path]:
    """Return the recipes that ship with the package: name to YAML file, sorted by name."""
    folder = Path(str(files(__package__)))
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}

"""Read YAML that may come from strangers: no code, and no more values than a recipe can have."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

import yaml

_MAX_NODES = 10_000
"""Values and names with all aliases written out. There are some hundred settings."""


def read_yaml(text: str) -> Any:
    """Return the content of a YAML document.

    Raises:
        ValueError: it is no YAML, names a setting twice, or has too many values.
    """
    try:
        if _nodes(yaml.compose(text, yaml.SafeLoader), {}) > _MAX_NODES:
            raise ValueError("it has too many values, or aliases without end")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error


def _nodes(node: yaml.Node | None, known: dict[int, float]) -> float:
    """Return the number of nodes with aliases written out, which takes no memory here."""
    if id(node) not in known:
        known[id(node)] = math.inf  # if it contains itself
        children: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            children = node.value
        elif isinstance(node, yaml.MappingNode):
            names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise ValueError(f"it names {twice} twice")
            children = list(chain(*node.value))
        known[id(node)] = 1 + sum(_nodes(child, known) for child in children)
    return known[id(node)]

"""The words of the command line before they are parsed: plugins and recipes."""

from __future__ import annotations

from pathlib import Path

from m3dfel.config import find_recipe
from m3dfel.errors import InputError
from m3dfel.plugins import load_plugin


def load_plugins(words: list[str]) -> list[str]:
    """Import all plugins, wherever they are named, and return the other words."""
    others: list[str] = []
    rest = iter(_split_at_equals(words))
    for word in rest:
        if word != "--plugin":
            others.append(word)
        elif (name := next(rest, None)) is None:
            raise InputError("--plugin names nothing: give a Python file or module after it")
        else:
            load_plugin(name)
    return others


def _split_at_equals(words: list[str]) -> list[str]:
    options = ("--config=", "--output=", "--plugin=", "--model.aggregation=")
    return [
        part
        for word in words
        for part in (word.split("=", 1) if word.startswith(options) else [word])
    ]


def with_recipes(words: list[str]) -> list[str]:
    """Let `--config` take a recipe by name, and `--resume` find the configuration of its run.

    An aggregation that is named does not inherit the options of the one in the recipe.
    """
    for i, word in enumerate(words[:-1]):
        if word == "--config":
            words[i + 1] = str(find_recipe(words[i + 1]))
    if "--model.aggregation" in words:
        # After the recipe, and before options for the aggregation that is named.
        i = words.index("--config") + 2 if "--config" in words else 1
        words[i:i] = ["--model.aggregation_options", "{}"]
    if words[:1] == ["train"] and "--resume" in words and "--config" not in words:
        for i, word in enumerate(words[:-1]):
            config = Path(words[i + 1]) / "config.yaml"
            if word == "--output" and config.is_file():
                return ["train", "--config", str(config), *words[1:]]
    return words

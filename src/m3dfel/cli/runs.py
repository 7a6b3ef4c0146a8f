"""What the commands that train share: settings as options, seeds, a comparison."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace

from m3dfel.cli.options import list_names
from m3dfel.config import TrainConfig, from_settings, recipes
from m3dfel.config.ranges import NonNegativeInt
from m3dfel.models.aggregations import AGGREGATIONS
from m3dfel.models.backbones import BACKBONES
from m3dfel.registry import Registry

if TYPE_CHECKING:
    import pandas as pd


def with_settings(parser: ArgumentParser) -> ArgumentParser:
    """Add every setting of a run."""
    parser.add_argument(
        "--config",
        action=ActionConfigFile,
        help="name of a recipe, or a YAML file; options override it",
    )
    parser.add_class_arguments(TrainConfig)
    return parser


def read_settings(options: Namespace) -> TrainConfig:
    """Return the run that the options describe; other options are ignored."""
    names = [field.name for field in fields(TrainConfig)]
    return from_settings({name: options[name] for name in names})


def add_seeds(parser: ArgumentParser) -> None:
    """Add the option for the seeds of several runs."""
    parser.add_argument(
        "--seeds", type=NonNegativeInt, nargs="+", default=[0, 1, 2], help="seeds of the runs"
    )


def show_comparison(table: pd.DataFrame, output: str) -> int:
    """Draw and print a table of runs side by side; return the exit code."""
    from m3dfel.report.comparison import plot_comparison
    from m3dfel.report.terminal import print_summary

    plot_comparison(table, Path(output) / "table.png")
    print_summary(table, output)
    return 0


def list_parts() -> str:
    """Return the recipes and the parts that can be chosen by name, with their options."""
    return (
        f"recipes: {', '.join(recipes())}\n\n"
        + _options_of("backbones", BACKBONES)
        + "\n"
        + _options_of("aggregations", AGGREGATIONS)
    )


def _options_of(title: str, registry: Registry[Any]) -> str:
    options = {
        name: ", ".join(f"{o.name}={o.default}" for o in registry.options(name).values())
        for name in registry.names()
    }
    return list_names(f"{title} and their options", options)

"""`m3dfel compare`: train M3DFEL and the methods it is compared with."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.options import Parser, list_names
from m3dfel.cli.runs import add_seeds, list_parts, read_settings, show_comparison, with_settings


def parser() -> ArgumentParser:
    parser = Parser(
        usage="m3dfel compare --config RECIPE --data.path DATA --output FOLDER [--SETTING VALUE …]",
        lists=_methods,
        description="Train M3DFEL and the methods it is compared with in the same protocol; write "
        "one table (table.md, table.tex, table.csv) and one picture (table.png), each method with "
        "the 95 % interval of its difference to the first. With data.folds, each row measures all "
        "folds. Run the same command again to resume.",
        epilog="Example: m3dfel compare --config synthetic --methods m3dfel r3d mil-max --output "
        "runs/methods",
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=[],
        help="methods to train, the first is the reference; all if not given",
    )
    add_seeds(parser)
    return with_settings(parser)


def _methods() -> str:
    from m3dfel.experiments.compare import METHODS

    methods = {name: title for name, (title, _) in METHODS.items()}
    return list_names("methods", methods, width=20) + "\n" + list_parts()


def run(options: Namespace) -> int:
    from m3dfel.experiments.compare import compare

    config = read_settings(options)
    return show_comparison(compare(config, options.seeds, options.methods), config.output)

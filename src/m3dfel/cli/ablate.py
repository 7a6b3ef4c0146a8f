"""`m3dfel ablate`: train with one setting changed at a time."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.options import Parser
from m3dfel.cli.runs import add_seeds, read_settings, show_comparison, with_settings


def parser() -> ArgumentParser:
    parser = Parser(
        usage="m3dfel ablate --config RECIPE --vary SETTING=VALUE,VALUE… --output FOLDER "
        "[--SETTING VALUE …]",
        description="Train a recipe unchanged and with one setting changed at a time; write one "
        "table (table.md, table.tex, table.csv) and one picture (table.png), each change with the "
        "95 % interval of its difference. With data.folds, each row measures all folds. Run "
        "the same command again to resume.",
        epilog="Example: m3dfel ablate --config synthetic --vary model.bag_size=1,2,8,16 --seeds 0 "
        "1 2 --output runs/bag-size",
    )
    parser.add_argument(
        "--vary",
        action="extend",
        nargs="+",
        required=True,
        metavar="SETTING=VALUE,VALUE…",
        help="settings, each with the values to try",
    )
    add_seeds(parser)
    return with_settings(parser)


def run(options: Namespace) -> int:
    from m3dfel.experiments.ablate import ablate

    config = read_settings(options)
    return show_comparison(ablate(config, options.seeds, options.vary), config.output)

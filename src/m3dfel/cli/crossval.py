"""`m3dfel crossval`: train and evaluate every fold of a data set."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.options import Parser
from m3dfel.cli.runs import read_settings, with_settings


def parser() -> ArgumentParser:
    parser = Parser(
        usage="m3dfel crossval --config RECIPE --data.path DATA --output FOLDER "
        "[--SETTING VALUE …]",
        description="Train and evaluate every fold, or with `--data.folds identity` leave out one "
        "person at a time; write their mean and spread as table.md, table.tex and table.csv, with "
        "published results, which are marked as such. Run the same command again to resume where "
        "it left off.",
        epilog="Example: m3dfel crossval --config dfew --data.path DFEW --output runs/dfew",
    )
    parser.add_argument("--only", type=int, nargs="+", default=[], help="only these folds")
    return with_settings(parser)


def run(options: Namespace) -> int:
    from m3dfel.experiments.crossval import crossval
    from m3dfel.report.terminal import print_summary

    config = read_settings(options)
    print_summary(crossval(config, options.only), config.output)
    return 0

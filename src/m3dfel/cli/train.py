"""`m3dfel train`: train a model on a data set."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.options import Parser
from m3dfel.cli.runs import list_parts, read_settings, with_settings


def parser() -> ArgumentParser:
    parser = Parser(
        lists=list_parts,
        usage="m3dfel train --config RECIPE --data.path DATA --output RUN [--SETTING VALUE …]",
        description="Train a model. Under `torchrun` it trains on all processes together.",
        epilog="Example: m3dfel train --config dfew --data.path DFEW --output runs/dfew-1",
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue after the last complete epoch in --output"
    )
    return with_settings(parser)


def run(options: Namespace) -> int:
    from m3dfel.report.terminal import print_run
    from m3dfel.training.environment import is_first_process
    from m3dfel.training.loop import train

    config = read_settings(options)
    results = train(config, options.resume)
    if is_first_process():
        print_run(results, config.output)
    return 0

"""`m3dfel demo`: train, evaluate and run a small model."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.options import Parser


def parser() -> ArgumentParser:
    parser = Parser(
        description="Train a small model on drawn faces, evaluate it on faces it has never seen, "
        "and run it on a video: a few minutes on two cores, without downloads."
    )
    parser.add_argument("--output", default="demo", help="folder for the results")
    parser.add_argument(
        "--video",
        help="a video of your own, on which the bundled model is run too",
    )
    return parser


def run(options: Namespace) -> int:
    from m3dfel.demo import run_demo

    run_demo(Path(options.output), options.video)
    return 0

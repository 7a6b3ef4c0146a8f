"""`m3dfel demo`: train, measure and run a small model."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.options import Parser


def parser() -> ArgumentParser:
    parser = Parser(
        description="Train a small model on drawn faces, measure it on faces it has never seen, "
        "and show what it sees in a video: a few minutes on two cores, nothing to download."
    )
    parser.add_argument("--output", default="demo", help="folder for the results")
    parser.add_argument(
        "--video",
        help="a video of yours: also show what the faces in it express, by the model that "
        "comes with the package",
    )
    return parser


def run(options: Namespace) -> int:
    from m3dfel.demo import run_demo

    run_demo(Path(options.output), options.video)
    return 0

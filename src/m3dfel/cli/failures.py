"""`m3dfel failures`: find out why a model fails."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.options import Parser


def parser() -> ArgumentParser:
    parser = Parser(
        description="Find out why a model fails: for each emotion whether the instances were wrong "
        "or only their fusion; on drawn clips whether the evidence is on the right frames; and a "
        "page of the most confident errors with their frames. Reads the folder of a finished run "
        "or of `m3dfel evaluate`.",
        epilog="Example: m3dfel failures runs/dfew-1",
    )
    parser.add_argument("run", help="the folder of a finished run or of an evaluation")
    parser.add_argument("--output", help="folder for the results; default: RUN/failures")
    return parser


def run(options: Namespace) -> int:
    from m3dfel.evaluation.runs import read_run
    from m3dfel.report.failures_page import write_failures
    from m3dfel.report.terminal import print_failures

    folder = Path(options.output or Path(options.run) / "failures")
    counts, located = write_failures(read_run(options.run), folder)
    print_failures(counts, located, folder / "failures.html")
    return 0

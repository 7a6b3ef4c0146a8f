"""`m3dfel report`: write a page about finished runs."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.messages import print_sentence
from m3dfel.cli.options import Parser


def parser() -> ArgumentParser:
    parser = Parser(
        description="Write one self-contained HTML page about finished runs: results side by side, "
        "curves, recalls, confusion matrices, timelines, configuration, environment.",
        epilog="Example: m3dfel report runs/dfew-1 runs/dfew-2 --output report.html",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs or evaluations")
    parser.add_argument("--output", default="report.html", help="the page to write")
    return parser


def run(options: Namespace) -> int:
    from m3dfel.evaluation.runs import read_run
    from m3dfel.report.runs_page import write_report

    write_report([read_run(run) for run in options.runs], Path(options.output))
    print_sentence(f"written: {options.output}")
    return 0

"""`m3dfel report`: write a page about finished runs."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.messages import print_sentence
from m3dfel.cli.options import Parser, add_overwrite


def parser() -> ArgumentParser:
    parser = Parser(
        description="Write one self-contained HTML page about finished runs: results side by side, "
        "curves, recalls, confusion matrices, timelines, configuration, environment.",
        epilog="Example: m3dfel report runs/dfew-1 runs/dfew-2 --output report.html",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs or evaluations")
    parser.add_argument("--output", default="report.html", help="the page to write")
    add_overwrite(parser)
    return parser


def run(options: Namespace) -> int:
    from m3dfel.evaluation.runs import read_run
    from m3dfel.files import check_replaceable, start_list
    from m3dfel.report.runs_page import write_report

    page = Path(options.output)
    check_replaceable([page], options.overwrite)
    runs = [read_run(run) for run in options.runs]
    start_list(page.parent)
    write_report(runs, page)
    print_sentence(f"written: {options.output}")
    return 0

"""`m3dfel summarize`: summarize the predictions in a folder."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.options import Parser, add_language, add_overwrite


def parser() -> ArgumentParser:
    parser = Parser(
        description="Summarize the predictions in a folder: one row for each video and person "
        "(summary.csv) with the fraction of the time in the picture for each emotion and with a "
        "readable face, and the changes per minute; and one picture of all (summary.png).",
        epilog="Example: m3dfel summarize predictions",
    )
    parser.add_argument("folder", help="a folder with JSON files that `m3dfel predict` wrote")
    parser.add_argument("--output", help="folder for the summary; default: the same folder")
    add_overwrite(parser)
    add_language(parser)
    return parser


def run(options: Namespace) -> int:
    from m3dfel.batch.summary import SUMMARY_FILES, find_predictions, write_summary
    from m3dfel.files import check_replaceable, start_list
    from m3dfel.report.terminal import print_people

    output = Path(options.output or options.folder)
    predictions = find_predictions(options.folder)
    check_replaceable([output / name for name in SUMMARY_FILES], options.overwrite)
    start_list(output)
    print_people(write_summary(predictions, output, options.lang), str(output), options.lang)
    return 0

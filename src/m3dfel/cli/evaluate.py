"""`m3dfel evaluate`: evaluate models on a data set."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.options import MODEL, Parser, add_device, add_language
from m3dfel.config.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt
from m3dfel.emotions import EMOTIONS, names_in


def parser() -> ArgumentParser:
    parser = Parser(
        description="Evaluate one model, or two side by side, on a data set: WAR, UAR, recall of "
        "each emotion, confusion matrix, calibration error, and the risk-coverage curve (errors "
        "if the model answers only where it is confident). Writes results.json, clips.csv, "
        "confusion.png, risk_coverage.csv and risk_coverage.png; with two models, a folder for "
        "each and the pictures of both.",
        epilog="Example: m3dfel evaluate --model runs/dfew-1 --data DFEW --output results",
    )
    parser.add_argument("--model", nargs="+", required=True, help=MODEL)
    parser.add_argument(
        "--data", required=True, help="a data set's root, a manifest (CSV, text), or `synthetic`"
    )
    parser.add_argument("--output", required=True, help="folder for the results")
    parser.add_argument(
        "--split",
        help="train, val, test or all; default: the first that exists of test, val and all",
    )
    parser.add_argument("--fold", type=PositiveInt, default=1, help="official fold of the data set")
    parser.add_argument(
        "--window_s",
        type=NonNegativeFloat,
        default=0.0,
        help="length in seconds of the window that frames are chosen from, as in training "
        "(data.window_s); 0: the whole clip",
    )
    add_device(parser)
    add_language(parser)
    parser.add_argument(
        "--workers", type=NonNegativeInt, default=2, help="processes that load clips"
    )
    return parser


def run(options: Namespace) -> int:
    import pandas as pd

    from m3dfel.evaluation.evaluate import evaluate
    from m3dfel.models.checkpoints import load_model, move_model
    from m3dfel.report.confusion import plot_confusion
    from m3dfel.report.coverage import plot_risk_coverage
    from m3dfel.report.fonts import check_fonts
    from m3dfel.report.terminal import print_metrics

    check_fonts(names_in(options.lang, EMOTIONS).values())
    output = Path(options.output)
    models = {name: move_model(load_model(name), options.device) for name in options.model}
    results, curves = [], []
    for number, (name, model) in enumerate(models.items(), 1):
        folder = output if len(models) == 1 else output / f"{number}-{Path(name).name}"
        results.append(
            evaluate(
                model,
                options.data,
                str(folder),
                options.split,
                options.fold,
                workers=options.workers,
                window_s=options.window_s,
            )
        )
        curves.append(pd.read_csv(folder / "risk_coverage.csv"))
        print_metrics(results[-1], name)
    plot_confusion(results, list(models), output / "confusion.png", options.lang)
    plot_risk_coverage(curves, results, list(models), output / "risk_coverage.png")
    return 0

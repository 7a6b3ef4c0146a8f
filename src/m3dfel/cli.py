"""Words to calls: the command line.

`m3dfel train | evaluate | predict | crossval | ablate | compare | failures | report | demo | data`.
Settings come from dataclasses and YAML through jsonargparse; nothing is computed here.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from m3dfel.config import TrainConfig, find_recipe, from_settings
from m3dfel.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_ERRORS = Console(stderr=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, 2 for bad input, 130 when interrupted."""
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=_ERRORS, show_time=False, show_path=False)],
        force=True,
    )
    logging.captureWarnings(True)
    try:
        words = _with_recipes(list(sys.argv[1:] if arguments is None else arguments))
        options = _parser().parse_args(words)
        return _COMMANDS[options.command](options[options.command])
    except InputError as error:
        _tell(error)
        return 2
    except KeyboardInterrupt:
        _ERRORS.print("interrupted; a training goes on with --resume")
        return 130


def _tell(sentence: object) -> None:
    _ERRORS.print(f"[bold red]error:[/] {escape(str(sentence))}", highlight=False, soft_wrap=True)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="m3dfel",
        description="Recognise facial expressions in video, and train and measure the models that "
        "do: M3DFEL with the intensity-aware loss.",
        epilog="First steps: `m3dfel predict VIDEO`, or `m3dfel demo` to train a model now.",
    )
    commands = parser.add_subcommands(required=True, dest="command", metavar="COMMAND")
    commands.add_subcommand("train", _train_parser(), help="train a model on a data set")
    commands.add_subcommand("evaluate", _evaluate_parser(), help="measure a model on a data set")
    commands.add_subcommand("predict", _predict_parser(), help="recognise the faces in videos")
    commands.add_subcommand("crossval", _crossval_parser(), help="train and measure all folds")
    commands.add_subcommand("ablate", _ablate_parser(), help="train with one setting varied")
    commands.add_subcommand("compare", _compare_parser(), help="train other methods alike")
    commands.add_subcommand("failures", _failures_parser(), help="tell why a model fails")
    commands.add_subcommand("report", _report_parser(), help="write a page of finished runs")
    commands.add_subcommand("demo", _demo_parser(), help="train, measure and run a small model now")
    commands.add_subcommand("data", _data_parser(), help="look a data set over")
    return parser


def _with_recipes(words: list[str]) -> list[str]:
    """Let `--config` take a shipped recipe's name, and `--resume` alone find its run's config."""
    words = [part for word in words for part in _apart(word)]
    for place, word in enumerate(words[:-1]):
        if word == "--config":
            words[place + 1] = str(find_recipe(words[place + 1]))
    if words[:1] == ["train"] and "--resume" in words and "--config" not in words:
        for place, word in enumerate(words[:-1]):
            config = Path(words[place + 1]) / "config.yaml"
            if word == "--output" and config.is_file():
                return ["train", "--config", str(config), *words[1:]]
    return words


def _apart(word: str) -> list[str]:
    return word.split("=", 1) if word.startswith(("--config=", "--output=")) else [word]


# --- train ---------------------------------------------------------------------------------------


def _train_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="m3dfel train --config RECIPE --data.path DATA --output RUN [--SETTING VALUE …]",
        description="Train a model. Recipes: dfew, ferv39k, bundled, synthetic, "
        "synthetic-brief. Under `torchrun` it trains on all processes together.",
        epilog="Example: m3dfel train --config dfew --data.path DFEW --output runs/dfew-1",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last whole epoch in --output"
    )
    return _with_settings(parser)


def _with_settings(parser: ArgumentParser) -> ArgumentParser:
    """Add every setting of a run."""
    parser.add_argument(
        "--config", action=ActionConfigFile, help="a recipe's name or a YAML file; options override"
    )
    parser.add_class_arguments(TrainConfig)
    return parser


def _settings(options: Namespace) -> TrainConfig:
    """Return the run that the options describe, whatever else is among them."""
    names = [field.name for field in fields(TrainConfig)]
    return from_settings({name: options[name] for name in names})


def _train(options: Namespace) -> int:
    from m3dfel.report.terminal import print_run
    from m3dfel.training.loop import train

    config = _settings(options)
    print_run(train(config, options.resume), config.output)
    return 0


# --- many runs -----------------------------------------------------------------------------------


def _crossval_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="m3dfel crossval --config RECIPE --data.path DATA --output FOLDER "
        "[--SETTING VALUE …]",
        description="Train and measure every fold; write their mean and spread as table.md, "
        "table.tex and table.csv, with published results, named so, beside them. Given again, it "
        "goes on where it was stopped.",
        epilog="Example: m3dfel crossval --config dfew --data.path DFEW --output runs/dfew",
    )
    parser.add_argument("--only", type=int, nargs="+", default=[], help="these folds alone")
    return _with_settings(parser)


def _crossval(options: Namespace) -> int:
    from m3dfel.experiments.comparing import crossval
    from m3dfel.report.terminal import print_summary

    config = _settings(options)
    print_summary(crossval(config, options.only), config.output)
    return 0


def _ablate_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="m3dfel ablate --config RECIPE --vary SETTING=VALUE,VALUE… --output FOLDER "
        "[--SETTING VALUE …]",
        description="Train a recipe unchanged and with one setting changed at a time; write one "
        "table (table.md, table.tex, table.csv) and one picture (table.png), each change with the "
        "95 % interval of its difference. Given again, it goes on where it was stopped.",
        epilog="Example: m3dfel ablate --config synthetic --vary model.bag_size=1,2,8,16 --seeds 0 "
        "1 2 --output runs/bag-size",
    )
    parser.add_argument(
        "--vary",
        action="extend",
        nargs="+",
        required=True,
        metavar="SETTING=VALUE,VALUE…",
        help="settings and the values to try of each",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the runs")
    return _with_settings(parser)


def _ablate(options: Namespace) -> int:
    from m3dfel.experiments.comparing import ablate

    config = _settings(options)
    return _picture(ablate(config, options.seeds, options.vary), config.output)


def _picture(table: pd.DataFrame, output: str) -> int:
    from m3dfel.report.figures import plot_summary
    from m3dfel.report.terminal import print_summary

    plot_summary(table, Path(output) / "table.png")
    print_summary(table, output)
    return 0


def _compare_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="m3dfel compare --config RECIPE --data.path DATA --output FOLDER [--SETTING VALUE …]",
        description="Train M3DFEL and the methods it is compared with in one protocol; write one "
        "table (table.md, table.tex, table.csv) and one picture (table.png), each method with the "
        "95 % interval of its difference to the first. Given again, it goes on where it was "
        "stopped. Methods: m3dfel, r3d, r2plus1d, mc3, resnet-lstm, resnet-transformer, mil-max, "
        "mil-mean, mil-attention.",
        epilog="Example: m3dfel compare --config synthetic --methods m3dfel r3d mil-max --output "
        "runs/methods",
    )
    parser.add_argument("--methods", nargs="+", default=[], help="which, the first the reference")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the runs")
    return _with_settings(parser)


def _compare(options: Namespace) -> int:
    from m3dfel.experiments.comparing import compare

    config = _settings(options)
    return _picture(compare(config, options.seeds, options.methods), config.output)


# --- what runs came to ---------------------------------------------------------------------------


def _failures_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Tell why a model fails: whether the instances were wrong or only their "
        "fusion, for each emotion; on drawn clips whether the evidence lies on the right frames; "
        "and a page of the most confident errors with their frames. Reads a finished run's folder "
        "or that of `m3dfel evaluate`.",
        epilog="Example: m3dfel failures runs/dfew-1",
    )
    parser.add_argument("run", help="the folder of a finished run or of an evaluation")
    parser.add_argument("--output", help="folder for what comes out; default: RUN/failures")
    return parser


def _failures(options: Namespace) -> int:
    from m3dfel.evaluation.runs import read_run
    from m3dfel.report.page import write_failures
    from m3dfel.report.terminal import print_failures

    folder = Path(options.output or Path(options.run) / "failures")
    counts, located = write_failures(read_run(options.run), folder)
    print_failures(counts, located, folder / "failures.html")
    return 0


def _report_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Write one self-contained HTML page of finished runs: results side by side, "
        "curves, recalls, confusion matrices, timelines, configuration, environment.",
        epilog="Example: m3dfel report runs/dfew-1 runs/dfew-2 --output report.html",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs or evaluations")
    parser.add_argument("--output", default="report.html", help="the page")
    return parser


def _report(options: Namespace) -> int:
    from m3dfel.evaluation.runs import read_run
    from m3dfel.report.page import write_report

    write_report([read_run(run) for run in options.runs], Path(options.output))
    Console().print(f"written: {options.output}", highlight=False)
    return 0


# --- evaluate ------------------------------------------------------------------------------------


def _evaluate_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Measure one model, or two side by side, on a data set: WAR, UAR, recall of "
        "each emotion, confusion matrix, calibration error. Writes results.json, clips.csv and "
        "confusion.png; with two models, a folder for each and the picture of both.",
        epilog="Example: m3dfel evaluate --model runs/dfew-1 --data DFEW --output results",
    )
    parser.add_argument(
        "--model",
        nargs="+",
        required=True,
        help="a run, a model's folder, a .pth, a hub name, or `bundled`",
    )
    parser.add_argument(
        "--data", required=True, help="a data set's root, a manifest (CSV, text), or `synthetic`"
    )
    parser.add_argument("--output", required=True, help="folder for what comes out")
    parser.add_argument(
        "--split", help="train, val, test or all; default: test, else val, else all"
    )
    parser.add_argument("--fold", type=int, default=1, help="the official fold (DFEW)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps")
    parser.add_argument("--workers", type=int, default=2, help="processes that read clips")
    return parser


def _evaluate(options: Namespace) -> int:
    from m3dfel.checkpoints import load_model
    from m3dfel.evaluation.measuring import evaluate
    from m3dfel.report.figures import plot_confusion
    from m3dfel.report.terminal import print_metrics

    output = Path(options.output)
    models = {name: load_model(name).to(options.device) for name in options.model}
    results = []
    for place, (name, model) in enumerate(models.items(), 1):
        folder = output if len(models) == 1 else output / f"{place}-{Path(name).name}"
        results.append(
            evaluate(
                model,
                options.data,
                str(folder),
                options.split,
                options.fold,
                workers=options.workers,
            )
        )
        print_metrics(results[-1], name)
    plot_confusion(results, list(models), output / "confusion.png")
    return 0


# --- predict -------------------------------------------------------------------------------------


def _predict_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Recognise what the faces in videos express, and when. Writes for each video "
        "a table (CSV, Parquet), all details (JSON) and a timeline picture.",
        epilog="Example: m3dfel predict holiday.mp4 --output predictions",
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="videos, folders of videos, folders of frames"
    )
    parser.add_argument(
        "--model",
        default="bundled",
        help="a run, a model's folder, a .pth or a hub name; default: the model that comes with "
        "the package",
    )
    parser.add_argument("--output", default="predictions", help="folder for what comes out")
    parser.add_argument(
        "--aligned",
        action="store_true",
        help="the frames show one cropped face already, as in face data sets: detect nothing",
    )
    parser.add_argument(
        "--clip_s",
        type=float,
        default=0.64,
        help="seconds a clip covers: longer is steadier, shorter tells better when",
    )
    parser.add_argument(
        "--smooth_s",
        type=float,
        default=0.2,
        help="average over time with a Gaussian of this standard deviation in seconds; 0: do not",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps")
    return parser


def _predict(options: Namespace) -> int:
    from m3dfel.recognition.recognizer import Recognizer
    from m3dfel.report.terminal import print_timeline
    from m3dfel.video.sources import find_sources

    recognizer = Recognizer.from_pretrained(
        options.model,
        device=options.device,
        clip_s=options.clip_s,
        smooth_s=options.smooth_s,
    )
    seen = 0
    for source in find_sources(options.paths):
        try:
            prediction = recognizer(source, aligned=options.aligned)
        except InputError as error:
            _tell(error)
            continue
        prediction.save(options.output)
        if prediction.note:
            _tell(prediction.note)
        else:
            seen += 1
            print_timeline(prediction.table, Path(prediction.source).name)
    return 0 if seen else 2


# --- demo and data -------------------------------------------------------------------------------


def _demo_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Train a small model on drawn faces, measure it on faces it has never seen, "
        "and show what it sees in a video: a few minutes on two cores, nothing to download."
    )
    parser.add_argument("--output", default="demo", help="folder for what comes out")
    parser.add_argument(
        "--video",
        help="also say what the faces in this video of yours express, by the model that "
        "comes with the package",
    )
    return parser


def _demo(options: Namespace) -> int:
    from m3dfel.demo import run_demo

    run_demo(Path(options.output), options.video)
    return 0


def _data_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Look a data set over before the long work starts: read every clip and tell "
        "all that is wrong at once. Exits with 2 if anything is.",
        epilog="Example: m3dfel data check DFEW --fold 1",
    )
    parser.add_argument("action", choices=["check"], help="read every clip, tell what is wrong")
    parser.add_argument("path", help="a data set's root, a manifest (CSV, text), or `synthetic`")
    parser.add_argument("--fold", type=int, default=1, help="the official fold (DFEW)")
    return parser


def _data(options: Namespace) -> int:
    from m3dfel.data.dataset import check_data
    from m3dfel.report.terminal import print_manifest

    manifest = check_data(options.path, options.fold)
    print_manifest(manifest)
    return 2 if manifest.problems else 0


_COMMANDS = {
    "train": _train,
    "evaluate": _evaluate,
    "predict": _predict,
    "crossval": _crossval,
    "ablate": _ablate,
    "compare": _compare,
    "failures": _failures,
    "report": _report,
    "demo": _demo,
    "data": _data,
}

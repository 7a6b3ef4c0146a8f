"""The command line: turns words into calls, and computes nothing.

`m3dfel train | evaluate | predict | live | export | crossval | ablate | compare | failures |
report | demo | app | data`.
Settings come from dataclasses and YAML through jsonargparse. torch is imported only by commands
that need it, so that `m3dfel --help` is quick.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ActionConfigFile, ArgumentError, ArgumentParser, Namespace
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from m3dfel.config import TrainConfig, find_recipe, from_settings, recipes
from m3dfel.data.pack_settings import PackSettings
from m3dfel.emotions import EMOTIONS, names_in
from m3dfel.errors import InputError
from m3dfel.ranges import PositiveFloat, PositiveInt, explain
from m3dfel.recognition.defaults import CLIP_S, DEFAULT_FORMATS, SMOOTH_S
from m3dfel.registry import AGGREGATIONS, BACKBONES, PLUGINS, Registry, load_plugin
from m3dfel.video.defaults import SEARCH_EVERY
from m3dfel.web.defaults import HOST, MAX_MB, MAX_MINUTES, PORT

if TYPE_CHECKING:
    import pandas as pd

    from m3dfel.recognition.predictor import PredictSettings

_ERRORS = Console(stderr=True)
_MAX_PROBLEMS = 20  # printed; a table has all


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
        words = _load_plugins(list(sys.argv[1:] if arguments is None else arguments))
        options = _parser().parse_args(_with_recipes(words))
        return _COMMANDS[options.command](options[options.command])
    except ArgumentError as error:
        command = f"{words[0]} " if words and words[0] in _COMMANDS else ""
        _print_error(f"{explain(error)} (see m3dfel {command}--help)")
        return 2
    except InputError as error:
        _print_error(error)
        return 2
    except KeyboardInterrupt:
        _ERRORS.print("interrupted: run the command again to continue, a training with --resume")
        return 130


def _print_error(sentence: object) -> None:
    _ERRORS.print(f"[bold red]error:[/] {escape(str(sentence))}", highlight=False, soft_wrap=True)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="m3dfel",
        exit_on_error=False,
        description="Recognise facial expressions in video, and train and measure the models that "
        "do: M3DFEL with the intensity-aware loss.",
        epilog="First steps: `m3dfel predict VIDEO`, or `m3dfel demo` to train a model now.",
    )
    parser.add_argument(
        "--plugin",
        metavar="FILE",
        help="a Python file or module with backbones, aggregations or data layouts of your own; "
        "may be given several times",
    )
    commands = parser.add_subcommands(required=True, dest="command", metavar="COMMAND")
    commands.add_subcommand("train", _train_parser(), help="train a model on a data set")
    commands.add_subcommand("evaluate", _evaluate_parser(), help="measure a model on a data set")
    commands.add_subcommand("predict", _predict_parser(), help="recognise the faces in videos")
    commands.add_subcommand("live", _live_parser(), help="recognise the faces before a camera")
    commands.add_subcommand("export", _export_parser(), help="write a model for another engine")
    commands.add_subcommand("summarize", _summarize_parser(), help="sum up many predictions")
    commands.add_subcommand("crossval", _crossval_parser(), help="train and measure all folds")
    commands.add_subcommand("ablate", _ablate_parser(), help="train with one setting varied")
    commands.add_subcommand("compare", _compare_parser(), help="train several methods")
    commands.add_subcommand("failures", _failures_parser(), help="find out why a model fails")
    commands.add_subcommand("report", _report_parser(), help="write a page about finished runs")
    commands.add_subcommand("demo", _demo_parser(), help="train, measure and run a small model")
    commands.add_subcommand("app", _app_parser(), help="open a page in the browser for your videos")
    _add_data_commands(commands)
    return parser


def _load_plugins(words: list[str]) -> list[str]:
    """Import all plugins, wherever they are named, and return the other words."""
    others: list[str] = []
    rest = iter(_split_at_equals(words))
    for word in rest:
        if word != "--plugin":
            others.append(word)
        elif (name := next(rest, None)) is None:
            raise InputError("--plugin names nothing: give a Python file or module after it")
        else:
            load_plugin(name)
    return others


def _split_at_equals(words: list[str]) -> list[str]:
    options = ("--config=", "--output=", "--plugin=", "--model.aggregation=")
    return [
        part
        for word in words
        for part in (word.split("=", 1) if word.startswith(options) else [word])
    ]


def _with_recipes(words: list[str]) -> list[str]:
    """Let `--config` take a recipe by name, and `--resume` find the configuration of its run.

    An aggregation that is named does not inherit the options of the one in the recipe.
    """
    for i, word in enumerate(words[:-1]):
        if word == "--config":
            words[i + 1] = str(find_recipe(words[i + 1]))
    if "--model.aggregation" in words:
        # After the recipe, and before options for the aggregation that is named.
        i = words.index("--config") + 2 if "--config" in words else 1
        words[i:i] = ["--model.aggregation_options", "{}"]
    if words[:1] == ["train"] and "--resume" in words and "--config" not in words:
        for i, word in enumerate(words[:-1]):
            config = Path(words[i + 1]) / "config.yaml"
            if word == "--output" and config.is_file():
                return ["train", "--config", str(config), *words[1:]]
    return words


class _Parser(ArgumentParser):
    """A parser whose help ends with lists that are read only when the help is shown."""

    def __init__(self, *, lists: Callable[[], str] | None = None, **arguments: Any) -> None:
        super().__init__(**({"exit_on_error": False} | arguments))
        self._lists = lists

    def format_help(self, *arguments: Any) -> str:
        text: str = super().format_help(*arguments)
        return text + ("\n" + self._lists() if self._lists else "")


def _parts() -> str:
    """Return the recipes and the parts that can be chosen by name, with their options."""
    return (
        f"recipes: {', '.join(recipes())}\n\n"
        + _options_of("backbones", BACKBONES)
        + "\n"
        + _options_of("aggregations", AGGREGATIONS)
    )


def _options_of(title: str, registry: Registry[Any]) -> str:
    lines = [f"{title} and their options:"]
    for name in registry.names():
        options = registry.options(name).values()
        lines.append(f"  {name:12} " + ", ".join(f"{o.name}={o.default}" for o in options))
    return "\n".join(line.rstrip() for line in lines) + "\n"


# --- train ---------------------------------------------------------------------------------------


def _train_parser() -> ArgumentParser:
    parser = _Parser(
        lists=_parts,
        usage="m3dfel train --config RECIPE --data.path DATA --output RUN [--SETTING VALUE …]",
        description="Train a model. Under `torchrun` it trains on all processes together.",
        epilog="Example: m3dfel train --config dfew --data.path DFEW --output runs/dfew-1",
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue after the last complete epoch in --output"
    )
    return _with_settings(parser)


def _with_settings(parser: ArgumentParser) -> ArgumentParser:
    """Add every setting of a run."""
    parser.add_argument(
        "--config",
        action=ActionConfigFile,
        help="name of a recipe, or a YAML file; options override it",
    )
    parser.add_class_arguments(TrainConfig)
    return parser


def _settings(options: Namespace) -> TrainConfig:
    """Return the run that the options describe; other options are ignored."""
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
    parser = _Parser(
        usage="m3dfel crossval --config RECIPE --data.path DATA --output FOLDER "
        "[--SETTING VALUE …]",
        description="Train and measure every fold; write their mean and spread as table.md, "
        "table.tex and table.csv, beside published results, which are marked as such. Run the same "
        "command again to continue where it stopped.",
        epilog="Example: m3dfel crossval --config dfew --data.path DFEW --output runs/dfew",
    )
    parser.add_argument("--only", type=int, nargs="+", default=[], help="only these folds")
    return _with_settings(parser)


def _crossval(options: Namespace) -> int:
    from m3dfel.experiments.crossval import crossval
    from m3dfel.report.terminal import print_summary

    config = _settings(options)
    print_summary(crossval(config, options.only), config.output)
    return 0


def _ablate_parser() -> ArgumentParser:
    parser = _Parser(
        usage="m3dfel ablate --config RECIPE --vary SETTING=VALUE,VALUE… --output FOLDER "
        "[--SETTING VALUE …]",
        description="Train a recipe unchanged and with one setting changed at a time; write one "
        "table (table.md, table.tex, table.csv) and one picture (table.png), each change with the "
        "95 % interval of its difference. Run the same command again to continue where it stopped.",
        epilog="Example: m3dfel ablate --config synthetic --vary model.bag_size=1,2,8,16 --seeds 0 "
        "1 2 --output runs/bag-size",
    )
    parser.add_argument(
        "--vary",
        action="extend",
        nargs="+",
        required=True,
        metavar="SETTING=VALUE,VALUE…",
        help="settings, each with the values to try",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the runs")
    return _with_settings(parser)


def _ablate(options: Namespace) -> int:
    from m3dfel.experiments.ablate import ablate

    config = _settings(options)
    return _picture(ablate(config, options.seeds, options.vary), config.output)


def _picture(table: pd.DataFrame, output: str) -> int:
    from m3dfel.report.comparison import plot_comparison
    from m3dfel.report.terminal import print_summary

    plot_comparison(table, Path(output) / "table.png")
    print_summary(table, output)
    return 0


def _compare_parser() -> ArgumentParser:
    parser = _Parser(
        usage="m3dfel compare --config RECIPE --data.path DATA --output FOLDER [--SETTING VALUE …]",
        lists=_methods,
        description="Train M3DFEL and the methods it is compared with by the same protocol; write "
        "one table (table.md, table.tex, table.csv) and one picture (table.png), each method with "
        "the 95 % interval of its difference to the first. Run the same command again to continue "
        "where it stopped.",
        epilog="Example: m3dfel compare --config synthetic --methods m3dfel r3d mil-max --output "
        "runs/methods",
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=[],
        help="methods to train, the first is the reference; all if not given",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the runs")
    return _with_settings(parser)


def _methods() -> str:
    from m3dfel.experiments.compare import METHODS

    names = (f"  {name:20} {method.name}" for name, method in METHODS.items())
    return "\n".join(["methods:", *names]) + "\n\n" + _parts()


def _compare(options: Namespace) -> int:
    from m3dfel.experiments.compare import compare

    config = _settings(options)
    return _picture(compare(config, options.seeds, options.methods), config.output)


# --- finished runs ---------------------------------------------------------------------------


def _failures_parser() -> ArgumentParser:
    parser = _Parser(
        description="Find out why a model fails: for each emotion whether the instances were wrong "
        "or only their fusion; on drawn clips whether the evidence is on the right frames; and a "
        "page of the most confident errors with their frames. Reads the folder of a finished run "
        "or of `m3dfel evaluate`.",
        epilog="Example: m3dfel failures runs/dfew-1",
    )
    parser.add_argument("run", help="the folder of a finished run or of an evaluation")
    parser.add_argument("--output", help="folder for the results; default: RUN/failures")
    return parser


def _failures(options: Namespace) -> int:
    from m3dfel.evaluation.runs import read_run
    from m3dfel.report.failures_page import write_failures
    from m3dfel.report.terminal import print_failures

    folder = Path(options.output or Path(options.run) / "failures")
    counts, located = write_failures(read_run(options.run), folder)
    print_failures(counts, located, folder / "failures.html")
    return 0


def _report_parser() -> ArgumentParser:
    parser = _Parser(
        description="Write one self-contained HTML page about finished runs: results side by side, "
        "curves, recalls, confusion matrices, timelines, configuration, environment.",
        epilog="Example: m3dfel report runs/dfew-1 runs/dfew-2 --output report.html",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs or evaluations")
    parser.add_argument("--output", default="report.html", help="the page to write")
    return parser


def _report(options: Namespace) -> int:
    from m3dfel.evaluation.runs import read_run
    from m3dfel.report.runs_page import write_report

    write_report([read_run(run) for run in options.runs], Path(options.output))
    Console().print(f"written: {options.output}", highlight=False)
    return 0


# --- evaluate ------------------------------------------------------------------------------------


def _evaluate_parser() -> ArgumentParser:
    parser = _Parser(
        description="Measure one model, or two side by side, on a data set: WAR, UAR, recall of "
        "each emotion, confusion matrix, calibration error, and how many answers are right if the "
        "model gives only those it is sure of. Writes results.json, clips.csv, confusion.png and "
        "risk_coverage.csv and .png; with two models, a folder for each and the pictures of both.",
        epilog="Example: m3dfel evaluate --model runs/dfew-1 --data DFEW --output results",
    )
    parser.add_argument(
        "--model",
        nargs="+",
        required=True,
        help="a run, the folder of a model, a .pth file, a name on the hub, or `bundled`",
    )
    parser.add_argument(
        "--data", required=True, help="a data set's root, a manifest (CSV, text), or `synthetic`"
    )
    parser.add_argument("--output", required=True, help="folder for the results")
    parser.add_argument(
        "--split",
        help="train, val, test or all; default: the first that exists of test, val and all",
    )
    parser.add_argument("--fold", type=int, default=1, help="official fold of the data set")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps")
    _add_language(parser)
    parser.add_argument("--workers", type=int, default=2, help="processes that read clips")
    return parser


def _evaluate(options: Namespace) -> int:
    import pandas as pd

    from m3dfel.checkpoints import load_model
    from m3dfel.evaluation.evaluate import evaluate
    from m3dfel.report.confusion import plot_confusion
    from m3dfel.report.coverage import plot_risk_coverage
    from m3dfel.report.fonts import prepare_fonts
    from m3dfel.report.terminal import print_metrics

    prepare_fonts(names_in(options.lang, EMOTIONS).values())
    output = Path(options.output)
    models = {name: load_model(name).to(options.device) for name in options.model}
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
            )
        )
        curves.append(pd.read_csv(folder / "risk_coverage.csv"))
        print_metrics(results[-1], name)
    plot_confusion(results, list(models), output / "confusion.png", options.lang)
    plot_risk_coverage(curves, results, list(models), output / "risk_coverage.png")
    return 0


# --- predict -------------------------------------------------------------------------------------


def _predict_parser() -> ArgumentParser:
    parser = _Parser(
        lists=_formats,
        description="Recognise what the faces in videos express, and when. Writes for each video "
        "a table (CSV, Parquet), all details (JSON) and a timeline picture. Of several videos, "
        "those that cannot be read are listed (problems.csv), all are summed up (summary.csv, "
        "summary.png), and the same command continues where it was stopped.",
        epilog="Example: m3dfel predict holiday.mp4 --output predictions",
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="videos, folders of videos, folders of frames"
    )
    parser.add_argument(
        "--model",
        default="bundled",
        help="a run, the folder of a model, a .pth file, a name on the hub, or `bundled`, the "
        "model that comes with the package",
    )
    parser.add_argument("--output", default="predictions", help="folder for the results")
    parser.add_argument(
        "--formats",
        nargs="+",
        default=list(DEFAULT_FORMATS),
        help="formats of the results, from the list below",
    )
    parser.add_argument(
        "--video",
        action="store_true",
        help="also write the video with boxes, emotions and a timeline drawn in (MP4)",
    )
    parser.add_argument(
        "--aligned",
        action="store_true",
        help="the frames already show one cropped face, as in face data sets: skip detection",
    )
    parser.add_argument(
        "--clip_s",
        type=float,
        default=CLIP_S,
        help="seconds per clip: longer clips are steadier, shorter ones locate changes better",
    )
    parser.add_argument(
        "--smooth_s",
        type=float,
        default=SMOOTH_S,
        help="standard deviation in seconds of the Gaussian that averages over time; 0: none",
    )
    parser.add_argument(
        "--search_every",
        type=int,
        default=SEARCH_EVERY,
        help="search the whole frame for faces every so many frames, and follow them in between; "
        "1 searches every frame and takes longer",
    )
    parser.add_argument(
        "--region",
        metavar="X1,Y1,X2,Y2",
        help="only faces in this region of the picture: left, top, right, bottom in pixels",
    )
    parser.add_argument("--person", type=PositiveInt, help="only the person with this number")
    parser.add_argument(
        "--persons",
        metavar="TABLE",
        help="a CSV file that says who is who: video, face, person; other faces are joined to "
        "persons by themselves",
    )
    parser.add_argument(
        "--baseline",
        metavar="START,END",
        help="seconds in which the persons are at rest, or `neutral` for their first neutral "
        "seconds: what the resting face shows to the model is taken out of all answers",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps")
    parser.add_argument(
        "--jobs",
        type=PositiveInt,
        help="videos predicted at the same time, each on one thread; default: one for each "
        "processor core, or 1 with another device than the CPU",
    )
    parser.add_argument(
        "--cluster",
        metavar="auto|ADDRESS",
        help="share several videos out on a Ray cluster (pip install 'm3dfel[scale]'): its "
        "address, or `auto` for the one this machine belongs to, or else this machine alone",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace results of several videos that were made with other settings",
    )
    _add_language(parser)
    return parser


def _formats() -> str:
    from m3dfel.recognition.exports import FORMATS

    lines = (f"  {name:12} {FORMATS[name].meaning}" for name in FORMATS)
    return "\n".join(["formats:", *lines]) + "\n"


def _add_language(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--lang",
        type=Literal["en", "zh"],
        default="en",
        help="language of the emotions in pictures and subtitles; Chinese needs a font for it",
    )


def _predict(options: Namespace) -> int:
    from m3dfel.recognition.baseline import Baseline
    from m3dfel.recognition.persons import PersonMap, parse_region
    from m3dfel.recognition.predictor import PredictSettings
    from m3dfel.video.sources import find_sources

    settings = PredictSettings(
        output=options.output,
        # As separate words or joined by commas.
        formats=tuple(name for word in options.formats for name in word.split(",")),
        annotate=options.video,
        lang=options.lang,
        model=options.model,
        device=options.device,
        clip_s=options.clip_s,
        smooth_s=options.smooth_s,
        search_every=options.search_every,
        aligned=options.aligned,
        region=options.region and parse_region(options.region),
        persons=PersonMap.read(options.persons) if options.persons else None,
        person=options.person,
        baseline=Baseline.parse(options.baseline) if options.baseline else None,
        plugins=tuple(PLUGINS),
    )
    sources = find_sources(options.paths)
    if len(sources) == 1:
        return _predict_one(sources[0], settings)
    return _predict_many(sources, settings, options)


def _predict_one(source: str | list[str], settings: PredictSettings) -> int:
    from m3dfel.recognition.folders import plan_videos
    from m3dfel.recognition.predictor import VideoPredictor
    from m3dfel.recognition.stream import leave_a_core_to_detection
    from m3dfel.report.terminal import print_timeline

    leave_a_core_to_detection()
    (video,), _ = plan_videos([source], settings)
    prediction = VideoPredictor(settings)(video, again=True)
    if prediction.clips.empty:
        _print_error(prediction.note)
        return 2
    print_timeline(prediction.table, Path(prediction.source).name, prediction.note)
    return 0


def _predict_many(
    sources: list[str | list[str]], settings: PredictSettings, options: Namespace
) -> int:
    from m3dfel.recognition.folders import PROBLEMS, Run, predict_videos
    from m3dfel.recognition.processes import predict_in_processes, usable_cores
    from m3dfel.report.terminal import print_people

    run: Run
    if options.cluster:
        from m3dfel.recognition.cluster import predict_on_cluster

        run = partial(predict_on_cluster, address=options.cluster, jobs=options.jobs)
    else:
        jobs = options.jobs or (usable_cores() if options.device == "cpu" else 1)
        run = partial(predict_in_processes, jobs=jobs)
    outcomes, table = predict_videos(sources, settings, run, options.overwrite)
    print_people(table, options.output)
    problems = [outcome for outcome in outcomes if outcome.problem]
    for outcome in problems[:_MAX_PROBLEMS]:
        named = outcome.video.name in outcome.problem
        _print_error(outcome.problem if named else f"{outcome.video.name}: {outcome.problem}")
    if problems:
        path = Path(options.output, PROBLEMS)
        _print_error(f"problems with {len(problems)} of {len(outcomes)} videos: see {path}")
    return 0 if table["person"].notna().any() else 2


def _summarize_parser() -> ArgumentParser:
    parser = _Parser(
        description="Sum up the predictions in a folder: one row for each video and person "
        "(summary.csv) with the fraction of the time that each emotion is shown, the changes per "
        "minute and the fraction that is readable, and one picture of all (summary.png).",
        epilog="Example: m3dfel summarize predictions",
    )
    parser.add_argument("folder", help="a folder with JSON files that `m3dfel predict` wrote")
    parser.add_argument("--output", help="folder for the summary; default: the same folder")
    return parser


def _summarize(options: Namespace) -> int:
    from m3dfel.recognition.summary import find_predictions, write_summary
    from m3dfel.report.terminal import print_people

    output = options.output or options.folder
    print_people(write_summary(find_predictions(options.folder), Path(output)), output)
    return 0


# --- live ----------------------------------------------------------------------------------------


def _live_parser() -> ArgumentParser:
    parser = _Parser(
        description="Show what the faces in front of a camera express, until Ctrl+C is pressed: "
        "bars in the terminal, and if you like a window, a video, or lines of JSON.",
        epilog="Example: m3dfel live --window --record me.mp4",
    )
    parser.add_argument(
        "source", nargs="?", default="0", help="number of a camera, or a video to play; default: 0"
    )
    parser.add_argument("--model", default="bundled", help="as for `m3dfel predict`")
    parser.add_argument(
        "--window", action="store_true", help="show the picture with boxes; q closes it"
    )
    parser.add_argument(
        "--record", metavar="FILE", help="write an annotated video of what was seen (MP4)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print each update as a line of JSON, without bars"
    )
    parser.add_argument("--clip_s", type=float, default=CLIP_S, help="seconds per clip")
    parser.add_argument(
        "--smooth_s",
        type=float,
        default=SMOOTH_S,
        help="standard deviation in seconds of the Gaussian that averages over time; answers lag "
        "four times as much behind",
    )
    parser.add_argument(
        "--search_every", type=int, default=SEARCH_EVERY, help="as for `m3dfel predict`"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps")
    return parser


def _live(options: Namespace) -> int:
    from m3dfel.recognition.live import run_live
    from m3dfel.recognition.recognizer import Recognizer

    recognizer = Recognizer.from_pretrained(
        options.model,
        device=options.device,
        clip_s=options.clip_s,
        smooth_s=options.smooth_s,
        search_every=options.search_every,
    )
    run_live(
        recognizer,
        int(options.source) if options.source.isdecimal() else options.source,
        window=options.window,
        lines=options.json,
        recording=Path(options.record) if options.record else None,
    )
    return 0


# --- export --------------------------------------------------------------------------------------


def _export_parser() -> ArgumentParser:
    parser = _Parser(
        lists=_engines,
        description="Write a trained model as networks that another engine runs, for batches of "
        "any size: the backbone (instances to features) and the fusion (features to logits and "
        "evidence). The folder can be used as --model of every command that runs a model.",
        epilog="Example: m3dfel export runs/dfew-1 --format openvino --output dfew-openvino",
    )
    parser.add_argument(
        "model", help="a run, the folder of a model, a .pth file, a name on the hub, or `bundled`"
    )
    parser.add_argument("--format", default="onnx", help="a format from the list below")
    parser.add_argument(
        "--int8",
        metavar="DATA",
        help="let the backbone compute with 8-bit numbers, scaled on training clips of this data "
        "set: several times faster, with slightly different probabilities; only for openvino",
    )
    parser.add_argument("--output", required=True, help="a new folder for the exported model")
    return parser


def _engines() -> str:
    from m3dfel.models.formats import FORMATS

    lines = (f"  {name:12} for {FORMATS[name].meaning}" for name in FORMATS)
    return "\n".join(["formats:", *lines]) + "\n"


def _export(options: Namespace) -> int:
    from m3dfel.checkpoints import load_model
    from m3dfel.models.exported import calibration_instances, export_model

    model = load_model(options.model)
    calibration = calibration_instances(model, options.int8) if options.int8 else None
    difference = export_model(model, Path(options.output), options.format, calibration)
    Console().print(
        f"exported: {options.output}; its logits differ by {difference:.1g} or less from those of "
        f"{options.model} on random clips",
        highlight=False,
    )
    return 0


# --- app -----------------------------------------------------------------------------------------


def _app_parser() -> ArgumentParser:
    parser = _Parser(
        description="Serve a page in the browser: drop a video or record one, and see what each "
        "face expresses and when. Needs `pip install 'm3dfel[web]'`. Stop it with Ctrl+C.",
        epilog="Example: m3dfel app",
    )
    parser.add_argument(
        "--host",
        default=HOST,
        help="address to listen on; with 0.0.0.0, other computers can open the page",
    )
    parser.add_argument("--port", type=PositiveInt, default=PORT, help="port to listen on")
    parser.add_argument(
        "--max_minutes",
        type=PositiveFloat,
        default=MAX_MINUTES,
        help="length that a video may have",
    )
    parser.add_argument(
        "--max_mb", type=PositiveInt, default=MAX_MB, help="size in megabytes that a video may have"
    )
    parser.add_argument("--model", default="bundled", help="as for `m3dfel predict`")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps")
    return parser


def _app(options: Namespace) -> int:
    from m3dfel.recognition.recognizer import Recognizer
    from m3dfel.web.app import running_page

    model = Recognizer.from_pretrained(options.model, device=options.device).model
    limits = {"max_minutes": options.max_minutes, "max_mb": options.max_mb}
    # A service is ended by this signal. Uploads are to be removed then too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        running_page(
            lambda: Recognizer(model, device=options.device), options.host, options.port, **limits
        ) as url,
    ):
        Console().print(f"Open {url} in a browser. Ctrl+C stops the page.", highlight=False)
        while True:
            time.sleep(1)
    return 0


# --- demo and data -------------------------------------------------------------------------------


def _demo_parser() -> ArgumentParser:
    parser = _Parser(
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


def _demo(options: Namespace) -> int:
    from m3dfel.demo import run_demo

    run_demo(Path(options.output), options.video)
    return 0


def _add_data_commands(commands: Any) -> None:
    parser = _Parser(description="Check a data set, or pack it for training at speed.")
    commands.add_subcommand("data", parser, help="check or pack a data set")
    actions = parser.add_subcommands(required=True, dest="action", metavar="ACTION")
    actions.add_subcommand("check", _check_parser(), help="read every clip and list all problems")
    actions.add_subcommand("pack", _pack_parser(), help="write all clips into one file")


def _check_parser() -> ArgumentParser:
    parser = _Parser(
        description="Check a data set before a long training: read every clip and list all "
        "problems at once; of a packed store, also compare the checksums. Exits with 2 if there "
        "are any.",
        epilog="Example: m3dfel data check DFEW --fold 1",
    )
    parser.add_argument(
        "path", help="a data set's root, a store, a manifest (CSV, text), or `synthetic`"
    )
    parser.add_argument("--fold", type=int, default=1, help="official fold of the data set")
    return parser


def _pack_parser() -> ArgumentParser:
    parser = _Parser(
        description="Write all clips of a data set into a store, a folder that every command takes "
        "as --data or --data.path: training from it reads several times as many clips per second. "
        "It holds the labels and the splits of all folds, each clip once. Run the same command "
        "again to continue after an interruption.",
        epilog="Example: m3dfel data pack DFEW dfew-store",
    )
    parser.add_argument("path", help="a data set's root, or a manifest (CSV, text)")
    parser.add_argument("store", help="the folder to write")
    parser.add_argument(
        "--fold", type=int, nargs="+", default=[], help="only the splits of these official folds"
    )
    parser.add_argument(
        "--labels",
        nargs="+",
        default=[],
        help="the label set, if it has emotions other than the seven",
    )
    parser.add_class_arguments(PackSettings)
    return parser


def _data(options: Namespace) -> int:
    action = {"check": _check_data, "pack": _pack_data}[options.action]
    return action(options[options.action])


def _check_data(options: Namespace) -> int:
    from m3dfel.data.checking import check_data
    from m3dfel.report.terminal import print_manifest

    manifest = check_data(options.path, options.fold)
    print_manifest(manifest)
    return 2 if manifest.problems else 0


def _pack_data(options: Namespace) -> int:
    from m3dfel.data.packing import pack

    names = [field.name for field in fields(PackSettings)]
    settings = PackSettings(**{name: options[name] for name in names})
    packed = pack(options.path, options.store, settings, options.fold, options.labels)
    for problem in packed.problems:
        _print_error(f"left out: {problem.path}: {problem.what}")
    Console().print(
        f"packed: {packed.clips} clips, {packed.frames} frames, {packed.size / 1e6:.1f} MB in "
        f"{options.store}",
        highlight=False,
    )
    return 0


_COMMANDS = {
    "train": _train,
    "evaluate": _evaluate,
    "predict": _predict,
    "live": _live,
    "export": _export,
    "summarize": _summarize,
    "crossval": _crossval,
    "ablate": _ablate,
    "compare": _compare,
    "failures": _failures,
    "report": _report,
    "demo": _demo,
    "app": _app,
    "data": _data,
}

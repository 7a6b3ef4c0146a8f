"""`m3dfel export`: write a model for another engine."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.messages import print_sentence
from m3dfel.cli.options import MODEL, Parser, list_names


def parser() -> ArgumentParser:
    parser = Parser(
        lists=_formats,
        description="Write a trained model as networks that another engine runs, for batches of "
        "any size: the backbone (instances to features) and the fusion (features to logits and "
        "evidence). The folder can be used as --model of every command that runs a model.",
        epilog="Example: m3dfel export runs/dfew-1 --format openvino --output dfew-openvino",
    )
    parser.add_argument("model", help=MODEL)
    parser.add_argument("--format", default="onnx", help="a format from the list below")
    parser.add_argument(
        "--int8",
        metavar="DATA",
        help="let the backbone compute with 8-bit numbers, scaled on training clips of this data "
        "set: several times faster, with slightly different probabilities; only for openvino",
    )
    parser.add_argument("--output", required=True, help="a new folder for the exported model")
    return parser


def _formats() -> str:
    from m3dfel.models.formats import FORMATS

    return list_names("formats", {name: f"for {FORMATS[name].meaning}" for name in FORMATS})


def run(options: Namespace) -> int:
    from m3dfel.models.checkpoints import load_model
    from m3dfel.models.exported import calibration_instances, export_model

    model = load_model(options.model)
    calibration = calibration_instances(model, options.int8) if options.int8 else None
    difference = export_model(model, Path(options.output), options.format, calibration)
    print_sentence(
        f"exported: {options.output}; its logits differ by {difference:.1g} or less from those of "
        f"{options.model} on random clips"
    )
    return 0

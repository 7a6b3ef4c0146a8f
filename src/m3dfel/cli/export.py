"""`m3dfel export`: write a model for another engine."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.messages import print_sentence
from m3dfel.cli.options import MODEL, Parser


def parser() -> ArgumentParser:
    parser = Parser(
        description="Write a trained model as two networks in ONNX, which nearly every engine "
        "runs, for batches of any size: the backbone (instances to features) and the fusion "
        "(features to logits and evidence). The folder can be used as --model of every command "
        "that runs a model; for speed alone there is no need, as torch is faster.",
        epilog="Example: m3dfel export runs/dfew-1 --output dfew-onnx",
    )
    parser.add_argument("model", help=MODEL)
    parser.add_argument("--output", required=True, help="a new folder for the exported model")
    return parser


def run(options: Namespace) -> int:
    from m3dfel.models.checkpoints import load_model
    from m3dfel.models.export import export_model

    difference = export_model(load_model(options.model), Path(options.output))
    print_sentence(
        f"exported: {options.output}; its logits differ by {difference:.1g} or less from those of "
        f"{options.model} on random clips"
    )
    return 0

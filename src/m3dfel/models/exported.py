"""Trained models for other engines: ONNX Runtime, OpenVINO and TorchScript.

An exported model is a folder with `config.json` and two networks, each for batches of any size: the
backbone reads instances, the fusion joins their features into logits and evidence. It loads like
any other model, and other programs can run the two files without this package.
"""

from __future__ import annotations

import copy
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from m3dfel.data.dataset import EvaluationClips
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.splits import keep_labels
from m3dfel.errors import InputError, first_line
from m3dfel.files import atomic_write, write_text
from m3dfel.models.formats import FORMATS, PARTS, Network, quantize
from m3dfel.models.m3dfel import M3DFEL

CALIBRATION_CLIPS = 300
TOLERANCE = 1e-4
"""By how much the logits and the evidence may differ from those of the original model."""


class ExportedModel(M3DFEL):
    """A trained model whose networks run in another engine, on the CPU.

    It is used like the model it was exported from, but cannot be trained or saved.

    Args:
        settings: `config.json`, without the format.
        backbone: (M, 3, t, S, S) → (M, F).
        fusion: (B, N, F) → (B, C) and (B, N, C).
    """

    def __init__(self, settings: dict[str, Any], backbone: Network, fusion: Network) -> None:
        arguments = dict(settings)
        features = arguments.pop("features")
        super().__init__(
            **arguments,
            backbone=_ExportedBackbone(backbone, features),
            aggregation=_ExportedFusion(fusion, len(settings["labels"])),
        )
        self.classifier = nn.Identity()  # type: ignore[assignment]  # it is part of the fusion

    def fuse_with_evidence(
        self, features: Float[Tensor, "B N F"]
    ) -> tuple[Float[Tensor, "B classes"], Float[Tensor, "B N classes"]]:
        logits, evidence = self.aggregation.network(features)
        return logits, evidence

    def to(self, *arguments: Any, **options: Any) -> ExportedModel:  # type: ignore[override]
        super().to(*arguments, **options)
        if self.mean.device.type != "cpu":
            raise InputError(
                "an exported model runs on the CPU: use the device cpu, or the model that it was "
                "exported from"
            )
        return self


class _ExportedBackbone(nn.Module):
    def __init__(self, network: Network, features: int) -> None:
        super().__init__()
        self.network, self.out_features = network, features

    def forward(self, instances: Float[Tensor, "M 3 t H W"]) -> Float[Tensor, "M F"]:
        return self.network(instances)[0]


class _ExportedFusion(nn.Module):
    def __init__(self, network: Network, classes: int) -> None:
        super().__init__()
        self.network, self.out_features = network, classes

    def forward(self, features: Float[Tensor, "B N F"]) -> Float[Tensor, "B C"]:
        return self.network(features)[0]


class _Fusion(nn.Module):
    """What follows the backbone: (B, N, F) → logits (B, C) and evidence (B, N, C)."""

    def __init__(self, model: M3DFEL) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        self.model.backbone = None

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.fuse_with_evidence(features)


# --- folders -------------------------------------------------------------------------------------


def export_model(
    model: M3DFEL, folder: Path, format: str, calibration: Tensor | None = None
) -> float:
    """Write a trained model for another engine, and compare both.

    Args:
        model: in evaluation mode, on the CPU.
        folder: a new or empty folder; receives `config.json`, `backbone.*` and `fusion.*`.
        format: a name in `FORMATS`.
        calibration: instances (M, 3, t, S, S), such as `calibration_instances` returns; the
            backbone then computes with 8-bit numbers that are scaled to them. Only for OpenVINO.

    Returns:
        The largest difference between the logits and the evidence of both, on random clips.

    Raises:
        InputError: there is no such format, its packages are not installed, the folder is not
            empty, the model has a part that the format cannot describe, or the exported model
            differs from the original by more than `TOLERANCE`, which 8-bit numbers may.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}: use one of {', '.join(FORMATS)}")
    if calibration is not None and format != "openvino":
        raise InputError(f"8-bit numbers need the format openvino, not {format}")
    if isinstance(model, ExportedModel):
        raise InputError("this model is exported already: give the one that was trained")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty: choose another --output")
    instances = torch.randn(2, 3, model.encoded_length, model.size, model.size)
    features = torch.randn(2, model.bag_size, model.backbone.out_features)
    with atomic_write(folder) as temporary:
        temporary.mkdir()
        settings = {"format": format, **_settings(model)}
        write_text(temporary / "config.json", json.dumps(settings, indent=2))
        _write_part(format, model.backbone, "backbone", instances, temporary)
        _write_part(format, _Fusion(model).eval(), "fusion", features, temporary)
        if calibration is not None:
            quantize(temporary / f"backbone{FORMATS[format].suffix}", calibration)
        difference = _largest_difference(model, load_exported(temporary))
        if not difference <= (TOLERANCE if calibration is None else math.inf):
            raise InputError(
                f"exported as {format}, the model gives logits that differ by {difference:.2g}: "
                "choose another format"
            )
    return difference


def calibration_instances(model: M3DFEL, data: str) -> Tensor:
    """Return instances of training clips, by which 8-bit numbers are scaled.

    About `CALIBRATION_CLIPS` clips are read, as many of each class as there are; of each, the
    instance in the middle.

    Args:
        model: whose label set and frames are used.
        data: a data set, as for `read_manifest`; all clips are taken if none are for training.

    Returns:
        float32 (M, 3, t, S, S), normalized.

    Raises:
        InputError: the data set cannot be read, or has no readable clip of the model's emotions.
    """
    manifest = read_manifest(data, labels=model.labels)
    of_class: dict[str, list[Clip]] = {label: [] for label in model.labels}
    for clip in keep_labels(manifest.split("train") or manifest.clips, model.labels):
        of_class[clip.emotion].append(clip)
    count = math.ceil(CALIBRATION_CLIPS / len(model.labels))
    chosen = [
        clips[int(i)]
        for clips in of_class.values()
        for i in np.linspace(0, len(clips) - 1, min(count, len(clips)))
    ]
    read = EvaluationClips.of(model, chosen)
    clips = [sample.clip for index in range(len(chosen)) for sample in read[index]]
    if not clips:
        raise InputError(f"{data} has no readable clip of the model's emotions")
    middle = model.cut(torch.stack(clips))[:, model.bag_size // 2]
    return model.normalize(middle).transpose(1, 2)


def is_exported(folder: Path) -> bool:
    """Return whether a folder with a `config.json` holds an exported model."""
    try:
        return "format" in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError:
        return False


def load_exported(folder: Path) -> ExportedModel:
    """Load an exported model, in evaluation mode.

    Raises:
        InputError: the engine of its format is not installed, or a file cannot be read.
    """
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name = settings.pop("format")
    if name not in FORMATS:
        raise InputError(f"{folder / 'config.json'}: unknown format {name!r}")
    files = [folder / f"{part}{FORMATS[name].suffix}" for part in PARTS]
    try:
        backbone, fusion = (FORMATS[name].load(file) for file in files)
        return ExportedModel(settings, backbone, fusion).eval()
    except InputError:
        raise
    except Exception as error:  # each engine has errors of its own
        raise InputError(
            f"{folder} contains no readable model in the format {name}: {first_line(error)}"
        ) from error


def _write_part(format: str, module: nn.Module, part: str, example: Tensor, folder: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporters, about their own future
            FORMATS[format].write(module, part, example, folder / f"{part}{FORMATS[format].suffix}")
    except (InputError, OSError):
        raise
    except Exception as error:  # each exporter has errors of its own
        raise InputError(
            f"the {part} of this model cannot be exported as {format}: {first_line(error)}"
        ) from error


def _settings(model: M3DFEL) -> dict[str, Any]:
    return {
        "labels": list(model.labels),
        "frames": model.frames,
        "size": model.size,
        "bag_size": model.bag_size,
        "features": model.backbone.out_features,
        "mean": model.mean.flatten().tolist(),
        "std": model.std.flatten().tolist(),
        "zoom": model.zoom,
        "grayscale": model.grayscale,
        "mirror": model.mirror,
        "context": model.context,
        "min_confidence": model.min_confidence,
    }


@torch.inference_mode()
def _largest_difference(model: M3DFEL, exported: ExportedModel) -> float:
    clips = torch.randn(3, model.frames, 3, model.size, model.size)
    pairs = zip(model.explain(clips), exported.explain(clips), strict=True)
    return max(float((one - other).abs().max()) for one, other in pairs)

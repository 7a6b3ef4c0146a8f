"""Trained models for other engines: ONNX Runtime, OpenVINO and TorchScript.

An exported model is a folder with `config.json` and two networks, each for batches of any size: the
backbone reads instances, the fusion joins their features into logits and evidence. It loads like
any other model, and other programs can run the two files without this package.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from m3dfel.errors import InputError
from m3dfel.files import atomic_write, write_text
from m3dfel.models.m3dfel import M3DFEL

Network: TypeAlias = Callable[[Tensor], tuple[Tensor, ...]]
"""A network in its engine: takes a batch on the CPU, returns its outputs."""

TOLERANCE = 1e-4
"""By how much the logits and the evidence may differ from those of the original model."""

_ANY_SIZE = 2**31
_PARTS = {"backbone": ("instances", ["features"]), "fusion": ("features", ["logits", "evidence"])}


class Format(NamedTuple):
    """A format of exported models.

    Attributes:
        meaning: what runs it, for the help.
        suffix: of a network's file.
        write: writes a part of a model, given by name, its example input and the file.
        load: loads a network from its file.
    """

    meaning: str
    suffix: str
    write: Callable[[nn.Module, str, Tensor, Path], None]
    load: Callable[[Path], Network]


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

    def fuse_explained(
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
        return self.model.fuse_explained(features)


# --- folders -------------------------------------------------------------------------------------


def export_model(model: M3DFEL, folder: Path, format: str) -> float:
    """Write a trained model for another engine, and compare both.

    Args:
        model: in evaluation mode, on the CPU.
        folder: a new or empty folder; receives `config.json`, `backbone.*` and `fusion.*`.
        format: a name in `FORMATS`.

    Returns:
        The largest difference between the logits and the evidence of both, on random clips.

    Raises:
        InputError: there is no such format, its packages are not installed, the folder is not
            empty, the model has a part that the format cannot describe, or the exported model
            differs from the original by more than `TOLERANCE`.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}: use one of {', '.join(FORMATS)}")
    if isinstance(model, ExportedModel):
        raise InputError("this model is exported already: give the one that was trained")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty: choose another --output")
    instances = torch.randn(2, 3, model.instance_length, model.size, model.size)
    features = torch.randn(2, model.bag_size, model.backbone.out_features)
    with atomic_write(folder) as temporary:
        temporary.mkdir()
        settings = {"format": format, **_settings(model)}
        write_text(temporary / "config.json", json.dumps(settings, indent=2))
        _write_part(format, model.backbone, "backbone", instances, temporary)
        _write_part(format, _Fusion(model).eval(), "fusion", features, temporary)
        difference = _largest_difference(model, load_exported(temporary))
        if not difference <= TOLERANCE:
            raise InputError(
                f"exported as {format}, the model gives logits that differ by {difference:.2g}: "
                "choose another format"
            )
    return difference


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
    files = [folder / f"{part}{FORMATS[name].suffix}" for part in _PARTS]
    try:
        backbone, fusion = (FORMATS[name].load(file) for file in files)
        return ExportedModel(settings, backbone, fusion).eval()
    except InputError:
        raise
    except Exception as error:  # each engine has errors of its own
        raise InputError(
            f"{folder} contains no readable model in the format {name}: {_first_line(error)}"
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
            f"the {part} of this model cannot be exported as {format}: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


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
        "min_confidence": model.min_confidence,
    }


@torch.inference_mode()
def _largest_difference(model: M3DFEL, exported: ExportedModel) -> float:
    clips = torch.randn(3, model.frames, 3, model.size, model.size)
    pairs = zip(model.explain(clips), exported.explain(clips), strict=True)
    return max(float((one - other).abs().max()) for one, other in pairs)


# --- formats -------------------------------------------------------------------------------------


def _capture(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """Return the graph of a network, for batches of any size."""
    batch = torch.export.Dim("batch")
    return torch.export.export(module, (example,), dynamic_shapes=({0: batch},), strict=False)


def _write_onnx(module: nn.Module, part: str, example: Tensor, path: Path) -> None:
    optimizer = _require("onnxscript", "export").optimizer
    name, outputs = _PARTS[part]
    program = torch.onnx.export(
        _capture(module, example),
        input_names=[name],
        output_names=outputs,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert program
    # Join convolutions with their normalizations, and drop kernels that only meet padding.
    optimizer.optimize(program.model, input_size_limit=_ANY_SIZE, output_size_limit=_ANY_SIZE)
    program.save(path)


def _load_onnx(path: Path) -> Network:
    onnxruntime = _require("onnxruntime", "fast")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(batch: Tensor) -> tuple[Tensor, ...]:
        return tuple(map(torch.from_numpy, session.run(None, {name: batch.numpy()})))

    return run


def _write_openvino(module: nn.Module, part: str, example: Tensor, path: Path) -> None:
    openvino = _require("openvino", "openvino")
    model = openvino.convert_model(_capture(module, example))
    model.reshape([-1, *example.shape[1:]])
    name, outputs = _PARTS[part]
    for port, port_name in zip([*model.inputs, *model.outputs], [name, *outputs], strict=True):
        port.get_tensor().set_names({port_name})
    openvino.save_model(model, str(path), compress_to_fp16=False)


def _load_openvino(path: Path) -> Network:
    openvino = _require("openvino", "openvino")
    # On some processors it would compute with 16 bits: faster, but with other probabilities.
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    network = openvino.Core().compile_model(str(path), "CPU", options)

    def run(batch: Tensor) -> tuple[Tensor, ...]:
        results = network([batch.numpy()])
        return tuple(torch.from_numpy(results[output]) for output in network.outputs)

    return run


def _write_torch(module: nn.Module, _: str, example: Tensor, path: Path) -> None:
    # Not as .pt2 of torch.export, which is loaded with pickle and could run anybody's code.
    fastest = copy.deepcopy(module).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    traced = torch.jit.trace(fastest, example, check_trace=False)
    torch.jit.save(torch.jit.freeze(traced), path)


def _load_torch(path: Path) -> Network:
    network = torch.jit.load(path)

    def run(batch: Tensor) -> tuple[Tensor, ...]:
        outputs = network(batch)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    return run


def _require(package: str, extra: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise InputError(f"this format needs {package}: pip install 'm3dfel[{extra}]'") from error


FORMATS = {
    "onnx": Format("ONNX Runtime, and most other engines", ".onnx", _write_onnx, _load_onnx),
    "openvino": Format("OpenVINO", ".xml", _write_openvino, _load_openvino),
    "torch": Format("torch without this package (TorchScript)", ".pt", _write_torch, _load_torch),
}
"""The formats, by name."""

"""The formats of exported networks: how each is written, and how its engine runs it.

Below `exported.py`, which writes and loads whole models. Every engine runs on the CPU, with as many
threads as torch.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from m3dfel.errors import InputError

Network: TypeAlias = Callable[[Tensor], tuple[Tensor, ...]]
"""A network in its engine: takes a batch on the CPU, returns its outputs."""

PARTS = {"backbone": ("instances", ["features"]), "fusion": ("features", ["logits", "evidence"])}
"""The two networks of a model, with the names of their input and outputs."""

_ANY_SIZE = 2**31
_BATCH = 16


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


def _capture(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """Return the graph of a network, for batches of any size."""
    batch = torch.export.Dim("batch")
    return torch.export.export(module, (example,), dynamic_shapes=({0: batch},), strict=False)


def _write_onnx(module: nn.Module, part: str, example: Tensor, path: Path) -> None:
    optimizer = _require("onnxscript", "export").optimizer
    name, outputs = PARTS[part]
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
    with _without_usage_reports():
        model = openvino.convert_model(_capture(module, example))
    model.reshape([-1, *example.shape[1:]])
    name, outputs = PARTS[part]
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


def quantize(path: Path, calibration: Tensor) -> None:
    """Let a network in OpenVINO's format compute with 8-bit numbers, by NNCF.

    Args:
        path: the network's file, which is replaced.
        calibration: inputs by whose activations the numbers are scaled, (M, …).

    Raises:
        InputError: OpenVINO or NNCF is not installed.
    """
    openvino = _require("openvino", "int8")
    with _without_usage_reports():
        nncf = _require("nncf", "int8")
    nncf.set_log_level(logging.ERROR)
    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})  # the file is about to be replaced
    batches = calibration.split(_BATCH)
    data = nncf.Dataset(batches, lambda batch: batch.contiguous().numpy())
    quantized = nncf.quantize(core.read_model(str(path)), data, subset_size=len(batches))
    openvino.save_model(quantized, str(path), compress_to_fp16=False)


@contextmanager
def _without_usage_reports() -> Iterator[None]:
    """Keep OpenVINO's converter and NNCF from reporting their use over the internet.

    They only refrain from it in continuous integration, which they recognize by a variable.
    """
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        del os.environ["CI"]
        if before is not None:
            os.environ["CI"] = before


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

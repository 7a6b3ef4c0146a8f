"""What 8-bit numbers would change for an exported model: accuracy on val, and time.

    python benchmarks/int8.py MODEL DATA [--per_class 100]

Exports the model for ONNX Runtime and for OpenVINO, quantizes the backbone of each (static, by
activations on training clips; ONNX Runtime's own tool, and NNCF) and runs all of them, one thread,
in turns, beside torch and OpenVINO's 16 bits. The fusion, which takes hardly any time, keeps its 32
bits. Needs `onnxscript`, `onnxruntime`, `openvino` and `nncf`.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from m3dfel.checkpoints import load_model
from m3dfel.data.dataset import EvaluationClips
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.splits import keep_labels
from m3dfel.evaluation.metrics import compute_metrics
from m3dfel.models.exported import FORMATS, Network, export_model
from m3dfel.models.m3dfel import M3DFEL

CALIBRATION_CLIPS = 20  # of each class
BATCH = 16


def instances_of(model: M3DFEL, clips: Sequence[Clip]) -> Tensor:
    """Return the instances of clips: (clips, N, 3, t, S, S), or N = 1 for still pictures.

    All instances of a still picture are the same: one is enough.
    """
    data = EvaluationClips(clips, model.labels, model.frames, model.size, model.zoom)
    kept = 1 if all(clip.kind == "still" for clip in clips) else model.bag_size
    bags = []
    for index in range(len(clips)):
        sample = data[index]
        if sample is not None:
            bags.append(model.cut(model.normalize(sample[0])[None])[:kept])
    return torch.stack(bags)


def chosen(clips: Sequence[Clip], per_class: int) -> list[Clip]:
    """Return so many clips of each class, which gives the same UAR on average as all of them."""
    of_class: dict[str, list[Clip]] = {}
    for clip in clips:
        of_class.setdefault(clip.emotion, []).append(clip)
    return [
        same[i]
        for same in of_class.values()
        for i in np.linspace(0, len(same) - 1, min(per_class, len(same))).astype(int)
    ]


# --- 8 bits --------------------------------------------------------------------------------------


def onnxruntime_int8(file: Path, calibration: Tensor) -> Network:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches: Iterator[Tensor] = iter(calibration.split(BATCH))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"instances": batch.contiguous().numpy()}

    quantized = file.with_name("int8.onnx")
    quantize_static(file, quantized, Reader(), per_channel=True)
    return FORMATS["onnx"].load(quantized)


def openvino_int8(file: Path, calibration: Tensor) -> Network:
    import nncf
    import openvino

    model = openvino.Core().read_model(file)
    batches = nncf.Dataset(calibration.split(BATCH), lambda batch: batch.contiguous().numpy())
    quantized = file.with_name("int8.xml")
    openvino.save_model(nncf.quantize(model, batches), quantized, compress_to_fp16=False)
    return FORMATS["openvino"].load(quantized)


def openvino_default(file: Path) -> Network:
    """OpenVINO's own choice of numbers: 16 bits where the processor computes with them."""
    import openvino

    options = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
    network = openvino.Core().compile_model(file, "CPU", options)
    return lambda batch: (torch.from_numpy(network([batch.numpy()])[0]),)


def bfloat16(model: M3DFEL) -> Network:
    def run(batch: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return (model.backbone(batch).float(),)

    return run


# --- measuring -----------------------------------------------------------------------------------


def milliseconds(networks: dict[str, Network], batch: Tensor, runs: int) -> dict[str, float]:
    """Return the best time of each network for a batch, in turns."""
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(runs):
        for name, network in networks.items():
            start = time.process_time()
            network(batch)
            times[name].append(1e3 * (time.process_time() - start))
    return {name: min(values) for name, values in times.items()}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--per_class", type=int, default=100)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(options.model)
    manifest = read_manifest(options.data, labels=model.labels)
    val = chosen(keep_labels(manifest.split("val"), model.labels), options.per_class)
    train = chosen(keep_labels(manifest.split("train"), model.labels), CALIBRATION_CLIPS)
    calibration = instances_of(model, train).flatten(0, 1)
    bags = instances_of(model, val)
    targets = torch.tensor([model.labels.index(clip.emotion) for clip in val])
    with tempfile.TemporaryDirectory() as temporary:
        onnx, openvino = Path(temporary, "onnx"), Path(temporary, "openvino")
        export_model(model, onnx, "onnx")
        export_model(model, openvino, "openvino")
        networks: dict[str, Network] = {
            "torch": lambda batch: (model.backbone(batch),),
            "torch, bfloat16": bfloat16(model),
            "ONNX Runtime": FORMATS["onnx"].load(onnx / "backbone.onnx"),
            "ONNX Runtime, int8": onnxruntime_int8(onnx / "backbone.onnx", calibration),
            "OpenVINO": FORMATS["openvino"].load(openvino / "backbone.xml"),
            "OpenVINO, its own choice": openvino_default(openvino / "backbone.xml"),
            "OpenVINO, int8": openvino_int8(openvino / "backbone.xml", calibration),
        }
    times = milliseconds(networks, calibration[:BATCH].contiguous(), options.runs)
    print(f"{len(val)} clips of val, torch {torch.__version__}, one thread")
    reference: Tensor | None = None
    for name, network in networks.items():
        instances = bags.flatten(0, 1).split(BATCH)
        features = torch.cat([network(batch.contiguous())[0] for batch in instances])
        features = features.unflatten(0, bags.shape[:2]).expand(-1, model.bag_size, -1)
        logits = model.fuse(features)
        metrics = compute_metrics(logits, targets, model.labels)
        probabilities = logits.softmax(1)
        reference = probabilities if reference is None else reference
        off = (probabilities - reference).abs()
        base = name.partition(",")[0]
        print(
            f"{name:25} {times[name] / BATCH:6.2f} ms an instance, "
            f"{times[base] / times[name]:5.2f} times as fast as {base}; "
            f"WAR {100 * metrics.war:.1f} %, UAR {100 * metrics.uar:.1f} %, probabilities off by "
            f"{off.mean():.4f} on average, {off.max():.4f} at most",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Run an ONNX network in ONNX Runtime, if it is installed, else in OpenCV.

Below the face detector. On one thread, ONNX Runtime takes 0.7 times as long as OpenCV's own engine,
which is always there. Both return the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from m3dfel.opencv import cv2

Blob: TypeAlias = npt.NDArray[np.float32]
Engine: TypeAlias = Callable[[Blob], list[Blob]]
"""A loaded network: takes images (N, C, H, W) of any size, returns its outputs."""


def load_engine(path: str | Path, outputs: Sequence[str]) -> Engine:
    """Load a network into the fastest engine that is installed.

    Args:
        path: an ONNX file with one input (N, C, H, W). The batch size, height and width in the file
            do not matter: the network takes any.
        outputs: names of the outputs to return, in this order.
    """
    with suppress(ImportError):
        return load_onnxruntime(path, outputs)
    return load_opencv(path, outputs)


def load_onnxruntime(path: str | Path, outputs: Sequence[str]) -> Engine:
    """Load a network into ONNX Runtime, on one thread.

    Raises:
        ImportError: ONNX Runtime is not installed, or the package onnx, which frees the size of the
            network's input.
    """
    import onnx

    from m3dfel.onnxruntime import onnxruntime

    model = onnx.load(path)
    # Old files list the weights among the inputs, which forbids folding them together.
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    for value in (*model.graph.input, *model.graph.output):
        for axis, name in ((0, "N"), (2, "H"), (3, "W")):
            if axis < len(value.type.tensor_type.shape.dim):
                value.type.tensor_type.shape.dim[axis].dim_param = f"{name} of {value.name}"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # no warnings about weights that the file lists as inputs
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    image = model.graph.input[0].name

    def run(blob: Blob) -> list[Blob]:
        return list(session.run(list(outputs), {image: blob}))

    return run


def load_opencv(path: str | Path, outputs: Sequence[str]) -> Engine:
    """Load a network into OpenCV, which uses as many threads as the process lets it."""
    network = cv2.dnn.readNetFromONNX(str(path))

    def run(blob: Blob) -> list[Blob]:
        network.setInput(blob)
        return [np.asarray(output, np.float32) for output in network.forward(list(outputs))]

    return run

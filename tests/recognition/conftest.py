import pytest
import torch

from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from small_videos import ScriptedDetector, noise_video, small_model


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    """For models this small, more threads are slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    """One face from 0 to 2 s, and one elsewhere that is gone from 2 to 3 s."""
    detector = ScriptedDetector((0, set(range(50))), (70, {*range(50), *range(75, 100)}))
    return Recognizer(small_model(), detector)(noise_video(100, side=128))

import inspect
import subprocess
import sys

from m3dfel.recognition.defaults import CLIP_S, SMOOTH_S
from m3dfel.recognition.recognizer import Recognizer


def test_the_recognizer_uses_them():
    for function in (Recognizer, Recognizer.from_pretrained):
        parameters = inspect.signature(function).parameters
        assert parameters["clip_s"].default == CLIP_S
        assert parameters["smooth_s"].default == SMOOTH_S


def test_importing_them_does_not_import_torch():
    program = "import sys, m3dfel.recognition.defaults; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr

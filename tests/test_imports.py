"""What imports do in a new process: nothing slow before it is needed, nothing to their host."""

import os
import subprocess
import sys

PROGRAM = """
import os, pkgutil, signal, sys

def state():
    import matplotlib
    import torch

    return {
        # Lightning and torch's compiler set some of torch's own.
        "environment": {n: v for n, v in os.environ.items() if "TORCH" not in n},
        "standard output": sys.stdout,
        "settings of matplotlib": dict(matplotlib.rcParams),
        "threads of torch": torch.get_num_threads(),
        "deterministic": torch.backends.cudnn.deterministic,
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
    }

environment = dict(os.environ)
import m3dfel
import m3dfel.recognition.settings
import m3dfel.data.cropping.crop

assert m3dfel.EMOTIONS
assert "torch" not in sys.modules, "m3dfel --help and data crop would take seconds"
assert os.environ == environment
before = state()
from m3dfel import Recognizer

Recognizer()
assert not {"torchvision", "torch._dynamo"} & set(sys.modules), "predicting does without them"
names = [module.name for module in pkgutil.walk_packages(m3dfel.__path__, "m3dfel.")]
# The page and the cluster are programs of their own, which nobody imports.
for name in names:
    if not name.startswith(("m3dfel.web", "m3dfel.batch.cluster", "m3dfel.__main__")):
        __import__(name)
assert len(names) > 100
for what, value in state().items():
    assert value == before[what], what
import cv2

assert cv2.getNumThreads() == 3, "threads of OpenCV"
"""


def test_imports_are_as_late_as_they_can_be_and_leave_the_process_as_it_was():
    environment = {**os.environ, "OPENCV_FOR_THREADS_NUM": "3"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert (run.stdout, run.stderr) == ("", "")

"""A library has no side effects on its host: importing it leaves the process as it was."""

import os
import subprocess
import sys

IMPORT_ALL = """
import os, pkgutil, signal, sys
import matplotlib
import torch

def state():
    return {
        # Lightning and torch's compiler set some of torch's own.
        "environment": {n: v for n, v in os.environ.items() if "TORCH" not in n},
        "standard output": sys.stdout,
        "settings of matplotlib": dict(matplotlib.rcParams),
        "threads of torch": torch.get_num_threads(),
        "deterministic": torch.backends.cudnn.deterministic,
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
    }

before = state()
import m3dfel

names = [module.name for module in pkgutil.walk_packages(m3dfel.__path__, "m3dfel.")]
# The page and the cluster are programs of their own, which nobody imports.
for name in names:
    if not name.startswith(("m3dfel.web", "m3dfel.batch.cluster", "m3dfel.__main__")):
        __import__(name)
assert len(names) > 100
from m3dfel import Recognizer

Recognizer()
for what, value in state().items():
    assert value == before[what], what
import cv2

assert cv2.getNumThreads() == 3, "threads of OpenCV"
"""


def test_importing_everything_and_loading_the_model_leaves_the_process_as_it_was():
    environment = {**os.environ, "OPENCV_FOR_THREADS_NUM": "3"}
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert (run.stdout, run.stderr) == ("", "")

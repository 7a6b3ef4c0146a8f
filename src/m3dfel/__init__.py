"""Multi-instance 3D dynamic facial expression learning: train, measure and run it on video."""

from m3dfel import _torchvision as _torchvision  # first: torchmetrics imports torchvision too

__version__ = "0.1.0"

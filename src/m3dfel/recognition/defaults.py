"""Defaults of a `Recognizer` and its predictions, in a module that does not import torch.

The command line shows them in `--help`, which has to answer at once.
"""

from __future__ import annotations

CLIP_S = 0.64
"""Seconds per clip: 16 frames at 25 per second, short enough to show when an expression starts."""

SMOOTH_S = 0.2
"""Standard deviation in seconds of the Gaussian that averages probabilities over time."""

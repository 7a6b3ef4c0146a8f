"""Defaults of the page, in a module that imports neither torch nor Starlette.

The command line shows them in `--help`, which has to answer at once.
"""

from __future__ import annotations

HOST = "127.0.0.1"
"""Only this computer can open the page."""

PORT = 7860
"""Of the page."""

MAX_MINUTES = 10.0
"""Length of a video."""

MAX_MB = 500
"""Size of a video file in megabytes."""

WORKERS = 2
"""Videos that are worked on at once; others wait."""

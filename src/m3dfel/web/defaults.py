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
"""Size of a video file, or of all photos together, in megabytes."""

MAX_PHOTOS = 50
"""Photos that are worked on together."""

WORKERS = 2
"""Jobs that are worked on at once; others wait."""

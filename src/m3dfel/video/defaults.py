"""Defaults of the video room, in a module that imports nothing, for the command line."""

from __future__ import annotations

SEARCH_EVERY = 12
"""Frames from one search of the whole frame to the next: half a second at 24 per second."""

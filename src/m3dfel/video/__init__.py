"""From a video to aligned face tracks: decode, detect, track, align."""

DETECT_EVERY = 12
"""Frames from one detection in the full frame to the next: half a second at 24 per second."""

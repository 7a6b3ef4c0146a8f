"""OpenCV, imported with a helpful error: import `cv2` from here, not directly.

The usual OpenCV package needs system libraries that minimal servers and containers lack. Its own
error then names only a shared object; the one raised here says what to install.
"""

from __future__ import annotations

from m3dfel.errors import InputError

try:
    import cv2
except ImportError as error:
    raise InputError(
        f"OpenCV cannot be loaded ({error}): install the system library it names (on Debian and "
        "Ubuntu: apt-get install libgl1 libglib2.0-0), or opencv-python-headless in its place"
    ) from error

# Data loader workers are forked, and OpenCV's threads do not survive a fork: a worker that used
# them would hang.
cv2.setNumThreads(1)

__all__ = ["cv2"]

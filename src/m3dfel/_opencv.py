"""The door to OpenCV: import it from here, never directly.

Its usual wheel needs a system library that bare servers and containers lack; the error then names
a shared object, and the one raised here says what to install.
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

# The readers of a data set are forked, and OpenCV's threads do not survive a fork: a worker that
# used them would wait for ever.
cv2.setNumThreads(1)

__all__ = ["cv2"]

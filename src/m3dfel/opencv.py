"""OpenCV, imported with a helpful error: import `cv2` from here, not directly.

The usual OpenCV package needs system libraries that minimal servers and containers lack. Its own
error then names only a shared object; the one raised here says what to install.

That package also points Qt and the loader of libraries at its own copies, for the whole process and
all that it starts. A library leaves the environment of its host alone, so this is undone; only
windows need it.
"""

from __future__ import annotations

import os

from m3dfel.errors import InputError

_before = dict(os.environ)
try:
    import cv2
except ImportError as error:
    raise InputError(
        f"OpenCV cannot be loaded ({error}): install the system library it names (on Debian and "
        "Ubuntu: apt-get install libgl1 libglib2.0-0), or opencv-python-headless in its place"
    ) from error
finally:
    _of_qt = {name: os.environ[name] for name in os.environ if name.startswith("QT_")}
    for name in os.environ.keys() - _before.keys():
        del os.environ[name]
    os.environ.update(_before)


LUMINANCE = (0.299, 0.587, 0.114)
"""How much of red, green and blue is in a gray value of OpenCV: ITU-R BT.601."""


def open_window(name: str) -> None:
    """Open a window that can be resized, for `cv2.imshow`.

    Raises:
        cv2.error: OpenCV cannot open windows here.
    """
    os.environ.update(_of_qt)
    cv2.namedWindow(name, cv2.WINDOW_NORMAL)


__all__ = ["LUMINANCE", "cv2", "open_window"]

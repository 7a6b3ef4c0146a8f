"""Frames that come at their own pace: from a camera, or from a video that plays as if it were one.

A slow consumer skips frames instead of falling behind.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from itertools import count

import av
import numpy as np

from m3dfel.errors import InputError, first_line
from m3dfel.opencv import cv2
from m3dfel.video.decode import Frame, OpenVideo, picture_stream
from m3dfel.video.prefetch import prefetch

_CONNECT_S, _SILENT_S = 10.0, 30.0  # what a camera in the network may take


def read_camera(camera: int | str) -> Generator[Frame, None, None]:
    """Yield the frames of a camera from now on, without end.

    Args:
        camera: its number, from 0, or its URL, such as `rtsp://…` or `http://…`.

    Raises:
        InputError: on the first frame if the camera cannot be opened; later if it is unplugged.
    """
    frames = _captured(camera) if isinstance(camera, int) else read_url(camera)
    return prefetch(frames, size=1, drop=True)


def read_url(url: str) -> Generator[Frame, None, None]:
    """Yield the frames that come from a URL, as fast as they come.

    Raises:
        InputError: on the first frame if nothing is there, or it has no picture.
    """
    try:
        container = av.open(
            url,
            timeout=(_CONNECT_S, _SILENT_S),
            metadata_errors="replace",
            options={"rtsp_transport": "tcp"},
        )
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise InputError(
            f"no camera can be reached at {url} ({first_line(error)}): check the address"
        ) from error
    with container:
        stream = picture_stream(container)
        if stream is None:
            raise InputError(f"{url} has no picture, only sound: give the address of a camera")
        video = OpenVideo(url, container, stream)
        for index, (time_s, frame) in enumerate(video.stamped()):
            yield Frame(index, time_s, video.to_rgb(frame))


def play(frames: Iterable[Frame]) -> Generator[Frame, None, None]:
    """Yield each frame when it would be shown if the video had been started at the first one."""
    return prefetch(_timed(frames), size=1, drop=True)


def _captured(number: int) -> Generator[Frame, None, None]:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our error says it all
    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise InputError(
                f"camera {number} cannot be opened: check that it is plugged in and that no other "
                "program uses it, or give another number"
            )
        start_s = None
        for index in count():
            there, picture = camera.read()
            if not there:
                raise InputError(f"camera {number} sends no more pictures: plug it in again")
            # The first picture may take a second to come.
            start_s = start_s or time.monotonic()
            image = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
            yield Frame(index, time.monotonic() - start_s, image)
    finally:
        camera.release()


def _timed(frames: Iterable[Frame]) -> Generator[Frame, None, None]:
    start_s: float | None = None
    for frame in frames:
        if start_s is None:
            start_s = time.monotonic() - frame.time_s
        time.sleep(max(0.0, start_s + frame.time_s - time.monotonic()))
        yield frame

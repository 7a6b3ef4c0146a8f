"""Displays of a running stream: bars in the terminal that update in place, and a window.

Between a stream and the screen: `live.session` gives every frame to these displays.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from m3dfel.emotions import colors
from m3dfel.errors import InputError
from m3dfel.opencv import cv2, open_window
from m3dfel.predictions.update import Update
from m3dfel.recognition.stream import Step
from m3dfel.report.drawing.boxes import Box, draw_boxes
from m3dfel.video.decode import Picture

Answers: TypeAlias = Mapping[int, Update | None]
"""The newest answer for each visible face, None if there is none yet."""

Display: TypeAlias = Callable[[Step, Answers], bool]
"""Shows a step and the newest answers; returns whether to go on."""

_BAR_WIDTH = 30
_REFRESHES_PER_S = 8
_QUIT_KEYS = frozenset({27, ord("q")})  # 27 is Escape


@contextmanager
def terminal_bars(name: str, delay_s: float) -> Iterator[Display]:
    """Show a bar for each emotion of each face, in the terminal.

    Args:
        name: of the source.
        delay_s: how far answers lag behind, in seconds.
    """
    head = f"{name}: answers lag {delay_s:.1f} s behind; Ctrl+C ends"
    live = Live(console=Console(stderr=True), refresh_per_second=_REFRESHES_PER_S)

    def show(step: Step, answers: Answers) -> bool:
        faces = [_face_bars(face, answer) for face, answer in sorted(answers.items())]
        now = Text(f"{step.frame.time_s:7.1f} s  {head}", style="dim")
        live.update(Group(now, *(faces or [Text("no face", style="dim")])))
        return True

    with live:
        yield show


def _face_bars(face: int, answer: Update | None) -> RenderableType:
    head = Text(f"face {face}  ", style="bold")
    if answer is None:
        return head.append("…", style="dim")
    head.append(answer.mark or answer.emotion or "", style="dim" if answer.mark else "bold")
    if answer.emotion is None:
        return head
    bars = Table.grid(padding=(0, 1))
    bars.add_column(justify="right")
    color_of = colors(answer.labels)
    for label, probability in zip(answer.labels, answer.probabilities.tolist(), strict=True):
        bars.add_row(
            Text(label, style="bold" if label == answer.emotion else ""),
            Bar(1, 0, probability, width=_BAR_WIDTH, color=color_of[label]),
            f"{100 * probability:3.0f} %",
        )
    return Group(head, bars)


@contextmanager
def picture_window(name: str) -> Iterator[Display]:
    """Show the picture with a box and a name tag for each face, in a window.

    The user ends it with q or Escape, or by closing the window.

    Args:
        name: of the source, which is the window's title.

    Raises:
        InputError: OpenCV cannot open windows here.
    """
    _check_window()
    title = f"m3dfel: {name}"

    def show(step: Step, answers: Answers) -> bool:
        picture = _draw_faces(step, answers)
        cv2.imshow(title, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        return key not in _QUIT_KEYS and cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1

    open_window(title)
    try:
        yield show
    finally:
        cv2.destroyAllWindows()


def _check_window() -> None:
    """Check that OpenCV can open a window, since without a screen it would end the program.

    Raises:
        InputError: this build of OpenCV has no windows, or there is no screen.
    """
    if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):
        raise InputError(
            "this build of OpenCV cannot open a window: install opencv-python in place of "
            "opencv-python-headless, or leave out --window"
        )
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        raise InputError("there is no screen for a window here: leave out --window")


def _draw_faces(step: Step, answers: Answers) -> Picture:
    """Return a frame with its faces drawn in, uint8 RGB, in the style of the annotated video."""
    picture, boxes = step.frame.image.copy(), list[Box]()
    for face in step.faces:
        answer = answers.get(face.track)
        word = (answer.mark or answer.emotion or "") if answer else ""
        dot = colors(answer.labels)[answer.emotion] if answer and word == answer.emotion else None
        boxes.append(Box(face.detection.box.astype(float), face.track, word, dot))
    draw_boxes(picture, boxes)
    return picture

"""Displays of a running stream: bars in the terminal that update in place, and a window.

Between a stream and the screen: `live.session` gives every frame to these displays.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

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

_BAR_WIDTH = 30
_REFRESHES_PER_S = 8
_QUIT_KEYS = frozenset({27, ord("q")})  # 27 is Escape


class Bars:
    """A bar for each emotion of each face, in the terminal. A context manager.

    Args:
        name: of the source.
        delay_s: how far answers lag behind, in seconds.
    """

    def __init__(self, name: str, delay_s: float) -> None:
        self._head = f"{name}: answers lag {delay_s:.1f} s behind; Ctrl+C ends"
        self._shown: RenderableType = ""
        self._live = Live(
            get_renderable=lambda: self._shown,
            console=Console(stderr=True),
            refresh_per_second=_REFRESHES_PER_S,
        )

    def __enter__(self) -> Bars:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, step: Step, answers: Mapping[int, Update | None]) -> bool:
        """Show the newest answer for each visible face, None if there is none yet; return True."""
        faces = [_face_bars(face, answer) for face, answer in sorted(answers.items())]
        head = Text(f"{step.frame.time_s:7.1f} s  {self._head}", style="dim")
        self._shown = Group(head, *(faces or [Text("no face", style="dim")]))
        return True


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


class Window:
    """The picture with a box and a name tag for each face, in a window. A context manager.

    Args:
        name: of the source, which is the window's title.

    Raises:
        InputError: OpenCV cannot open windows here.
    """

    def __init__(self, name: str) -> None:
        check_window()
        self._name = f"m3dfel: {name}"

    def __enter__(self) -> Window:
        open_window(self._name)
        return self

    def __exit__(self, *_: object) -> None:
        cv2.destroyAllWindows()

    def show(self, step: Step, answers: Mapping[int, Update | None]) -> bool:
        """Show a frame; return False once the user has closed the window or pressed q or Escape."""
        picture = draw_faces(step, answers)
        cv2.imshow(self._name, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        return (
            key not in _QUIT_KEYS and cv2.getWindowProperty(self._name, cv2.WND_PROP_VISIBLE) >= 1
        )


def check_window() -> None:
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


def draw_faces(step: Step, answers: Mapping[int, Update | None]) -> Picture:
    """Return a frame with its faces drawn in, uint8 RGB, in the style of the annotated video."""
    picture, boxes = step.frame.image.copy(), list[Box]()
    for face in step.faces:
        answer = answers.get(face.track)
        word = (answer.mark or answer.emotion or "") if answer else ""
        dot = colors(answer.labels)[answer.emotion] if answer and word == answer.emotion else None
        boxes.append(Box(face.detection.box.astype(float), face.track, word, dot))
    draw_boxes(picture, boxes)
    return picture

import io

import numpy as np
import pytest
from rich.console import Console

from m3dfel.recognition import progress
from m3dfel.recognition.progress import show_progress
from m3dfel.recognition.stream import Step
from m3dfel.video.decode import Frame


@pytest.mark.parametrize("duration_s", [2.0, None])
def test_progress_says_how_fast_it_is_on_stderr(duration_s, monkeypatch):
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120)
    monkeypatch.setattr(progress, "Console", lambda stderr: console)
    moments_s = iter(range(100))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(moments_s) / 2)
    image = np.zeros((8, 8, 3), np.uint8)
    steps = [Step(Frame(i, 0.5 * i, image), [], []) for i in range(4)]
    assert list(show_progress(steps, "folder/film.mp4", duration_s)) == steps
    text = output.getvalue()
    assert "reading film.mp4" in text
    assert "frames/s" in text
    assert "× real time" in text
    assert ("75%" in text) == (duration_s is not None)


def test_speed_is_beside_the_video():
    assert progress._speed(250, 10.0, 2.0) == "125 frames/s, 5.0 × real time"

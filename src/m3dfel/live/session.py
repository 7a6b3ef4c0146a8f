"""Live recognition: a camera, or a video that plays as if it were one, until the user ends it.

`m3dfel live`. The stream gives its steps to the displays; a recording is annotated at the end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event
from types import FrameType

from m3dfel.errors import InputError
from m3dfel.files import check_replaceable, start_list
from m3dfel.live.displays import Answers, Display, picture_window, terminal_bars
from m3dfel.predictions.prediction import Prediction
from m3dfel.predictions.update import Update
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.recognition.stream import Step, Stream
from m3dfel.video.camera import play, read_camera, read_url
from m3dfel.video.decode import Frame
from m3dfel.video.encode import check_output, record
from m3dfel.video.remote import is_url
from m3dfel.video.sources import Source, is_live, read_frames, source_name

# A face that is away for longer disappears from the displays.
_STAYS_S = 0.5


def run_live(
    recognizer: Recognizer,
    source: Source | int,
    *,
    window: bool = False,
    lines: bool = False,
    recording: Path | None = None,
    overwrite: bool = False,
) -> Prediction:
    """Show what the faces in front of a camera express, until the source ends or Ctrl+C is pressed.

    Args:
        recognizer: does the work.
        source: the number or URL of a camera, or a video, which is played at its own speed.
        window: show the picture with boxes in a window.
        lines: print every update as a line of JSON on stdout, in place of bars on stderr.
        recording: where to write what was seen as an annotated video, ending in `.mp4`.
        overwrite: the recording may replace a file that m3dfel did not write; never the source.

    Returns:
        What was seen.

    Raises:
        InputError: the source cannot be read, there is no window here, or the recording cannot be
            written.
    """
    name = f"camera {source}" if isinstance(source, int) else Path(source_name(source)).name
    raw = _raw_recording(recording, source, overwrite) if recording else None
    with ExitStack() as stack:
        displays: list[Display] = []
        if window:
            displays.append(stack.enter_context(picture_window(name)))
        if lines:
            displays.append(_print_lines)
        else:
            displays.append(stack.enter_context(terminal_bars(name, recognizer.delay_s)))
        stopped = stack.enter_context(_interrupted())
        frames = _until(stopped, _live_frames(source))
        stream = recognizer.stream(record(frames, raw) if raw else frames)
        try:
            _show(stream, displays, stopped)
        finally:
            stream.close()
            if recording and raw and raw.exists():
                # After the displays, since it shows its progress.
                stack.callback(_annotate, stream, recording, raw)
    return stream.prediction()


def _show(stream: Stream, displays: Iterable[Display], stopped: Event) -> None:
    answers: dict[int, Update | None] = {}
    seen_s: dict[int, float] = {}
    for step in stream.steps():
        now_s = step.frame.time_s
        seen_s.update((face.track, now_s) for face in step.faces)
        for face in [face for face, time_s in seen_s.items() if now_s - time_s > _STAYS_S]:
            del seen_s[face]
        answers.update((update.track, update) for update in step.updates)
        visible = {face: answers.get(face) for face in seen_s}
        for show in displays:
            if not show(step, visible):
                stopped.set()


def _print_lines(step: Step, answers: Answers) -> bool:
    """Print the updates of a step, one line each; return False once nobody reads them."""
    try:
        for update in step.updates:
            print(json.dumps(update.to_dict()), flush=True)
    except BrokenPipeError:
        # Python flushes stdout once more at its end, which must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _live_frames(source: Source | int) -> Generator[Frame, None, None]:
    if isinstance(source, int) or is_live(source):
        return read_camera(source)
    if isinstance(source, str) and is_url(source):
        return play(read_url(source))  # a camera, or a video that may be long
    return play(read_frames(source))


def _until(stopped: Event, frames: Generator[Frame, None, None]) -> Generator[Frame, None, None]:
    """Yield frames until the user stops: then the stream ends as at the end of a video."""
    with closing(frames):
        for frame in frames:
            if stopped.is_set():
                return
            yield frame


@contextmanager
def _interrupted() -> Iterator[Event]:
    """Yield an event that Ctrl+C sets; pressed a second time, it ends the program at once."""
    stopped = Event()
    before = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def _raw_recording(recording: Path, source: Source | int, overwrite: bool) -> Path:
    """Return where to record the camera itself: beside the annotated video, and hidden."""
    check_output(recording, source)
    check_replaceable([recording], overwrite)
    start_list(recording.parent)
    return recording.with_name(f".{os.getpid()}-camera-{recording.name}")


def _annotate(stream: Stream, recording: Path, raw: Path) -> None:
    try:
        stream.prediction().annotate(recording, raw)
    except InputError as error:
        raise InputError(f"{error}; what was recorded is in {raw}") from error
    raw.unlink()

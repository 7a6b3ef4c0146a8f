"""The progress of a prediction in the terminal: frames per second, speed and time left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from m3dfel.recognition.stream import Step


def show_progress(
    steps: Iterable[Step], name: str, duration_s: float | None = None
) -> Iterator[Step]:
    """Yield the steps of a stream, and show meanwhile how it gets on; on stderr, then erased.

    Args:
        steps: of the stream.
        name: of its source.
        duration_s: length of the source in seconds; None if unknown.
    """
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(stderr=True),
        transient=True,
    )
    with progress:
        task = progress.add_task(f"reading {Path(name).name}", total=duration_s, speed="")
        start_s = time.monotonic()
        for frames, step in enumerate(steps, start=1):
            progress.update(
                task,
                completed=step.frame.time_s,
                speed=_speed(frames, step.frame.time_s, time.monotonic() - start_s),
            )
            yield step


def _speed(frames: int, time_s: float, elapsed_s: float) -> str:
    """Return how fast a source is read, in frames per second and beside its own speed."""
    elapsed_s = max(elapsed_s, 1e-9)
    return f"{frames / elapsed_s:.0f} frames/s, {time_s / elapsed_s:.1f} × real time"

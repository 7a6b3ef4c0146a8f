"""The progress of a run: a progress bar and a line per epoch in the terminal, and TensorBoard.

At the end of a stage, one more line says what its time went to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from lightning_fabric import Fabric
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_CONSOLE = Console(stderr=True)


def say(fabric: Fabric, line: str) -> None:
    """Print a line, once for all processes."""
    if fabric.is_global_zero:
        _CONSOLE.print(line, highlight=False)


def log_epoch(fabric: Fabric, row: dict[str, Any]) -> None:
    """Print the metrics of an epoch and write them to TensorBoard."""
    values = {"train/loss": row["loss"], "train/lr": row["lr"]}
    line = f"epoch {row['epoch']:3d}  loss {row['loss']:.4f}"
    for split in ("val", "test"):
        if split in row:
            values |= {f"{split}/{name}": row[split][name] for name in ("war", "uar", "loss")}
            line += f"  {split} WAR {row[split]['war']:.4f} UAR {row[split]['uar']:.4f}"
    fabric.log_dict(values, step=row["epoch"])
    say(fabric, line)


@contextmanager
def progress_bar(fabric: Fabric, steps: int, done: int) -> Iterator[Callable[[str, int], None]]:
    """Show the progress of the whole run, its speed in clips per second and the time left.

    Args:
        fabric: only the first process shows the bar.
        steps: optimizer steps of the whole run.
        done: steps completed before, in a resumed run.

    Yields:
        A function to be called after every step with a description and the step's clips.
    """
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=_CONSOLE,
        transient=True,
        disable=not fabric.is_global_zero,
    )
    with progress:
        task = progress.add_task("training", total=steps, completed=done, rate="")

        def advance(description: str, clips: int) -> None:
            speed = progress.tasks[0].speed
            rate = f"{speed * clips:.1f} clips/s" if speed else ""
            progress.update(task, advance=1, description=description, rate=rate)

        yield advance


class Clock:
    """Measures what the time of a stage goes to; it is always in one activity.

    Example:
        >>> from m3dfel.training.progress import Clock
        >>> clock = Clock()
        >>> for batch in clock.batches([1, 2]):  # waiting for a batch is `reading clips`
        ...     pass  # using it is `network`
        >>> clock.enter("validation")
        >>> sorted(clock.seconds())
        ['network', 'reading clips', 'validation']
    """

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._activity, self._start_s = "", perf_counter()

    def enter(self, activity: str) -> None:
        """End the current activity, and start another."""
        now_s = perf_counter()
        self._seconds[self._activity] += now_s - self._start_s
        self._activity, self._start_s = activity, now_s

    def batches(self, loader: Iterable[Any]) -> Iterator[Any]:
        """Yield the batches of a loader: `reading clips` while waiting for them, then `network`."""
        self.enter("reading clips")
        for batch in loader:
            self.enter("network")
            yield batch
            self.enter("reading clips")
        self.enter("network")

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each activity so far, by name."""
        self.enter(self._activity)
        return {name: seconds for name, seconds in self._seconds.items() if name}

    def __str__(self) -> str:
        seconds = self.seconds()
        total = sum(seconds.values())
        longest_first = sorted(seconds.items(), key=lambda item: -item[1])
        parts = (f"{name} {value / total:.0%}" for name, value in longest_first)
        return f"{total:.0f} s: {', '.join(parts)}"

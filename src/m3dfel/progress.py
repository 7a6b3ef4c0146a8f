"""Progress in the terminal: a bar, the rate and the time left, on stderr and erased at the end.

Nothing is written where stderr is neither a terminal nor a notebook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

T = TypeVar("T")

Advance: TypeAlias = Callable[..., None]
"""Called as `advance(amount=1, description="")`; without a description, the last one stays."""


def progress(
    items: Iterable[T],
    description: str,
    total: float | None = None,
    rate: str = "",
    done: int = 0,
    show: bool = True,
) -> Iterator[T]:
    """Yield items, and show how many have been yielded.

    Args:
        items: anything to iterate over.
        description: what is being done.
        total: the number of items, with those done before; None if it is not known.
        rate: how to show the items per second, such as `{:.1f} clips/s`.
        done: the number of items done before, as in a run that is resumed.
        show: False shows nothing.

    Example:
        >>> [item for item in progress("ab", "reading", total=2, rate="{:.0f} letters/s")]
        ['a', 'b']
    """
    with progress_bar(description, total, rate, done, show) as advance:
        for item in items:
            yield item
            advance()


@contextmanager
def progress_bar(
    description: str,
    total: float | None = None,
    rate: str = "",
    done: int = 0,
    show: bool = True,
) -> Iterator[Advance]:
    """Show a bar that is moved by hand, where `progress` does not fit; arguments as there.

    Yields:
        `advance(amount=1, description="")`.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        speed_estimate_period=3600,  # some items take minutes
        disable=not (show and (console.is_terminal or console.is_jupyter)),
    )
    with bar:
        task = bar.add_task(description, total=total, completed=done, rate="")

        def advance(amount: float = 1, description: str = "") -> None:
            speed = bar.tasks[0].speed
            shown = rate.format(speed) if speed else ""
            bar.update(task, advance=amount, description=description or None, rate=shown)

        yield advance

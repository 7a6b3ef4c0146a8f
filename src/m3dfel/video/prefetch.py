"""Run the steps of a stream at the same time, each in a thread of its own.

Between reading, detection and recognition: FFmpeg, OpenCV and the networks release Python's lock,
so the steps use several cores. The queues between them are bounded: a fast step waits for a slow
one, and memory stays constant.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

AHEAD = 8
"""How many items may wait for the consumer, unless it says otherwise."""

_POLL_S = 0.02  # how often to look whether the thread has ended


@dataclass(frozen=True, eq=False)
class _End:
    error: BaseException | None = None


def run_ahead(
    items: Iterable[T], size: int = AHEAD, *, drop: bool = False
) -> Generator[T, None, None]:
    """Yield the items of an iterator that runs in a thread of its own, a few items ahead.

    An error is raised here, after the items before it. When this generator is closed, the thread
    closes its iterator and ends.

    Args:
        items: anything to iterate over; generators are closed at the end.
        size: how many items may wait for the consumer.
        drop: where there is no room, drop the oldest item instead of waiting, as for a camera.
    """
    waiting: Queue[T | _End] = Queue(size)
    stopped = Event()
    thread = Thread(target=_fill, args=(waiting, items, stopped, drop), daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error:
            raise item.error
    finally:
        stopped.set()
        while thread.is_alive():
            # The thread may be waiting for room in the queue.
            with suppress(Empty):
                waiting.get(timeout=_POLL_S)


def _fill(waiting: Queue[T | _End], items: Iterable[T], stopped: Event, drop: bool) -> None:
    end = _End()
    try:
        for item in items:
            if drop and waiting.full():
                with suppress(Empty):  # if the consumer has just taken it
                    waiting.get_nowait()
            waiting.put(item)
            if stopped.is_set():
                break
    except BaseException as error:  # whatever it is, the consumer must not wait forever
        end = _End(error)
    finally:
        try:
            close = getattr(items, "close", None)
            if close:
                close()
        finally:
            waiting.put(end)

"""Run the steps of a stream at the same time, each in a thread of its own.

Between reading, detection and recognition: FFmpeg, OpenCV and the networks release Python's lock,
so the steps use several cores. The queues between them are bounded: a fast step waits for a slow
one, and memory stays constant.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread, current_thread
from typing import Generic, TypeVar

T = TypeVar("T")

AHEAD = 8
"""How many items may wait for the consumer, unless it says otherwise."""

_POLL_S = 0.05  # how often a thread that waits looks whether anybody waits for it


def prefetch(
    items: Iterable[T], size: int = AHEAD, *, drop: bool = False
) -> Generator[T, None, None]:
    """Yield the items of an iterator that runs in a thread of its own, a few items ahead.

    An error is raised here, after the items before it. When this generator is closed, or the thread
    that takes from it has ended, the thread closes its iterator and ends: a program can stop
    anywhere in a loop over the items.

    Args:
        items: anything to iterate over; generators are closed at the end.
        size: how many items may wait for the consumer.
        drop: where there is no room, drop the oldest item instead of waiting, as for a camera.
    """
    producer = _Producer(items, size, drop)
    try:
        while True:
            producer.consumer = current_thread()
            item = producer.queue.get()
            if isinstance(item, _End):
                break
            yield item
        if item.error:
            raise item.error
    finally:
        producer.stop()


class _End:
    """What comes after the last item."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Producer(Generic[T]):
    """A thread that fills a queue; see `prefetch`.

    It is no daemon: those that run in C++ when Python ends can abort the whole process.
    """

    def __init__(self, items: Iterable[T], size: int, drop: bool) -> None:
        self.queue: Queue[T | _End] = Queue(size)
        self.consumer = current_thread()
        self._items, self._drop = items, drop
        self._stopped = Event()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopped.set()
        while self._thread.is_alive() and self._thread is not current_thread():
            with suppress(Empty):  # the thread may be waiting for room in the queue
                self.queue.get(timeout=_POLL_S)

    def _run(self) -> None:
        end = _End()
        try:
            for item in self._items:
                if not self._put(item, self._drop):
                    break
        except BaseException as error:  # whatever it is, the consumer must not wait forever
            end = _End(error)
        finally:
            try:
                close = getattr(self._items, "close", None)
                if close:
                    close()
            finally:
                self._put(end)

    def _put(self, item: T | _End, drop: bool = False) -> bool:
        """Put an item into the queue; return False if nobody takes any more."""
        while not self._stopped.is_set() and self.consumer.is_alive():
            if drop and self.queue.full():
                with suppress(Empty):  # if the consumer has just taken it
                    self.queue.get_nowait()
            with suppress(Full):
                self.queue.put(item, timeout=_POLL_S)
                return True
        return False

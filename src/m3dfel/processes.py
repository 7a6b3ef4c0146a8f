"""A process pool that survives crashing workers.

An item that ends its process, such as a video by a crash in a decoder, is tried once more in a new
process.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from tempfile import TemporaryDirectory
from threading import current_thread, main_thread
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_in_processes(
    items: Sequence[Item],
    start: Callable[[], Callable[[Item], Result]],
    died: Callable[[Item, str], Result],
    jobs: int,
) -> Iterator[Result]:
    """Yield the result of each item, as it is done.

    Args:
        items: such as videos.
        start: prepares a process, such as by loading a model, and returns what computes a result.
        died: returns the result of an item that ended two processes, from it and a sentence that
            says so.
        jobs: how many processes.
    """
    waiting, tried_again = deque(items), list[Item]()
    # Removed with all that processes left in it that were ended.
    scratch = TemporaryDirectory(prefix="m3dfel-", ignore_cleanup_errors=True)
    workers: list[_Worker[Item, Result]] = []
    try:
        for _ in range(min(jobs, len(items))):
            workers.append(_Worker(start, scratch.name))
        while True:
            for worker in workers:
                if worker.item is None and waiting:
                    worker.start(waiting.popleft())
            busy = {worker.connection: worker for worker in workers if worker.item is not None}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                item, worker.item = worker.item, None
                assert item is not None
                try:
                    result: Result = worker.connection.recv()
                except (EOFError, OSError):
                    workers[workers.index(worker)] = _Worker(start, scratch.name)
                    if item not in tried_again:
                        tried_again.append(item)
                        waiting.append(item)
                        continue
                    result = died(
                        item,
                        f"the process that read it {worker.end()}, twice: perhaps the memory is "
                        "too small for it",
                    )
                yield result
    finally:
        for worker in workers:
            worker.stop()
        scratch.cleanup()


class _Worker(Generic[Item, Result]):
    """A process that works on one item at a time.

    Args:
        start: prepares the process.
        scratch: folder for its temporary files.
    """

    def __init__(self, start: Callable[[], Callable[[Item], Result]], scratch: str) -> None:
        # Not forked: threads of torch do not survive a fork.
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.item: Item | None = None
        self._process = context.Process(target=_serve, args=(theirs, start, scratch), daemon=True)
        with _undisturbed():  # so that no signal ends its start with a traceback
            self._process.start()
        theirs.close()  # so that the connection ends with the process

    def start(self, item: Item) -> None:
        self.item = item
        with suppress(OSError):  # the process has died, as reading its result will show
            self.connection.send(item)

    def end(self) -> str:
        """Return how the process died."""
        self._process.join()
        code = self._process.exitcode or 0
        return f"was killed by signal {-code}" if code < 0 else "ended"

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore Ctrl+C meanwhile, and let other signals that interrupt wait until the end.

    Python lets only the main thread do so.
    """
    if current_thread() is not main_thread():
        yield
        return
    waiting: list[int] = []
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in before.items() if callable(handler)}
    for number in before:
        signal.signal(number, lambda number, _: waiting.append(number))
    interrupts = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, interrupts)
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in waiting[:1]:
            signal.raise_signal(number)


def _serve(connection: Connection, start: Callable[[], Callable[[Any], Any]], scratch: str) -> None:
    """Compute the results of the items that come through a connection until it is closed."""
    tempfile.tempdir = scratch
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process stops this one
    silence()
    compute = start()
    while True:
        try:
            connection.send(compute(connection.recv()))
        except (EOFError, OSError):
            return


def silence() -> None:
    """Let this process print nothing beside the others' progress."""
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115

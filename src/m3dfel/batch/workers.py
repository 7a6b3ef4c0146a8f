"""A process pool that survives crashing workers.

Below `predict_videos`. The model is loaded once in each process, which computes on one thread, so
that the answers are the same for any number of processes. A video that ends its process, such as by
a crash in a decoder, is tried once more in a new one.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from tempfile import TemporaryDirectory
from threading import current_thread, main_thread

from m3dfel.batch.settings import Outcome, PredictSettings, Start, Video, start_predictor


def usable_cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def predict_in_processes(
    videos: Sequence[Video], settings: PredictSettings, jobs: int, start: Start = start_predictor
) -> Iterator[Outcome]:
    """Predict videos in several processes, and yield what became of each, as it is done."""
    waiting, tried_again = deque(videos), set[str]()
    # Removed with all that processes left in it that were ended.
    scratch = TemporaryDirectory(prefix="m3dfel-", ignore_cleanup_errors=True)
    workers: list[_Worker] = []
    try:
        for _ in range(min(jobs, len(videos))):
            workers.append(_Worker(start, settings, scratch.name))
        while True:
            for worker in workers:
                if worker.video is None and waiting:
                    worker.start(waiting.popleft())
            busy = {worker.connection: worker for worker in workers if worker.video}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                outcome = worker.outcome()
                if not outcome.finished and worker.died:
                    workers[workers.index(worker)] = _Worker(start, settings, scratch.name)
                    if outcome.video.stem not in tried_again:
                        tried_again.add(outcome.video.stem)
                        waiting.append(outcome.video)
                        continue
                yield outcome
    finally:
        for worker in workers:
            worker.stop()
        scratch.cleanup()


class _Worker:
    """A process that predicts one video at a time.

    Args:
        start: prepares the process.
        settings: of all videos.
        scratch: folder for its temporary files.
    """

    def __init__(self, start: Start, settings: PredictSettings, scratch: str) -> None:
        # Not forked: threads of torch do not survive a fork.
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.video: Video | None = None
        self.died = False
        self._process = context.Process(
            target=_serve, args=(theirs, start, settings, scratch), daemon=True
        )
        with _undisturbed():  # so that no signal ends its start with a traceback
            self._process.start()
        theirs.close()  # so that the connection ends with the process

    def start(self, video: Video) -> None:
        self.video = video
        with suppress(OSError):  # the process has died, as `outcome` will see
            self.connection.send(video)

    def outcome(self) -> Outcome:
        """Wait until the video is done, or the process has died, and return what became of it."""
        video, self.video = self.video, None
        assert video
        try:
            outcome: Outcome = self.connection.recv()
            return outcome
        except (EOFError, OSError):
            self.died = True
            self._process.join()
            return Outcome(video, _death(self._process.exitcode), finished=False)

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


def _death(exit_code: int | None) -> str:
    how = f"was killed by signal {-exit_code}" if exit_code and exit_code < 0 else "ended"
    return f"the process that predicted it {how}, twice: perhaps the memory is too small for it"


def _serve(connection: Connection, start: Start, settings: PredictSettings, scratch: str) -> None:
    """Predict the videos that come through a connection until it is closed."""
    tempfile.tempdir = scratch
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process stops this one
    silence()
    predict = start(settings)
    while True:
        try:
            connection.send(predict(connection.recv()))
        except (EOFError, OSError):
            return


def silence() -> None:
    """Let this process print nothing beside the others' progress."""
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115

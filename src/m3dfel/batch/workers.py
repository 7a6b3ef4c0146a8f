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
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from tempfile import TemporaryDirectory
from threading import current_thread, main_thread

import torch

from m3dfel.batch.predictor import PredictSettings, Video, VideoPredictor
from m3dfel.errors import InputError
from m3dfel.opencv import cv2


@dataclass(frozen=True)
class Outcome:
    """What became of a video.

    Attributes:
        video: the video.
        problem: why there are no results, or what is wrong with them; usually empty.
        finished: the results are written.
    """

    video: Video
    problem: str
    finished: bool


def usable_cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def predict_in_processes(
    videos: Sequence[Video], settings: PredictSettings, jobs: int
) -> Iterator[Outcome]:
    """Predict videos in several processes, and yield what became of each, as it is done."""
    waiting, tried_again = deque(videos), set[str]()
    # Removed with all that processes left in it that were ended.
    scratch = TemporaryDirectory(prefix="m3dfel-", ignore_cleanup_errors=True)
    workers = [_Worker(settings, scratch.name) for _ in range(min(jobs, len(videos)))]
    try:
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
                    workers[workers.index(worker)] = _Worker(settings, scratch.name)
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
        settings: of all videos.
        scratch: folder for its temporary files.
    """

    def __init__(self, settings: PredictSettings, scratch: str) -> None:
        # Not forked: threads of torch do not survive a fork.
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.video: Video | None = None
        self.died = False
        self._process = context.Process(
            target=_serve, args=(theirs, settings, scratch), daemon=True
        )
        with _ignoring_interrupts():  # so that Ctrl+C does not end its imports with a traceback
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
def _ignoring_interrupts() -> Iterator[None]:
    """Ignore Ctrl+C meanwhile; Python lets only the main thread do so."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _death(exit_code: int | None) -> str:
    how = f"was killed by signal {-exit_code}" if exit_code and exit_code < 0 else "ended"
    return f"the process that predicted it {how}, twice: perhaps the memory is too small for it"


def _serve(connection: Connection, settings: PredictSettings, scratch: str) -> None:
    """Predict the videos that come through a connection until it is closed."""
    tempfile.tempdir = scratch
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process stops this one
    prepare_process()
    predict = VideoPredictor(settings)
    while True:
        try:
            connection.send(predict_safely(predict, connection.recv()))
        except (EOFError, OSError):
            return


def prepare_process() -> None:
    """Let this process compute on one thread, and print nothing beside the others' progress."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115


def predict_safely(predict: VideoPredictor, video: Video) -> Outcome:
    """Predict a video and return what became of it, whatever happens."""
    try:
        return Outcome(video, predict(video).note, finished=True)
    except InputError as error:
        return Outcome(video, str(error), finished=False)
    except Exception as error:  # a file can be broken in ways that no library expects
        return Outcome(video, f"{type(error).__name__}: {error}", finished=False)

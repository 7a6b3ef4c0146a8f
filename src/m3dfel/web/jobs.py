"""The videos of all users: each has its own folder and progress, and can be stopped.

Below the page. A session, which is one open page, has at most one job.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

from m3dfel.recognition.recognizer import Recognizer
from m3dfel.web.analysis import Analysis, Step, analyze
from m3dfel.web.defaults import WORKERS


class Stopped(Exception):  # noqa: N818
    """Raised within a job that its user has stopped."""


class Job:
    """The work on one video of one user.

    Attributes:
        future: the result, once there is one.
        started_s: when the work began, in seconds of `time.monotonic`; None while it waits.
        step: what is being done.
        progress: how much of all work is done, from 0 to 1.
    """

    def __init__(self, upload: Path, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._upload, self._folder = upload, folder
        self._video = folder / upload.name
        # Two users may have uploaded the same file, which is then at the same path.
        os.link(upload, self._video)
        self._stop = Event()
        self.future: Future[Analysis] = Future()
        self.started_s: float | None = None
        self.step: Step = "reading"
        self.progress = 0.0

    def run(self, recognizer: Callable[[], Recognizer], max_s: float) -> Analysis:
        """Do the work; what stays are its results, until the job is closed.

        Raises:
            Stopped: the job was closed meanwhile.
            UnsuitableVideo: as for `analyze`.
            InputError: as for `analyze`.
        """
        self.started_s = time.monotonic()
        try:
            analysis = analyze(self._video, recognizer(), max_s, self._report)
            self._check_if_stopped()
            return analysis
        except Exception:
            # It fails in many ways once its files are removed.
            self._check_if_stopped()
            raise
        finally:
            self._video.unlink(missing_ok=True)
            self._upload.unlink(missing_ok=True)
            if self._stop.is_set():
                self._remove()

    def _report(self, step: Step, progress: float) -> None:
        self._check_if_stopped()
        self.step, self.progress = step, progress

    def _check_if_stopped(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def close(self) -> None:
        """Stop the work, if it is not done, and remove all files."""
        self._stop.set()
        if self.future.cancel():
            self._upload.unlink(missing_ok=True)
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class Jobs:
    """The jobs of all sessions, a few of which run at once.

    Args:
        folder: receives the files of all jobs, each in a folder that cannot be guessed.
        recognizer: returns a recognizer for one job. They may share a model, but no detector.
        max_s: length in seconds that a video may have.
    """

    def __init__(self, folder: Path, recognizer: Callable[[], Recognizer], max_s: float) -> None:
        self._folder, self._recognizer, self._max_s = folder, recognizer, max_s
        self._of_session: dict[str, Job] = {}
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="video")

    def start(self, session: str, upload: Path) -> Job:
        """Start the work on a video, or let it wait for its turn; ends the session's earlier job.

        Raises:
            FileNotFoundError: the upload has been deleted.
        """
        self.close(session)
        job = Job(upload, self._folder / secrets.token_urlsafe(16))
        self._of_session[session] = job
        job.future = self._workers.submit(job.run, self._recognizer, self._max_s)
        return job

    def close(self, session: str) -> None:
        """Stop the session's job, if it has one, and remove its files."""
        job = self._of_session.pop(session, None)
        if job:
            job.close()

    def close_all(self) -> None:
        """Stop all jobs and remove their files; no other can be started."""
        for session in list(self._of_session):
            self.close(session)
        self._workers.shutdown()

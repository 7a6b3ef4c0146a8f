"""The work for all users: each job has its own folder and progress, and can be stopped.

Below the page. A job is known by an id that cannot be guessed. Its page says from time to time that
it is still open; a job whose page has gone is closed, and with it all its files.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.sources import is_picture
from m3dfel.web.analysis import Analysis, Step, Unsuitable, analyze
from m3dfel.web.photos import PhotoAnalysis, analyze_photos
from m3dfel.web.translations import Language

# A page that does not ask for this long has gone: browsers wake pages in the background once a
# minute. One that has said that it leaves may come back soon, as when it is reloaded.
_GONE_S, _LEFT_S = 300.0, 20.0
_WORKERS = 2  # jobs that are worked on at once; others wait


class Stopped(Exception):  # noqa: N818
    """Raised within a job that its user has stopped."""


class Job:
    """The work on one video, or on photos, of one user.

    Attributes:
        id: which cannot be guessed.
        folder: of all its files.
        files: the video or the photos, once they have been uploaded.
        language: of the user.
        future: the result, once there is one.
        started_s: when the work began, in seconds of `time.monotonic`; None while it waits.
        step: what is being done.
        progress: how much of all work is done, from 0 to 1.
    """

    def __init__(self, folder: Path, names: Sequence[str], language: Language) -> None:
        self.id = secrets.token_urlsafe(16)
        self.folder = folder / self.id
        uploads = self.folder / "uploads"
        uploads.mkdir(parents=True)
        self.files = [uploads / name for name in names]
        self.language = language
        self.future: Future[Analysis | PhotoAnalysis] = Future()
        self.started_s: float | None = None
        self.step: Step = "reading"
        self.progress = 0.0
        self._stop = Event()
        self.stay()

    def stay(self) -> None:
        """Note that the job's page is open."""
        self._gone_s = time.monotonic() + _GONE_S

    def leave(self) -> None:
        """Note that the job's page is being closed or reloaded."""
        self._gone_s = time.monotonic() + _LEFT_S

    @property
    def is_abandoned(self) -> bool:
        return time.monotonic() > self._gone_s

    @property
    def analysis(self) -> Analysis | PhotoAnalysis | None:
        """The result; None if there is none, or none yet."""
        done = self.future.done() and not self.future.cancelled() and not self.future.exception()
        return self.future.result() if done else None

    def run(self, recognizer: Callable[[], Recognizer], max_s: float) -> Analysis | PhotoAnalysis:
        """Do the work; its files stay until the job is closed.

        Raises:
            Stopped: the job was closed meanwhile.
            Unsuitable: there are several files, not all of which are photos; or as for `analyze`
                and `analyze_photos`.
            InputError: as for these.
        """
        self.started_s = time.monotonic()
        try:
            analysis = self._analyze(recognizer, max_s)
            self._check_if_stopped()
            return analysis
        except Exception:
            # It fails in many ways once its files are removed.
            self._check_if_stopped()
            raise
        finally:
            if self._stop.is_set():
                self._remove()

    def _analyze(
        self, recognizer: Callable[[], Recognizer], max_s: float
    ) -> Analysis | PhotoAnalysis:
        results = self.folder / "results"
        if all(map(is_picture, self.files)):
            return analyze_photos(self.files, results, recognizer(), self.language, self._report)
        if len(self.files) > 1:
            raise Unsuitable("one_video")
        (video,) = self.files
        return analyze(video, results, recognizer(), max_s, self.language, self._report)

    def _report(self, step: Step, progress: float) -> None:
        self._check_if_stopped()
        self.step, self.progress = step, progress

    def _check_if_stopped(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def close(self) -> None:
        """Stop the work, if it is not done, and remove all files."""
        self._stop.set()
        self.future.cancel()
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Jobs:
    """The jobs of all users, a few of which run at once.

    Args:
        folder: receives the files of all jobs, each in a folder that cannot be guessed.
        recognizer: returns a recognizer for one job. They may share a model, but no detector.
        max_s: length in seconds that a video may have.
    """

    def __init__(self, folder: Path, recognizer: Callable[[], Recognizer], max_s: float) -> None:
        self._folder, self._recognizer, self._max_s = folder, recognizer, max_s
        self._jobs: dict[str, Job] = {}
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="video")

    def start(self, job: Job) -> None:
        """Start the work, or let it wait for its turn."""
        self._jobs[job.id] = job
        job.future = self._workers.submit(job.run, self._recognizer, self._max_s)

    def new(self, names: Sequence[str], language: Language) -> Job:
        """Return a job whose files, with different names, are still to be written."""
        return Job(self._folder, names, language)

    def get(self, id: str) -> Job | None:
        """Return a job, and note that its page is open; None if it has been closed."""
        job = self._jobs.get(id)
        if job:
            job.stay()
        return job

    def place(self, job: Job) -> int:
        """Return the place of a job in the queue, from 1; 0 once it has its turn."""
        waiting = [other for other in self._jobs.values() if other.started_s is None]
        running = sum(
            other.started_s is not None and not other.future.done() for other in self._jobs.values()
        )
        return waiting.index(job) + 1 if job in waiting and running >= _WORKERS else 0

    def close(self, id: str) -> None:
        """Stop a job and remove its files."""
        job = self._jobs.pop(id, None)
        if job:
            job.close()

    def close_abandoned(self) -> None:
        """Close the jobs whose pages have gone, and mark the folder as still in use."""
        for job in list(self._jobs.values()):
            if job.is_abandoned:
                self.close(job.id)
        self._folder.touch()

    def close_all(self) -> None:
        """Stop all jobs and remove their files; no other can be started."""
        for id in list(self._jobs):
            self.close(id)
        self._workers.shutdown()

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.faces import Detection
from m3dfel.web.jobs import Job, Jobs, Stopped
from small_videos import ScriptedDetector, small_model


class WaitingDetector(ScriptedDetector):
    """Waits at every frame until it is let go."""

    def __init__(self) -> None:
        super().__init__((0, set(range(50))))
        self.reached, self.go = Event(), Event()

    def __call__(self, image: np.ndarray) -> list[Detection]:
        self.reached.set()
        assert self.go.wait(60)
        return super().__call__(image)


@pytest.fixture
def detectors() -> list[WaitingDetector]:
    """The detectors of the jobs, in the order in which they were started."""
    return []


@pytest.fixture
def jobs(tmp_path: Path, detectors: list[WaitingDetector]) -> Iterator[Jobs]:
    model = small_model()

    def recognizer() -> Recognizer:
        detectors.append(WaitingDetector())
        return Recognizer(model, detector=detectors[-1])

    jobs = Jobs(tmp_path / "results", recognizer, max_s=60)
    yield jobs
    for detector in detectors:
        detector.go.set()
    jobs.close_all()


def wait_for(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.01)


def files(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "results").rglob("*") if p.is_file())


@pytest.fixture
def start(jobs: Jobs, noise: Path) -> Callable[[], Job]:
    """Starts a job, as after an upload."""

    def start() -> Job:
        job = jobs.new(["holiday.mp4"], "en")
        shutil.copy(noise, job.files[0])
        jobs.start(job)
        return job

    return start


def test_files_stay_until_the_job_is_closed(jobs, detectors, start, tmp_path):
    job = start()
    wait_for(lambda: detectors)
    detectors[0].go.set()
    assert job.future.result(60).prediction.source == "holiday.mp4"
    assert {"holiday.mp4", "holiday_annotated.mp4"} <= set(files(tmp_path))
    jobs.close(job.id)
    assert files(tmp_path) == []
    assert jobs.get(job.id) is None


def test_a_stopped_job_ends_soon_and_leaves_nothing(jobs, detectors, start, tmp_path):
    job = start()
    wait_for(lambda: detectors and detectors[0].reached.is_set())
    jobs.close(job.id)
    detectors[0].go.set()
    with pytest.raises(Stopped):
        job.future.result(60)
    assert files(tmp_path) == []


def test_two_users_do_not_wait_for_each_other_and_others_know_their_place(jobs, detectors, start):
    first, second, third, fourth = (start() for _ in range(4))
    wait_for(lambda: len(detectors) == 2)
    assert [jobs.place(job) for job in (first, second, third, fourth)] == [0, 0, 1, 2]
    detectors[1].go.set()
    wait_for(lambda: any(job.future.done() for job in (first, second)))
    wait_for(lambda: third.started_s is not None)
    assert (jobs.place(third), jobs.place(fourth)) == (0, 1)


def test_a_waiting_job_can_be_closed(jobs, detectors, start):
    started = [start() for _ in range(3)]
    wait_for(lambda: len(detectors) == 2)
    jobs.close(started[2].id)
    assert started[2].future.cancelled()
    assert not started[2].folder.exists()


def test_a_job_is_closed_once_its_page_has_gone(jobs, detectors, start, monkeypatch):
    now_s = time.monotonic()
    monkeypatch.setattr("m3dfel.web.jobs.time.monotonic", lambda: now_s)
    silent, reloaded, left, open_ = (start() for _ in range(4))
    reloaded.leave()
    left.leave()
    now_s += 60
    jobs.get(reloaded.id)
    jobs.close_abandoned()
    assert [jobs.get(job.id) for job in (silent, reloaded, left)] == [silent, reloaded, None]
    silent._gone_s = 0.0
    now_s += 290
    assert jobs.get(open_.id) is open_
    jobs.close_abandoned()
    assert [jobs.get(job.id) for job in (open_, silent)] == [open_, None]

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.faces import Detection
from m3dfel.web.jobs import Jobs, Stopped
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


@pytest.fixture
def upload(noise: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return Path(shutil.copy(noise, folder / "holiday.mp4"))


def wait_for(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.01)


def files(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "results").rglob("*") if p.is_file())


def test_only_results_stay_and_only_until_the_job_is_closed(jobs, detectors, upload, tmp_path):
    job = jobs.start("session", upload)
    wait_for(lambda: detectors)
    detectors[0].go.set()
    assert job.future.result(60).prediction.source.endswith("holiday.mp4")
    assert not upload.exists()
    assert "holiday.mp4" not in files(tmp_path)
    assert "holiday_annotated.mp4" in files(tmp_path)
    jobs.close("session")
    assert files(tmp_path) == []


def test_a_stopped_job_ends_soon_and_leaves_nothing(jobs, detectors, upload, tmp_path):
    job = jobs.start("session", upload)
    wait_for(lambda: detectors and detectors[0].reached.is_set())
    jobs.close("session")
    detectors[0].go.set()
    with pytest.raises(Stopped):
        job.future.result(60)
    assert files(tmp_path) == []
    assert not upload.exists()


def test_two_users_do_not_wait_for_each_other_and_a_third_waits_for_its_turn(
    jobs, detectors, upload, tmp_path
):
    copies = [Path(shutil.copy(upload, tmp_path / f"{name}.mp4")) for name in "abc"]
    first, second, third = (
        jobs.start(name, copy) for name, copy in zip("abc", copies, strict=True)
    )
    wait_for(lambda: len(detectors) == 2)
    assert third.started_s is None
    detectors[1].go.set()
    done = {job: job.future for job in (first, second)}
    wait_for(lambda: any(future.done() for future in done.values()))
    assert sum(future.done() for future in done.values()) == 1
    wait_for(lambda: third.started_s is not None)


def test_a_waiting_job_can_be_closed(jobs, detectors, upload, tmp_path):
    copies = [Path(shutil.copy(upload, tmp_path / f"{name}.mp4")) for name in "abc"]
    started = [jobs.start(name, copy) for name, copy in zip("abc", copies, strict=True)]
    wait_for(lambda: len(detectors) == 2)
    jobs.close("c")
    assert started[2].future.cancelled()
    assert not copies[2].exists()


def test_two_users_may_upload_the_same_file(jobs, detectors, upload):
    """Gradio stores it once."""
    job, other = jobs.start("a", upload), jobs.start("b", upload)
    wait_for(lambda: len(detectors) == 2)
    for detector in detectors:
        detector.go.set()
    results = [job.future.result(60), other.future.result(60)]
    assert results[0].files["csv"].read_text() == results[1].files["csv"].read_text()
    assert results[0].files["csv"].parent != results[1].files["csv"].parent


def test_a_new_video_ends_the_earlier_job_of_the_session(jobs, detectors, upload, tmp_path):
    copy = Path(shutil.copy(upload, tmp_path / "second.mp4"))
    first = jobs.start("session", upload)
    wait_for(lambda: len(detectors) == 1)
    second = jobs.start("session", copy)
    wait_for(lambda: len(detectors) == 2)
    for detector in detectors:
        detector.go.set()
    with pytest.raises(Stopped):
        first.future.result(60)
    assert second.future.result(60)


def test_an_upload_that_is_gone_cannot_be_started(jobs: Jobs, tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        jobs.start("session", tmp_path / "gone.mp4")

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction
from m3dfel.predictions.update import Update
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video import tracks
from m3dfel.video.decode import Frame
from m3dfel.video.encode import write_video
from small_videos import ScriptedDetector, noise_video, small_model

TWO_FACES = (0, set(range(60))), (70, {*range(30, 60), *range(80, 110)})


def recognizer(*faces: tuple[float, set[int]], **settings) -> Recognizer:
    return Recognizer(small_model(), detector=ScriptedDetector(*(faces or TWO_FACES)), **settings)


def row(update: Update) -> list:
    """The row of the table that an update is."""
    answer = [update.emotion, update.confidence, *update.probabilities.tolist(), update.mark]
    return [update.track, update.start_s, update.end_s, *answer, *update.raw.tolist()]


def table_of(updates: list[Update], prediction: Prediction) -> pd.DataFrame:
    """The updates as a table, in the order of faces."""
    ordered = sorted(updates, key=lambda update: (update.track, update.start_s))
    columns = prediction.clips.columns.drop("person")
    return pd.DataFrame([row(update) for update in ordered], columns=columns)


# --- the same answers ----------------------------------------------------------------------------


@pytest.mark.parametrize("smooth_s", [0, 0.2])
@pytest.mark.parametrize("live", [False, True])
def test_the_updates_are_the_very_table_of_a_prediction(live: bool, smooth_s: float):
    """Also one by one, as from a camera: then up to the rounding of other batches."""
    frames = noise_video(117, side=128)
    expected = recognizer(smooth_s=smooth_s)(frames)
    with recognizer(smooth_s=smooth_s).stream(iter(frames) if live else frames) as stream:
        updates = list(stream)
    prediction = stream.prediction()
    assert len(updates) > 15
    exact = {"rtol": 0, "atol": 3e-6} if live else {"check_exact": True}
    pd.testing.assert_frame_equal(
        table_of(updates, prediction), prediction.clips.drop(columns="person")
    )
    for name in ("clips", "instances", "frames"):
        pd.testing.assert_frame_equal(getattr(prediction, name), getattr(expected, name), **exact)


def test_a_real_video_streams_the_very_table_of_its_prediction(shared: Path):
    """With the detector that follows faces, and from the file itself."""
    real = Recognizer(small_model())
    video = shared / "data" / "videos" / "single_face.mp4"
    with real.stream(video) as stream:
        updates = list(stream)
    prediction = stream.prediction()
    pd.testing.assert_frame_equal(
        table_of(updates, prediction), real(video).clips.drop(columns="person")
    )
    assert prediction.source == str(video)


def test_a_face_that_cannot_be_read_is_said_to_be_so():
    blank = [replace(frame, image=np.full_like(frame.image, 90)) for frame in noise_video(40)]
    with recognizer((0, set(range(40)))).stream(blank) as stream:
        update = next(iter(stream))
    assert (update.emotion, update.confidence, update.mark) == (None, None, "blurred")
    assert np.isnan(update.probabilities).all()
    assert update.to_dict()["probabilities"] is None


def test_an_update_says_everything_about_its_clip():
    with recognizer().stream(noise_video(117, side=128)) as stream:
        update = next(iter(stream))
    record = update.to_dict()
    assert (record["track"], record["start_s"], record["end_s"]) == (1, 0, 0.64)
    assert record["box"] == [0, 4, 40, 44]
    assert record["probabilities"][record["emotion"]] == record["confidence"]
    assert sum(record["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    logits = np.array([list(instance.values()) for instance in record["evidence"]]).sum(0)
    assert np.exp(logits) / np.exp(logits).sum() == pytest.approx(update.raw, abs=1e-4)


def test_what_the_model_has_learned_to_see_move_is_told_for_each_clip(tmp_path: Path):
    model = small_model(
        movements=["browDown", "jawOpen", "eyeBlink"], reported_movements=["eyeBlink", "jawOpen"]
    )
    frames = noise_video(117, side=128)
    with Recognizer(model, detector=ScriptedDetector(*TWO_FACES)).stream(frames) as stream:
        updates = list(stream)
    prediction = stream.prediction()
    assert prediction.movements == ("jawOpen", "eyeBlink")
    columns = prediction.clips[["movement_jawOpen", "movement_eyeBlink"]]
    readable = prediction.clips["emotion"].notna()
    assert columns[readable].stack().between(0, 1).all()
    assert columns[~readable].isna().all(axis=None)
    assert set(updates[0].to_dict()["movements"]) == {"jawOpen", "eyeBlink"}
    prediction.save(tmp_path / "all.json")
    loaded = Prediction.load(tmp_path / "all.json")
    assert loaded.movements == prediction.movements
    pd.testing.assert_frame_equal(loaded.clips, prediction.clips)


# --- in time -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("smooth_s", "context"), [(0, 0), (0.1, 0), (0.2, 0), (0, 2)])
def test_a_live_update_comes_within_the_stated_delay(smooth_s: float, context: int):
    given_s = [0.0]

    def camera() -> Iterator[Frame]:
        for frame in noise_video(75, side=128):
            yield frame
            given_s[0] = frame.time_s

    model, detector = small_model(context=context), ScriptedDetector((0, set(range(75))))
    live = Recognizer(model, detector=detector, smooth_s=smooth_s)
    with live.stream(camera()) as stream:
        for step in stream.steps():
            for update in step.updates:
                # To hear of a moment, one frame after it is needed.
                assert step.frame.time_s <= update.end_s + live.delay_s + 0.04 + 1e-6
                assert 0 <= update.latency_s <= max(0.0, given_s[0] + 0.04 - update.end_s) + 1e-6


def test_every_instance_brings_one_update_that_reads_one_new_instance():
    model = small_model()
    read: list[int] = []
    model.backbone.register_forward_hook(lambda module, inputs, output: read.append(len(output)))
    live = Recognizer(model, detector=ScriptedDetector((0, set(range(250)))))
    with live.stream(iter(noise_video(250))) as stream:
        updates = [len(step.updates) for step in stream.steps()]
    assert set(updates[:240]) == {0, 1}
    assert sum(updates) == 60
    assert read == [4, *[1] * 59], "the first clip is read as a whole"


def test_faces_of_several_people_are_read_together():
    model = small_model()
    read: list[int] = []
    model.backbone.register_forward_hook(lambda module, inputs, output: read.append(len(output)))
    faces = [(50.0 * number, set(range(100))) for number in range(3)]
    with Recognizer(model, detector=ScriptedDetector(*faces)).stream(
        noise_video(100, side=160)
    ) as stream:
        assert {update.track for update in stream} == {1, 2, 3}
    assert sum(read) == 3 * 25
    assert read[0] == 3 * 4
    assert set(read[1:-1]) == {3 * 2}, "four at a time or a few more"


def test_a_frame_that_is_held_for_a_minute_is_read_in_small_batches():
    model = small_model()
    read: list[int] = []
    model.backbone.register_forward_hook(lambda module, inputs, output: read.append(len(output)))
    video = [
        frame if frame.index < 3 else replace(frame, time_s=60 + frame.time_s)
        for frame in noise_video(6)
    ]
    with Recognizer(model, detector=ScriptedDetector((0, set(range(6))))).stream(video) as stream:
        updates = list(stream)
    assert updates[0].start_s == 0
    assert updates[-1].end_s == pytest.approx(60.24)
    assert sum(read) == pytest.approx(60.24 / 0.16, abs=1)
    assert max(read) <= 16


# --- memory --------------------------------------------------------------------------------------


class Alive:
    """Copies of arrays, and how many of them are alive."""

    def __init__(self) -> None:
        self.count = 0

    def copy(self, array: np.ndarray) -> np.ndarray:
        self.count += 1
        copied = array.copy()
        weakref.finalize(copied, self._drop)
        return copied

    def _drop(self) -> None:
        self.count -= 1


def test_no_more_frames_and_crops_are_held_in_a_long_video(monkeypatch):
    """Counts which pictures are alive, in a made-up video of a minute."""
    pictures, crops = Alive(), Alive()
    noise = [frame.image for frame in noise_video(10, side=48)]

    def video() -> Iterator[Frame]:
        for index in range(1500):
            yield Frame(index, index / 25, pictures.copy(noise[index % 10]))

    align = tracks.align_face
    monkeypatch.setattr(tracks, "align_face", lambda *words: crops.copy(align(*words)))
    model = small_model()
    model.backbone.forward = lambda clips: clips.mean((2, 3, 4)).repeat(1, 11)[:, :32]
    with Recognizer(model, detector=ScriptedDetector((0, set(range(1500))))).stream(
        video()
    ) as stream:
        held = [(pictures.count, crops.count) for _ in stream.steps()]
    assert max(count for count, _ in held) <= 40
    assert max(count for _, count in held) <= 25
    assert len(stream.prediction().clips) == 372
    gc.collect()
    assert (pictures.count, crops.count) == (0, 0)


# --- start and end -------------------------------------------------------------------------------


def test_a_stream_that_is_left_stops_reading_and_its_threads_end():
    before = threading.active_count()
    closed = []

    def camera() -> Iterator[Frame]:
        try:
            while True:
                yield from noise_video(1)
        finally:
            closed.append(True)

    with recognizer().stream(camera()) as stream:
        next(iter(stream.steps()))
    assert closed == [True]
    assert threading.active_count() == before


def test_a_program_may_leave_a_stream_in_the_middle(tmp_path: Path):
    """Also where nothing closes the stream before Python ends."""
    write_video(tmp_path / "film.mp4", [frame.image for frame in noise_video(60)], 25)
    small_model().save_pretrained(tmp_path / "model")
    program = f"""
from m3dfel import Recognizer
stream = Recognizer({str(tmp_path / "model")!r}).stream({str(tmp_path / "film.mp4")!r})
for step in stream.steps():
    break
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_what_was_said_so_far_is_a_prediction():
    with recognizer().stream(iter(noise_video(117, side=128))) as stream:
        updates = [next(iter(stream)) for _ in range(3)]
        assert stream.prediction().clips["start_s"].tolist() == [u.start_s for u in updates]


def test_errors_come_with_the_first_update():
    with recognizer().stream("gone.mp4") as stream, pytest.raises(InputError, match="no video"):
        next(iter(stream))
    model = small_model()
    model.classifier.weight.data.fill_(float("nan"))
    broken = Recognizer(model, detector=ScriptedDetector((0, set(range(60)))))
    with (
        broken.stream(iter(noise_video(60))) as stream,
        pytest.raises(InputError, match="weights are damaged"),
    ):
        next(iter(stream))


def test_steps_show_each_frame_with_its_faces():
    with recognizer().stream(noise_video(117, side=128)) as stream:
        steps = [(step.frame.index, [face.track for face in step.faces]) for step in stream.steps()]
    assert [index for index, _ in steps] == list(range(117))
    assert steps[10][1] == [1]
    assert steps[45][1] == [1, 2]
    assert steps[70][1] == []
    assert steps[90][1] == [3]


def test_an_iterator_can_be_predicted(tmp_path: Path):
    prediction = recognizer()(iter(noise_video(60, side=128)))
    assert prediction.source == "frames"
    write_video(tmp_path / "film.mp4", [frame.image for frame in noise_video(20)], 25)
    film = recognizer((0, set(range(20))))(tmp_path / "film.mp4")
    assert film.clips["end_s"].tolist() == [0.64, 0.8]


def test_tables_of_several_faces_are_below_each_other():
    """Also of faces that have no clip yet, which are left out."""
    with recognizer().stream(iter(noise_video(117, side=128))) as stream:
        for step in stream.steps():
            if step.frame.index == 95:
                early = stream.prediction()
    prediction = stream.prediction()
    assert early.clips["track"].unique().tolist() == [1, 2]
    assert early.frames["track"].unique().tolist() == [1, 2]
    assert prediction.clips["track"].unique().tolist() == [1, 2, 3]
    clips = prediction.clips.loc[prediction.instances["clip"]].reset_index(drop=True)
    assert clips["track"].tolist() == prediction.instances["track"].tolist()
    first = prediction.instances["instance"] == 0
    assert prediction.instances["start_s"][first].tolist() == clips["start_s"][first].tolist()


def test_frames_of_a_live_source_do_not_wait_in_queues():
    read: list[int] = []
    frames = (read.append(frame.index) or frame for frame in noise_video(60))
    with recognizer().stream(frames, aligned=True) as stream:
        next(stream.steps())
        time.sleep(0.2)
        assert len(read) <= 5

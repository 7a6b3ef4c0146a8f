import json
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from m3dfel.data.sampling import centred_indices
from m3dfel.data.transforms import evaluation_transform
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.recognition.recognizer import (
    CLIP_S,
    Prediction,
    Recognizer,
    cut_track,
    find_sources,
    smooth_probabilities,
)
from m3dfel.video.decode import Frame, read_video, write_video
from m3dfel.video.faces import Detection

COLUMNS = [
    *("face", "start_s", "end_s", "emotion", "confidence"),
    *(*(f"p_{e}" for e in EMOTIONS), "mark"),
]
RAW = [f"raw_{e}" for e in EMOTIONS]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """For a model this small, threads cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_model(bag_size: int = 4) -> M3DFEL:
    torch.manual_seed(0)
    model = M3DFEL(size=32, bag_size=bag_size, backbone_options={"width": 4, "depth": 10}).eval()
    torch.nn.init.normal_(model.classifier.weight, std=3)
    return model


def film(frames: int, fps: float = 25.0, side: int = 48) -> list[Frame]:
    """Noise, so that every frame counts."""
    generator = np.random.default_rng(0)
    return [
        Frame(i, i / fps, generator.integers(0, 256, (side, side, 3), dtype=np.uint8))
        for i in range(frames)
    ]


def face_at(left: float) -> Detection:
    points = [(14, 16), (26, 16), (20, 23), (15, 29), (25, 29)]
    return Detection(
        np.array([left, 4, left + 40, 44], np.float32),
        0.9,
        np.array([(left + x, y) for x, y in points], np.float32),
    )


class Stage:
    """A detector that is told in which frames a face stands where."""

    def __init__(self, *faces: tuple[float, set[int]]) -> None:
        self.faces, self.frame = faces, -1

    def __call__(self, image: np.ndarray) -> list[Detection]:
        self.frame += 1
        return [face_at(left) for left, frames in self.faces if self.frame in frames]


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    """A face from 0 to 2 s, and one at another place that is away from 2 to 3 s."""
    frames = film(100, side=128)
    there = Stage((0, set(range(50))), (70, {*range(50), *range(75, 100)}))
    return Recognizer(small_model(), there)(frames)


# --- clips ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 5, 25, 32])
@pytest.mark.parametrize("bag_size", [1, 4, 16])
def test_a_short_video_is_answered_as_evaluation_answers_it(frames: int, bag_size: int):
    model, shown = small_model(bag_size), film(frames)
    row = Recognizer(model, clip_s=10)(shown, aligned=True).table.iloc[0]
    pictures = torch.from_numpy(np.stack([frame.image for frame in shown])).permute(0, 3, 1, 2)
    clip = evaluation_transform(32)(pictures[centred_indices(frames, 16)])
    with torch.inference_mode():
        expected = model(model.normalize(clip)[None]).softmax(1)[0]
    got = row[[f"p_{e}" for e in EMOTIONS]].to_numpy(float)
    assert got == pytest.approx(expected.numpy(), abs=1e-4)
    assert (row["start_s"], row["end_s"]) == pytest.approx((0, frames / 25), abs=1e-3)
    assert row["emotion"] == EMOTIONS[int(expected.argmax())]
    assert row["confidence"] == got.max()


def test_a_long_video_is_covered_by_overlapping_clips_of_one_length():
    table = Recognizer(small_model())(film(250), aligned=True).table
    length = table["end_s"] - table["start_s"]
    assert length.to_numpy() == pytest.approx(CLIP_S, rel=0.13)
    assert table["start_s"].iloc[0] == 0
    assert table["end_s"].iloc[-1] == pytest.approx(10)
    assert table["start_s"].diff().dropna().to_numpy() == pytest.approx(length[0] / 4, abs=2e-3)
    assert table.filter(like="p_").sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)


def test_longer_clips_can_be_asked_for():
    table = Recognizer(small_model(), clip_s=2.0)(film(250), aligned=True).table
    assert (table["end_s"] - table["start_s"]).to_numpy() == pytest.approx(2.0, rel=0.13)
    with pytest.raises(InputError, match="cannot last 0 s"):
        Recognizer(small_model(), clip_s=0)


def test_evidence_explains_the_probabilities():
    found = Recognizer(small_model())(film(100), aligned=True)
    evidence = found.instances.groupby("clip")[[f"evidence_{e}" for e in EMOTIONS]].sum()
    shares = np.exp(evidence.to_numpy())
    assert len(shares) > 3
    shares /= shares.sum(1, keepdims=True)
    assert found.clips[RAW].to_numpy() == pytest.approx(shares, abs=1e-3)
    firsts = found.instances[found.instances["instance"] == 0]
    assert firsts["start_s"].tolist() == found.clips["start_s"].tolist()


def test_an_uneven_frame_rate_changes_nothing_that_is_shown():
    """Frames that repeat the one before are what a steady rate makes of an uneven one."""
    steady = film(50)
    kept = [frame for frame in steady if frame.index % 5 != 3]
    held = [steady[i - 1] if i % 5 == 3 else steady[i] for i in range(50)]
    doubled = [Frame(i, i / 25, frame.image) for i, frame in enumerate(held)]
    recognizer = Recognizer(small_model())
    uneven, even = (recognizer(frames, aligned=True).clips for frames in (kept, doubled))
    pd.testing.assert_frame_equal(uneven, even)


@given(
    st.lists(st.floats(0.01, 0.6), min_size=0, max_size=200),
    st.sampled_from([1, 2, 4, 8, 16]),
    st.floats(0, 1e4),
)
def test_any_track_is_cut_whole_and_in_order(steps: list[float], bag_size: int, start_s: float):
    times_s = start_s + np.concatenate([[0.0], np.cumsum(steps)])
    chosen, borders_s = cut_track(times_s, bag_size, 16 // bag_size, CLIP_S)
    assert chosen.shape == (len(borders_s) - 1, 16 // bag_size)
    assert len(chosen) >= bag_size
    assert (np.diff(chosen.ravel()) >= 0).all()
    assert chosen.min() >= 0
    assert chosen.max() < len(times_s)
    assert borders_s[0] == times_s[0]
    assert borders_s[-1] > times_s[-1]


# --- smoothing and marks -------------------------------------------------------------------------


def test_probabilities_are_averaged_alike_before_and_after():
    times_s = np.arange(21) * 0.1
    spike = np.zeros((21, 2))
    spike[:, 0], spike[10] = 1, (0, 1)
    averaged = smooth_probabilities(spike, times_s, np.zeros(21, bool), 0.2)
    assert averaged.sum(1) == pytest.approx(1)
    assert averaged[:, 1] == pytest.approx(averaged[::-1, 1])
    assert averaged[:, 1].argmax() == 10
    assert 0 < averaged[10, 1] < 0.3
    assert (smooth_probabilities(spike, times_s, np.zeros(21, bool), 0) == spike).all()
    with pytest.raises(InputError, match="averaged over -1 s"):
        Recognizer(small_model(), smooth_s=-1)


def test_clips_that_are_not_read_lend_nothing_to_their_neighbours():
    shares = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    unread = np.array([False, True, False])
    averaged = smooth_probabilities(shares, np.arange(3) * 0.1, unread, 0.2)
    assert averaged[[0, 2]].tolist() == [[1, 0], [1, 0]]
    assert np.isnan(averaged[1]).all()


def test_what_was_smoothed_can_be_seen_raw():
    raw = Recognizer(small_model(), smooth_s=0)(film(100), aligned=True).clips
    both = Recognizer(small_model())(film(100), aligned=True).clips
    assert both[RAW].to_numpy() == pytest.approx(raw[RAW].to_numpy())
    shares = [f"p_{e}" for e in EMOTIONS]
    assert raw[shares].to_numpy() == pytest.approx(raw[RAW].to_numpy())
    assert both[shares].diff().abs().mean().max() < raw[shares].diff().abs().mean().max()


def test_an_answer_below_half_is_marked_as_uncertain():
    model = small_model()
    model.classifier.weight.data.zero_()
    model.classifier.bias.data.copy_(torch.tensor([0.0, 0, 0, 0, 0, 0, 0]))
    table = Recognizer(model)(film(30), aligned=True).table
    assert (table["mark"] == "uncertain").all()
    assert table["emotion"].notna().all()
    model.classifier.bias.data[3] = 9
    table = Recognizer(model)(film(30), aligned=True).table
    assert (table["mark"] == "").all()
    assert (table["emotion"] == "anger").all()


def test_a_face_that_cannot_be_read_is_marked_and_not_guessed(tmp_path: Path):
    """Blank for a second, then noise: only what shows something is answered."""
    blank = [Frame(i, i / 25, np.full((64, 64, 3), 90, np.uint8)) for i in range(25)]
    noise = [Frame(25 + i, 1 + i / 25, frame.image) for i, frame in enumerate(film(25, side=64))]
    found = Recognizer(small_model(), Stage((0, set(range(50)))))([*blank, *noise])
    first, last = found.table.iloc[0], found.table.iloc[-1]
    assert (first["mark"], last["mark"]) == ("blurred", "")
    assert pd.isna(first["emotion"])
    assert pd.isna(first["p_fear"])
    assert last["emotion"] in EMOTIONS
    assert found.faces["mark"].tolist() == ["blurred"] * 25 + [""] * 25
    found.save(tmp_path)
    assert "NaN" not in (tmp_path / "frames.json").read_text()
    again = Prediction.load(tmp_path / "frames.json")
    pd.testing.assert_frame_equal(again.clips, found.clips)


# --- faces ---------------------------------------------------------------------------------------


def test_every_face_has_its_own_timeline(prediction: Prediction):
    spans = prediction.table.groupby("face").agg({"start_s": "min", "end_s": "max"})
    assert spans.loc[1].tolist() == pytest.approx([0, 2])
    assert spans.loc[2].tolist() == pytest.approx([0, 2])
    assert spans.loc[3].tolist() == pytest.approx([3, 4]), "a face that comes back is a new one"
    boxes = prediction.faces.groupby("face")["x1"].first()
    assert boxes.tolist() == [0, 70, 70]
    assert prediction.faces["face"].value_counts().to_dict() == {1: 50, 2: 50, 3: 25}
    assert prediction.faces["frame"].max() == 99


def test_a_video_without_a_face_is_an_empty_answer_with_a_sentence(tmp_path: Path):
    found = Recognizer(small_model(), Stage())(film(8))
    assert list(found.table.columns) == COLUMNS + RAW
    assert found.table.empty
    assert "no face was found in frames" in found.note
    found.save(tmp_path)
    assert (tmp_path / "frames.csv").read_text().strip() == ",".join(COLUMNS)
    assert pd.read_parquet(tmp_path / "frames.parquet").empty
    assert (tmp_path / "frames.png").exists()
    assert Prediction.load(tmp_path / "frames.json").note == found.note


def test_real_videos(shared: Path):
    recognizer = Recognizer(small_model())
    frames = list(islice(read_video(shared / "data/videos/single_face.mp4", fps=10), 12))
    found = recognizer(frames)
    assert set(found.table["face"]) == {1}
    assert len(found.faces) == len(frames)
    inside = found.faces[["x1", "y1"]].min().min() > 0 and found.faces["x2"].max() < 640
    assert inside
    empty = list(islice(read_video(shared / "data/videos/no_face.mp4", fps=2), 4))
    assert recognizer(empty).table.empty


# --- files ---------------------------------------------------------------------------------------


def test_what_is_saved_is_what_was_found(prediction: Prediction, tmp_path: Path):
    prediction.source = "holiday.mp4"
    prediction.save(tmp_path / "out")
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == [f"holiday.{ending}" for ending in ("csv", "json", "parquet", "png")]
    table = pd.read_csv(tmp_path / "out" / "holiday.csv")
    assert list(table.columns) == COLUMNS
    table["mark"] = table["mark"].astype(object).fillna("")
    pd.testing.assert_frame_equal(table, prediction.clips[COLUMNS], check_dtype=False)

    parquet = pd.read_parquet(tmp_path / "out" / "holiday.parquet")
    second = parquet[parquet["face"] == 2].iloc[0]
    assert second[["x1", "y1", "x2", "y2"]].tolist() == pytest.approx([70, 4, 110, 44])
    own = prediction.instances[prediction.instances["clip"] == second.name]
    assert list(second["evidence_fear"]) == pytest.approx(own["evidence_fear"].tolist())

    record = json.loads((tmp_path / "out" / "holiday.json").read_text())
    assert record["source"] == "holiday.mp4"
    assert record["labels"] == list(EMOTIONS)
    assert record["clips"][0]["x2"] == pytest.approx(40)
    again = Prediction.load(tmp_path / "out" / "holiday.json")
    for name in ("clips", "instances", "faces"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(prediction, name))


def test_a_place_that_cannot_be_written_to_is_told(prediction: Prediction, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        prediction.save(tmp_path / "file" / "out")


def test_a_file_that_is_no_prediction_is_told(tmp_path: Path):
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match=r"other\.json cannot be read as a prediction"):
        Prediction.load(tmp_path / "other.json")


# --- sources -------------------------------------------------------------------------------------


def test_a_video_file_its_frames_and_its_folder_give_one_answer(tmp_path: Path):
    recognizer = Recognizer(small_model())
    pictures = np.stack([np.full((48, 48, 3), 4 * i, np.uint8) for i in range(40)])
    write_video(tmp_path / "film.mp4", pictures, 25)
    (tmp_path / "frames.v2").mkdir()
    for frame in read_video(tmp_path / "film.mp4"):
        Image.fromarray(frame.image).save(tmp_path / "frames.v2" / f"{frame.index}.png")
    files = list((tmp_path / "frames.v2").iterdir())
    answers = [
        recognizer(source, aligned=True)
        for source in (str(tmp_path / "film.mp4"), tmp_path / "frames.v2", files)
    ]
    assert [answer.stem for answer in answers[:2]] == ["film", "frames.v2"]
    for answer in answers[1:]:
        pd.testing.assert_frame_equal(answer.clips, answers[0].clips)
    assert len(recognizer(tmp_path / "frames.v2" / "3.png", aligned=True).clips) == 1


@pytest.mark.parametrize(
    ("source", "sentence"),
    [("gone.mp4", r"gone\.mp4"), ([], "empty"), (["gone.jpg"], r"gone\.jpg")],
)
def test_a_source_that_cannot_be_read_is_told(source, sentence: str):
    with pytest.raises(InputError, match=sentence):
        Recognizer(small_model(), Stage())(source)


def test_paths_are_sorted_into_videos_and_frames(tmp_path: Path):
    for name in ("films/b.MP4", "films/a.mov", "films/notes.txt", "frames/1.jpg", "x.jpg", "y.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_sources([tmp_path / n for n in ("films", "x.jpg", "frames", "y.jpg", "c.avi")])
    expected = ["films/a.mov", "films/b.MP4", "frames", "c.avi"]
    assert found[:-1] == [str(tmp_path / name) for name in expected]
    assert found[-1] == [str(tmp_path / "x.jpg"), str(tmp_path / "y.jpg")]
    assert find_sources(["a.mp4", "a.mp4"]) == ["a.mp4"]
    with pytest.raises(InputError, match=r"a\.mp4 and other/a\.mp4 would both be written"):
        find_sources(["a.mp4", "other/a.mp4"])


# --- models --------------------------------------------------------------------------------------


def test_a_saved_model_is_found_again(tmp_path: Path):
    model = small_model()
    model.save_pretrained(tmp_path)
    loaded, own = Recognizer.from_pretrained(tmp_path), Recognizer(model)
    frames = film(20)
    pd.testing.assert_frame_equal(loaded(frames, True).clips, own(frames, True).clips)


def test_a_device_that_is_not_there_is_told():
    with pytest.raises(InputError, match="'abacus'"):
        Recognizer(small_model(), device="abacus")


def test_broken_weights_are_told():
    model = small_model()
    model.classifier.weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="not numbers"):
        Recognizer(model)(film(4), aligned=True)

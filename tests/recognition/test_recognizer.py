from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from m3dfel.data.augment.transforms import resize_middle
from m3dfel.data.sampling import centered_indices
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.recognition.settings import RecognizerSettings
from m3dfel.video.decode import Frame, read_video
from m3dfel.video.encode import write_video
from small_videos import ScriptedDetector, noise_video, small_model

PROBABILITIES = [f"p_{e}" for e in EMOTIONS]
RAW = [f"raw_{e}" for e in EMOTIONS]


# --- clips ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 25, 32])
@pytest.mark.parametrize(
    ("bag_size", "mirror", "context", "flow"),
    [
        (1, False, 0, False),
        (4, False, 0, False),
        (4, True, 0, False),
        (16, False, 0, False),
        (4, False, 2, False),
        (16, True, 1, False),
        (4, False, 0, True),
        (4, True, 2, True),
    ],
)
def test_a_short_video_gets_the_answer_of_evaluation(
    frames: int, bag_size: int, mirror: bool, context: int, flow: bool
):
    model = small_model(bag_size, mirror=mirror, context=context, flow=flow)
    torch.nn.init.normal_(model.backbone[0][0].weight, std=0.1)  # also for the flow
    video = noise_video(frames)
    row = Recognizer(model, clip_s=10)(video, aligned=True).clips.iloc[0]
    pictures = torch.from_numpy(np.stack([frame.image for frame in video])).permute(0, 3, 1, 2)
    clip = resize_middle(pictures[centered_indices(frames, 16)], 32)
    with torch.inference_mode():
        expected = model(clip[None]).softmax(1)[0]
    probabilities = row[PROBABILITIES].to_numpy(float)
    assert probabilities == pytest.approx(expected.numpy(), abs=1e-4)
    assert (row["start_s"], row["end_s"]) == pytest.approx((0, frames / 25), abs=1e-3)
    assert row["emotion"] == EMOTIONS[int(expected.argmax())]
    assert row["confidence"] == probabilities.max()


def test_a_long_video_is_covered_by_overlapping_clips_of_equal_length():
    table = Recognizer(small_model())(noise_video(250), aligned=True).clips
    length = table["end_s"] - table["start_s"]
    assert length.to_numpy() == pytest.approx(0.64, rel=0.13)
    assert table["start_s"].iloc[0] == 0
    assert table["end_s"].iloc[-1] == pytest.approx(10)
    assert table["start_s"].diff().dropna().to_numpy() == pytest.approx(length[0] / 4, abs=2e-3)
    assert table[PROBABILITIES].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)


def test_clips_are_as_long_as_asked_for():
    table = Recognizer(small_model(), clip_s=2.0)(noise_video(250), aligned=True).clips
    assert (table["end_s"] - table["start_s"]).to_numpy() == pytest.approx(2.0, rel=0.13)


def test_evidence_sums_to_the_logits():
    prediction = Recognizer(small_model())(noise_video(100), aligned=True)
    evidence = prediction.instances.groupby("clip")[[f"evidence_{e}" for e in EMOTIONS]].sum()
    assert len(evidence) > 3
    probabilities = torch.tensor(evidence.to_numpy()).softmax(1).numpy()
    assert prediction.clips[RAW].to_numpy() == pytest.approx(probabilities, abs=1e-3)
    first = prediction.instances[prediction.instances["instance"] == 0]
    assert first["start_s"].tolist() == prediction.clips["start_s"].tolist()


def test_a_variable_frame_rate_gives_the_same_clips():
    """As a constant rate with repeated frames, which looks the same."""
    steady = noise_video(50)
    variable = [frame for frame in steady if frame.index % 5 != 3]
    repeated = [
        Frame(i, i / 25, steady[i - 1 if i % 5 == 3 else i].image) for i in range(len(steady))
    ]
    recognizer = Recognizer(small_model())
    clips = [recognizer(frames, aligned=True).clips for frames in (variable, repeated)]
    pd.testing.assert_frame_equal(*clips)


# --- smoothing and marks -------------------------------------------------------------------------


def test_smoothing_keeps_the_raw_probabilities():
    raw = Recognizer(small_model(), smooth_s=0)(noise_video(100), aligned=True).clips
    smoothed = Recognizer(small_model())(noise_video(100), aligned=True).clips
    assert smoothed[RAW].to_numpy() == pytest.approx(raw[RAW].to_numpy())
    assert raw[PROBABILITIES].to_numpy() == pytest.approx(raw[RAW].to_numpy())
    jumps, smoothed_jumps = (
        clips[PROBABILITIES].diff().abs().mean().max() for clips in (raw, smoothed)
    )
    assert smoothed_jumps < jumps


def test_an_answer_below_one_half_is_marked_uncertain():
    model = small_model()
    model.classifier.weight.data.zero_()
    model.classifier.bias.data.zero_()
    table = Recognizer(model)(noise_video(30), aligned=True).clips
    assert (table["mark"] == "uncertain").all()
    assert table["emotion"].notna().all()
    model.classifier.bias.data[EMOTIONS.index("anger")] = 9
    table = Recognizer(model)(noise_video(30), aligned=True).clips
    assert (table["mark"] == "").all()
    assert (table["emotion"] == "anger").all()


# --- faces ---------------------------------------------------------------------------------------


def test_every_face_has_its_own_timeline(prediction: Prediction):
    spans = prediction.clips.groupby("track").agg({"start_s": "min", "end_s": "max"})
    assert spans.loc[1].tolist() == pytest.approx([0, 2])
    assert spans.loc[2].tolist() == pytest.approx([0, 2])
    assert spans.loc[3].tolist() == pytest.approx([3, 4]), "a face that comes back is a new one"
    boxes = prediction.frames.groupby("track")["x1"].first()
    assert boxes.tolist() == [0, 70, 70]
    assert prediction.frames["track"].value_counts().to_dict() == {1: 50, 2: 50, 3: 25}
    assert prediction.frames["frame"].max() == 99


def test_real_videos(shared: Path):
    recognizer = Recognizer(small_model())
    frames = list(islice(read_video(shared / "data/videos/single_face.mp4"), 0, 36, 3))
    prediction = recognizer(frames)
    assert set(prediction.clips["track"]) == {1}
    assert len(prediction.frames) == len(frames)
    assert prediction.frames[["x1", "y1"]].min().min() > 0
    assert prediction.frames["x2"].max() < 640
    empty = list(islice(read_video(shared / "data/videos/no_face.mp4"), 0, 60, 15))
    assert recognizer(empty).clips.empty


# --- sources -------------------------------------------------------------------------------------


def test_a_video_and_its_frames_as_pictures_give_the_same_prediction(tmp_path: Path):
    recognizer = Recognizer(small_model())
    pictures = np.stack([np.full((48, 48, 3), 4 * i, np.uint8) for i in range(40)])
    write_video(tmp_path / "film.mp4", pictures, 25)
    folder = tmp_path / "frames.v2"
    folder.mkdir()
    for frame in read_video(tmp_path / "film.mp4"):
        Image.fromarray(frame.image).save(folder / f"{frame.index}.png")
    sources = (str(tmp_path / "film.mp4"), folder, list(folder.iterdir()))
    predictions = [recognizer(source, aligned=True) for source in sources]
    assert [prediction.stem for prediction in predictions[:2]] == ["film", "frames.v2"]
    for prediction in predictions[1:]:
        pd.testing.assert_frame_equal(prediction.clips, predictions[0].clips)
    assert len(recognizer(folder / "3.png", aligned=True).clips) == 1


@pytest.mark.parametrize(
    ("source", "sentence"),
    [("gone.mp4", r"gone\.mp4"), ([], "empty"), (["gone.jpg"], r"gone\.jpg")],
)
def test_a_source_that_cannot_be_read_is_an_input_error(source, sentence: str):
    with pytest.raises(InputError, match=sentence):
        Recognizer(small_model(), detector=ScriptedDetector())(source)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("width", "height"), [(3000, 2), (2, 3000), (1, 1)])
def test_frames_too_small_for_a_face_are_an_input_error(
    tmp_path: Path, width: int, height: int, aligned: bool
):
    image = np.zeros((height, width, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "strip.png")
    recognizer = Recognizer(small_model())
    for source in (tmp_path / "strip.png", [Frame(0, 0.0, image)]):
        with pytest.raises(InputError, match=f"is {width}×{height} pixels, too small"):
            recognizer(source, aligned=aligned)


@pytest.mark.parametrize("shape", [(8, 100_000), (100_000, 8)])
def test_a_long_strip_has_no_face_unless_it_is_said_to_be_one(shape: tuple[int, int]):
    strip = [Frame(0, 0.0, np.zeros((*shape, 3), np.uint8))]
    assert "no face was found" in Recognizer(small_model())(strip).note
    assert len(Recognizer(small_model())(strip, aligned=True).clips) == 1


# --- models and settings -------------------------------------------------------------------------


def test_a_saved_model_gives_the_same_predictions(tmp_path: Path):
    model = small_model()
    model.save_pretrained(tmp_path)
    recognizers = Recognizer(tmp_path), Recognizer(str(tmp_path)), Recognizer(model)
    *loaded, original = (recognizer(noise_video(20), True).clips for recognizer in recognizers)
    for clips in loaded:
        pd.testing.assert_frame_equal(clips, original)


def test_settings_are_given_by_name_or_together():
    together = RecognizerSettings(clip_s=1.28, smooth_s=0)
    assert Recognizer(small_model(), clip_s=1.28, smooth_s=0).settings == together
    assert Recognizer(small_model(), together, smooth_s=0.1).settings == replace(
        together, smooth_s=0.1
    )
    with pytest.raises(TypeError, match="clip_seconds"):
        Recognizer(small_model(), clip_seconds=1)


def test_the_device_is_the_best_one_unless_named(monkeypatch):
    model = small_model()
    moved = []
    monkeypatch.setattr(model, "to", lambda device: moved.append(device) or model)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    Recognizer(model)
    Recognizer(model, device="cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    Recognizer(model)
    assert moved == ["cuda", "cpu", "mps"]


def test_progress_can_be_silenced(capfd):
    Recognizer(small_model())(noise_video(20), aligned=True, progress=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"clip_s": 0}, "clip_s is 0 but"),
        ({"clip_s": float("nan")}, "clip_s is nan but"),
        ({"detect_every": 0}, "detect_every is 0 but must be greater than 0"),
        ({"smooth_s": -1}, "smooth_s is -1 but"),
        ({"device": "abacus"}, "'abacus'"),
    ],
)
def test_invalid_settings_are_input_errors(settings: dict, sentence: str):
    with pytest.raises(InputError, match=sentence):
        Recognizer(small_model(), **settings)


def test_damaged_weights_are_an_input_error():
    model = small_model()
    model.classifier.weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="weights are damaged"):
        Recognizer(model)(noise_video(4), aligned=True)


def test_a_list_is_several_photos_or_videos_and_with_a_rate_the_frames_of_one(tmp_path: Path):
    video = noise_video(30)
    images = [frame.image for frame in video]
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", images, 25)
    recognize = Recognizer(small_model(), detector=ScriptedDetector((0, set(range(300)))))
    photos = recognize(images[:2], progress=False)
    assert [len(photo.clips) for photo in photos] == [1, 1]
    videos = recognize([tmp_path / "a.mp4", tmp_path / "b.mp4"], progress=False)
    assert [Path(video.source).name for video in videos] == ["a.mp4", "b.mp4"]
    pattern = recognize(f"{tmp_path}/*.mp4", progress=False)
    assert [video.source for video in pattern] == [video.source for video in videos]
    one = recognize(images, fps=10, progress=False)
    assert one.frames["time_s"].max() == pytest.approx(2.9)
    for source in (iter(images), np.stack(images)):
        pd.testing.assert_frame_equal(recognize(source, fps=10, progress=False).clips, one.clips)


def test_a_camera_is_only_streamed():
    recognize = Recognizer(small_model(), detector=ScriptedDetector())
    for camera in (0, "rtsp://camera.local/1"):
        with pytest.raises(InputError, match=r"never ends: read it with stream\("):
            recognize(camera)


def test_a_picture_that_is_held_has_an_answer_for_all_of_its_time(tmp_path: Path):
    pictures = [Image.fromarray(frame.image) for frame in noise_video(3)]
    shown_ms = [100, 20_000, 3_000]
    pictures[0].save(
        tmp_path / "held.webp", save_all=True, append_images=pictures[1:], duration=shown_ms
    )
    detector = ScriptedDetector((0, {0, 1, 2}))
    prediction = Recognizer(small_model(), detector=detector).predict(tmp_path / "held.webp")
    assert prediction.duration_s == pytest.approx(23.1)
    assert prediction.clips["track"].unique().tolist() == [1]
    assert prediction.clips["end_s"].max() == pytest.approx(23.1, abs=0.01)

import json
import os
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pandas as pd
import pympi
import pytest

from m3dfel.cli import main
from m3dfel.data.checking import check_data
from m3dfel.data.cropping.crop import crop
from m3dfel.data.manifest import read_manifest
from m3dfel.errors import InputError
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import read_video
from m3dfel.video.encode import write_video

PORTRAIT = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def face(height: int = 240) -> np.ndarray:
    """A scene of 320×240 pixels with a real face in its left half, of the given height."""
    picture = cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)
    picture = cv2.resize(picture, (height * 512 // 600, height), interpolation=cv2.INTER_AREA)
    scene = np.zeros((240, 320, 3), np.uint8)
    part = picture[:240, :160] if height > 200 else picture
    scene[: part.shape[0], : part.shape[1]] = part
    return scene


def two_faces() -> np.ndarray:
    """A large face in the left half of the scene, and a smaller one in the right half."""
    scene = face(180)
    scene[:, 180:] = face(130)[:, :140]
    return scene


BLACK = np.zeros((240, 320, 3), np.uint8)


def write_scene(path: Path, *parts: tuple[np.ndarray, int], fps: float = 10) -> Path:
    write_video(path, [picture for picture, count in parts for _ in range(count)], fps)
    return path


def write_table(path: Path, *rows: str) -> str:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


def clips(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "clips.csv").fillna("")


def test_a_clip_is_a_face_without_the_frames_that_show_none(tmp_path: Path):
    write_scene(tmp_path / "a.mp4", (BLACK, 7), (face(), 20), (BLACK, 8))
    table = write_table(
        tmp_path / "labels.csv",
        "file,emotion,identity,split,votes_Sad",
        "a.mp4,Happy,ann,train,7",
    )
    cropped = crop(table, str(tmp_path / "clips"))
    (row,) = clips(tmp_path / "clips").to_dict("records")
    assert (row["file"], row["emotion"], row["identity"]) == ("a.mp4", "Happy", "ann")
    # Up to half a second may pass before the next look for faces.
    assert 0.7 <= row["source_start_s"] <= 1.2
    assert 15 <= row["frames"] <= 20
    assert row["frames"] + row["left_out"] == 35
    assert (cropped.clips, cropped.left_out) == (1, row["left_out"])
    frames = list(read_video(tmp_path / "clips" / "a.mp4"))
    assert len(frames) == row["frames"]
    assert frames[-1].time_s == pytest.approx((len(frames) - 1) / 10)
    assert min(frame.image.mean() for frame in frames) > 50
    assert frames[0].image.shape == (128, 128, 3)
    (clip,) = check_data(str(tmp_path / "clips" / "clips.csv")).clips
    assert (clip.emotion, clip.split, clip.votes) == ("happiness", "train", (("sadness", 7.0),))


def test_videos_whose_names_are_not_utf_8_are_cropped(tmp_path: Path):
    videos, out = tmp_path / "videos" / "happy", tmp_path / "clips"
    write_scene(videos / "a.mp4", (face(), 10))
    try:
        (videos / "a.mp4").rename(videos / os.fsdecode(b"old\xff.mp4"))
    except OSError:
        pytest.skip("this file system has only UTF-8 names")
    (videos / os.fsdecode(b"bad\xff.mp4")).write_bytes(b"no video")
    cropped = crop(str(tmp_path / "videos"), str(out))
    assert (cropped.clips, len(cropped.problems)) == (1, 1)
    assert rb"bad\xff.mp4" in (out / "problems.csv").read_bytes()
    (clip,) = check_data(str(out / "clips.csv")).clips
    assert clip.path.endswith("old_xff.mp4")


def test_a_crop_is_what_prediction_sees(tmp_path: Path):
    video = write_scene(tmp_path / "a.mp4", (face(), 20))
    table = write_table(tmp_path / "labels.csv", "file,emotion", "a.mp4,neutral")
    crop(table, str(tmp_path / "clips"))
    recognizer = Recognizer()
    whole, cropped = (
        recognizer(source, aligned=aligned).clips.filter(like="p_").mean().to_numpy()
        for source, aligned in ((video, False), (tmp_path / "clips" / "a.mp4", True))
    )
    np.testing.assert_allclose(cropped, whole, atol=0.05)


def test_parts_of_one_video_become_clips_of_one_person(tmp_path: Path):
    write_scene(tmp_path / "talk.mp4", (face(), 40), (BLACK, 10))
    table = write_table(
        tmp_path / "labels.csv",
        "file;emotion;start_s;end_s",
        "talk.mp4;happy;0,5;1,5",
        "talk.mp4;sad;2;3,5",
        "talk.mp4;sad;4,1;4,9",
        "talk.mp4;sad;9;10",
        "gone.mp4;sad;0;1",
    )
    cropped = crop(table, str(tmp_path / "clips"))
    rows = clips(tmp_path / "clips")
    assert rows["file"].tolist() == ["talk_001.mp4", "talk_002.mp4"]
    assert rows["source_start_s"].tolist() == [0.5, 2.0]
    assert rows["frames"].tolist() == [10, 15]
    assert rows["identity"].tolist() == ["talk", "talk"]
    assert [problem.what for problem in cropped.problems] == [
        "no face",
        "it starts at 9 s, after the end of the video",
        "there is no such video: check the path",
    ]
    listed = pd.read_csv(tmp_path / "clips" / "problems.csv")
    assert listed["problem"].tolist() == [problem.what for problem in cropped.problems]


def test_the_largest_face_is_taken_or_the_one_in_the_region(tmp_path: Path):
    write_scene(tmp_path / "two.mp4", (two_faces(), 8))
    whole = write_table(tmp_path / "labels.csv", "file,emotion", "two.mp4,fear")
    crop(whole, str(tmp_path / "large"))
    crop(whole, str(tmp_path / "right"), region=(160, 0, 320, 240))
    per_row = write_table(
        tmp_path / "regions.csv",
        "file,emotion,person,x1,y1,x2,y2",
        "two.mp4,fear,ann,0,0,160,240",
        "two.mp4,anger,ben,160,0,320,240",
    )
    crop(per_row, str(tmp_path / "each"))
    large, right, first, second = (
        next(iter(read_video(tmp_path / name))).image.astype(int)
        for name in ("large/two.mp4", "right/two.mp4", "each/two_001.mp4", "each/two_002.mp4")
    )
    assert np.abs(large - first).mean() == 0
    assert np.abs(right - second).mean() == 0
    assert np.abs(large - right).mean() > 1
    assert clips(tmp_path / "each")["identity"].tolist() == ["ann", "ben"]


def test_two_people_at_once_need_to_be_told_apart(tmp_path: Path, capsys):
    write_scene(tmp_path / "two.mp4", (two_faces(), 8))
    document = pympi.Eaf()
    document.remove_tier("default")
    document.add_linked_file("file:///elsewhere/two.mp4", "./two.mp4", "video/mp4")
    for tier, word in ("ann", "fear"), ("ben", "anger"):
        document.add_tier(tier)
        document.add_annotation(tier, 0, 600, word)
    document.to_file(tmp_path / "two.eaf")
    labels, output = str(tmp_path / "two.eaf"), str(tmp_path / "clips")
    with pytest.raises(InputError, match="ann and ben are labeled at the same time"):
        crop(labels, output)
    words = ["data", "crop", labels, output, "--person", "ben", "--region", "160,0,320,240"]
    assert main([*words, "--jobs", "1"]) == 0
    assert "cropped: 1 clips, 6 frames" in " ".join(capsys.readouterr().out.split())
    assert clips(tmp_path / "clips")["emotion"].tolist() == ["anger"]
    with pytest.raises(InputError, match="labels no person 'eve', only ann, ben"):
        crop(labels, str(tmp_path / "other"), person="eve")


def test_words_that_are_no_emotions_are_ignored_and_counted(tmp_path: Path):
    write_scene(tmp_path / "a.mp4", (face(), 5))
    table = write_table(
        tmp_path / "labels.csv", "file,emotion", "a.mp4,uncertain", "a.mp4,calm", "a.mp4,fear"
    )
    cropped = crop(table, str(tmp_path / "clips"))
    assert cropped.ignored == {"uncertain": 1, "calm": 1}
    cropped = crop(table, str(tmp_path / "own"), labels=["calm", "fear"])
    assert (cropped.clips, cropped.ignored) == (2, {"uncertain": 1})
    table = write_table(tmp_path / "none.csv", "file,emotion", "a.mp4,hello")
    with pytest.raises(InputError, match=r"labels no emotion \(hello\): name emotions other"):
        crop(table, str(tmp_path / "none"))


def test_only_what_is_new_or_changed_is_cropped_again(tmp_path: Path):
    for name in "abc":
        write_scene(tmp_path / f"{name}.mp4", (face(), 5))
    labels, output = tmp_path / "labels.csv", tmp_path / "clips"
    crop(write_table(labels, "file,emotion", "a.mp4,fear", "b.mp4,fear"), str(output))
    for name in "ab":
        os.utime(output / f"{name}.mp4", (1, 1))
    with (output / "crop.jsonl").open("a") as journal:
        journal.write('[]\n{"key": "cut off by a ki')
    crop(write_table(labels, "file,emotion", "b.mp4,anger", "c.mp4,fear"), str(output))
    assert clips(output)[["file", "emotion"]].to_numpy().tolist() == [
        ["b.mp4", "anger"],
        ["c.mp4", "fear"],
    ]
    assert not (output / "a.mp4").exists()
    assert (output / "b.mp4").stat().st_mtime == 1
    write_scene(tmp_path / "b.mp4", (face(), 9))
    crop(str(labels), str(output))
    assert clips(output)["frames"].tolist() == [9, 5]
    crop(str(labels), str(output), size=64)
    assert next(iter(read_video(output / "c.mp4"))).image.shape == (64, 64, 3)
    assert len((output / "crop.jsonl").read_text().splitlines()) == 2


def test_nothing_of_others_is_replaced(tmp_path: Path):
    video = write_scene(tmp_path / "a.mp4", (face(), 5))
    before = video.read_bytes()
    table = write_table(tmp_path / "labels.csv", "file,emotion", "a.mp4,fear")
    with pytest.raises(InputError, match=r"a\.mp4 was not written by m3dfel"):
        crop(table, str(tmp_path))
    assert video.read_bytes() == before
    crop(table, str(tmp_path / "clips"))
    write_table(tmp_path / "clips" / "clips.csv", "file,emotion,split", "a.mp4,fear,train")
    with pytest.raises(InputError, match=r"clips\.csv was not .*, or was changed since"):
        crop(table, str(tmp_path / "clips"))
    assert "split" in (tmp_path / "clips" / "clips.csv").read_text()
    crop(table, str(tmp_path / "clips"), overwrite=True)
    assert "split" not in (tmp_path / "clips" / "clips.csv").read_text()


def test_videos_of_one_name_become_clips_of_two(tmp_path: Path):
    for name in ("happy/a.mp4", "sad/A.mp4", "sad/a.avi"):
        (tmp_path / "scenes" / name).parent.mkdir(parents=True, exist_ok=True)
        write_scene(tmp_path / "scenes" / name, (face(), 4))
    cropped = crop(str(tmp_path / "scenes"), str(tmp_path / "clips"), jobs=2)
    assert cropped.clips == 3
    assert sorted(clips(tmp_path / "clips")["file"]) == ["happy/a.mp4", "sad/A.mp4", "sad/a-2.mp4"]
    manifest = read_manifest(str(tmp_path / "clips" / "clips.csv"))
    assert {clip.split for clip in manifest.clips} == {""}


def test_clips_lie_as_their_videos_do_also_in_the_home_folder(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_scene(tmp_path / "ann" / "a.mp4", (face(), 10))
    write_table(tmp_path / "labels.csv", "file,emotion", "ann/a.mp4,happy")
    crop("~/labels.csv", "~/clips")
    assert clips(tmp_path / "clips")["file"].tolist() == ["ann/a.mp4"]


def test_a_face_that_is_lost_for_a_moment_is_held(tmp_path: Path):
    times = [*range(10), *range(13, 20)]
    write_scene(tmp_path / "a.mp4", *((face() if t in times else BLACK, 1) for t in range(20)))
    table = write_table(tmp_path / "labels.csv", "file,emotion", "a.mp4,fear")
    crop(table, str(tmp_path / "clips"))
    (row,) = clips(tmp_path / "clips").to_dict("records")
    assert row["frames"] == len(list(read_video(tmp_path / "clips" / "a.mp4")))
    assert row["source_end_s"] - row["source_start_s"] == pytest.approx(
        row["frames"] / 10, abs=0.001
    )


def test_the_journal_says_what_became_of_each_label(tmp_path: Path):
    write_scene(tmp_path / "a.mp4", (face(), 5), (BLACK, 10))
    rows = ["file,emotion,start_s,end_s", "a.mp4,fear,0,0.5", "a.mp4,fear,0.8,1.4"]
    crop(write_table(tmp_path / "labels.csv", *rows), str(tmp_path / "clips"))
    (line,) = (tmp_path / "clips" / "crop.jsonl").read_text().splitlines()
    first, second = json.loads(line)["takes"]
    assert first["file"] == "a_001.mp4"
    assert second == {"problem": "no face"}


def test_data_sets_of_scenes_are_cropped_with_their_votes_and_people(tmp_path: Path):
    root = tmp_path / "CREMA-D"
    (root / "VideoFlash").mkdir(parents=True)
    rows = ['"","A","D","F","H","N","S","fileName"']
    for number, name in enumerate(["1001_DFA_ANG_XX", "1002_IEO_HAP_LO"], 1):
        write_scene(root / "VideoFlash" / f"{name}.flv", (face(), 5))
        rows.append(f'"20000{number}",7,0,0,{number},1,0,"{name}"')
    write_table(root / "tabulatedVotes.csv", *rows)
    crop(str(root), str(tmp_path / "clips"))
    found = read_manifest(str(tmp_path / "clips" / "clips.csv")).clips
    assert [(clip.emotion, clip.identity) for clip in found] == [
        ("anger", "1001"),
        ("anger", "1002"),
    ]
    assert dict(found[1].votes) == {"anger": 7, "happiness": 2, "neutral": 1}

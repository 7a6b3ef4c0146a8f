from pathlib import Path

from m3dfel.data.manifest import read_manifest
from small_data import write_frames


def test_class_folders_are_read_without_splits(tmp_path: Path):
    write_frames(tmp_path / "happy" / "clip1", 2)
    (tmp_path / "sad").mkdir()
    (tmp_path / "sad" / "film.mp4").write_bytes(b"x")
    (tmp_path / "sad" / "notes.doc").write_bytes(b"x")
    clips = read_manifest(str(tmp_path)).clips
    assert [(c.kind, c.emotion, c.split) for c in clips] == [
        ("frames", "happiness", ""),
        ("video", "sadness", ""),
    ]


def test_class_folders_are_read_within_split_folders(tmp_path: Path):
    for number, name in enumerate(["Training", "valid", "PrivateTest", "holdout"]):
        write_frames(tmp_path / name / "Fear" / f"clip{number}", 2)
    (tmp_path / "notes").mkdir()
    manifest = read_manifest(str(tmp_path))
    assert {Path(clip.path).name: clip.split for clip in manifest.clips} == {
        "clip0": "train",
        "clip1": "val",
        "clip2": "test",
    }
    (problem,) = manifest.problems
    assert Path(problem.path).name == "holdout"
    assert problem.what == "unknown split: use train, val or test"


def test_other_folders_beside_the_class_folders_are_problems(tmp_path: Path):
    write_frames(tmp_path / "fear" / "clip1", 2)
    write_frames(tmp_path / "attic" / "clip2", 2)
    (tmp_path / "fear" / "bare").mkdir()
    manifest = read_manifest(str(tmp_path))
    assert [Path(clip.path).name for clip in manifest.clips] == ["clip1"]
    reasons = {Path(problem.path).name: problem.what for problem in manifest.problems}
    assert "unknown emotion 'attic'" in reasons["clip2"]
    assert reasons["bare"] == "a folder without frames"

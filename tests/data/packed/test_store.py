import json
from pathlib import Path

import pandas as pd
import pytest

from m3dfel.data.checking import check_data
from m3dfel.data.dataset import EvaluationClips
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.packed.store import digest
from m3dfel.data.reading import read_clip
from m3dfel.data.sampling import centered_indices
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError


def test_a_store_that_is_cut_off_is_an_error(store: Path):
    with (store / "frames.bin").open("r+b") as opened:
        opened.truncate(1000)
    with pytest.raises(InputError, match=r"frames\.bin has 1000 bytes but must have \d+"):
        read_manifest(str(store))
    (store / "frames.bin").unlink()
    with pytest.raises(InputError, match=r"frames\.bin has 0 bytes"):
        read_manifest(str(store))


def test_the_check_finds_a_changed_byte(store: Path):
    assert not check_data(str(store)).problems
    clip = read_manifest(str(store)).clips[4]
    table = pd.read_parquet(store / "clips.parquet")
    row = table[table["name"] == clip.path.partition("!")[2]].iloc[0]
    data = bytearray((store / "frames.bin").read_bytes())
    data[row["offset"] + row["length"] - 3] ^= 1
    (store / "frames.bin").write_bytes(data)
    problems = check_data(str(store)).problems
    assert [problem.path for problem in problems] == [clip.path]
    assert "does not match its checksum" in problems[0].what


def test_a_damaged_clip_is_left_out_of_training(store: Path):
    clips = read_manifest(str(store)).clips
    data = bytearray((store / "frames.bin").read_bytes())
    data[-3] ^= 1
    (store / "frames.bin").write_bytes(data)
    samples = EvaluationClips(read_manifest(str(store)).clips, EMOTIONS, 4, 16)
    left_out = [clip.path for clip, read in zip(clips, samples, strict=False) if not read]
    assert len(left_out) == 1
    with pytest.raises(InputError, match="does not match its checksum: the file is damaged"):
        read_clip(Clip(left_out[0], "frames", "fear", ""), 4, 16, centered_indices)


def test_a_changed_index_is_an_error(store: Path):
    data = bytearray((store / "clips.parquet").read_bytes())
    data[40] ^= 1
    (store / "clips.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"clips\.parquet does not match its checksum"):
        read_manifest(str(store))


def test_a_store_of_another_version_is_an_error(store: Path):
    info = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps(info | {"version": 1}))
    with pytest.raises(InputError, match="has the format 1, but this version of m3dfel reads"):
        read_manifest(str(store))
    (store / "store.json").write_text("{")
    with pytest.raises(InputError, match=r"store\.json is damaged"):
        read_manifest(str(store))


def test_a_clip_that_is_not_in_the_store_cannot_be_read(store: Path):
    clip = Clip(f"{store}/frames.bin!gone", "frames", "fear", "test")
    assert EvaluationClips([clip], EMOTIONS, 4, 16)[0] == []
    with pytest.raises(InputError, match="no store at"):
        read_clip(Clip("gone/frames.bin!x", "frames", "fear", ""), 4, 16, centered_indices)


@pytest.mark.parametrize(
    "change",
    [
        {"bytes": None},
        {"settings": {"quality": "high"}},
        {"packed_folds": "all"},
        {"labels": [1]},
        {"packed_folds": [7]},
    ],
)
def test_a_store_whose_description_was_edited_is_an_error(change: dict, store: Path):
    info = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps(info | change))
    with pytest.raises(InputError, match=r"(store\.json|clips\.parquet) is damaged: copy it again"):
        read_manifest(str(store), fold=1)


@pytest.mark.parametrize(
    "change", [{"offset": -1}, {"length": 10**9}, {"frames": 0}, {"kind": "video"}, {"name": 1}]
)
def test_an_index_that_was_edited_is_an_error(change: dict, store: Path):
    pd.read_parquet(store / "clips.parquet").assign(**change).to_parquet(store / "clips.parquet")
    content = (store / "clips.parquet").read_bytes()
    info = json.loads((store / "store.json").read_text())
    info["bytes"]["clips.parquet"], info["sha256"] = len(content), digest(content)
    (store / "store.json").write_text(json.dumps(info))
    with pytest.raises(InputError, match=r"clips\.parquet is damaged: copy it again"):
        read_manifest(str(store))

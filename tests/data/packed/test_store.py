from pathlib import Path

import pyarrow as pa
import pytest

from m3dfel.data.checking import check_data
from m3dfel.data.dataset import EvaluationClips
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.packed.store import checksum, is_intact, read_batches
from m3dfel.data.reading import read_clip
from m3dfel.data.sampling import centered_indices
from m3dfel.errors import InputError
from small_data import ClipFormat


def change(store: Path, old: bytes, new: bytes) -> None:
    """Replace bytes of a store's file, where they are last."""
    before, found, after = (store / "clips.arrow").read_bytes().rpartition(old)
    assert found
    (store / "clips.arrow").write_bytes(before + new + after)


def damage(store: Path) -> str:
    """Change a byte in the last frame of the last clip, and return the path of the clip."""
    _, batches, _ = read_batches(store / "clips.arrow")
    row = pa.Table.from_batches(batches).select(["name", "frames"]).to_pylist()[-1]
    frame = row["frames"][-1]
    change(store, frame, frame[:-3] + bytes([frame[-3] ^ 1]) + frame[-2:])
    return f"{store}/clips.arrow!{row['name']}"


def test_a_store_that_is_cut_off_is_an_error(store: Path):
    with (store / "clips.arrow").open("r+b") as opened:
        opened.truncate(20_000)
    with pytest.raises(InputError, match="is not complete: run the same `m3dfel data pack` again"):
        read_manifest(str(store))
    (store / "clips.arrow").write_bytes(b"")
    with pytest.raises(InputError, match=r"clips\.arrow is damaged: copy it again"):
        read_manifest(str(store))


def test_the_check_finds_a_changed_byte(store: Path):
    assert not check_data(str(store)).problems
    path = damage(store)
    problems = check_data(str(store)).problems
    assert [problem.path for problem in problems] == [path]
    assert "does not match its checksum" in problems[0].what


def test_a_damaged_clip_is_left_out_of_training(store: Path):
    path = damage(store)
    clips = read_manifest(str(store)).clips
    samples = EvaluationClips(ClipFormat(), clips)
    left_out = [clip.path for clip, read in zip(clips, samples, strict=False) if not read]
    assert left_out == [path]
    with pytest.raises(InputError, match="does not match its checksum: the file is damaged"):
        read_clip(Clip(path, "frames", "fear", ""), 4, 16, centered_indices)


def test_a_clip_without_frames_is_damaged(store: Path):
    _, (batch, *_), _ = read_batches(store / "clips.arrow")
    (cells,) = batch.slice(0, 1).to_pylist()
    cells["frames"] = []
    cells["checksum"] = checksum(cells)
    assert is_intact(batch.slice(0, 1))
    assert not is_intact(pa.RecordBatch.from_pylist([cells], schema=batch.schema))


def test_a_changed_label_is_an_error(store: Path):
    change(store, b"anger", b"angel")
    with pytest.raises(InputError, match=r"clips\.arrow is damaged: copy it again"):
        read_manifest(str(store))


def test_a_store_of_another_version_is_an_error(store: Path):
    change(store, b'{"version":4', b'{"version":1')
    with pytest.raises(InputError, match="has the format 1, but this version of m3dfel reads"):
        read_manifest(str(store))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"packed_folds":[1]', b'"packed_folds":"1"'),
        (b'"quality":95', b'"quality":"x'),
        (b"fps", b"fpz"),
    ],
)
def test_a_store_whose_description_was_changed_is_an_error(old: bytes, new: bytes, store: Path):
    change(store, old, new)
    with pytest.raises(InputError, match=r"clips\.arrow is damaged: copy it again"):
        read_manifest(str(store), fold=1)


def test_a_clip_that_is_not_in_the_store_cannot_be_read(store: Path):
    clip = Clip(f"{store}/clips.arrow!gone", "frames", "fear", "test")
    assert EvaluationClips(ClipFormat(), [clip])[0] == []
    with pytest.raises(InputError, match="no store at"):
        read_clip(Clip("gone/clips.arrow!x", "frames", "fear", ""), 4, 16, centered_indices)

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from m3dfel.cli import main
from m3dfel.config import LossConfig
from m3dfel.data.manifest import read_manifest
from m3dfel.data.packed import packing
from m3dfel.data.packed.packing import pack
from m3dfel.data.packed.settings import PackSettings
from m3dfel.data.packed.store import read_batches
from m3dfel.data.reading import read_clip
from m3dfel.data.sampling import centered_indices
from m3dfel.data.splits import hold_out
from m3dfel.errors import InputError
from m3dfel.evaluation.evaluate import evaluate
from m3dfel.files import LOCK, only_process
from m3dfel.video.encode import write_video
from small_data import small_model, training_clips, write_frames


def content(store: Path) -> bytes:
    assert {item.name for item in store.iterdir()} - {LOCK} == {"clips.arrow"}
    return (store / "clips.arrow").read_bytes()


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Write after every few clips, as packing does with data sets of a usual size."""
    monkeypatch.setattr(packing, "_BATCH", 4)


def facts(clips) -> list[tuple[str, str, str, str]]:
    return [(Path(c.path.rpartition("!")[2]).name, c.emotion, c.split, c.identity) for c in clips]


def add_fold(dfew: Path, fold: int) -> None:
    """Add a fold that tests on other clips than fold 1, and lists them in another order."""
    labels = dfew / "EmoLabel_DataSplit"
    lines = [
        line
        for split in ("test", "train")
        for line in (labels / f"{split}(single-labeled)" / "set_1.csv").read_text().split()[1:]
    ]
    for split, part in (("train", lines[fold:][::-1]), ("test", lines[:fold])):
        text = "\n".join(["order,label", *part]) + "\n"
        (labels / f"{split}(single-labeled)" / f"set_{fold}.csv").write_text(text)


def write_smooth_clip(folder: Path, frames: int, side: int = 160) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(frames)
    for number in range(1, frames + 1):
        noise = cv2.GaussianBlur(rng.normal(0, 1, (side, side + 30, 4)), (0, 0), 8)
        color, light = noise[..., :3] / noise.std(), noise[..., 3:] / noise.std()
        picture = np.clip(128 + 10 * color + 40 * light, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])


def test_a_store_has_the_labels_splits_folds_and_order_of_its_data_set(dfew: Path, tmp_path: Path):
    for fold in range(2, 6):
        add_fold(dfew, fold)
    packed = pack(str(dfew), str(tmp_path / "store"))
    assert (packed.clips, packed.problems) == (21, ())
    for fold in range(1, 6):
        source, store = read_manifest(str(dfew), fold), read_manifest(str(tmp_path / "store"), fold)
        assert facts(store.clips) == facts(source.clips)
        assert (store.dataset, store.folds, store.labels) == ("DFEW", 5, source.labels)
        assert not store.problems
        held_out = [facts(hold_out(m.split("train"), 0.3, seed=1)) for m in (source, store)]
        assert held_out[0] == held_out[1]
    with pytest.raises(InputError, match="DFEW has the folds 1 to 5: there is no fold 6"):
        read_manifest(str(tmp_path / "store"), 6)


def test_single_folds_can_be_packed(dfew: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"set_2\.csv: .*; to pack only the folds you have"):
        pack(str(dfew), str(tmp_path / "store"))
    pack(str(dfew), str(tmp_path / "store"), folds=[1])
    assert len(read_manifest(str(tmp_path / "store")).clips) == 21
    with pytest.raises(InputError, match="holds only fold 1, not fold 2: pack the data set again"):
        read_manifest(str(tmp_path / "store"), fold=2)


def test_identities_and_other_label_sets_are_kept(tmp_path: Path):
    for name in ("a", "b"):
        write_frames(tmp_path / "data" / name, 3)
    table = tmp_path / "data" / "table.csv"
    table.write_text("file,emotion,identity,split\na,Pain,ann,train\nb,relief,bob,val\n")
    store = str(tmp_path / "store")
    pack(str(table), store, labels=["pain", "relief"])
    source = read_manifest(str(table), labels=["pain", "relief"])
    assert facts(read_manifest(store).clips) == facts(source.clips)
    assert read_manifest(store).dataset == "table.csv"


def test_votes_are_kept(tmp_path: Path):
    for name in ("a", "b"):
        write_frames(tmp_path / "data" / name, 3)
    table = tmp_path / "data" / "table.csv"
    rows = "a,fear,train,0,7,3,1\nb,anger,train,2,1,0.5,0\n"
    table.write_text(f"file,emotion,split,votes_Angry,votes_fear,votes_Relief,votes_odd\n{rows}")
    labels = ["anger", "fear", "relief"]
    store = str(tmp_path / "store")
    pack(str(table), store, labels=labels)
    source, packed = read_manifest(str(table), labels=labels), read_manifest(store)
    assert [clip.votes for clip in packed.clips] == [clip.votes for clip in source.clips]
    assert source.clips[0].votes == (("fear", 7.0), ("relief", 3.0))
    targets = [
        training_clips(manifest.clips, 3, labels, loss=LossConfig(votes=True))[0, 0].target
        for manifest in (source, packed)
    ]
    assert torch.equal(*targets)


def test_a_store_knows_the_frame_rate_of_videos(tmp_path: Path):
    frames = np.repeat(np.arange(0, 240, 4, dtype=np.uint8), 32 * 32 * 3).reshape(60, 32, 32, 3)
    write_video(tmp_path / "faces" / "train" / "fear" / "a.mp4", frames, fps=50)
    pack(str(tmp_path / "faces"), str(tmp_path / "all"))
    pack(str(tmp_path / "faces"), str(tmp_path / "some"), PackSettings(frames=30))
    rates = []
    for path in (tmp_path / "faces", tmp_path / "all", tmp_path / "some"):
        (clip,) = read_manifest(str(path)).clips
        read_clip(clip, 4, 16, lambda n, _, fps: (rates.append(fps), torch.arange(n))[1])
    assert rates == pytest.approx([50, 50, 25], abs=0.1)


def test_the_pixels_of_a_packed_clip_are_near_those_of_the_source(tmp_path: Path):
    write_smooth_clip(tmp_path / "data" / "fear" / "clip", 5)
    pack(str(tmp_path / "data"), str(tmp_path / "store"), PackSettings(size=80))
    source, packed = (
        read_clip(read_manifest(str(tmp_path / name)).clips[0], 5, 0, centered_indices)
        for name in ("data", "store")
    )
    assert packed.shape == (5, 3, 80, 95)
    resized = torch.nn.functional.interpolate(source.float(), packed.shape[2:], mode="area")
    assert (packed.float() - resized).abs().mean() < 3


def test_frames_that_keep_their_size_are_copied(dfew: Path, tmp_path: Path):
    pack(str(dfew), str(tmp_path / "store"), folds=[1])
    source, packed = read_manifest(str(dfew)), read_manifest(str(tmp_path / "store"))
    for clip, stored in zip(source.clips, packed.clips, strict=True):
        read = [read_clip(c, 6, 0, centered_indices) for c in (clip, stored)]
        assert torch.equal(*read)
    draws = [training_clips(m.split("train"))[2, 3].clip for m in (source, packed)]
    assert torch.equal(*draws)


def test_videos_become_frames_and_long_clips_can_be_thinned(tmp_path: Path):
    shades = np.arange(20, dtype=np.uint8)[:, None, None, None] * 12
    (tmp_path / "data" / "fear").mkdir(parents=True)
    write_video(
        tmp_path / "data" / "fear" / "film.mp4", np.broadcast_to(shades, (20, 32, 48, 3)), 25
    )
    settings = PackSettings(size=16, frames=10)
    packed = pack(str(tmp_path / "data"), str(tmp_path / "store"), settings)
    assert packed.frames == 10
    clip = read_manifest(str(tmp_path / "store")).clips[0]
    assert clip.kind == "frames"
    frames = read_clip(clip, 10, 0, centered_indices)
    assert frames.shape == (10, 3, 16, 24)
    assert (frames.float().mean((1, 2, 3)).diff() > 15).all()


def test_stills_are_kept_as_they_are_and_train_the_same(tmp_path: Path):
    write_smooth_clip(tmp_path / "data" / "fear", 2)
    pack(str(tmp_path / "data"), str(tmp_path / "store"), PackSettings(size=32))
    manifests = [read_manifest(str(tmp_path / name)) for name in ("data", "store")]
    assert [clip.kind for clip in manifests[1].clips] == ["still", "still"]
    clips = [training_clips(m.clips)[1, 1] for m in manifests]
    assert torch.equal(clips[0].clip, clips[1].clip)


def test_drawn_faces_are_not_packed(tmp_path: Path):
    with pytest.raises(InputError, match="synthetic is drawn when it is needed"):
        pack("synthetic", str(tmp_path / "store"))


def test_a_store_can_be_packed_again_smaller(dfew: Path, tmp_path: Path):
    pack(str(dfew), str(tmp_path / "one"), folds=[1])
    settings = PackSettings(size=16, frames=4)
    pack(str(tmp_path / "one"), str(tmp_path / "two"), settings, folds=[1])
    one, two = (read_manifest(str(tmp_path / name)) for name in ("one", "two"))
    assert facts(one.clips) == facts(two.clips)
    assert two.clips[0].path == one.clips[0].path.replace("/one/", "/two/")
    assert read_clip(two.clips[0], 4, 0, centered_indices).shape == (4, 3, 16, 16)


def test_evaluation_gives_nearly_the_same_results(tmp_path: Path):
    for index, emotion in enumerate(("happiness", "sadness", "neutral", "anger")):
        write_smooth_clip(tmp_path / "data" / emotion / "clip", 9 + index)
    model = small_model().eval()
    logits = []
    pack(str(tmp_path / "data"), str(tmp_path / "store"), PackSettings(size=64))
    for name in ("data", "store"):
        results = evaluate(model, str(tmp_path / name), str(tmp_path / f"{name}-out"), workers=0)
        assert results["clips"] == 4
        table = pd.read_csv(tmp_path / f"{name}-out" / "clips.csv")
        logits.append(table.filter(like="p_").to_numpy())
    assert np.abs(logits[1] - logits[0]).max() < 0.02


# --- interruptions -------------------------------------------------------------------------------


def test_a_killed_process_continues_to_the_same_bytes(dfew: Path, tmp_path: Path):
    pack(str(dfew), str(tmp_path / "whole"), folds=[1])
    slow = (
        "import sys, time; from m3dfel.data.packed import packing; real = packing._row\n"
        "packing._row, packing._BATCH = lambda *a: (time.sleep(0.05), real(*a))[1], 4\n"
        "packing.pack(sys.argv[1], sys.argv[2], folds=[1])\n"
    )
    store = tmp_path / "store"
    process = subprocess.Popen([sys.executable, "-c", slow, str(dfew), str(store)])
    file = store / "clips.arrow"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if file.exists() and file.stat().st_size > 20_000:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(InputError, match="is not complete: run the same `m3dfel data pack` again"):
        read_manifest(str(store))
    pack(str(dfew), str(store), folds=[1])
    assert content(store) == content(tmp_path / "whole")


def test_a_process_killed_at_any_byte_continues_to_the_same_bytes(dfew: Path, tmp_path: Path):
    """Whatever part of the file is on the disk, and if its end is not what was written."""
    store = tmp_path / "store"
    pack(str(dfew), str(store), folds=[1])
    expected = content(store)
    start = len(read_batches(store / "clips.arrow")[0].schema().serialize())
    rng = np.random.default_rng(0)
    for end in (start, *rng.integers(start, len(expected), 12), len(expected) - 1):
        for lost in (b"", bytes(50)):
            part = expected[: end - len(lost)] + lost if end > start else expected[:end]
            (store / "clips.arrow").write_bytes(part)
            pack(str(dfew), str(store), folds=[1])
            assert content(store) == expected


def test_packing_again_changes_nothing(dfew: Path, tmp_path: Path):
    store = tmp_path / "store"
    first = pack(str(dfew), str(store), folds=[1])
    before = content(store)
    assert pack(str(dfew), str(store), folds=[1]) == first
    assert content(store) == before


def test_other_settings_or_files_are_not_overwritten(dfew: Path, tmp_path: Path):
    store = tmp_path / "store"
    pack(str(dfew), str(store), folds=[1])
    os.truncate(store / "clips.arrow", 20_000)
    with pytest.raises(InputError, match=r"holds a store with settings .*'size': 128.*'size': 64"):
        pack(str(dfew), str(store), PackSettings(size=64), folds=[1])
    pack(str(dfew), str(store), folds=[1])
    labels = dfew / "EmoLabel_DataSplit" / "test(single-labeled)" / "set_1.csv"
    labels.write_text("order,label\n15,2\n")
    with pytest.raises(InputError, match="holds a store with other clips"):
        pack(str(dfew), str(store), folds=[1])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"already holds other files \(notes\.txt\)"):
        pack(str(dfew), str(tmp_path / "mine"), folds=[1])


def test_only_one_process_packs_into_a_store(dfew: Path, tmp_path: Path):
    store = tmp_path / "store"
    with only_process(store, "packing"), pytest.raises(InputError, match="another process is pack"):
        pack(str(dfew), str(store), folds=[1])
    assert pack(str(dfew), str(store), folds=[1]).clips == 21


# --- clips and stores that are damaged -----------------------------------------------------------


def test_clips_that_cannot_be_read_are_left_out_and_reported(dfew: Path, tmp_path: Path):
    (dfew / "Clip" / "clip_224x224" / "00003" / "2.jpg").write_bytes(b"cut short")
    packed = pack(str(dfew), str(tmp_path / "store"), folds=[1])
    assert packed.clips == 20
    assert [Path(problem.path).name for problem in packed.problems] == ["00003"]
    assert "2.jpg is not a picture" in packed.problems[0].what
    assert len(read_manifest(str(tmp_path / "store")).clips) == 20


def test_a_data_set_without_a_readable_clip_is_an_error(tmp_path: Path):
    write_frames(tmp_path / "data" / "fear" / "clip", 2)
    (tmp_path / "data" / "fear" / "clip" / "1.jpg").write_bytes(b"cut short")
    with pytest.raises(InputError, match=r"no clip of .* can be read"):
        pack(str(tmp_path / "data"), str(tmp_path / "store"))


# --- the command ---------------------------------------------------------------------------------


def test_the_command_packs_checks_and_reports(dfew: Path, tmp_path: Path, capsys):
    (dfew / "Clip" / "clip_224x224" / "00003" / "2.jpg").write_bytes(b"cut short")
    words = ["data", "pack", str(dfew), str(tmp_path / "store"), "--fold", "1", "--size", "16"]
    assert main(words) == 0
    output = capsys.readouterr()
    assert "packed: 20 clips" in output.out
    assert "left out" in output.err
    assert main(["data", "check", str(tmp_path / "store")]) == 0
    assert "usable clips: 20" in capsys.readouterr().out
    assert main([*words, "--quality", "0"]) == 2
    assert "quality is 0 but must be greater than or equal to 1" in capsys.readouterr().err
    assert main(["data", "pack", str(dfew), "x", "--size", "5"]) == 2
    assert "size is 5 but must be 16 or more" in capsys.readouterr().err

from pathlib import Path

import pytest
import torch

from m3dfel.config import AugmentConfig
from m3dfel.data.dataset import (
    EpochBatches,
    EvaluationClips,
    TrainingClips,
    check_data,
    evaluation_loader,
    read_picture,
    training_loader,
)
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from small_data import write_frames


def training_clips(clips, seed: int = 0) -> TrainingClips:
    return TrainingClips(clips, EMOTIONS, 8, 16, AugmentConfig(), seed, neutral_mix=1.0)


def test_frames_are_read_in_the_order_of_their_numbers(tmp_path: Path):
    write_frames(tmp_path / "clip", 12)
    clip = Clip(str(tmp_path / "clip"), "frames", "fear", "test")
    frames, target, index = EvaluationClips([clip], EMOTIONS, 12, 16)[0]
    assert frames.shape == (12, 3, 16, 16)
    assert (target, index) == (6, 0)
    assert (frames.float().mean((1, 2, 3)).diff() > 2).all()


def test_training_numbers_depend_on_seed_epoch_and_clip_alone(dfew: Path):
    clips = read_manifest(str(dfew)).split("train")
    here, elsewhere = training_clips(clips), training_clips(clips)
    torch.rand(5)
    assert (here[3, 5][0] == elsewhere[3, 5][0]).all()
    assert (here[3, 5][0] != here[4, 5][0]).any()
    assert (here[3, 5][0] != training_clips(clips, seed=1)[3, 5][0]).any()


def test_workers_change_nothing(dfew: Path):
    clips = read_manifest(str(dfew)).split("train")
    data = training_clips(clips)
    passes = []
    for workers in (0, 2):
        batches = EpochBatches([EMOTIONS.index(c.emotion) for c in clips], 4, seed=0)
        loader = training_loader(data, batches, workers)
        clips_seen = []
        for epoch in range(2):
            batches.epoch = epoch
            clips_seen += [batch["clips"] for batch in loader]
        passes.append(torch.stack(clips_seen))
    assert (passes[0] == passes[1]).all()


def test_a_broken_clip_is_left_out_and_told(tmp_path: Path, caplog):
    for name in ("a", "b", "c"):
        write_frames(tmp_path / name, 3)
    (tmp_path / "b" / "2.jpg").write_bytes(b"not a picture")
    clips = [Clip(str(tmp_path / name), "frames", "fear", "test") for name in ("a", "b", "c")]
    batches = list(evaluation_loader(EvaluationClips(clips, EMOTIONS, 3, 16), 2, 0))
    assert [batch["indices"].tolist() for batch in batches] == [[0], [2]]
    assert "2.jpg is not a picture" in caplog.text
    assert training_clips(clips)[0, 1][2] == 2, "the next clip stands in"


def test_no_training_clip_at_all_stops_with_what_to_do(tmp_path: Path):
    clips = [Clip(str(tmp_path / "gone.jpg"), "still", "fear", "train")]
    with pytest.raises(InputError, match="m3dfel data check"):
        training_clips(clips)[0, 0]


def test_processes_share_each_batch_and_cover_it_once():
    targets = [0] * 40
    whole = list(EpochBatches(targets, 8, seed=3))
    halves = [list(EpochBatches(targets, 8, 3, rank=rank, processes=2)) for rank in (0, 1)]
    for batch, first, second in zip(whole, *halves, strict=True):
        assert sorted(batch) == sorted(first + second)
    parts = list(EpochBatches(targets, 8, seed=3, parts=2))
    assert parts[0] + parts[1] == whole[0]
    assert sorted(key for batch in whole for key in batch) == [(0, i) for i in range(40)]


def test_the_order_changes_with_the_epoch_and_not_with_the_day():
    batches = EpochBatches([0] * 12, 4, seed=0)
    first = list(batches)
    assert first == list(batches)
    batches.epoch = 1
    assert [i for b in batches for _, i in b] != [i for b in first for _, i in b]


def test_balance_draws_rare_classes_as_often_as_common_ones():
    targets = [0] * 950 + [1] * 50
    drawn = [i for b in EpochBatches(targets, 50, 0, balance=1.0) for _, i in b]
    assert 0.4 < sum(i >= 950 for i in drawn) / len(drawn) < 0.6


def test_a_small_data_set_is_one_batch_and_an_odd_batch_size_is_refused():
    assert [len(b) for b in EpochBatches([0] * 7, 32, 0)] == [7]
    with pytest.raises(InputError, match="multiple of 3 processes"):
        EpochBatches([0] * 40, 8, 0, processes=3)


def test_evaluation_shares_cover_every_clip_once(dfew: Path):
    data = EvaluationClips(read_manifest(str(dfew)).split("test"), EMOTIONS, 4, 16)
    seen = [
        i
        for rank in (0, 1)
        for batch in evaluation_loader(data, 2, 0, rank, 2)
        for i in batch["indices"].tolist()
    ]
    assert sorted(seen) == list(range(7))


def test_pictures_that_cannot_be_read_are_named(tmp_path: Path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(InputError, match=r"empty.jpg is not a picture"):
        read_picture(str(tmp_path / "empty.jpg"))
    with pytest.raises(InputError, match=r"cannot read .*gone.jpg"):
        read_picture(str(tmp_path / "gone.jpg"))


def test_checking_reads_every_frame(tmp_path: Path):
    for name in ("a", "b"):
        write_frames(tmp_path / "fear" / name, 3)
    (tmp_path / "fear" / "b" / "3.jpg").write_bytes(b"cut short")
    manifest = check_data(str(tmp_path))
    assert [Path(clip.path).name for clip in manifest.clips] == ["a"]
    assert "3.jpg" in manifest.problems[0].what


def test_stills_of_one_person_are_mixed(shared: Path):
    manifest = read_manifest(str(shared / "data" / "stills" / "stills.csv"))
    people = [c for c in manifest.split("train") if c.identity == "George_W_Bush"]
    data = training_clips(people)
    place = next(i for i, clip in enumerate(people) if clip.emotion == "happiness")
    frames, target, _ = data[0, place]
    assert target == EMOTIONS.index("happiness")
    assert frames.shape == (8, 3, 16, 16)
    assert data.neutral_of["George_W_Bush"]

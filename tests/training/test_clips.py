from pathlib import Path

import pytest

from m3dfel.config import DataConfig
from m3dfel.data.dataset import EpochBatches
from m3dfel.data.manifest import Clip, Manifest
from m3dfel.errors import InputError
from m3dfel.training.clips import class_counts, sampled_class_counts, split_clips
from m3dfel.training.loop import train
from small_data import tiny


def manifest_of(*splits: str) -> Manifest:
    """Two clips of happiness and one of fear in each split."""
    emotions = ("happiness", "happiness", "fear")
    clips = [
        Clip(f"{split}-{number}.mp4", "video", emotion, split)
        for split in splits
        for number, emotion in enumerate(emotions)
    ]
    return Manifest("faces", "made up", tuple(clips))


def test_clips_outside_the_label_set_are_left_out(tmp_path: Path):
    config = tiny(tmp_path / "run", "faces")
    config.data.labels = ["happiness", "sadness"]
    splits = split_clips(manifest_of("train", "val", "test"), config)
    assert {name: len(clips) for name, clips in splits.items()} == {
        "train": 2,
        "val": 2,
        "test": 2,
    }


def test_validation_clips_are_held_out_only_if_the_data_have_none(tmp_path: Path):
    config = tiny(tmp_path / "run", "faces")
    with_val = split_clips(manifest_of("train", "val"), config)
    assert (len(with_val["train"]), len(with_val["val"])) == (3, 3)
    without = split_clips(manifest_of("train"), config)
    assert without["val"]
    assert len(without["train"]) + len(without["val"]) == 3


def test_data_without_training_clips_are_rejected(tmp_path: Path):
    with pytest.raises(InputError, match=r"has no training clips of .*its splits are test"):
        split_clips(manifest_of("test"), tiny(tmp_path / "run", "faces"))


def test_class_counts_follow_the_balance():
    clips, labels = manifest_of("train").clips, ["happiness", "fear", "anger"]
    assert class_counts(clips, labels) == [2, 1, 0]
    assert sampled_class_counts(clips, DataConfig(labels=labels)) == [2, 1, 0]
    assert sampled_class_counts(clips, DataConfig(labels=labels, balance=1.0)) == [1, 1, 0]


def test_an_epoch_can_be_shorter_than_the_data(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew, epochs=1, epoch_clips=4, batch_size=2)
    config.augment.mixup = 0.2
    assert len(train(config)["history"]) == 1
    batches = EpochBatches([0] * 12, 2, seed=0, epoch_clips=4)
    first = [i for batch in batches for _, i in batch]
    batches.epoch = 1
    second = [i for batch in batches for _, i in batch]
    assert len(first) == len(set(first)) == len(batches) * 2 == 4
    assert set(first) != set(second), "another epoch samples other clips"

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from m3dfel.config import DataConfig
from m3dfel.data.batches import EpochBatches
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.training.clips import class_counts, sampled_class_counts, training_batches
from m3dfel.training.loop import train
from small_data import tiny


def test_class_counts_follow_the_balance():
    emotions = ("happiness", "happiness", "fear")
    clips = [Clip(f"{i}.mp4", "video", emotion, "train") for i, emotion in enumerate(emotions)]
    labels = ["happiness", "fear", "anger"]
    assert class_counts(clips, labels) == [2, 1, 0]
    assert sampled_class_counts(clips, DataConfig(labels=labels)) == [2, 1, 0]
    assert sampled_class_counts(clips, DataConfig(labels=labels, balance=1.0)) == [1, 1, 0]


def test_an_epoch_can_be_shorter_than_the_data(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew, epochs=1, epoch_clips=4, batch_size=2)
    config.augment.mixup = 0.2
    assert len(train(config)["history"]) == 1
    batches = EpochBatches(12, 2, seed=0, epoch_clips=4)
    first = [i for batch in batches for _, i in batch]
    batches.epoch = 1
    second = [i for batch in batches for _, i in batch]
    assert len(first) == len(set(first)) == len(batches) * 2 == 4
    assert set(first) != set(second), "another epoch samples other clips"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_clips_for_a_gpu_are_read_into_pinned_memory(device: str, dfew: Path, tmp_path: Path):
    fabric = SimpleNamespace(
        device=torch.device(device),
        global_rank=0,
        world_size=1,
        setup_dataloaders=lambda loader, **_: loader,
    )
    clips = read_manifest(str(dfew)).split("train")
    _, loader = training_batches(fabric, clips, tiny(tmp_path / "run", dfew))
    assert loader.pin_memory is (device == "cuda")

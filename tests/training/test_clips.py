from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from m3dfel.config import DataConfig, LossConfig, TrainConfig
from m3dfel.data.batches import EpochBatches
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.training.clips import class_counts, draw_weights, training_batches
from m3dfel.training.loop import train
from small_data import in_batches_of, small_model, tiny

LABELS = ["happiness", "fear", "anger"]


def clips_of(*emotions: str, dataset: int = 0) -> list[Clip]:
    return [
        Clip(f"{dataset}-{i}.mp4", "video", emotion, "train", dataset=dataset)
        for i, emotion in enumerate(emotions)
    ]


def drawn(clips: list[Clip], **data) -> list[float]:
    config = TrainConfig(data=DataConfig(labels=LABELS, **data))
    return class_counts(clips, config, draw_weights(clips, config.data)).tolist()


def test_class_counts_follow_the_balance():
    clips = clips_of("happiness", "happiness", "fear")
    assert class_counts(clips, TrainConfig(data=DataConfig(labels=LABELS))).tolist() == [2, 1, 0]
    assert drawn(clips) == [2, 1, 0]
    assert drawn(clips, balance=1.0) == [1, 1, 0]


def test_votes_count_for_the_classes_that_they_name():
    fear, happiness, _ = clips_of("fear", "happiness", "happiness")
    fear = replace(fear, votes=(("fear", 6.0), ("anger", 4.0)))
    config = TrainConfig(data=DataConfig(labels=LABELS), loss=LossConfig(votes=True))
    counts = class_counts([fear, happiness], config)
    torch.testing.assert_close(counts, torch.tensor([1.0, 0.6, 0.4]).double())
    counts = class_counts([fear, happiness], config, torch.tensor([2.0, 1.0]).double())
    torch.testing.assert_close(counts, torch.tensor([1.0, 1.2, 0.8]).double())


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_data_sets_are_drawn_by_their_shares(balance: float):
    clips = clips_of(*["happiness"] * 900, *["fear"] * 60) + clips_of(*["fear"] * 40, dataset=1)
    data = DataConfig(labels=LABELS, balance=balance, mixing_weights=[3.0, 1.0])
    weights = draw_weights(clips, data)
    batches = EpochBatches(len(clips), in_batches_of(50), weights)
    datasets = [clips[index].dataset for batch in batches for _, index in batch]
    assert sum(datasets) / len(datasets) == pytest.approx(1 / 4, abs=0.05)
    of_first = class_counts(clips[:960], TrainConfig(data=data), weights[:960])
    ratio = (900 / 100) ** (1 - balance) * (100 / 60)
    assert float(of_first[0] / of_first[1]) == pytest.approx(ratio)


def test_a_run_on_votes_without_votes_says_so(dfew: Path, tmp_path: Path, caplog):
    config = tiny(tmp_path / "run", dfew, epochs=1)
    config.loss.votes = True
    train(config)
    assert "no training clip of" in caplog.text
    assert "has votes: all labels count as certain" in caplog.text


def test_an_epoch_can_be_shorter_than_the_data(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew, epochs=1, epoch_clips=4, batch_size=2)
    config.augment.mixup = 0.2
    assert len(train(config)["history"]) == 1
    batches = EpochBatches(12, in_batches_of(2, epoch_clips=4))
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
    config = tiny(tmp_path / "run", dfew)
    _, loader = training_batches(fabric, clips, small_model(), config)
    assert loader.pin_memory is (device == "cuda")

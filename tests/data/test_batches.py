import time
from pathlib import Path

import numpy as np
import pytest
import torch

from m3dfel.data.batches import EpochBatches, evaluation_loader, training_loader
from m3dfel.data.dataset import EvaluationClips, Sample
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.errors import InputError
from m3dfel.opencv import cv2
from small_data import ClipFormat, in_batches_of, training_clips, write_frames


def test_processes_share_each_batch_and_cover_it_once():
    whole = list(EpochBatches(40, in_batches_of(8)))
    halves = [list(EpochBatches(40, in_batches_of(8), rank=rank, processes=2)) for rank in (0, 1)]
    for batch, first, second in zip(whole, *halves, strict=True):
        assert sorted(batch) == sorted(first + second)
    parts = list(EpochBatches(40, in_batches_of(8, accumulate=2)))
    assert parts[0] + parts[1] == whole[0]
    assert sorted(key for batch in whole for key in batch) == [(0, i) for i in range(40)]


def test_the_order_depends_on_the_epoch_alone():
    batches = EpochBatches(12, in_batches_of(4))
    first = list(batches)
    assert first == list(batches)
    batches.epoch = 1
    assert [i for b in batches for _, i in b] != [i for b in first for _, i in b]


def test_an_epoch_can_draw_fewer_clips():
    batches = EpochBatches(40, in_batches_of(4, epoch_clips=12))
    assert len(batches) == len(list(batches)) == 3


def test_weights_say_how_often_a_clip_is_drawn():
    weights = torch.tensor([1 / 950] * 950 + [1 / 50] * 50)
    indices = [i for b in EpochBatches(1000, in_batches_of(50), weights) for _, i in b]
    assert 0.4 < sum(i >= 950 for i in indices) / len(indices) < 0.6


def test_a_data_set_smaller_than_a_batch_is_one_batch():
    assert [len(b) for b in EpochBatches(7, in_batches_of(32))] == [7]


def test_clips_and_batch_size_must_suffice_for_the_processes():
    with pytest.raises(InputError, match="multiple of 3 processes"):
        EpochBatches(40, in_batches_of(8), processes=3)
    with pytest.raises(InputError, match="2 training clips are too few for 4 processes"):
        EpochBatches(2, in_batches_of(8), processes=4)


def test_the_number_of_workers_does_not_change_the_batches(dfew: Path):
    clips = read_manifest(str(dfew)).split("train")
    data = training_clips(clips)
    passes = []
    for workers in (0, 2):
        batches = EpochBatches(len(clips), in_batches_of(4))
        loader = training_loader(data, batches, workers)
        clips_seen = []
        for epoch in range(2):
            batches.epoch = epoch
            clips_seen += [batch["clips"] for batch in loader]
        passes.append(torch.stack(clips_seen))
    assert (passes[0] == passes[1]).all()


def test_processes_evaluate_every_clip_once(dfew: Path):
    data = EvaluationClips(ClipFormat(), read_manifest(str(dfew)).split("test"))
    seen = [
        i
        for rank in (0, 1)
        for batch in evaluation_loader(data, 2, 0, rank, 2)
        for i in batch["indices"].tolist()
    ]
    assert sorted(seen) == list(range(7))


def test_clips_that_cannot_be_read_are_missing_from_the_batches(tmp_path: Path):
    for name in ("a", "b", "c"):
        write_frames(tmp_path / name, 3)
    (tmp_path / "b" / "2.jpg").write_bytes(b"not a picture")
    clips = [Clip(str(tmp_path / name), "frames", "fear", "test") for name in ("a", "b", "c")]
    batches = list(evaluation_loader(EvaluationClips(ClipFormat(3), clips), 2, 0))
    assert [batch["indices"].tolist() for batch in batches] == [[0], [2]]
    assert list(evaluation_loader(EvaluationClips(ClipFormat(3), clips[1:2]), 2, 0)) == [None]


class Resizing(EvaluationClips):
    """Resizes a picture for every clip, with as many threads as OpenCV has."""

    def __getitem__(self, index: int) -> list[Sample]:
        resize()
        return [Sample(torch.zeros(1, 3, 1, 1, dtype=torch.uint8), cv2.getNumThreads(), index)]


def resize() -> None:
    cv2.resize(np.zeros((2000, 2000, 3), np.uint8), (1000, 1000), interpolation=cv2.INTER_CUBIC)


def test_workers_start_beside_idle_threads_of_opencv():
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        resize()
        time.sleep(0.5)  # until the threads sleep: from then on they cannot be ended in a fork
        clips = [Clip("face.jpg", "still", "anger", "test")]
        (batch,) = evaluation_loader(Resizing(ClipFormat(1, 1), clips), 1, workers=1)
        assert batch["targets"].tolist() == [1]
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)

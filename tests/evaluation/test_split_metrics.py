import math

import pytest
import torch

from m3dfel.data.manifest import Clip
from m3dfel.evaluation.measure import SplitOutputs
from m3dfel.evaluation.split_metrics import split_metrics

LABELS = ["happiness", "fear"]


def outputs(*indices: int) -> SplitOutputs:
    """Certain of happiness for every clip, all of which show happiness."""
    logits = torch.tensor([[20.0, 0.0]]).expand(len(indices), 2)
    targets = torch.zeros(len(indices), dtype=torch.long)
    return SplitOutputs(torch.tensor(indices), logits, targets, logits.unsqueeze(1))


def clip(dataset: int = 0, **votes: float) -> Clip:
    return Clip("a.mp4", "video", "happiness", "val", votes=tuple(votes.items()), dataset=dataset)


def test_votes_are_compared_where_clips_have_them():
    clips = [clip(happiness=1), clip(), clip(happiness=1, fear=1, disgust=8), clip(fear=1)]
    metrics = split_metrics(outputs(0, 1, 2), clips, LABELS)
    assert metrics["votes"]["clips"] == 2
    assert metrics["votes"]["cross_entropy"] == pytest.approx((0 + 10) / 2, abs=1e-4)
    half = 1.5 - 0.75 * math.log2(3)  # between (1, 0) and (1/2, 1/2)
    assert metrics["votes"]["jensen_shannon"] == pytest.approx(half / 2, abs=1e-4)
    assert "votes" not in split_metrics(outputs(1), clips, LABELS)


def test_each_of_several_data_sets_is_measured():
    clips = [clip(0), clip(1, fear=3), clip(1), clip(2)]
    metrics = split_metrics(outputs(0, 1, 2), clips, LABELS, ["one", "two", "three"])
    assert metrics["support"]["happiness"] == 3
    assert list(metrics["datasets"]) == ["one", "two"]
    assert metrics["datasets"]["two"]["support"]["happiness"] == 2
    assert metrics["datasets"]["two"]["votes"]["clips"] == 1
    assert "votes" not in metrics["datasets"]["one"]
    assert "datasets" not in split_metrics(outputs(0), clips, LABELS, ["one"])

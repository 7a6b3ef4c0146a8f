from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from m3dfel.data.manifest import Clip
from m3dfel.evaluation.measure import SplitOutputs
from m3dfel.evaluation.outputs import clip_table, instance_table, write_outputs

LABELS = ["happiness", "fear"]
CLIPS = [
    Clip("a.mp4", "video", "fear", "test", "anna"),
    Clip("unreadable.mp4", "video", "fear", "test", "anna"),
    Clip("b.mp4", "video", "happiness", "test", "bert"),
]


def outputs() -> SplitOutputs:
    evidence = torch.tensor([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 2.0], [0.0, 1.0]]])
    return SplitOutputs(torch.tensor([0, 2]), evidence.sum(1), torch.tensor([1, 0]), evidence)


def test_there_is_a_row_for_each_clip_that_could_be_read():
    table = clip_table("test", CLIPS, outputs(), LABELS)
    assert table["path"].tolist() == ["a.mp4", "b.mp4"]
    assert table["identity"].tolist() == ["anna", "bert"]
    assert table["predicted"].tolist() == ["happiness", "fear"]
    assert table["right"].tolist() == [False, False]
    assert table["p_fear"].tolist() == pytest.approx([0.5, 0.952574], abs=1e-6)
    assert table["confidence"].tolist() == pytest.approx([0.5, 0.952574], abs=1e-6)


def test_there_is_a_row_for_each_instance_of_these_clips():
    table = instance_table(CLIPS, outputs(), LABELS)
    assert table["path"].tolist() == ["a.mp4", "a.mp4", "b.mp4", "b.mp4"]
    assert table["instance"].tolist() == [0, 1, 0, 1]
    assert table["evidence_fear"].tolist() == [1.0, 0.0, 2.0, 1.0]


def test_paths_that_are_not_utf_8_are_escaped_in_both_tables():
    clips = [replace(clip, path="old\udcff.mp4") for clip in CLIPS]
    for table in (
        clip_table("test", clips, outputs(), LABELS),
        instance_table(clips, outputs(), LABELS),
    ):
        assert set(table["path"]) == {r"old\xff.mp4"}


def test_several_splits_are_written_one_after_another(tmp_path: Path):
    write_outputs(tmp_path, {"val": (CLIPS, outputs()), "test": (CLIPS, outputs())}, LABELS)
    assert pd.read_csv(tmp_path / "clips.csv")["split"].tolist() == ["val"] * 2 + ["test"] * 2
    assert len(pd.read_csv(tmp_path / "instances.csv")) == 8

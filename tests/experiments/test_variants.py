import errno
import shutil
from pathlib import Path

import pytest

from m3dfel.config import TrainConfig
from m3dfel.errors import InputError
from m3dfel.evaluation.runs import read_run
from m3dfel.experiments.variants import Variant, train_variants
from small_data import leave_one_person_out, tiny

UNCHANGED = Variant("unchanged", "unchanged")
WHOLE_CLIP = Variant("whole clip", "whole-clip", {"model.bag_size": 1})
NARROW = Variant("narrow", "narrow", {"model.backbone_options.width": 2})


@pytest.fixture
def config(ferv39k: Path, tmp_path: Path) -> TrainConfig:
    config = tiny(tmp_path / "runs", ferv39k, epochs=1, warmup_epochs=0)
    config.stages = [{"model.frames": 2, "model.bag_size": 1, "model.aggregation": "mean"}]
    return config


def test_equal_stages_are_trained_once(config: TrainConfig, tmp_path: Path):
    train_variants(config, [UNCHANGED, WHOLE_CLIP, NARROW], [0, 1])

    def trained_at(run: str) -> int:
        return (tmp_path / "runs" / run / "stage-1/results.json").stat().st_mtime_ns

    assert trained_at("unchanged/seed-0") == trained_at("whole-clip/seed-0")
    assert trained_at("unchanged/seed-1") == trained_at("whole-clip/seed-1")
    runs = [f"{variant}/seed-{seed}" for variant in ("unchanged", "narrow") for seed in (0, 1)]
    trainings = {trained_at(run) for run in runs}
    assert len(trainings) == 4, "another seed or network has a stage of its own"


def test_a_stage_that_is_only_partly_copied_is_removed(config, tmp_path, monkeypatch):
    def copy_half(_: str, copy: Path, **__: object) -> None:
        (copy / "best").mkdir(parents=True)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", copy_half)
        with pytest.raises(InputError, match=r"cannot write .*stage-1 \(No space left"):
            train_variants(config, [UNCHANGED, WHOLE_CLIP], [0])
    assert not list((tmp_path / "runs/whole-clip/seed-0").iterdir())
    assert train_variants(config, [UNCHANGED, WHOLE_CLIP], [0])["runs"].tolist() == [1, 1]


def test_remaining_time_is_estimated_after_the_first_run(config: TrainConfig, capsys):
    train_variants(config, [UNCHANGED, WHOLE_CLIP], [0])
    output = capsys.readouterr().err
    assert "run 1 of 2\n" in output
    assert "run 2 of 2, about 0 minutes left" in output
    train_variants(config, [UNCHANGED, WHOLE_CLIP], [0])
    assert "run 1" not in capsys.readouterr().err, "finished runs are not trained again"


def test_every_person_is_left_out_once_in_each_row(tmp_path: Path):
    config = leave_one_person_out(tmp_path)
    result = train_variants(config, [UNCHANGED, WHOLE_CLIP], [0])
    assert result["runs"].tolist() == [1, 1]
    for folder in "unchanged", "whole-clip":
        folds = [read_run(tmp_path / f"runs/{folder}/seed-0/fold-{n}") for n in (1, 2, 3)]
        assert [set(run.clips["identity"]) for run in folds] == [{"a"}, {"b"}, {"c"}]
    right = sum(run.clips["right"].sum() for run in folds)
    assert result["war"].tolist()[1] == pytest.approx(100 * right / 6)
    assert result["war_low"].notna().tolist() == [False, True], "an interval over people"

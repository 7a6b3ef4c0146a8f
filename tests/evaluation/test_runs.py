import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from m3dfel.data.manifest import Clip
from m3dfel.errors import InputError
from m3dfel.evaluation.measure import SplitOutputs
from m3dfel.evaluation.outputs import write_outputs
from m3dfel.evaluation.runs import Run, read_run, short_names

LABELS = ["happiness", "fear"]


def write_run(folder: Path, splits: tuple[str, ...], results: dict) -> Run:
    """Write a run whose splits have two clips of two instances each, and read it back."""
    folder.mkdir(parents=True)
    evidence = torch.arange(8.0).view(2, 2, 2)
    outputs = SplitOutputs(torch.arange(2), evidence.sum(1), torch.tensor([1, 0]), evidence)
    tables = {
        split: ([Clip(f"{split}-{i}.mp4", "video", LABELS[1 - i], split) for i in (0, 1)], outputs)
        for split in splits
    }
    write_outputs(folder, tables, LABELS)
    (folder / "results.json").write_text(json.dumps(results))
    return read_run(folder)


def test_a_run_is_reported_on_test(tmp_path: Path):
    history = [{"epoch": 1}]
    results = {"history": history, "frames": 8, "last": {"test": {"war": 0.5}}}
    run = write_run(tmp_path / "run", ("val", "test"), results)
    assert (run.split, run.labels, run.frames, run.config) == ("test", LABELS, 8, {})
    assert run.clips["path"].tolist() == ["test-0.mp4", "test-1.mp4"]
    assert set(run.instances["path"]) == set(run.clips["path"])
    assert run.metrics == {"war": 0.5}, "without validation clips, those of the last epoch"
    results["calibrated"] = {"val": {"war": 0.7}, "test": {"war": 0.6}}
    assert write_run(tmp_path / "new", ("val", "test"), results).metrics == {"war": 0.6}
    assert run.evidence.tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]


def test_without_test_clips_a_run_is_reported_on_val_after_calibration(tmp_path: Path):
    results = {
        "history": [],
        "best_on_val": {"val": {"war": 0.5, "ece": 0.2}},
        "calibrated": {"val": {"war": 0.5, "ece": 0.1}},
    }
    run = write_run(tmp_path / "run", ("val",), results)
    assert run.split == "val"
    assert run.metrics["ece"] == 0.1


def test_the_metrics_of_an_evaluation_are_its_results(tmp_path: Path):
    run = write_run(tmp_path / "run", ("all",), {"war": 0.5})
    assert (run.split, len(run.clips)) == ("all", 2)
    assert run.metrics == {"war": 0.5}


def test_a_run_can_be_reported_at_its_best_epoch_on_test(tmp_path: Path):
    results = {"history": [], "best_on_val": {"test": 1}, "best_on_test": {"test": {"war": 0.9}}}
    run = write_run(tmp_path / "run", ("test",), results)
    assert run.best_on_test().metrics == {"war": 0.9}


@pytest.mark.parametrize("missing", ["results.json", "clips.csv", "instances.csv"])
def test_a_folder_without_results_is_an_error(tmp_path: Path, missing: str):
    run = write_run(tmp_path / "run", ("test",), {})
    (run.folder / missing).unlink()
    with pytest.raises(InputError, match="holds no finished run or evaluation"):
        read_run(run.folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results.json", "[]"),
        ("clips.csv", "path\na\n"),
        ("instances.csv", "clip\na\n"),
        ("config.yaml", "a: &a [*a]"),
    ],
)
def test_a_run_that_was_edited_is_an_error(tmp_path: Path, name: str, content: str):
    run = write_run(tmp_path / "run", ("test",), {})
    (run.folder / name).write_text(content)
    with pytest.raises(InputError, match="holds no finished run or evaluation"):
        read_run(run.folder)


def test_runs_are_named_by_the_shortest_end_of_their_paths_that_differs(tmp_path: Path):
    run = write_run(tmp_path / "run", ("test",), {})
    runs = [replace(run, folder=Path(name)) for name in ("a/fold-1/seed-0", "a/fold-2/seed-0")]
    assert short_names(runs) == ["fold-1/seed-0", "fold-2/seed-0"]
    assert short_names(runs[:1]) == ["seed-0"]

"""Folds, ablations and comparisons: many small trainings, and the tables and pages made of them."""

import base64
import errno
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from m3dfel.cli import main
from m3dfel.config import Stage, TrainConfig
from m3dfel.errors import InputError
from m3dfel.evaluation.runs import read_run, short_names
from m3dfel.experiments.comparing import METHODS, ablate, compare, crossval
from m3dfel.report.page import write_report
from small_data import tiny


def small(output: Path, data: Path | str) -> TrainConfig:
    config = tiny(output, data, epochs=1)
    config.optim.warmup_epochs = 0
    return config


def test_crossval_measures_every_official_fold_beside_what_is_published(dfew: Path, tmp_path: Path):
    for split in ("train", "test"):
        folder = dfew / "EmoLabel_DataSplit" / f"{split}(single-labeled)"
        for fold in range(2, 6):
            shutil.copy(folder / "set_1.csv", folder / f"set_{fold}.csv")
    config = small(tmp_path / "runs", dfew)
    config.test_every_epoch = True
    table = crossval(config).set_index("name")
    ours = table.loc["ours, mean of the folds"]
    folds = table.loc[[f"ours, fold {fold}" for fold in range(1, 6)]]
    assert ours["runs"] == 5
    assert ours["uar"] == pytest.approx(folds["uar"].mean())
    assert ours["war_std"] == pytest.approx(folds["war"].std())
    chosen = table.loc["ours, epochs chosen on test"]
    assert chosen["war"] >= ours["war"] - 1e-9
    assert table.loc["M3DFEL (2023), published", "war"] == pytest.approx(69.25)
    assert table.loc["M3DFEL + IAL (replication), published (fold 1)", "uar"] == pytest.approx(57.7)
    assert "FERV39k" not in " ".join(table.index)

    markdown = (tmp_path / "runs" / "table.md").read_text()
    assert "| ours, mean of the folds" in markdown
    assert re.search(r"S4D \(2025\), published +\|.*76\.68 +\| – +\|", markdown)
    latex = (tmp_path / "runs" / "table.tex").read_text()
    assert latex.startswith(r"\begin{tabular}")
    assert r"$\pm$" in latex
    assert "±" not in latex
    numbers = pd.read_csv(tmp_path / "runs" / "table.csv")
    assert numbers["war"].tolist() == pytest.approx(table["war"].tolist(), abs=1e-3)


def test_data_without_official_folds_is_parted_on_request(ferv39k: Path, tmp_path: Path):
    config = small(tmp_path / "runs", ferv39k)
    with pytest.raises(InputError, match=r"no official folds.*--data.folds 5"):
        crossval(config)
    config.data.folds = 3
    crossval(config)
    tested = [set(read_run(tmp_path / f"runs/fold-{n}").clips["path"]) for n in (1, 2, 3)]
    assert sum(len(clips) for clips in tested) == len(set.union(*tested)) == 21


def test_a_stopped_crossval_goes_on_fold_by_fold(ferv39k: Path, tmp_path: Path):
    config = small(tmp_path / "runs", ferv39k)
    config.data.folds = 3
    crossval(config, [1])
    before = (tmp_path / "runs/fold-1/results.json").stat().st_mtime_ns
    table = crossval(config)
    assert (tmp_path / "runs/fold-1/results.json").stat().st_mtime_ns == before
    assert table["runs"].iloc[0] == 3
    config.optim.lr = 1e-3
    with pytest.raises(InputError, match=r"different settings.*optim.lr was 0.01"):
        crossval(config)


def test_ablations_change_one_setting_at_a_time(ferv39k: Path, tmp_path: Path):
    config = small(tmp_path / "runs", ferv39k)
    vary = ["model.bag_size=1,2", "optim.lr=1e-3", "model.aggregation_options.norm=none, layer"]
    table = ablate(config, [0, 1], vary).set_index("name")
    assert table.index.tolist() == [
        "unchanged",
        "model.bag_size = 1",  # 2 is what it is
        "optim.lr = 1e-3",
        "model.aggregation_options.norm = none",
        "model.aggregation_options.norm = layer",
    ]
    assert (table["runs"] == 2).all()
    changed = table.drop("unchanged")
    assert (changed["war_low"] <= changed["war_difference"]).all()
    assert (changed["war_difference"] <= changed["war_high"]).all()
    run = read_run(tmp_path / "runs/model.bag_size=1/seed-1")
    assert (run.config["model"]["bag_size"], run.config["seed"]) == (1, 1)


def test_a_stage_that_nothing_was_changed_in_is_trained_once(ferv39k: Path, tmp_path: Path):
    config = small(tmp_path / "runs", ferv39k)
    config.stages = [Stage(frames=2, bag_size=1, aggregation="mean", epochs=1, lr=0.01)]
    ablate(config, [0, 1], ["model.bag_size=1", "model.backbone_options.width=2"])

    def trained(run: str) -> int:
        return (tmp_path / "runs" / run / "stage-1/results.json").stat().st_mtime_ns

    assert trained("unchanged/seed-0") == trained("model.bag_size=1/seed-0")
    assert trained("unchanged/seed-1") == trained("model.bag_size=1/seed-1")
    everyone = {
        trained(f"{v}/seed-{n}")
        for v in ("unchanged", "model.backbone_options.width=2")
        for n in (0, 1)
    }
    assert len(everyone) == 4, "another seed or network begins by itself"
    stage = read_run(tmp_path / "runs/model.bag_size=1/seed-0/stage-1")
    assert stage.config["output"] == str(tmp_path / "runs/model.bag_size=1/seed-0/stage-1")


def test_a_stage_that_cannot_be_copied_whole_leaves_nothing(ferv39k, tmp_path, monkeypatch):
    config = small(tmp_path / "runs", ferv39k)
    config.stages = [Stage(frames=2, bag_size=1, aggregation="mean", epochs=1, lr=0.01)]

    def half(_: str, copied: Path, **__: object) -> None:
        (copied / "best").mkdir(parents=True)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", half)
        with pytest.raises(InputError, match=r"cannot write .*stage-1 \(No space left"):
            ablate(config, [0], ["model.bag_size=1"])
    assert not list((tmp_path / "runs/model.bag_size=1/seed-0").iterdir())
    assert ablate(config, [0], ["model.bag_size=1"])["runs"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ("model.bag_size", "varies nothing: write SETTING=VALUE,VALUE"),
        ("model.bag_size=2", "nothing is varied"),
        ("model.bags=2", "no setting 'model.bags'"),
        ("data=2", "no setting 'data'"),
        (
            "model.aggregation_options.norm=group",
            "norm is group but must be one of",
        ),
        ("model.bag_size=3", "model.bag_size is 3 but must be a divisor"),
        ("model.bag_size=[", "varies nothing"),
    ],
)
def test_a_change_that_cannot_be_stops_before_the_first_run(vary, words, ferv39k, tmp_path):
    with pytest.raises(InputError, match=words):
        ablate(small(tmp_path / "runs", ferv39k), [0], [vary])
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--vary", "optim.lr=1e-3", "model.bags=2"],
        ["--vary", "model.bags=2", "--vary", "optim.lr=1e-3"],
    ],
)
def test_several_settings_are_varied_however_they_are_told(words, tmp_path, capsys):
    output = tmp_path / "runs"
    assert main(["ablate", "--config", "synthetic", *words, "--output", str(output)]) == 2
    assert "no setting 'model.bags'" in capsys.readouterr().err
    assert not output.exists()


def test_all_methods_train_in_the_same_protocol(ferv39k: Path, tmp_path: Path, capsys):
    words = ["--data.path", str(ferv39k), "--data.val_fraction", "0.4", "--workers", "0"]
    words += ["--model.weights", "none", "--model.backbone_options", "{width: 4, depth: 10}"]
    words += ["--model.size", "16", "--model.frames", "4", "--model.bag_size", "2"]
    words += ["--optim.epochs", "1", "--optim.warmup_epochs", "0", "--optim.batch_size", "4"]
    words += ["--seeds", "0", "--output", str(tmp_path / "runs")]
    assert main(["compare", *words]) == 0
    table = pd.read_csv(tmp_path / "runs/table.csv")
    assert table["name"].tolist() == [method.name for method in METHODS.values()]
    assert (tmp_path / "runs/table.png").stat().st_size > 10_000
    out = capsys.readouterr()
    assert "run 9 of 9, about" in out.err
    assert "M3DFEL" in out.out
    mil = read_run(tmp_path / "runs/mil-max/seed-0")
    assert mil.config["model"]["bag_size"] == 4, "every frame is an instance"
    assert len(mil.instances) == 4 * len(mil.clips)

    # What was finished is not trained again, and the page needs nothing but the folders.
    assert main(["compare", *words, "--methods", "m3dfel", "r3d"]) == 0
    shutil.rmtree(ferv39k)
    runs = [str(tmp_path / "runs" / name / "seed-0") for name in ("m3dfel", "r3d", "mc3")]
    page = tmp_path / "report.html"
    assert main(["report", *runs, "--output", str(page)]) == 0
    text = page.read_text()
    assert "M3DFEL (2023), published" in text
    assert "mc3/seed-0" in text
    assert "backbone: r3d" in text
    assert "torch:" in text
    assert not re.search(r"(src|href)=\"(?!data:)", text), "the page stands alone"
    pictures = re.findall(r"data:image/png;base64,([^\"]+)", text)
    assert len(pictures) == 2 + 2 + 3 * 7
    assert all(base64.b64decode(p).startswith(b"\x89PNG") for p in pictures)


def test_an_unknown_method_says_which_there_are(ferv39k: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"no method vgg: there are m3dfel, r3d"):
        compare(small(tmp_path / "runs", ferv39k), [0], ["m3dfel", "vgg"])


def test_a_page_of_failures_shows_the_frames_that_were_taken_wrongly(ferv39k, tmp_path, capsys):
    run = tmp_path / "run"
    config = small(run, ferv39k)
    ablate(config, [0], ["loss.ial_weight=0"])
    folder = run / "unchanged" / "seed-0"
    assert main(["failures", str(folder)]) == 0
    failed = pd.read_csv(folder / "failures/failures.csv")
    clips = read_run(folder).clips
    assert set(failed["path"]) == set(clips.loc[~clips["right"], "path"])
    assert (failed["emotion"] != failed["predicted"]).all()
    assert failed["confidence"].is_monotonic_decreasing
    counts = pd.read_csv(folder / "failures/failures_by_emotion.csv").set_index("emotion")
    assert (counts["classification"] + counts["fusion"] == counts["wrong"]).all()
    assert counts.loc["all", "wrong"] == len(failed) == counts["wrong"][:-1].sum()
    page = (folder / "failures/failures.html").read_text()
    assert page.count("data:image/jpeg") == len(failed)
    assert str(failed["path"][0]) in page

    shutil.rmtree(ferv39k)  # the page is made all the same, and says what it misses
    assert main(["failures", str(folder), "--output", str(tmp_path / "again")]) == 0
    page = (tmp_path / "again/failures.html").read_text()
    assert "data:image/jpeg" not in page
    assert "missing" in page


def test_what_is_no_finished_run_says_so(tmp_path: Path, capsys):
    for words in (["report"], ["failures"]):
        assert main([*words, str(tmp_path / "gone")]) == 2
        assert "holds no finished run" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "results.json").write_text(json.dumps({}))
    with pytest.raises(InputError, match=r"results.json, clips.csv, instances.csv"):
        read_run(tmp_path)


def test_runs_of_other_labels_are_not_put_side_by_side(ferv39k: Path, tmp_path: Path):
    config = small(tmp_path / "all", ferv39k)
    runs = []
    for name, labels in (("all", config.data.labels), ("two", ["happiness", "anger"])):
        config.output, config.data.labels = str(tmp_path / name), list(labels)
        ablate(config, [0], ["loss.ial_weight=0"])
        runs.append(read_run(tmp_path / name / "unchanged/seed-0"))
    assert short_names(runs) == ["all/unchanged/seed-0", "two/unchanged/seed-0"]
    with pytest.raises(InputError, match="differ in their label sets"):
        write_report(runs, tmp_path / "report.html")

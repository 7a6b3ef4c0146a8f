import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from m3dfel.errors import InputError
from m3dfel.evaluation.runs import read_run
from m3dfel.experiments.crossval import crossval
from small_data import leave_one_person_out, tiny


def test_every_official_fold_is_measured_and_published_results_follow(dfew: Path, tmp_path: Path):
    for split in ("train", "test"):
        folder = dfew / "EmoLabel_DataSplit" / f"{split}(single-labeled)"
        for fold in range(2, 6):
            shutil.copy(folder / "set_1.csv", folder / f"set_{fold}.csv")
    config = tiny(tmp_path / "runs", dfew, epochs=1, warmup_epochs=0)
    config.test_every_epoch = True
    table = crossval(config).set_index("name")
    ours = table.loc["ours, mean of the folds"]
    folds = table.loc[[f"ours, fold {fold}" for fold in range(1, 6)]]
    assert ours["runs"] == 5
    assert ours["uar"] == pytest.approx(folds["uar"].mean())
    assert ours["war_std"] == pytest.approx(folds["war"].std())
    best_on_test = table.loc["ours, epochs chosen on test"]
    assert best_on_test["war"] >= ours["war"] - 1e-9
    assert table.loc["M3DFEL (2023), published (5 folds)", "war"] == 69.25
    assert table.loc["M3DFEL + IAL (replication), published (fold 1)", "uar"] == 57.7

    markdown = (tmp_path / "runs" / "table.md").read_text()
    assert "| ours, mean of the folds" in markdown
    assert re.search(r"S4D \(2025\), published +\|.*76\.68 +\| – +\|.*arXiv 2409.06154", markdown)
    latex = (tmp_path / "runs" / "table.tex").read_text()
    assert latex.startswith(r"\begin{tabular}")
    assert r"$\pm$" in latex
    assert r"TFace, CVPR\_result.png" in latex
    assert r"TFace\#132" in latex
    assert not set("±–Δ−") & set(latex)
    numbers = pd.read_csv(tmp_path / "runs" / "table.csv")
    assert numbers["war"].tolist() == pytest.approx(table["war"].tolist(), abs=1e-3)


def test_data_without_official_folds_are_split_on_request(ferv39k: Path, tmp_path: Path):
    config = tiny(tmp_path / "runs", ferv39k, epochs=1, warmup_epochs=0)
    with pytest.raises(InputError, match=r"no official folds.*--data.folds 5"):
        crossval(config)
    config.data.folds = 3
    crossval(config)
    tested = [set(read_run(tmp_path / f"runs/fold-{n}").clips["path"]) for n in (1, 2, 3)]
    assert sum(len(clips) for clips in tested) == len(set.union(*tested)) == 21


def test_a_stopped_crossval_resumes_with_the_next_fold(ferv39k: Path, tmp_path: Path):
    config = tiny(tmp_path / "runs", ferv39k, epochs=1, warmup_epochs=0)
    config.data.folds = 3
    crossval(config, [1])
    before = (tmp_path / "runs/fold-1/results.json").stat().st_mtime_ns
    table = crossval(config)
    assert (tmp_path / "runs/fold-1/results.json").stat().st_mtime_ns == before
    assert table["runs"].iloc[0] == 3
    config.optim.lr = 1e-3
    with pytest.raises(InputError, match=r"optim.lr was 0.01"):
        crossval(config)


def test_each_person_can_be_left_out_once(tmp_path: Path):
    config = leave_one_person_out(tmp_path)
    result = crossval(config).set_index("name")
    assert list(result.index) == [
        "ours, mean of the folds",
        "ours, clips of all folds",
        *(f"ours, {name}" for name in "abc"),
    ]
    assert set(read_run(tmp_path / "runs/fold-2").clips["identity"]) == {"b"}
    people = result.loc[["ours, a", "ours, b", "ours, c"]]
    pooled = result.loc["ours, clips of all folds"]
    assert pooled["war"] == pytest.approx(people["war"].mean()), "each has two clips"
    assert pooled["recall_fear"] == pytest.approx(people["recall_fear"].mean())
    with pytest.raises(InputError, match="there is no fold 4: the folds are 1 to 3"):
        crossval(config, [4])

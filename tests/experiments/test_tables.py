import numpy as np
import pandas as pd

from m3dfel.experiments.tables import (
    compare_groups,
    format_table,
    published_rows,
    summarize,
    write_tables,
)
from made_up import LABELS, run_with_evidence, run_with_predictions


def test_rows_are_compared_only_where_they_were_measured_on_the_same_clips():
    one = run_with_predictions(LABELS, LABELS)
    other = run_with_evidence(LABELS, np.eye(3)[:, None], ["a", "b", "c"])
    table = compare_groups({"one": [one], "same": [one], "other": [other]}).set_index("name")
    assert table.loc["same", "war_difference"] == 0
    assert np.isnan(table.loc["other", "war_difference"])
    assert table.loc["one", "war"] == 100
    assert pd.isna(table.loc["one", "war_std"])


def test_spread_and_difference_are_formatted_with_two_and_one_decimals():
    right = run_with_predictions(LABELS, LABELS)
    wrong = run_with_predictions(LABELS, ["neutral"] * 3)
    cells = format_table(compare_groups({"a": [right, wrong], "b": [right, right]}))
    assert cells["WAR"].tolist() == ["66.67 ± 47.14", "100.00 ± 0.00"]
    assert cells["ΔWAR [95 %]"][0] == ""
    assert cells["ΔWAR [95 %]"][1].startswith("+33.3 [")
    assert cells["runs"].tolist() == ["2", "2"]


def test_words_that_contain_a_metric_s_name_stay_as_they_are():
    table = pd.DataFrame({"name": ["a"], "runs": [1], "war": [50.0], "war_std": [None]})
    table[["recall_warmth", "recall_warmth_std"]] = table[["war", "war_std"]]
    assert list(format_table(table)) == ["", "runs", "warmth", "WAR"]


def test_published_rows_show_protocol_idea_and_source():
    rows = published_rows("DFEW").set_index("name")
    row = rows.loc["M3DFEL (2023), published (5 folds)"]
    assert (row["war"], row["uar"]) == (69.25, 56.10)
    assert row["idea"] == "MIL over 3D instances; disgust recall 0.00"
    assert row["source"] == "paper; TFace, CVPR_result.png"
    assert "M3DFEL (2023), published" in published_rows("FERV39k")["name"].tolist()
    assert published_rows("my data").empty

    ours = summarize({"ours": [run_with_predictions(LABELS, LABELS)]})
    cells = format_table(pd.concat([ours, published_rows("DFEW")], ignore_index=True))
    assert cells["source"][0] == ""
    assert cells["source"][1] == "its README"
    assert cells["runs"][1] == ""


def test_latex_escapes_names(tmp_path):
    table = summarize({"50 % of model.bag_size #1": [run_with_predictions(LABELS, LABELS)]})
    write_tables(table, tmp_path)
    assert r"50 \% of model.bag\_size \#1" in (tmp_path / "table.tex").read_text()

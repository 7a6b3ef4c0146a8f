import re

import pandas as pd
import pytest

from m3dfel.batch.summary import summarize
from m3dfel.data.manifest import Clip, Manifest, Problem
from m3dfel.report.terminal import (
    print_failures,
    print_manifest,
    print_metrics,
    print_people,
    print_photos,
    print_run,
    print_spans,
    print_summary,
)
from made_up import MAFW, TWO, made_up_prediction, random_results


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def printed_rows(capsys) -> list[list[str]]:
    """The cells of the printed table."""
    lines = capsys.readouterr().out.splitlines()
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]


def test_metrics_are_printed_with_clips_and_most_frequent_errors(results, capsys):
    print_metrics(results, "runs/[x]")
    rows = {row[0]: row[1:] for row in printed_rows(capsys)}
    assert rows["happiness"] == ["75.0", "4", "fear (25.0 %)"]
    assert rows["sadness"] == ["–", "0", "–"]
    assert rows["WAR"] == ["83.3", "6", ""]
    assert rows["UAR"] == ["87.5", "", ""]


def test_left_out_clips_are_counted_by_reason(results, capsys):
    print_metrics(results | {"left_out": {"unreadable": 3, "problems": 0}}, "runs/[x]")
    output = capsys.readouterr().out
    assert "runs/[x]" in output
    assert "left out: 3 unreadable" in output
    assert "problems" not in output


def test_the_fit_to_the_votes_and_the_answers_are_printed(results, capsys):
    more = {
        "votes": {"clips": 1200, "cross_entropy": 1.25, "jensen_shannon": 0.125},
        **{"min_confidence": 0.62, "answered": 0.8, "answered_right": 0.9},
    }
    print_metrics(results | more, "run")
    output = " ".join(capsys.readouterr().out.split())
    assert "votes on 1,200 clips: cross entropy 1.250 nats, Jensen-Shannon divergence" in output
    assert "confidence of 62.0 % or more: 80.0 % of the clips, 90.0 % of them right" in output
    print_metrics(results | {"answered": 0.0, "answered_right": None}, "run")
    assert "or more" not in capsys.readouterr().out


@pytest.mark.parametrize("labels", [TWO, MAFW])
def test_metrics_of_any_label_set_fit_80_columns(labels, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    print_metrics(random_results(labels), "run")
    rows = printed_rows(capsys)
    assert [row[0] for row in rows[:-2]] == list(labels)
    mistaken_for = [row[3].split(" (")[0] for row in rows[:-2]]
    assert all(
        word in labels and word != label for word, label in zip(mistaken_for, labels, strict=True)
    )


def test_timeline_has_one_row_per_change(capsys):
    print_spans(made_up_prediction((0, 4), (1, 5)), "film.mp4")
    rows = printed_rows(capsys)
    assert rows[:3] == [
        ["1", "0.00", "2.25", "■ happiness", "70"],
        ["", "2.25", "4.00", "■ fear", "70"],
        ["", "4.00", "5.00", "no face", "–"],
    ]
    assert [row[0] for row in rows] == ["1", "", "", "2", "", ""]


def test_people_are_printed_with_the_length_of_their_video(capsys):
    videos = [made_up_prediction((0, 4), duration_s=10), made_up_prediction(duration_s=3)]
    print_people(summarize(videos), "out")
    assert printed_rows(capsys) == [
        ["film.mp4", "1", "10.0", "4.0", "100.0", "■ happiness 56 %"],
        ["film.mp4", "–", "3.0", "0.0", "–", "no face"],
    ]


def test_tables_in_chinese_have_no_english_word(capsys):
    prediction = made_up_prediction((0, 4), duration_s=5)
    face = {"file": "1.jpg", "face": 1, "emotion": "fear", "p_fear": 0.9, "confidence": 0.9}
    photos = pd.DataFrame([{**face, "mark": ""}, {"file": "2.jpg", "mark": "no face"}])
    print_spans(prediction, "1.mp4", "zh")
    print_people(summarize([prediction, made_up_prediction(duration_s=3)]), "1", "zh")
    print_photos(photos, "zh")
    printed = capsys.readouterr().out
    assert {"人物", "高兴", "无人脸"} <= set(re.findall(r"[\u4e00-\u9fff]+", printed))
    assert set(re.findall("[a-z]{2,}", printed)) == {"mp", "jpg", "film", "summary"}


def test_uncertain_and_unreadable_clips_show_their_mark(capsys):
    prediction = made_up_prediction((0, 4))
    clips = prediction.clips
    clips.loc[:1, ["emotion", "confidence"]] = None
    clips.loc[:1, "mark"] = "too small"
    clips.loc[2, "mark"] = "uncertain"
    print_spans(prediction, "film.mp4")
    assert [row[3:] for row in printed_rows(capsys)] == [
        ["too small", "–"],
        ["uncertain", "70"],
        ["■ fear", "70"],
    ]


@pytest.mark.parametrize("labels", [TWO, MAFW, ("joy", "[bold]")])
def test_timeline_of_any_label_set_is_printed(labels, capsys):
    print_spans(made_up_prediction((0, 4), labels=labels), "film.mp4")
    assert [row[3] for row in printed_rows(capsys)] == [f"■ {labels[0]}", f"■ {labels[-1]}"]


def test_an_empty_timeline_prints_only_its_note(capsys):
    prediction = made_up_prediction()
    prediction.note = "no face in [film].mp4"
    print_spans(prediction, "film.mp4")
    assert capsys.readouterr().out == "no face in [film].mp4\n"


def test_a_run_names_how_each_epoch_was_chosen(results, capsys):
    row = {"epoch": 3, "val": results}
    print_run({"last": row, "best_on_val": row | {"epoch": 2, "test": results}}, "runs/a")
    output = capsys.readouterr().out
    assert "last epoch" in output
    assert "best on validation" in output
    assert "too good" not in output
    print_run({"last": row, "best_on_test": row | {"test": results}}, "runs/a")
    assert "too good" in capsys.readouterr().out


def test_a_summary_shows_war_and_uar_and_where_the_rest_is(capsys):
    table = pd.DataFrame(
        {
            "name": ["ours", "theirs, published"],
            "runs": [3, None],
            "war": [80.0, 69.25],
            "war_std": [1.0, None],
            "uar": [70.0, None],
            "uar_std": [2.0, None],
            "recall_fear": [10.0, None],
            "recall_fear_std": [3.0, None],
            "source": [None, "paper"],
        }
    )
    print_summary(table, "runs/[x]")
    output = capsys.readouterr().out
    assert "80.00 ± 1.00" in output
    assert "69.25" in output
    assert "fear" not in output
    assert "runs/[x]/table.*" in output


def test_failures_are_printed_by_cause(capsys, tmp_path):
    counts = pd.DataFrame({"emotion": ["fear", "all"], "clips": [5, 5], "wrong": [2, 2]})
    located = {"clips": 4.0, "frame_auc": 0.75, "pointing": 0.5, "pointing_chance": 0.25}
    print_failures(counts, located, tmp_path / "failures.html")
    output = " ".join(capsys.readouterr().out.split())
    assert "frame AUC 0.750, pointing 50.0 % (by chance 25.0 %)" in output
    print_failures(counts, None, tmp_path / "failures.html")
    rows = printed_rows(capsys)
    assert rows == [["fear", "5", "2"], ["all", "5", "2"]]


def test_a_manifest_is_printed_with_all_its_problems(capsys):
    clips = (Clip("a", "video", "fear", "train"), Clip("b", "video", "fear", "test"))
    print_manifest(Manifest("DFEW", "DFEW", clips, (Problem("c.mp4", "is empty"),)))
    output = capsys.readouterr().out
    assert "c.mp4: is empty" in output
    assert "usable clips: 2; problems: 1\n" in output


def test_problems_neither_control_nor_flood_the_terminal(capsys):
    problems = (Problem("\x1b[31m" + "x" * 1_000_000, "missing"), Problem("old\udcff", "is empty"))
    print_manifest(Manifest("DFEW", "DFEW", (Clip("a", "video", "fear", ""),), problems))
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert len(output) < 3000
    assert r"old\xff: is empty" in output


def test_a_manifest_with_votes_says_how_many_clips_have_them(capsys):
    votes = (("fear", 7.0), ("sadness", 3.0))
    clips = (Clip("a", "video", "fear", "train"), Clip("b", "video", "fear", "val", votes=votes))
    print_manifest(Manifest("faces.csv", "faces.csv", clips))
    assert "usable clips: 2; problems: 0; clips with votes: 1" in capsys.readouterr().out

import pandas as pd
import pytest

from m3dfel.batch.summary import summarize
from m3dfel.report.summary import plot_summary
from made_up import assert_nothing_is_cut_off, is_png, made_up_prediction, texts


def test_a_bar_for_each_person_with_its_name_and_changes(tmp_path):
    table = summarize([made_up_prediction((0, 40), (10, 30)), made_up_prediction()])
    figure = plot_summary(table, tmp_path / "summary.png")
    assert is_png(tmp_path / "summary.png")
    words = texts(figure)
    assert {"film.mp4, person 1", "film.mp4, person 2", "changes/min"} <= set(words)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:2] == ["happiness", "sadness"]
    assert legend[-2:] == ["uncertain", "unreadable"]
    assert {"happiness", "fear"} <= set(words), "in the bars"
    assert_nothing_is_cut_off(figure)
    bars = [patch for patch in figure.axes[0].patches if patch.get_y() < 0.4]
    assert sum(bar.get_width() for bar in bars) == pytest.approx(1, abs=1e-3)


def test_changes_in_a_few_seconds_are_no_rate(tmp_path):
    (row,) = summarize([made_up_prediction((0, 4))]).itertuples()
    assert pd.isna(row.changes_per_min)


def test_many_people_fit_on_one_page_and_nobody_on_an_empty_one():
    one = summarize([made_up_prediction((0, 4))])
    many = pd.concat([one] * 500, ignore_index=True)
    figure = plot_summary(many)
    assert figure.get_size_inches()[1] < 15
    assert "film.mp4" not in texts(figure)
    plot_summary(summarize([made_up_prediction()]))
    plot_summary(summarize([]))

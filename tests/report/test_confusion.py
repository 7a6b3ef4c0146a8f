import pytest
import torch
from matplotlib.axes import Axes

from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.evaluation.metrics import compute_metrics
from m3dfel.report.confusion import plot_confusion
from made_up import (
    MAFW,
    TWO,
    assert_no_overlap,
    assert_nothing_is_cut_off,
    is_png,
    random_results,
    texts,
)


def row_labels(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_text() in EMOTIONS]


def test_confusion_shows_percent_counts_and_emotions_without_clips(results, tmp_path):
    words = texts(plot_confusion([results], ["my model"], tmp_path / "confusion.png"))
    assert is_png(tmp_path / "confusion.png")
    assert {"75.0", "25.0", "100.0", "3", "1", "my model", "4 clips"} <= set(words)
    assert words.count("no clips") == 5
    assert any("WAR 83.3 %" in text and "UAR 87.5 %" in text for text in words)


def test_two_models_are_side_by_side_even_with_different_labels(results):
    fewer = compute_metrics(torch.eye(3)[[0, 1, 2]], torch.tensor([0, 1, 1]), EMOTIONS[:3])
    figure = plot_confusion([results, fewer.to_dict()], ["one", "two"])
    left, right = figure.axes
    assert left.get_position().x1 < right.get_position().x0
    assert {"one", "two"} <= set(texts(figure))
    assert row_labels(left) == list(EMOTIONS)
    assert row_labels(right) == list(EMOTIONS[:3])
    same_rows = plot_confusion([results, results], ["one", "two"])
    assert [row_labels(axes) for axes in same_rows.axes] == [list(EMOTIONS), []]


@pytest.mark.parametrize("labels", [TWO, MAFW])
def test_any_label_set_fits(labels):
    results = random_results(labels)
    names = ["a long path/to/the run/seed-0", "another long path/to/the run/seed-0"]
    for figure in (plot_confusion([results], names[:1]), plot_confusion([results] * 2, names)):
        assert_nothing_is_cut_off(figure)
        columns = [label for axes in figure.axes for label in axes.get_xticklabels()]
        assert [label.get_text() for label in columns] == list(labels) * len(figure.axes)
        titles = [text for axes in figure.axes for text in axes.texts if "WAR" in text.get_text()]
        assert_no_overlap(columns + titles)


def test_dollar_signs_in_names_and_labels_are_not_formulas(tmp_path):
    results = random_results(("joy", "$\\frac$"))
    plot_confusion([results], ["$\\frac$"], tmp_path / "confusion.png")


def test_a_file_that_cannot_be_written_is_an_input_error(results, tmp_path):
    (tmp_path / "confusion.png").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        plot_confusion([results], ["x"], tmp_path / "confusion.png")

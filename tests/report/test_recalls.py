import pytest

from m3dfel.emotions import EMOTIONS, colors
from m3dfel.report.recalls import plot_recalls
from made_up import MAFW, TWO, assert_no_overlap, assert_nothing_is_cut_off, random_results, texts


def test_one_run_has_the_colors_of_the_emotions_and_no_value_without_clips(results):
    figure = plot_recalls({"run": results})
    (axes,) = figure.axes
    bars = dict(zip(EMOTIONS, axes.patches, strict=True))
    assert bars["happiness"].get_height() == 75
    assert bars["happiness"].get_facecolor() != bars["neutral"].get_facecolor()
    words = texts(figure)
    assert words.count("no clips") == 5
    assert {"75.0", "100.0"} <= set(words)
    assert "0.0" not in words


def test_several_runs_are_in_the_legend(results):
    (axes,) = plot_recalls({"first": results, "second": results}).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["first", "second"]
    assert len(axes.patches) == 2 * len(EMOTIONS)


@pytest.mark.parametrize("labels", [TWO, MAFW])
def test_any_label_set_fits(labels):
    results = random_results(labels)
    one, several = plot_recalls({"run": results}), plot_recalls(dict.fromkeys("abc", results))
    for figure in (one, several):
        assert_nothing_is_cut_off(figure)
        assert_no_overlap(figure.axes[0].get_xticklabels())
    assert len({patch.get_facecolor() for patch in one.axes[0].patches}) == len(colors(labels))

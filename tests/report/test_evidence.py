import numpy as np
import pytest

from m3dfel.emotions import EMOTIONS
from m3dfel.report.evidence import plot_evidence
from made_up import MAFW, TWO, assert_nothing_is_cut_off, shaded


def test_the_three_strongest_emotions_are_named():
    evidence = np.zeros((4, 7))
    evidence[1, [0, 3, 6]] = 3, 2, 1
    (axes,) = plot_evidence(evidence, EMOTIONS, "anger", None).axes
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["happiness", "anger", "fear"]
    assert axes.get_title(loc="left") == "anger"


def test_target_frames_are_shaded_in_units_of_instances():
    figure = plot_evidence(np.zeros((4, 7)), EMOTIONS, "", np.arange(16) >= 12)
    spans = shaded(figure)
    assert (spans[0][0], spans[-1][1]) == (3, 4)


@pytest.mark.parametrize("labels", [TWO, MAFW])
def test_any_label_set_fits(labels):
    evidence = np.random.default_rng(0).normal(size=(4, len(labels)))
    evidence[:, -1] += 3
    figure = plot_evidence(evidence, labels, "anger, taken for fear", None)
    assert_nothing_is_cut_off(figure)
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[-1] in legend
    assert len(legend) == min(3, len(labels))

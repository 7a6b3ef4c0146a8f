from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from m3dfel.emotions import EMOTIONS
from m3dfel.report.evidence import plot_clip_evidence
from m3dfel.synthetic.clips import SyntheticClip, target_frames
from made_up import MAFW, TWO, assert_nothing_is_cut_off, shaded


def figure_of(
    evidence: np.ndarray, labels=EMOTIONS, title: str = "", path: str = "clip.mp4", frames: int = 16
) -> Figure:
    clips = pd.DataFrame({"path": [path]})
    run = SimpleNamespace(labels=labels, frames=frames, clips=clips, evidence=evidence[None])
    return plot_clip_evidence(run, 0, title)


def test_the_three_strongest_emotions_are_named():
    evidence = np.zeros((4, 7))
    evidence[1, [0, 3, 6]] = 3, 2, 1
    (axes,) = figure_of(evidence, title="anger").axes
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["happiness", "anger", "fear"]
    assert axes.get_title(loc="left") == "anger"


def test_target_frames_are_shaded_in_units_of_instances():
    clip = SyntheticClip(seed=0, identity=7, clip=0, emotion="fear")
    shown = np.flatnonzero(target_frames(clip))
    spans = shaded(figure_of(np.zeros((4, 7)), path=str(clip), frames=clip.n_frames))
    assert spans[0][0] == pytest.approx(4 * shown[0] / clip.n_frames)
    assert spans[-1][1] == pytest.approx(4 * (shown[-1] + 1) / clip.n_frames)
    assert not shaded(figure_of(np.zeros((4, 7))))


@pytest.mark.parametrize("labels", [TWO, MAFW])
def test_any_label_set_fits(labels):
    evidence = np.random.default_rng(0).normal(size=(4, len(labels)))
    evidence[:, -1] += 3
    figure = figure_of(evidence, labels, "anger, taken for fear")
    assert_nothing_is_cut_off(figure)
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[-1] in legend
    assert len(legend) == min(3, len(labels))

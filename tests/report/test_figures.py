from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from m3dfel.data.manifest import Clip, Manifest, Problem
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.evaluation.metrics import compute_metrics
from m3dfel.report.figures import plot_confusion, plot_timeline
from m3dfel.report.terminal import print_manifest, print_metrics, print_run, print_timeline


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def results() -> dict:
    """Four clips of happiness, one of them taken for fear, and two of neutral; no others."""
    targets = torch.tensor([0, 0, 0, 0, 2, 2])
    logits = torch.eye(7)[[0, 0, 0, 6, 2, 2]] * 5
    return compute_metrics(logits, targets, EMOTIONS).to_dict()


def timeline(*spans: tuple[float, float], source: str = "film.mp4") -> SimpleNamespace:
    """Faces seen in these spans: happy in the first half of their clips, then afraid."""
    clips, instances = [], []
    for face, (start, end) in enumerate(spans, start=1):
        borders = np.linspace(start, end, 9)
        for place in range(5):
            emotion = "happiness" if place < 3 else "fear"
            shares = {f"p_{e}": 0.7 if e == emotion else 0.05 for e in EMOTIONS}
            span = {"start_s": borders[place], "end_s": borders[place + 4]}
            for part in range(4):
                own = {"start_s": borders[place + part], "end_s": borders[place + part + 1]}
                evidence = {f"evidence_{e}": float(e == emotion) for e in EMOTIONS}
                instances.append({"face": face, "clip": len(clips), **own, **evidence})
            answer = {"emotion": emotion, "confidence": 0.7, **shares, "mark": ""}
            clips.append({"face": face, **span, **answer})
    columns = ["face", "start_s", "end_s", "emotion", "confidence", "mark"]
    return SimpleNamespace(
        source=source,
        labels=EMOTIONS,
        clips=pd.DataFrame(clips, columns=None if clips else columns),
        instances=pd.DataFrame(instances),
        note="" if spans else "no face was found in film.mp4",
    )


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def rows_named(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_text() in EMOTIONS]


def shaded(figure: Figure) -> list[tuple[float, float]]:
    """Spans over a block's whole height, in seconds."""
    return [
        (patch.get_x(), patch.get_x() + patch.get_width())
        for axes in figure.axes
        for patch in axes.patches
        if isinstance(patch, Rectangle) and patch.get_zorder() == 0
    ]


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


# --- figures -------------------------------------------------------------------------------------


def test_the_confusion_figure_tells_percent_counts_and_where_there_are_no_clips(results, tmp_path):
    said = texts(plot_confusion([results], ["my model"], tmp_path / "confusion.png"))
    assert is_picture(tmp_path / "confusion.png")
    assert {"75.0", "25.0", "100.0", "3", "1", "my model", "4 clips"} <= set(said)
    assert said.count("no clips") == 5
    assert any("WAR 83.3 %" in text and "UAR 87.5 %" in text for text in said)


def test_two_models_stand_side_by_side_even_with_other_labels(results):
    fewer = compute_metrics(torch.eye(3)[[0, 1, 2]], torch.tensor([0, 1, 1]), EMOTIONS[:3])
    figure = plot_confusion([results, fewer.to_dict()], ["one", "two"])
    left, right = figure.axes
    assert left.get_position().x1 < right.get_position().x0
    assert {"one", "two"} <= set(texts(figure))
    assert rows_named(left) == list(EMOTIONS)
    assert rows_named(right) == list(EMOTIONS[:3])
    alike = plot_confusion([results, results], ["one", "two"])
    assert [rows_named(axes) for axes in alike.axes] == [list(EMOTIONS), []]


def test_the_timeline_names_every_row_of_every_face(tmp_path):
    figure = plot_timeline(timeline((0, 4), (1, 2), (3, 60)), tmp_path / "timeline.png")
    assert is_picture(tmp_path / "timeline.png")
    said = texts(figure)
    assert len(figure.axes) == 3
    assert {"face 1", "face 2", "face 3"} <= set(said)
    assert all(said.count(emotion) >= 3 for emotion in EMOTIONS)
    assert len({axes.get_xlim() for axes in figure.axes}) == 1, "one scale of time for all"
    assert not shaded(figure)


def test_the_timeline_stresses_what_is_likeliest():
    figure = plot_timeline(timeline((0, 4)))
    bold = {t.get_text() for t in figure.axes[0].texts if t.get_fontweight() == "bold"}
    assert bold == {"face 1", "happiness", "fear"}


def test_the_timeline_says_why_a_face_is_not_read_and_stresses_no_doubt():
    film = timeline((0, 4))
    shares = [f"p_{e}" for e in EMOTIONS]
    film.clips.loc[:1, ["emotion", "confidence", *shares]] = None
    film.clips.loc[:1, "mark"] = "turned away"
    film.clips.loc[2, "mark"] = "uncertain"
    figure = plot_timeline(film)
    assert "turned away" in texts(figure)
    bold = {t.get_text() for t in figure.axes[0].texts if t.get_fontweight() == "bold"}
    assert bold == {"face 1", "fear"}


def test_target_frames_are_shaded_where_the_truth_is_above_half_its_peak():
    truth = np.array([0.0] * 25 + [0.4] * 25 + [0.9] * 25 + [0.0] * 25)
    figure = plot_timeline(timeline((0, 4)), truth=truth, fps=25)
    assert shaded(figure) == [pytest.approx((1 * 2, 3))]
    assert "true target frames" in texts(figure)
    assert not shaded(plot_timeline(timeline((0, 4)), truth=np.zeros(100)))


def test_a_timeline_without_a_face_says_so(tmp_path):
    said = texts(plot_timeline(timeline(), tmp_path / "empty.png"))
    assert "No face in film.mp4" in said
    assert "no face was found in film.mp4" in said
    assert is_picture(tmp_path / "empty.png")


def test_names_with_dollar_signs_are_not_formulas(results, tmp_path):
    plot_timeline(timeline((0, 4), source="$\\frac$.mp4"), tmp_path / "a.png")
    plot_confusion([results], ["$\\frac$"], tmp_path / "b.png")


def test_a_picture_that_cannot_be_written_is_told(results, tmp_path):
    (tmp_path / "confusion.png").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        plot_confusion([results], ["x"], tmp_path / "confusion.png")


# --- tables --------------------------------------------------------------------------------------


def test_metrics_are_printed_with_clips_and_mistakes(results, capsys):
    print_metrics(results | {"left_out": {"unreadable": 3, "problems": 0}}, "runs/[x]")
    rows = {line.split("│")[1].strip(): line for line in capsys_lines(capsys) if "│" in line}
    assert "75.0" in rows["happiness"]
    assert "fear (25.0 %)" in rows["happiness"]
    assert "–" in rows["sadness"]
    assert "83.3" in rows["WAR"]
    assert "87.5" in rows["UAR"]


def test_what_was_left_out_is_told(results, capsys):
    print_metrics(results | {"left_out": {"unreadable": 3, "problems": 0}}, "runs/[x]")
    said = capsys.readouterr().out
    assert "runs/[x]" in said
    assert "left out: 3 unreadable" in said
    assert "problems" not in said


def test_a_timeline_is_printed_one_row_a_change(capsys):
    print_timeline(timeline((0, 4), (1, 5)).clips, "film.mp4")
    rows = [line.split("│") for line in capsys_lines(capsys) if line.startswith("│")]
    cells = [[cell.strip() for cell in row[1:-1]] for row in rows]
    assert cells[:2] == [
        ["1", "0.00", "2.25", "■ happiness", "70"],
        ["", "2.25", "4.00", "■ fear", "70"],
    ]
    assert [row[0] for row in cells] == ["1", "", "2", ""]


def test_what_is_not_certain_is_printed_by_its_mark(capsys):
    clips = timeline((0, 4)).clips
    clips.loc[:1, ["emotion", "confidence"]] = None
    clips.loc[:1, "mark"] = "too small"
    clips.loc[2, "mark"] = "uncertain"
    print_timeline(clips, "film.mp4")
    rows = [line.split("│") for line in capsys_lines(capsys) if line.startswith("│")]
    assert [[cell.strip() for cell in row[4:6]] for row in rows] == [
        ["too small", "–"],
        ["uncertain", "70"],
        ["■ fear", "70"],
    ]


def test_an_empty_timeline_prints_its_sentence_only(capsys):
    print_timeline(timeline().clips, "film.mp4", note="no face was found in [film].mp4")
    assert capsys.readouterr().out == "no face was found in [film].mp4\n"


def test_a_run_tells_how_each_model_was_chosen(results, capsys):
    row = {"epoch": 3, "val": results}
    print_run({"last": row, "best_on_val": row | {"epoch": 2, "test": results}}, "runs/a")
    said = capsys.readouterr().out
    assert "last epoch" in said
    assert "best on validation" in said
    assert "flatters" not in said
    print_run({"last": row, "best_on_test": row | {"test": results}}, "runs/a")
    assert "flatters" in capsys.readouterr().out


def test_a_manifest_is_printed_with_all_its_problems(capsys):
    clips = (Clip("a", "video", "fear", "train"), Clip("b", "video", "fear", "test"))
    print_manifest(Manifest("DFEW", "DFEW", clips, (Problem("c.mp4", "is empty"),)))
    said = capsys.readouterr().out
    assert "c.mp4: is empty" in said
    assert "usable clips: 2; problems: 1" in said


def capsys_lines(capsys) -> list[str]:
    return capsys.readouterr().out.splitlines()

from pathlib import Path

import pandas as pd

from m3dfel.report.coverage import plot_risk_coverage
from made_up import assert_nothing_is_cut_off, is_png, texts

CURVE = pd.DataFrame({"coverage": [0.5, 1.0], "confidence": [0.9, 0.4], "accuracy": [1.0, 0.75]})
SURE = {"min_confidence": 0.5, "answered": 0.5, "answered_right": 1.0}
SILENT = {"min_confidence": 0.95, "answered": 0.0, "answered_right": None}


def test_the_curve_marks_where_the_model_becomes_uncertain(tmp_path: Path):
    figure = plot_risk_coverage([CURVE], [SURE], ["my model"], tmp_path / "curve.png")
    assert is_png(tmp_path / "curve.png")
    assert "50 %" in texts(figure)
    assert "my model" not in texts(figure)
    line, dot = figure.axes[0].lines
    assert line.get_xydata().tolist() == [[50, 100], [100, 75]]
    assert dot.get_xydata().tolist() == [[50, 100]]
    assert_nothing_is_cut_off(figure)


def test_several_models_are_named(tmp_path: Path):
    figure = plot_risk_coverage([CURVE, CURVE], [SURE, SILENT], ["one", "$\\frac$"])
    assert {"one", "50 %"} <= set(texts(figure))
    assert len(figure.axes[0].lines) == 3
    figure.savefig(tmp_path / "curve.png")

import numpy as np

from m3dfel.report.curves import plot_curves
from made_up import assert_nothing_is_cut_off


def history(epochs: int) -> list[dict]:
    return [
        {"epoch": epoch, "loss": 1 / epoch, "val": {"war": 0.5, "uar": 0.25}}
        for epoch in range(1, epochs + 1)
    ]


def test_curves_show_loss_and_validation_metrics_of_every_run():
    figure = plot_curves({"first": history(3), "second": history(5)})
    loss, war, uar = figure.axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["first", "second"]
    assert loss.lines[0].get_ydata().tolist() == [1, 1 / 2, 1 / 3]
    assert war.lines[1].get_ydata().tolist() == [50] * 5
    assert uar.lines[1].get_ydata().tolist() == [25] * 5
    assert_nothing_is_cut_off(figure)


def test_without_validation_clips_only_the_loss_is_drawn():
    rows = [{"epoch": row["epoch"], "loss": row["loss"]} for row in history(3)]
    loss, war, uar = plot_curves({"run": rows}).axes
    assert np.isfinite(loss.lines[0].get_ydata()).all()
    assert np.isnan(war.lines[0].get_ydata()).all()
    assert np.isnan(uar.lines[0].get_ydata()).all()

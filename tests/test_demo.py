from pathlib import Path

import pandas as pd
import pytest

import m3dfel.data.layouts.synthetic
import m3dfel.demo
from m3dfel.demo import demo_config, run_demo


@pytest.fixture
def short(monkeypatch):
    """Shorten the demo to a few clips and one epoch."""
    few = {"train": range(0, 3), "val": range(80, 81), "test": range(100, 101)}
    monkeypatch.setattr(m3dfel.data.layouts.synthetic, "SYNTHETIC_SPLITS", few)
    monkeypatch.setattr(m3dfel.demo, "SYNTHETIC_SPLITS", few)

    def config(run: Path):
        settings = demo_config(run)
        settings.stages[0]["optim.epochs"] = settings.optim.epochs = 1
        settings.model.backbone_options["width"] = 4
        return settings

    monkeypatch.setattr(m3dfel.demo, "demo_config", config)


def test_the_demo_prints_and_writes_its_results(short, tmp_path: Path, capsys):
    run_demo(tmp_path)
    text = " ".join(capsys.readouterr().out.split())
    for words in ("1/3", "2/3", "3/3", "WAR", "UAR", "truth: happiness, surprise, anger", "Next"):
        assert words in text
    for name in ("results.json", "confusion.png", "held_out.mp4", "held_out.png", "held_out.csv"):
        assert (tmp_path / name).stat().st_size > 0
    truth = pd.read_csv(tmp_path / "held_out_truth.csv")
    assert truth["target"].any()
    assert not truth["target"].all()


def test_the_demo_predicts_a_video_of_the_user(short, tmp_path: Path, shared: Path, capsys):
    run_demo(tmp_path, str(shared / "data" / "videos" / "single_face.mp4"))
    assert (tmp_path / "single_face.csv").exists()
    table = pd.read_csv(tmp_path / "single_face.csv")
    assert table["emotion"].iloc[-5:].eq("happiness").any()


def test_the_demo_uses_the_recipe_synthetic(tmp_path: Path):
    config = demo_config(tmp_path)
    assert (config.data.path, config.model.size, config.output) == (
        "synthetic",
        48,
        str(tmp_path),
    )

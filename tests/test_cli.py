import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from m3dfel.cli import main
from m3dfel.emotions import EMOTIONS
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.video.decode import read_video, write_video
from small_data import write_frames


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The folder of a tiny model that knows nothing."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    M3DFEL(size=32, backbone_options={"width": 4, "depth": 10}).save_pretrained(folder)
    return folder


def said(capsys) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_help_names_every_command_and_a_first_step(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for command in ("train", "evaluate", "predict", "crossval", "ablate", "compare", "failures"):
        assert command in text
    assert "m3dfel demo" in text


def test_every_setting_is_explained(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "λ of the intensity-aware loss" in text
    assert "an official fold of the data set" in text


def test_a_recipe_can_be_printed_with_overrides(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--config", "dfew", "--optim.lr", "0.001", "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["optim"]["lr"] == 0.001
    assert config["optim"]["epochs"] == 300


def test_several_data_sets_are_given_as_a_list(capsys):
    words = ["--data.path", "[a.csv, b.csv]", "--data.shares", "[2, 1]"]
    with pytest.raises(SystemExit):
        main(["train", *words, "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["data"]["path"] == ["a.csv", "b.csv"]
    assert config["data"]["shares"] == [2, 1]
    assert main(["train", *words[:3], "[2]", "--output", "x"]) == 2
    assert said(capsys).count("data.shares is [2.0] but must be one number for each path") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "--config", "nonesuch"], "no recipe 'nonesuch'"),
        (["train", "--config", "dfew", "--output", "x"], "data.path is '' but must be"),
        (["train", "--data.path", "gone", "--output", "x"], "no data set at gone"),
        (["evaluate", "--model", "gone", "--data", "synthetic", "--output", "x"], "no model"),
        (["predict", "film.mp4", "--model", "gone"], "no model at gone"),
        (["predict", "a.mp4", "b.mp4", "--model", "gone"], "no model at gone"),
        (["predict", "film.mp4", "--region", "1,2"], "must be x1,y1,x2,y2 in pixels"),
        (["predict", "film.mp4", "--baseline", "rest"], "must be START,END in seconds"),
        (["predict", "film.mp4", "--persons", "gone.csv"], "cannot be read as a table of persons"),
        (["summarize", "gone"], "there is no prediction in gone"),
        (["export", "gone", "--output", "x"], "no model at gone"),
        (["predict", "film.mp4", "--jobs", "0"], "jobs"),
        (["predict", "film.mp4", "--formats", "csv,xls"], "unknown format 'xls': use one of csv"),
        (["live", "gone.mp4"], "no video file gone.mp4"),
        (["live", "film.mp4", "--record", "me.avi"], "give a name that ends in .mp4"),
        (["data", "check", "gone"], "no data set at gone"),
    ],
)
def test_bad_input_is_one_sentence_and_a_non_zero_exit(
    words, sentence: str, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    text = said(capsys)
    assert sentence in text
    assert "Traceback" not in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--model.aggregation", "lstm"], {}),
        (["--model.aggregation=lstm"], {}),
        (["--model.aggregation", "lstm", "--model.aggregation_options.a", "1"], {"a": 1}),
        (["--model.aggregation_options.a", "1", "--model.aggregation", "lstm"], {"a": 1}),
    ],
)
def test_naming_an_aggregation_resets_the_options_of_the_recipe(words, options, capsys):
    with pytest.raises(SystemExit):
        main(["train", "--config", "synthetic", *words, "--print_config"])
    model = yaml.safe_load(capsys.readouterr().out)["model"]
    assert (model["aggregation"], model["aggregation_options"]) == ("lstm", options)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--optim.lr", "fast"], "optim.lr is 'fast' but must be a number, above 0"),
        (["--optim.lr", "-1"], "optim.lr is -1 but must be above 0"),
        (["--select", "f1"], "select is f1 but must be one of 'war', 'uar'"),
        (["--optim.rate", "1"], "unrecognized arguments: --optim.rate"),
    ],
)
def test_a_wrong_setting_is_explained_and_points_to_the_help(words, sentence: str, capsys):
    assert main(["train", "--config", "dfew", *words]) == 2
    text = said(capsys)
    assert sentence in text
    assert "see m3dfel train --help" in text


def test_help_lists_the_parts_with_their_options(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    assert "r3d          width=64, depth=18" in text
    assert "dliam        bilstm=True" in text
    assert "recipes: bundled, dfew" in text
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    assert "ResNet-18 + Transformer" in capsys.readouterr().out


def test_a_plugin_adds_a_part_by_name(tmp_path: Path, capsys):
    plugin = tmp_path / "own_parts.py"
    plugin.write_text(
        "from m3dfel.models.aggregation import Aggregation\n"
        "from m3dfel.models.pooling import MeanPooling\n"
        "from m3dfel.registry import AGGREGATIONS\n"
        "@AGGREGATIONS.register('own-mean')\n"
        "class OwnMean(Aggregation):\n"
        "    def __init__(self, features, bag_size, *, scale: float = 1.0):\n"
        "        super().__init__(features, MeanPooling())\n"
    )
    with pytest.raises(SystemExit):
        main(["--plugin", str(plugin), "train", "--help"])
    assert "own-mean     scale=1.0" in capsys.readouterr().out
    assert main(["--plugin", str(tmp_path / "gone.py"), "train"]) == 2
    assert "cannot import the plugin" in said(capsys)
    assert main(["train", "--plugin"]) == 2
    assert "--plugin names nothing" in said(capsys)


def test_a_run_from_recipe_to_evaluation_and_back(dfew: Path, tmp_path: Path, capsys):
    words = [
        "train",
        "--config",
        "dfew",
        "--data.path",
        str(dfew),
        "--output",
        str(tmp_path / "run"),
    ]
    for name, value in {
        "model.weights": "none",
        "model.backbone_options.width": 4,
        "model.size": 32,
        "optim.epochs": 1,
        "optim.warmup_epochs": 0,
        "optim.batch_size": 4,
        "accelerator": "cpu",
        "workers": 0,
    }.items():
        words += [f"--{name}", str(value)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "WAR" in text
    assert "Loading weights" not in text
    assert main(words) == 2
    assert "already holds a run" in said(capsys)
    assert main(["train", "--output", str(tmp_path / "run"), "--resume"]) == 0
    assert main(["train", f"--output={tmp_path / 'run'}", "--resume"]) == 0

    out = tmp_path / "results"
    words = ["evaluate", "--model", str(tmp_path / "run"), "--data", str(dfew), "--workers", "0"]
    assert main([*words, "--output", str(out)]) == 0
    first = (out / "results.json").read_bytes()
    results = json.loads(first)
    assert results["split"] == "test"
    assert set(results["recall"]) == set(results["support"]) == set(EMOTIONS)
    assert np.array(results["confusion"]).sum(1) == pytest.approx(np.ones(7))
    clips = pd.read_csv(out / "clips.csv")
    assert len(clips) == 7
    assert clips["right"].mean() == pytest.approx(results["war"])
    for name in ("confusion.png", "risk_coverage.png", "risk_coverage.csv"):
        assert (out / name).stat().st_size > 0
    assert main([*words, "--output", str(out)]) == 0
    assert (out / "results.json").read_bytes() == first, "evaluation is the same every time"


def test_two_models_stand_side_by_side(model: Path, dfew: Path, tmp_path: Path):
    words = ["--data", str(dfew), "--workers", "0", "--output", str(tmp_path)]
    other = tmp_path / "other"
    M3DFEL(size=32, bag_size=2, backbone_options={"width": 4, "depth": 10}).save_pretrained(other)
    assert main(["evaluate", "--model", str(model), str(other), *words]) == 0
    assert len(list(tmp_path.glob("*/results.json"))) == 2
    assert (tmp_path / "confusion.png").exists()
    assert (tmp_path / "risk_coverage.png").exists()


def test_clips_outside_the_label_set_are_left_out_and_counted(dfew: Path, tmp_path: Path):
    M3DFEL(EMOTIONS[:6], size=32, backbone_options={"width": 4, "depth": 10}).save_pretrained(
        tmp_path / "six"
    )
    words = ["evaluate", "--model", str(tmp_path / "six"), "--data", str(dfew), "--workers", "0"]
    assert main([*words, "--output", str(tmp_path / "out")]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["clips"] == 6
    assert results["left_out"] == {"problems": 0, "outside_label_set": 1, "unreadable": 0}


def test_a_still_set_is_evaluated_from_its_csv(model: Path, tmp_path: Path):
    write_frames(tmp_path / "faces", 3)
    (tmp_path / "faces.csv").write_text("file,emotion\n1.jpg,happiness\n2.jpg,fear\n3.jpg,fear\n")
    words = ["--data", str(tmp_path / "faces.csv"), "--output", str(tmp_path / "out")]
    assert main(["evaluate", "--model", str(model), *words, "--workers", "0"]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["support"]["fear"] == 2
    assert results["recall"]["anger"] is None


def test_prediction_writes_the_table_that_others_script_against(
    model: Path, tmp_path: Path, capsys
):
    write_frames(tmp_path / "frames", 30, side=48)
    words = ["--model", str(model), "--output", str(tmp_path / "out"), "--aligned"]
    assert main(["predict", str(tmp_path / "frames"), *words]) == 0
    table = pd.read_csv(tmp_path / "out" / "frames.csv")
    expected = ["face", "person", "start_s", "end_s", "emotion", "confidence"]
    assert list(table.columns) == [*expected, *(f"p_{e}" for e in EMOTIONS), "mark"]
    assert table.filter(like="p_").sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-3)
    assert "frames" in capsys.readouterr().out


def test_a_bad_video_among_good_ones_is_told_and_passed_over(model: Path, tmp_path: Path, capsys):
    (tmp_path / "bad.mp4").write_bytes(b"not a video")
    write_video(tmp_path / "good.mp4", np.zeros((20, 48, 48, 3), np.uint8), 25)
    words = ["--model", str(model), "--output", str(tmp_path / "out"), "--aligned"]
    paths = [str(tmp_path / "bad.mp4"), str(tmp_path / "good.mp4")]
    assert main(["predict", *paths, *words]) == 0
    assert "bad.mp4 is not a video" in said(capsys)
    assert (tmp_path / "out" / "good.csv").exists()
    assert main(["predict", paths[0], *words]) == 2


def test_a_video_without_a_face_is_told_and_leaves_an_empty_table(
    model: Path, shared: Path, tmp_path: Path, capsys
):
    video = shared / "data" / "videos" / "no_face.mp4"
    assert main(["predict", str(video), "--model", str(model), "--output", str(tmp_path)]) == 2
    assert "no face was found in" in said(capsys)
    assert len(pd.read_csv(tmp_path / "no_face.csv")) == 0


def test_checking_data_tells_what_is_wrong_and_exits_so(dfew: Path, capsys):
    assert main(["data", "check", str(dfew)]) == 0
    broken = dfew / "Clip" / "clip_224x224" / "00003" / "1.jpg"
    broken.write_bytes(b"cut short")
    assert main(["data", "check", str(dfew)]) == 2
    assert "00003" in capsys.readouterr().out


def test_prediction_writes_the_formats_and_the_video_asked_for(model: Path, tmp_path: Path, capsys):
    write_video(tmp_path / "film.mp4", np.zeros((10, 32, 32, 3), np.uint8), 25)
    words = ["--model", str(model), "--aligned", "--output", str(tmp_path / "out")]
    words += ["--formats", "csv", "srt,eaf", "--video"]
    assert main(["predict", str(tmp_path / "film.mp4"), *words]) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["film.csv", "film.eaf", "film.srt", "film_annotated.mp4"]
    assert len(list(read_video(tmp_path / "out" / "film_annotated.mp4"))) == 10


def test_help_of_predict_lists_the_formats(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    text = capsys.readouterr().out
    assert "eaf          annotations for ELAN" in text
    assert "--video" in text


def test_an_exported_model_predicts_like_the_original(model: Path, tmp_path: Path, capsys):
    write_frames(tmp_path / "frames", 30, side=48)
    exported = tmp_path / "exported"
    words = ["export", str(model), "--format", "torch", "--output", str(exported)]
    assert main(words) == 0
    assert "its logits differ by" in " ".join(capsys.readouterr().out.split())
    tables = []
    for name in model, exported:
        words = ["--model", str(name), "--output", str(tmp_path / name.name), "--aligned"]
        assert main(["predict", str(tmp_path / "frames"), *words]) == 0
        tables.append(pd.read_csv(tmp_path / name.name / "frames.csv"))
    pd.testing.assert_frame_equal(*tables, check_exact=False, atol=1e-4)


def test_help_of_export_lists_the_formats(capsys):
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "openvino     for OpenVINO" in capsys.readouterr().out


def test_live_prints_a_line_of_json_for_each_update(model: Path, tmp_path: Path, capsys):
    write_video(tmp_path / "film.mp4", np.zeros((30, 48, 48, 3), np.uint8), 25)
    words = ["--model", str(model), "--json", "--clip_s", "0.4", "--smooth_s", "0"]
    assert main(["live", str(tmp_path / "film.mp4"), *words]) == 0
    assert capsys.readouterr().out == "", "no face, no update"


def test_one_person_of_a_region_at_rest(model: Path, tmp_path: Path, capsys):
    write_frames(tmp_path / "frames", 40, side=48)
    (tmp_path / "map.csv").write_text("video,face,person\nframes,1,7\n")
    words = ["predict", str(tmp_path / "frames"), "--model", str(model), "--aligned"]
    words += ["--output", str(tmp_path / "out"), "--persons", str(tmp_path / "map.csv")]
    words += ["--person", "7", "--region", "0,0,48,48", "--baseline", "0,1"]
    assert main(words) == 0
    settings = json.loads((tmp_path / "out" / "frames.json").read_text())["settings"]
    assert settings["persons"] == [[1, 7]]
    assert (settings["person"], settings["baseline"]) == (7, "0,1")
    assert list(settings["baseline_offsets"]) == ["7"]
    assert set(pd.read_csv(tmp_path / "out" / "frames.csv")["person"]) == {7}
    assert main([*words, "--person", "8"]) == 2
    assert "person 8 is not in" in said(capsys)

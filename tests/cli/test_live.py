"""The command `m3dfel live`."""

from pathlib import Path

import numpy as np

from m3dfel.cli import main
from m3dfel.video.encode import write_video


def test_live_prints_a_line_of_json_for_each_update(model: Path, tmp_path: Path, capsys):
    write_video(tmp_path / "film.mp4", np.zeros((30, 48, 48, 3), np.uint8), 25)
    words = ["--model", str(model), "--json", "--clip_s", "0.4", "--smooth_s", "0"]
    assert main(["live", str(tmp_path / "film.mp4"), *words]) == 0
    output = capsys.readouterr()
    assert output.out == "", "no face, no update"
    assert "no face was found" in output.err


def test_live_ends_with_the_spans(shared: Path, tmp_path: Path, capsys):
    video = shared / "data" / "videos" / "single_face.mp4"
    assert main(["live", str(video)]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "from s" in output
    assert "happiness" in output
    assert "nothing was kept; --record FILE keeps a video" in output

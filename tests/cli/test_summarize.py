"""The command `m3dfel summarize`."""

from pathlib import Path

import pandas as pd

from m3dfel.cli import main
from m3dfel.predictions.prediction import Prediction


def test_the_command_reads_what_predict_wrote(prediction: Prediction, tmp_path: Path, capsys):
    prediction.save(tmp_path, ["json", "csv"])
    (tmp_path / "other.json").write_text("{}")
    assert main(["summarize", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "summary.csv")
    assert table["person"].tolist() == [1, 2, 3]
    assert (tmp_path / "summary.png").stat().st_size > 1000
    assert "summary.*" in "".join(capsys.readouterr().out.split())
    assert main(["summarize", str(tmp_path), "--output", str(tmp_path / "elsewhere")]) == 0
    assert (tmp_path / "elsewhere" / "summary.csv").exists()

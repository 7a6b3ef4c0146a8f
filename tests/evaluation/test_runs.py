import json
from pathlib import Path

import pytest

from m3dfel.cli import main
from m3dfel.errors import InputError
from m3dfel.evaluation.runs import read_run


def test_a_folder_without_a_finished_run_is_an_input_error(tmp_path: Path, capsys):
    for command in ("report", "failures"):
        assert main([command, str(tmp_path / "gone")]) == 2
        assert "holds no finished run" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "results.json").write_text(json.dumps({}))
    with pytest.raises(InputError, match=r"results.json, clips.csv, instances.csv"):
        read_run(tmp_path)

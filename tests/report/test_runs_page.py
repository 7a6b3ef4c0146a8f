import base64
import re
import shutil
from pathlib import Path

import pytest

from m3dfel.cli import main
from m3dfel.errors import InputError
from m3dfel.evaluation.runs import read_run, short_names
from m3dfel.experiments.compare import compare
from m3dfel.report.runs_page import write_report
from small_data import tiny


def test_the_page_shows_all_runs_and_needs_only_their_folders(ferv39k: Path, tmp_path: Path):
    config = tiny(tmp_path / "runs", ferv39k, epochs=1, warmup_epochs=0)
    compare(config, [0], ["m3dfel", "r3d", "mc3"])
    shutil.rmtree(ferv39k)
    runs = [str(tmp_path / "runs" / name / "seed-0") for name in ("m3dfel", "r3d", "mc3")]
    page = tmp_path / "report.html"
    assert main(["report", *runs, "--output", str(page)]) == 0
    text = page.read_text()
    assert "M3DFEL (2023), published" in text
    assert "masked pretraining, VoxCeleb2" in text
    assert "mc3/seed-0" in text
    assert "backbone: r3d" in text
    assert "torch:" in text
    assert not re.search(r"(src|href)=\"(?!data:|#)", text), "nothing is loaded from elsewhere"
    images = re.findall(r"data:image/png;base64,([^\"]+)", text)
    assert "how many of all clips are recognized correctly" in text
    assert text.count('<div class="wide" role="region" tabindex="0"') == 1 + len(images) - 3 * 7
    assert len(images) == 2 + 2 + 3 * 7
    assert all(base64.b64decode(image).startswith(b"\x89PNG") for image in images)


def test_runs_with_different_label_sets_are_an_input_error(ferv39k: Path, tmp_path: Path):
    runs = []
    for name, labels in (("all", None), ("two", ["happiness", "anger"])):
        config = tiny(tmp_path / name, ferv39k, epochs=1, warmup_epochs=0)
        config.data.labels = labels or config.data.labels
        compare(config, [0], ["m3dfel"])
        runs.append(read_run(tmp_path / name / "m3dfel/seed-0"))
    assert short_names(runs) == ["all/m3dfel/seed-0", "two/m3dfel/seed-0"]
    with pytest.raises(InputError, match="different label sets"):
        write_report(runs, tmp_path / "report.html")

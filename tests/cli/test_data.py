"""The command `m3dfel data`."""

from pathlib import Path

from m3dfel.cli import main


def test_checking_data_tells_what_is_wrong_and_exits_so(dfew: Path, capsys):
    assert main(["data", "check", str(dfew)]) == 0
    broken = dfew / "Clip" / "clip_224x224" / "00003" / "1.jpg"
    broken.write_bytes(b"cut short")
    assert main(["data", "check", str(dfew)]) == 2
    assert "00003" in capsys.readouterr().out

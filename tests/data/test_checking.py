from pathlib import Path

from m3dfel.data.checking import check_data
from small_data import write_frames


def test_every_frame_is_read(tmp_path: Path):
    for name in ("a", "b"):
        write_frames(tmp_path / "fear" / name, 3)
    (tmp_path / "fear" / "b" / "3.jpg").write_bytes(b"cut short")
    manifest = check_data(str(tmp_path))
    assert [Path(clip.path).name for clip in manifest.clips] == ["a"]
    assert "3.jpg" in manifest.problems[0].what

from pathlib import Path

from m3dfel.data.manifest import read_manifest
from m3dfel.emotions import EMOTIONS


def test_ferv39k_is_read_in_the_layout_of_its_authors(ferv39k: Path):
    manifest = read_manifest(str(ferv39k))
    assert not manifest.problems
    assert len(manifest.split("train")) == 14
    assert {clip.emotion for clip in manifest.split("test")} == set(EMOTIONS)

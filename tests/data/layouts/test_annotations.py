"""Labels of whole scenes: documents of ELAN, events of BORIS, and tables with spans."""

from pathlib import Path

import pympi
import pytest

from m3dfel.data.layouts import find_layout
from m3dfel.data.manifest import read_manifest
from m3dfel.errors import InputError


def entries(path: Path):
    _, layout = find_layout(path)
    return [
        (Path(e.path).name, e.emotion, e.identity, e.span_s, e.problem)
        for e in layout.read(path, 1)
    ]


def write_eaf(path: Path, media: str, **tiers: list[tuple[int, int, str]]) -> None:
    document = pympi.Eaf()
    document.remove_tier("default")
    document.add_linked_file(f"file:///elsewhere/{media}", f"./{media}", "video/mp4")
    for tier, spans in tiers.items():
        document.add_tier(tier.replace("_", " "))
        for start_ms, end_ms, word in spans:
            document.add_annotation(tier.replace("_", " "), start_ms, end_ms, word)
    document.to_file(path)


def test_elan_documents_have_a_tier_for_each_person(tmp_path: Path):
    (tmp_path / "talk.mp4").touch()
    spans = [(2000, 3500, "sadness"), (500, 1500, "happiness")]
    write_eaf(tmp_path / "talk.eaf", "talk.mp4", Anna=spans, person_1=[(0, 900, "fear")])
    found = [
        ("talk.mp4", "happiness", "Anna", (0.5, 1.5), ""),
        ("talk.mp4", "sadness", "Anna", (2.0, 3.5), ""),
        ("talk.mp4", "fear", "talk person 1", (0.0, 0.9), ""),
    ]
    assert entries(tmp_path / "talk.eaf") == found
    assert entries(tmp_path) == found


def test_the_video_of_a_document_may_have_moved(tmp_path: Path):
    (tmp_path / "renamed.mov").touch()
    write_eaf(tmp_path / "renamed.eaf", "talk.mp4", Anna=[(0, 900, "fear")])
    assert entries(tmp_path / "renamed.eaf")[0][0] == "renamed.mov"


def test_a_document_that_is_none_is_an_error(tmp_path: Path):
    (tmp_path / "talk.eaf").write_text("<xml")
    with pytest.raises(InputError, match=r"cannot read .*talk\.eaf as a document of ELAN"):
        entries(tmp_path / "talk.eaf")


def test_boris_events_start_and_stop(tmp_path: Path):
    (tmp_path / "talk.mp4").touch()
    (tmp_path / "events.csv").write_text(
        "Observation id,Media file name,Subject,Behavior,Behavior type,Time\n"
        "o,C:\\videos\\talk.mp4,Anna,fear,START,0.5\n"
        "o,C:\\videos\\talk.mp4,No focal subject,anger,START,1\n"
        "o,C:\\videos\\talk.mp4,Anna,fear,STOP,2\n"
        "o,C:\\videos\\talk.mp4,Anna,laugh,POINT,2\n"
        "o,C:\\videos\\talk.mp4,No focal subject,anger,STOP,2.5\n"
        "o,C:\\videos\\talk.mp4,Anna,sadness,START,3\n"
    )
    assert entries(tmp_path / "events.csv") == [
        ("talk.mp4", "fear", "Anna", (0.5, 2.0), ""),
        ("talk.mp4", "anger", "", (1.0, 2.5), ""),
        ("events.csv", "sadness", "", None, "sadness starts at 3 s in o but never stops"),
    ]


def test_boris_aggregated_events_have_both_in_a_row(tmp_path: Path):
    (tmp_path / "talk.mp4").touch()
    (tmp_path / "events.tsv").write_text(
        "Observation id\tSource\tSubject\tBehavior\tBehavior type\tStart (s)\tStop (s)\n"
        "o\tplayer #1:talk.mp4\tperson 2\tfear\tSTATE\t0.5\t2\n"
        "o\tplayer #1:talk.mp4\tperson 2\tlaugh\tPOINT\t1\t1\n"
    )
    assert entries(tmp_path / "events.tsv") == [
        ("talk.mp4", "fear", "talk person 2", (0.5, 2.0), "")
    ]


def test_scenes_have_to_be_cropped_before_training(tmp_path: Path):
    write_eaf(tmp_path / "talk.eaf", "talk.mp4", Anna=[(0, 900, "fear")])
    with pytest.raises(InputError, match=r"labels whole scenes, .* `m3dfel data crop"):
        read_manifest(str(tmp_path / "talk.eaf"))

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from m3dfel.data.layouts import find_layout
from m3dfel.errors import InputError

HEADING = '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"\n'


def read(root: Path):
    name, layout = find_layout(root)
    assert name == "CREMA-D"
    return list(layout.read(root, 1))


def write_videos(root: Path, *names: str) -> None:
    (root / "VideoFlash").mkdir(parents=True, exist_ok=True)
    for name in names:
        (root / "VideoFlash" / f"{name}.flv").touch()


def test_labels_are_the_votes_on_the_face_alone(tmp_path: Path):
    write_videos(
        tmp_path, "1001_DFA_ANG_XX", "1001_IEO_HAP_LO", "1002_IEO_SAD_HI", "1002_IEO_FEA_XX"
    )
    (tmp_path / "processedResults").mkdir()
    (tmp_path / "processedResults" / "tabulatedVotes.csv").write_text(
        HEADING
        + '"100001",0,0,0,9,0,0,"1001_DFA_ANG_XX",9,1,"H"\n'
        + '"200001",8,1,0,0,1,0,"1001_DFA_ANG_XX",10,0.8,"A"\n'
        + '"200002",0,0,0,3,6,0,"1001_IEO_HAP_LO",9,0.6,"N"\n'
        + '"300002",0,0,0,9,0,0,"1001_IEO_HAP_LO",9,1,"H"\n'
        + '"200003",0,0,4,0,2,4,"1002_IEO_SAD_HI",10,0.4,"F:S"\n'
        + '"200004",4,4,0,0,2,0,"1002_IEO_FEA_XX",10,0.4,"A:D"\n'
    )
    found = {Path(e.path).stem: e for e in read(tmp_path)}
    assert {
        name: (e.emotion, e.identity, e.split) for name, e in found.items() if not e.problem
    } == {
        "1001_DFA_ANG_XX": ("anger", "1001", ""),
        "1001_IEO_HAP_LO": ("neutral", "1001", ""),
        "1002_IEO_SAD_HI": ("sadness", "1002", ""),
    }
    assert found["1001_DFA_ANG_XX"].votes == {"anger": 8, "disgust": 1, "neutral": 1}
    assert found["1002_IEO_FEA_XX"].problem == "as many annotators chose anger and disgust"


def test_a_clip_without_votes_is_a_problem_and_no_table_an_error(tmp_path: Path):
    write_videos(tmp_path, "1001_DFA_ANG_XX")
    with pytest.raises(InputError, match=r"has no .*tabulatedVotes\.csv: copy it"):
        read(tmp_path)
    (tmp_path / "tabulatedVotes.csv").write_text(HEADING)
    assert [entry.problem for entry in read(tmp_path)] == ["not in tabulatedVotes.csv"]


def test_the_real_table_has_the_known_majorities(tmp_path: Path, shared: Path):
    table = shared / "data" / "cremad" / "tabulatedVotes.csv"
    (tmp_path / "tabulatedVotes.csv").write_bytes(table.read_bytes())
    write_videos(tmp_path, *pd.read_csv(table)["fileName"].unique())
    found = read(tmp_path)
    assert len(found) == 7442
    assert len({entry.identity for entry in found}) == 91
    untied = [e for e in found if list(e.votes.values()).count(max(e.votes.values())) == 1]
    assert Counter(entry.emotion for entry in untied) == {
        "neutral": 2076,
        "happiness": 1266,
        "disgust": 1057,
        "anger": 968,
        "fear": 822,
        "sadness": 783,
    }

from pathlib import Path

from m3dfel.data.layouts import find_layout


def test_the_name_of_a_clip_says_emotion_and_actor(tmp_path: Path):
    for name in (
        *("Actor_01/01-01-01-01-01-01-01.mp4", "Actor_12/01-01-06-01-02-01-12.mp4"),
        *("Actor_12/02-01-06-01-02-01-12.mp4", "Actor_12/01-02-03-01-01-01-12.mp4"),
        *("Actor_12/01-01-02-01-01-01-12.mp4", "Actor_12/01-01-x.mp4"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    name, layout = find_layout(tmp_path)
    assert (name, layout.labels[1]) == ("RAVDESS", "calm")
    assert [(e.emotion, e.identity, e.problem) for e in layout.read(tmp_path, 1)] == [
        ("neutral", "actor 01", ""),
        ("calm", "actor 12", ""),
        ("fear", "actor 12", ""),
        ("", "", "its name is not that of a clip of RAVDESS"),
    ]

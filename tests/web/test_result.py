import html
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from m3dfel.emotions import EMOTIONS
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.web.analysis import Analysis
from m3dfel.web.moments import clearest_moments, portraits
from m3dfel.web.result import render, render_result
from small_videos import ScriptedDetector, noise_video, small_model


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    """Two faces for two seconds of a video of four."""
    detector = ScriptedDetector((0, set(range(50))), (70, set(range(50))))
    return Recognizer(small_model(), detector=detector)(noise_video(50, side=128))


def analysis_of(prediction: Prediction, duration_s: float = 4.0, name: str = "film") -> Analysis:
    faces, moments = portraits(prediction), clearest_moments(prediction)
    views = [*faces, *(moment.view for moment in moments)]
    pictures = dict.fromkeys(views, "data:image/jpeg;base64,AAAA")
    files = {kind: Path(f"/results/a b/{name}.{kind}") for kind in ("video", "csv")}
    return Analysis(prediction, duration_s, faces, moments, pictures, files)


def shown_as(prediction: Prediction, **columns: object) -> str:
    clips = prediction.clips.assign(**columns)
    return render_result(analysis_of(replace(prediction, clips=clips)), "en")


def test_each_person_has_a_timeline_and_each_file_a_link(prediction: Prediction):
    page = render_result(analysis_of(prediction), "en")
    assert page.count('class="m3-lane"') == 2
    assert "Person 1" in page
    assert "Person 2" in page
    assert '<video src="gradio_api/file=/results/a%20b/film.video"' in page
    assert 'href="gradio_api/file=/results/a%20b/film.csv" download="film.csv"' in page
    assert 'data-duration="4.0"' in page


def test_a_person_who_comes_back_has_one_timeline(prediction: Prediction):
    """The second face is the first one, two seconds later."""
    late = {
        name: table.assign(**{c: table[c] + 2 * (table["track"] == 2) for c in columns})
        for name, table, columns in (
            ("clips", prediction.clips, ("start_s", "end_s")),
            ("instances", prediction.instances, ("start_s", "end_s")),
            ("frames", prediction.frames, ("time_s",)),
        )
    }
    for name in ("clips", "frames"):
        late[name]["person"] = 1
    page = render_result(analysis_of(replace(prediction, **late)), "en")
    assert page.count('class="m3-lane"') == 1
    assert "Person 2" not in page
    pale = re.search(r'<path d="([^"]*)" fill="#\w+" opacity', page)[1]
    spans = [re.findall(r"[ML ]([\d.]+),", area) for area in pale.split("Z")[:-1]]
    edges = [float(x) for xs in spans for x in (xs[0], xs[-1])]
    assert edges == pytest.approx([0, 500, 500, 1000], abs=5)
    now = json.loads(html.unescape(re.search(r'data-now="([^"]*)"', page)[1]))
    assert max(end_s for _, end_s, _ in now) == pytest.approx(4, abs=0.05)


def test_timelines_span_the_whole_video(prediction: Prediction):
    """So that a click means the same time on each: this face leaves after half of it."""
    page = render_result(analysis_of(prediction), "en")
    areas = re.findall(r'<path d="(M[^"]+)"', page)
    xs = [float(x) for area in areas for x in re.findall(r"[ML ]([\d.]+),", area)]
    assert min(xs) == 0
    assert max(xs) == pytest.approx(500, abs=1)


def test_the_height_is_the_probability_and_strong_color_marks_the_winner(prediction: Prediction):
    certain = {f"p_{e}": 0.02 for e in EMOTIONS} | {"p_anger": 0.9}
    page = shown_as(prediction, **certain, emotion="anger", confidence=0.9, mark="")
    strong = re.findall(r'<path d="([^"]*)" fill="(#\w+)" />', page)[: len(EMOTIONS)]
    assert [bool(area) for area, _ in strong] == [e == "anger" for e in EMOTIONS]
    base = 24 * (EMOTIONS.index("anger") + 1)
    ys = [float(y) for y in re.findall(r",([\d.]+)", strong[EMOTIONS.index("anger")][0])]
    assert min(ys) == pytest.approx(base - 20 * 0.9, abs=0.1)
    assert max(ys) == base
    uncertain = shown_as(prediction, **certain, emotion="anger", confidence=0.9, mark="uncertain")
    assert not any(area for area, _ in re.findall(r'<path d="([^"]*)" fill="(#\w+)" />', uncertain))
    assert "uncertain 2.0 s" in uncertain


def test_an_unreadable_face_says_why(prediction: Prediction):
    missing = {f"p_{e}": np.nan for e in EMOTIONS}
    page = shown_as(prediction, **missing, emotion=None, confidence=np.nan, mark="turned away")
    assert page.count("<b>turned away</b>") == 2
    assert 'style="left: 0.0%; width: 50.0' in page
    assert "turned away 2.0 s" in page


def test_many_people_are_folded(prediction: Prediction):
    tables = {
        name: pd.concat(
            [getattr(prediction, name).assign(track=track, person=track) for track in range(1, 8)]
        )
        for name in ("clips", "instances", "frames")
    }
    crowd = replace(prediction, **{k: t.reset_index(drop=True) for k, t in tables.items()})
    assert "Show 3 more" in render_result(analysis_of(crowd), "en")


def test_chinese_has_the_english_word_of_the_files_beside_it(prediction: Prediction):
    page = render_result(analysis_of(prediction), "zh")
    assert "人物 1" in page
    assert "高兴 <small>happiness</small>" in page
    assert "Download" not in page


def test_what_a_user_names_is_escaped(prediction: Prediction):
    page = render_result(analysis_of(prediction, name='<img src="x">'), "en")
    assert '<img src="x">' not in page
    assert "&lt;" in render("problem.html", "en", sentence="<b>")


@pytest.mark.parametrize(
    ("duration_s", "written"),
    [
        (0.8, "0.0 s 0.2 s 0.4 s 0.6 s 0.8 s"),
        (19.7, "0 s 5 s 10 s 15 s"),
        (600.0, "0 s 2:00 4:00 6:00 8:00 10:00"),
    ],
)
def test_the_axis_has_a_few_round_times(prediction: Prediction, duration_s: float, written: str):
    page = render_result(analysis_of(prediction, duration_s), "en")
    axis = page[page.index('class="m3-axis"') :]
    assert " ".join(re.findall(r"%\">([^<]+)<", axis[: axis.index("</div>")])) == written

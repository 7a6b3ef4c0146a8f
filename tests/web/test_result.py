import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from m3dfel.emotions import EMOTIONS, colors
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.report.portraits import portrait_views
from m3dfel.video.decode import VideoInfo
from m3dfel.web.analysis import Analysis
from m3dfel.web.moments import clearest_moments
from m3dfel.web.result import boxes, render_result, verdict
from small_videos import ScriptedDetector, noise_video, small_model


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    """Two faces for two seconds of a video of four."""
    detector = ScriptedDetector((0, set(range(50))), (70, set(range(50))))
    return Recognizer(small_model(), detector=detector)(noise_video(50, side=128))


def analysis_of(prediction: Prediction, duration_s: float = 4.0, name: str = "film") -> Analysis:
    faces, moments = portrait_views(prediction), clearest_moments(prediction)
    views = [*faces, *(moment.view for moment in moments)]
    pictures = dict.fromkeys(views, "data:image/jpeg;base64,AAAA")
    files = {kind: Path(f"/results/a b/{name}.{kind}") for kind in ("video", "csv")}
    video = VideoInfo(320, 180, 25.0, duration_s)
    prediction = replace(prediction, duration_s=duration_s)
    return Analysis(prediction, video, faces, moments, pictures, files)


def shown_as(prediction: Prediction, **columns: object) -> str:
    clips = prediction.clips.assign(**columns)
    return render_result(analysis_of(replace(prediction, clips=clips)), "j0b", "en")


def test_each_person_has_a_timeline_and_each_file_a_link(prediction: Prediction):
    page = render_result(analysis_of(prediction), "j0b", "en")
    assert page.count('class="lane"') == 2
    assert "Person 1" in page
    assert "Person 2" in page
    assert '<source src="jobs/j0b/video">' in page
    assert 'href="jobs/j0b/files/film.csv" download="film.csv"' in page
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
    page = render_result(analysis_of(replace(prediction, **late)), "j0b", "en")
    assert page.count('class="lane"') == 1
    assert "Person 2" not in page
    pale = re.search(r'<path d="([^"]*)" fill="#\w+" opacity', page)[1]
    spans = [re.findall(r"[ML ]([\d.]+),", area) for area in pale.split("Z")[:-1]]
    edges = [float(x) for xs in spans for x in (xs[0], xs[-1])]
    assert edges == pytest.approx([0, 500, 500, 1000], abs=5)
    tracks = boxes(replace(prediction, **late), "en")
    assert [track["person"] for track in tracks] == [1, 1]
    assert tracks[1]["spans"][-1][1] == pytest.approx(4, abs=0.05)


def test_timelines_span_the_whole_video(prediction: Prediction):
    """So that a click means the same time on each: this face leaves after half of it."""
    page = render_result(analysis_of(prediction), "j0b", "en")
    areas = re.findall(r'<path d="(M[^"]+)"', page)
    xs = [float(x) for area in areas for x in re.findall(r"[ML ]([\d.]+),", area)]
    assert min(xs) == 0
    assert max(xs) == pytest.approx(500, abs=1)


def test_the_height_is_the_probability_and_strong_color_marks_the_winner(prediction: Prediction):
    certain = {f"p_{e}": 0.02 for e in EMOTIONS} | {"p_anger": 0.9}
    page = shown_as(prediction, **certain, emotion="anger", confidence=0.9, mark="")
    chart = page[page.index('class="rows"') : page.index('class="table"')]
    strong = dict(re.findall(r'<path d="([^"]*)" fill="(#\w+)"/>', chart))
    assert set(strong.values()) == {colors(EMOTIONS)["anger"]}
    base = 24 * (EMOTIONS.index("anger") + 1)
    ys = [float(y) for y in re.findall(r",([\d.]+)", next(iter(strong)))]
    assert min(ys) == pytest.approx(base - 20 * 0.9, abs=0.1)
    assert max(ys) == base
    uncertain = shown_as(prediction, **certain, emotion="anger", confidence=0.9, mark="uncertain")
    assert not re.findall(r'<path d="M[^"]*" fill="#\w+"/>', uncertain)
    assert "No certain expression in 2.0 s; 2.0 s uncertain." in uncertain


def test_an_unreadable_face_says_why(prediction: Prediction):
    missing = {f"p_{e}": np.nan for e in EMOTIONS}
    page = shown_as(prediction, **missing, emotion=None, confidence=np.nan, mark="turned away")
    assert page.count("<b>turned away</b>") == 2, "on the lane of each person"
    assert 'style="left: 0.0%; width: 50.0' in page
    assert "No certain expression in 2.0 s; 2.0 s turned away." in page


def test_a_curve_ends_where_the_face_becomes_unreadable(prediction: Prediction):
    """And its path is complete, so that browsers draw what comes after it."""
    clips = prediction.clips.assign(emotion="anger", confidence=0.9, mark="")
    clips[[f"p_{e}" for e in EMOTIONS]] = 0.02
    clips["p_anger"] = 0.9
    late = clips.groupby("track").cumcount() >= len(clips) // 4
    unreadable = [*(f"p_{e}" for e in EMOTIONS), "confidence"]
    clips.loc[late, unreadable], clips.loc[late, "emotion"] = np.nan, None
    clips.loc[late, "mark"] = "blurred"
    page = render_result(analysis_of(replace(prediction, clips=clips)), "j0b", "en")
    paths = re.findall(r'<path d="(M[^"]+Z)"', page)
    assert paths
    assert not any("nan" in path for path in paths)


def test_what_moves_in_each_face_is_below_a_fold(prediction: Prediction):
    assert "What moves in the face" not in shown_as(prediction)
    moving = replace(prediction, movements=("mouthSmile",))
    page = shown_as(moving, movement_mouthSmile=1.0)
    assert page.count("What moves in the face") == 2
    assert "<li>mouth smile</li>" in page
    areas = re.findall(r'<path d="M[\d.]+,24L([^"]+)Z" fill="currentColor"', page)
    assert len(areas) == 2
    # At its highest, and back to the base at the end.
    assert {point.split(",")[1] for point in areas[0].split()} == {"4.0", "24"}


def test_chinese_has_the_english_word_of_the_files_beside_it(prediction: Prediction):
    page = render_result(analysis_of(prediction), "j0b", "zh")
    assert "人物 1" in page
    assert "高兴 <small>happiness</small>" in page
    assert "Download" not in page


def test_what_a_user_names_is_escaped(prediction: Prediction):
    page = render_result(analysis_of(prediction, name='<img src="x">'), "j0b", "en")
    assert '<img src="x">' not in page


@pytest.mark.parametrize(
    ("duration_s", "written"),
    [
        (0.8, "0.0 s 0.2 s 0.4 s 0.6 s 0.8 s"),
        (19.7, "0 s 5 s 10 s 15 s"),
        (600.0, "0 s 2:00 4:00 6:00 8:00 10:00"),
    ],
)
def test_the_axis_has_a_few_round_times(prediction: Prediction, duration_s: float, written: str):
    page = render_result(analysis_of(prediction, duration_s), "j0b", "en")
    axis = page[page.index('class="axis"') :]
    assert " ".join(re.findall(r"%\"[^>]*>([^<]+)<", axis[: axis.index("</div>")])) == written


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        ({"happiness": 10.0, "sadness": 5.3, "uncertain": 3.6},
         "Mostly happiness (10.0 of 18.9 s), then sadness (5.3 s); 3.6 s uncertain."),
        ({"fear": 4.0}, "Fear all the time (4.0 s)."),
        ({"fear": 3.0, "anger": 2.5, "blurred": 3.0},
         "Most often fear (3.0 of 8.5 s), then anger (2.5 s); 3.0 s blurred."),
        ({"uncertain": 2.0}, "No certain expression in 2.0 s; 2.0 s uncertain."),
    ],
)  # fmt: skip
def test_the_verdict_is_a_sentence(seconds: dict[str, float], sentence: str):
    spans, start_s = [], 0.0
    for word, time_s in seconds.items():
        spans.append((start_s, start_s + time_s, word, 0.9))
        start_s += time_s
    assert verdict(spans, EMOTIONS, "en") == sentence
    assert verdict(spans, EMOTIONS, "zh").endswith("。")


def test_every_frame_of_a_track_has_a_box_and_a_word(prediction: Prediction):
    tracks = boxes(prediction, "zh")
    assert [track["person"] for track in tracks] == [1, 2]
    for track in tracks:
        assert len(track["times"]) == len(track["boxes"]) == 50
        assert track["spans"][0][0] == 0
        assert not set(EMOTIONS) & {word for _, _, word, _ in track["spans"]}


def test_no_box_says_as_certain_what_its_curve_shows_as_uncertain(prediction: Prediction):
    """Between anger and fear, neither is certain."""
    clips = prediction.clips.assign(mark="")
    middle = len(clips[clips["track"] == 1]) // 2
    first = clips.groupby("track").cumcount() < middle
    clips[[f"p_{e}" for e in EMOTIONS]] = 0.02
    clips["p_anger"], clips["p_fear"] = np.where(first, 0.9, 0.02), np.where(first, 0.02, 0.9)
    clips["emotion"] = np.where(first, "anger", "fear")
    (track, _) = boxes(replace(prediction, clips=clips), "en")
    assert [word for _, _, word, _ in track["spans"]] == ["anger", "uncertain", "fear"]

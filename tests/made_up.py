"""Made-up runs and predictions that several tests share, and what a figure shows."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from m3dfel.emotions import EMOTIONS
from m3dfel.evaluation.metrics import compute_metrics
from m3dfel.evaluation.runs import Run
from m3dfel.report.recognized import table_columns
from m3dfel.report.spans import span_table

LABELS = ["happiness", "sadness", "neutral"]

TWO = ("happiness", "disappointment")
MAFW = (
    *("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt"),
    *("anxiety", "helplessness", "disappointment"),
)


# --- runs ----------------------------------------------------------------------------------------


def run_with_evidence(
    emotions: list[str],
    evidence: np.ndarray,
    paths: list[str] | None = None,
    frames: int = 16,
    people: list[str] | None = None,
) -> Run:
    """A run whose logits are the sum of the instances' evidence (M, N, 3) for `LABELS`."""
    logits = torch.tensor(evidence.sum(1))
    paths = paths or [f"clip-{index}" for index in range(len(emotions))]
    clips = pd.DataFrame({"split": "test", "path": paths, "emotion": emotions})
    clips["identity"] = people
    clips["predicted"] = [LABELS[index] for index in logits.argmax(1)]
    clips["right"] = clips["emotion"] == clips["predicted"]
    probabilities = logits.softmax(1).numpy()
    clips["confidence"] = probabilities.max(1)
    clips[[f"p_{label}" for label in LABELS]] = probabilities
    instances = pd.DataFrame(
        evidence.reshape(-1, 3), columns=[f"evidence_{label}" for label in LABELS]
    )
    instances.insert(0, "path", np.repeat(paths, evidence.shape[1]))
    targets = torch.tensor([LABELS.index(emotion) for emotion in emotions])
    results = compute_metrics(logits, targets, LABELS).to_dict()
    results |= {"frames": frames, "dataset": "made up"}
    return Run(Path("run"), {}, results, clips, instances)


def run_with_predictions(
    emotions: list[str], predicted: list[str], people: list[str] | None = None
) -> Run:
    """A run that predicts these emotions, one instance per clip."""
    evidence = np.zeros((len(predicted), 1, 3))
    for index, emotion in enumerate(predicted):
        evidence[index, 0, LABELS.index(emotion)] = 1.0
    return run_with_evidence(emotions, evidence, people=people)


def random_results(labels: tuple[str, ...], clips: int = 2341) -> dict:
    """The results of a model that is right about half of the time."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(len(labels), (clips,), generator=generator)
    noise = torch.randn(clips, len(labels), generator=generator)
    return compute_metrics(noise + torch.eye(len(labels))[targets], targets, labels).to_dict()


# --- predictions ---------------------------------------------------------------------------------


def made_up_prediction(
    *spans: tuple[float, float],
    source: str = "film.mp4",
    labels: tuple[str, ...] = EMOTIONS,
    duration_s: float = 0.0,
) -> SimpleNamespace:
    """Faces seen in these spans in seconds: the first label in three clips, the last in two."""
    clips, instances = [], []
    for face, (start_s, end_s) in enumerate(spans, start=1):
        borders = np.linspace(start_s, end_s, 9)
        for index in range(5):
            emotion = labels[0] if index < 3 else labels[-1]
            other = 0.3 / (len(labels) - 1)
            probabilities = {f"p_{label}": 0.7 if label == emotion else other for label in labels}
            for part in range(index, index + 4):
                span = {"start_s": borders[part], "end_s": borders[part + 1]}
                evidence = {f"evidence_{label}": float(label == emotion) for label in labels}
                instances.append({"track": face, "clip": len(clips), **span, **evidence})
            span = {"start_s": borders[index], "end_s": borders[index + 4]}
            result = {"emotion": emotion, "confidence": 0.7, **probabilities, "mark": ""}
            clips.append({"track": face, "person": face, **span, **result})
    columns = ["track", "person", "start_s", "end_s", "emotion", "confidence", "mark"]
    prediction = SimpleNamespace(
        source=source,
        labels=labels,
        clips=pd.DataFrame(clips, columns=None if clips else columns),
        instances=pd.DataFrame(instances),
        frames=pd.DataFrame(columns=table_columns(labels)["frames"]),
        duration_s=max([duration_s, *(end_s for _, end_s in spans)]),
        note="" if spans else "no face was found in film.mp4",
        movements=(),
    )
    prediction.spans = span_table(prediction)
    return prediction


# --- figures -------------------------------------------------------------------------------------


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def shaded(figure: Figure) -> list[tuple[float, float]]:
    """The spans that are shaded behind everything else, in data coordinates."""
    return [
        (patch.get_x(), patch.get_x() + patch.get_width())
        for axes in figure.axes
        for patch in axes.patches
        if isinstance(patch, Rectangle) and patch.get_zorder() == 0
    ]


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


def assert_nothing_is_cut_off(figure: Figure) -> None:
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def assert_no_overlap(labels: list[Text]) -> None:
    boxes = [label.get_window_extent() for label in labels]
    for index, box in enumerate(boxes):
        for other in boxes[index + 1 :]:
            assert not box.overlaps(other)

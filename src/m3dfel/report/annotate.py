"""The annotated video: boxes and names, a card for each face, and a timeline with a playhead.

The picture stays free: only boxes and names are drawn into it. The probabilities are on cards
beside it and the timeline is below it, in the style of the figures. Everything comes from a saved
prediction and its video, without the model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from m3dfel.emotions import colors, names_in
from m3dfel.report.drawing.boxes import Box, draw_boxes, tags_above
from m3dfel.report.drawing.cards import draw_card
from m3dfel.report.drawing.faces import faces_of
from m3dfel.report.drawing.lanes import Timeline
from m3dfel.report.drawing.layout import MARGIN, TEXT, Layout
from m3dfel.report.drawing.sprites import composite, text
from m3dfel.report.recognized import Recognized
from m3dfel.report.style import MUTED
from m3dfel.report.words import short_words, translate
from m3dfel.video.decode import Frame, Picture
from m3dfel.video.encode import rewrite_video
from m3dfel.video.marks import NO_FACE
from m3dfel.video.sources import Source

_MIN_S = 0.1  # length of the timeline


def annotate_video(
    prediction: Recognized,
    path: str | Path,
    source: Source | None = None,
    on_frame: Callable[[Frame], None] | None = None,
    lang: str = "en",
    fps: float | None = None,
    progress: bool = True,
) -> None:
    """Draw a prediction into its video.

    The video keeps the sound, the length and the time stamps of its source. Its picture is larger:
    a card for each face is added on the right, and the timeline below.

    Args:
        prediction: the recognized faces of the video.
        path: of the annotated video, ending in `.mp4`.
        source: the video; None for the one that the prediction names.
        on_frame: called with every frame before it is drawn; an exception it raises ends the work.
        lang: language of all words, `en` or `zh`.
        fps: frames per second of pictures; None for 25.
        progress: show how far it is, on stderr.

    Raises:
        InputError: the source cannot be read, or the video cannot be written.
    """
    source = prediction.source if source is None else source
    annotator: Annotator | None = None

    def draw(frame: Frame) -> Picture:
        nonlocal annotator
        if on_frame:
            on_frame(frame)
        if annotator is None:
            height, width = frame.image.shape[:2]
            annotator = Annotator(prediction, width, height, lang)
        return annotator.draw(frame)

    rewrite_video(source, Path(path), draw, fps, progress=progress)


class Annotator:
    """Draws the annotated frames of one video.

    Args:
        prediction: the recognized faces of the video.
        width: of the video in pixels.
        height: of the video in pixels.
        lang: language of all words, `en` or `zh`.
    """

    def __init__(self, prediction: Recognized, width: int, height: int, lang: str = "en") -> None:
        duration_s = max(prediction.duration_s, _MIN_S)
        names = tuple(names_in(lang, prediction.labels).values())
        self._faces = faces_of(prediction, lang)
        self._no_face = translate(lang, NO_FACE)
        slots = max((face.slot + 1 for face in self._faces), default=0)
        short = tuple(short_words(lang, prediction.labels).values())
        self._layout = layout = Layout(width, height, names, short, slots, duration_s)
        self._colors = list(colors(prediction.labels).values())
        self._tags_above = [tags_above(face.boxes, layout.unit) for face in self._faces]
        self._timeline = Timeline(self._faces, prediction.labels, layout)
        self._background = np.full((*layout.size, 3), 255, np.uint8)
        lanes = self._background[layout.lanes_top : layout.lanes_bottom, layout.lanes_left :]
        lanes[:, : self._timeline.ahead.shape[1]] = self._timeline.ahead

    def draw(self, frame: Frame) -> Picture:
        """Return the annotated picture of a frame, uint8 RGB of the same size for every frame."""
        layout, canvas = self._layout, self._background.copy()
        picture = canvas[layout.picture_top :, : layout.width][: layout.height]
        picture[:] = frame.image
        visible, boxes = [], list[Box]()
        for face, above in zip(self._faces, self._tags_above, strict=True):
            index = face.index_at(frame.index)
            if index is None:
                continue
            visible.append((face, index))
            if face.frames[index] == frame.index:
                emotion = face.recognized(index)
                word = face.marks[index] if emotion is None else layout.names[emotion]
                dot = None if emotion is None else self._colors[emotion]
                boxes.append(Box(face.boxes[index], face.person, word, dot, above[index]))
        draw_boxes(picture, boxes)
        for face, index in visible:
            if face.slot < layout.max_cards:
                top = layout.card_top(face.slot)
                card = canvas[top : top + layout.card_height, layout.panel_left :]
                draw_card(card[:, : layout.card_width], layout, face, index)
        if not visible:
            note = text(self._no_face, layout.px(TEXT), MUTED)
            composite(canvas, note, layout.panel_left, layout.px(MARGIN))
        self._timeline.draw(canvas, frame.time_s)
        return canvas

"""The annotated video: boxes and names, a card for each face, and a timeline with a playhead.

The picture stays free: only boxes and names are drawn into it. The probabilities are on cards
beside it and the timeline is below it, in the style of the figures. Everything comes from a saved
prediction and its video, without the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from m3dfel._opencv import cv2
from m3dfel.emotions import colors, names_in
from m3dfel.report.recognized import BOX, Recognized
from m3dfel.report.spans import emotion_spans, probabilities_at
from m3dfel.report.sprites import (
    Sprite,
    fitting_text,
    lay,
    mix,
    number_disk,
    paste,
    tag,
    text,
    text_color,
    text_width,
)
from m3dfel.report.style import EMPTY, INK, MUTED, RULE
from m3dfel.video.decode import VIDEO_SUFFIXES, Frame, Picture, probe
from m3dfel.video.encode import rewrite_video
from m3dfel.video.sources import Source, source_name

Values: TypeAlias = npt.NDArray[np.float64]

# Sizes are in units: a unit is one pixel in a video whose shorter side is this long, or shorter.
_UNIT_SIDE = 360
_MARGIN = 12.0
_TITLE, _TEXT = 13.0, 10.0  # of the font
_HEADER, _BAR_HEIGHT, _BAR_WIDTH, _GAP = 30.0, 8.0, 76.0, 16.0  # of a card
_ROW, _MIN_ROW = 22.0, 12.5  # from bar to bar; smaller where several cards share the height
_LANE, _MIN_LANE, _LANE_GAP, _AXIS, _TICK = 22.0, 8.0, 6.0, 24.0, 80.0  # of the timeline
_TAG, _TAG_GAP, _DISK, _LINE, _RIM = 19.0, 5.0, 15.0, 1.4, 3.2  # of a face in the picture

_LANE_MIDDLE = 0.62  # where words are in a lane, as a part of its height: in the color
_MAX_TIMELINE = 0.4  # of the picture's height
_PALE = 0.35  # opacity of what is not recognized, as in the timeline figure
_AHEAD = 0.4  # opacity of the timeline after the playhead
_STEADY_FRAMES = 1.5  # standard deviation of the Gaussian that steadies the boxes
_TAG_STAYS_FRAMES = 49  # looked at to choose whether a name is above or below its box
_FREE_S = 0.3  # a face takes over the card of one that left at least this long ago

# Dark, so that white text is legible on them.
FACE_COLORS = ("#16325c", "#a8326e", "#0b7285", "#7a4b12", "#4a4a4a", "#5f6b0a")


def annotate_video(
    prediction: Recognized,
    path: str | Path,
    source: Source | None = None,
    on_frame: Callable[[Frame], None] | None = None,
    lang: str = "en",
) -> None:
    """Draw a prediction into its video.

    The video keeps the sound, the length and the time stamps of its source. Its picture is larger:
    a card for each face is added on the right, and the timeline below.

    Args:
        prediction: the recognized faces of the video.
        path: of the annotated video, ending in `.mp4`.
        source: the video; None for the one that the prediction names.
        on_frame: called with every frame before it is drawn; an exception it raises ends the work.
        lang: language of the emotions' names, `en` or `zh`.

    Raises:
        InputError: the source cannot be read, or the video cannot be written.
    """
    source = prediction.source if source is None else source
    annotator: Annotator | None = None
    duration_s = _duration(prediction, source)

    def draw(frame: Frame) -> Picture:
        nonlocal annotator
        if on_frame:
            on_frame(frame)
        if annotator is None:
            height, width = frame.image.shape[:2]
            annotator = Annotator(prediction, width, height, duration_s, lang)
        return annotator.draw(frame)

    rewrite_video(source, Path(path), draw)


def _duration(prediction: Recognized, source: Source) -> float:
    """Return the length of the timeline in seconds: of the file, if it is one, and at least 0.1."""
    file = Path(source_name(source))
    stated = probe(file).duration_s if file.suffix.lower() in VIDEO_SUFFIXES else None
    seen = 0.0 if prediction.clips.empty else float(prediction.clips["end_s"].max())
    return max(stated or 0.0, seen, 0.1)


@dataclass(frozen=True, eq=False)
class _Face:
    """What is drawn for one track of a face.

    Attributes:
        number: of the person, from 1.
        slot: index of its card and of its lane in the timeline.
        clips: its rows of the prediction's clips.
        frames: (T,), indices of the frames that show it.
        boxes: (T, 4), in pixels of the source.
        probabilities: (T, C), NaN where the face is unreadable.
        marks: (T,), as in the prediction's clips.
    """

    number: int
    slot: int
    clips: pd.DataFrame
    frames: npt.NDArray[np.int64]
    boxes: Values
    probabilities: Values
    marks: npt.NDArray[np.str_]

    @property
    def color(self) -> str:
        return FACE_COLORS[(self.number - 1) % len(FACE_COLORS)]

    def index_at(self, frame: int) -> int | None:
        """Return the index of a frame, or of the last one before it; None while it is away."""
        if not self.frames[0] <= frame <= self.frames[-1]:
            return None
        return int(np.searchsorted(self.frames, frame, side="right")) - 1


def _faces(prediction: Recognized) -> list[_Face]:
    faces, free_from_s, slots = [], list[float](), dict[int, int]()
    for track in prediction.clips["track"].unique().tolist():
        clips = prediction.clips[prediction.clips["track"] == track]
        rows = prediction.frames[prediction.frames["track"] == track]
        times_s = rows["time_s"].to_numpy(float)
        free = [slot for slot, time_s in enumerate(free_from_s) if time_s <= times_s[0]]
        person = int(clips["person"].iloc[0])
        slot = free[0] if free else len(free_from_s)
        if slots.get(person) in free:
            slot = slots[person]
        slots[person] = slot
        free_from_s[slot : slot + 1] = [times_s[-1] + _FREE_S]
        probabilities, marks = probabilities_at(clips, prediction.labels, times_s)
        boxes = rows[BOX].to_numpy(float)
        faces.append(
            _Face(
                number=person,
                slot=slot,
                clips=clips,
                frames=rows["frame"].to_numpy(np.int64),
                boxes=gaussian_filter1d(boxes, _STEADY_FRAMES, axis=0, mode="nearest"),
                probabilities=probabilities.T,
                marks=marks,
            )
        )
    return faces


class Annotator:
    """Draws the annotated frames of one video.

    Args:
        prediction: the recognized faces of the video.
        width: of the video in pixels.
        height: of the video in pixels.
        duration_s: length of the timeline in seconds.
        lang: language of the emotions' names, `en` or `zh`.
    """

    def __init__(
        self,
        prediction: Recognized,
        width: int,
        height: int,
        duration_s: float,
        lang: str = "en",
    ) -> None:
        self._labels = prediction.labels
        self._color_of = colors(prediction.labels)
        self._names = names_in(lang, prediction.labels)
        self._faces = _faces(prediction)
        self._duration_s = duration_s
        self._width, self._height = width, height
        self._unit = max(1.0, min(width, height) / _UNIT_SIDE)
        self._lay_out()
        self._tag_above = {face: self._has_room_above(face) for face in self._faces}
        self._cards = {index: self._card(index) for index in (None, *range(len(self._labels)))}
        self._background, self._played = self._draw_background()

    def draw(self, frame: Frame) -> Picture:
        """Return the annotated picture of a frame, uint8 RGB of the same size for every frame."""
        canvas = self._background.copy()
        picture = canvas[self._picture_top :, : self._width][: self._height]
        picture[:] = _resized(frame.image, self._width, self._height)
        visible = [(face, face.index_at(frame.index)) for face in self._faces]
        shown = [(face, index) for face, index in visible if index is not None]
        for face, index in shown:
            if face.frames[index] == frame.index:
                self._draw_box(picture, face, index)
        for face, index in shown:
            if face.slot < self._max_cards:
                self._draw_card(canvas, face, index)
        if not shown:
            word = text("no face", self._px(_TEXT), MUTED)
            paste(canvas, word, self._panel_left, self._px(_MARGIN))
        self._draw_playhead(canvas, frame.time_s)
        return canvas

    # --- layout ----------------------------------------------------------------------------------

    def _px(self, units: float) -> int:
        return max(1, round(units * self._unit))

    def _lay_out(self) -> None:
        px = self._px
        margin = px(_MARGIN)
        self._slots = max((face.slot + 1 for face in self._faces), default=0)
        self._label_width = max(text_width(name, px(_TEXT), True) for name in self._names.values())
        self._bars_left = self._label_width + px(7)
        card_width = self._bars_left + px(_BAR_WIDTH)
        self._panel_left = self._width + margin
        canvas_width = _even(self._panel_left + card_width + margin)

        labels, header, gap = len(self._labels), px(_HEADER), px(_GAP)
        top = max(self._height, header + px(_MIN_ROW) * labels + 2 * margin)
        each = (top - 2 * margin + gap) // max(1, self._slots) - gap
        self._row = min(px(_ROW), (each - header) // labels)
        self._compact = self._row < px(_MIN_ROW)
        self._card_height = header + (px(_BAR_HEIGHT) if self._compact else self._row * labels)
        self._max_cards = (top - 2 * margin + gap) // (self._card_height + gap)
        self._card_width = card_width
        self._picture_top = (top - self._height) // 2

        lanes = max(1, self._slots)
        room = int(_MAX_TIMELINE * top) // lanes - px(_LANE_GAP)
        self._lane = max(px(_MIN_LANE), min(px(_LANE), room))
        step = self._lane + px(_LANE_GAP)
        self._max_lanes = min(lanes, max(1, int(_MAX_TIMELINE * top) // step))
        self._lanes_top = top + margin
        self._lanes_bottom = self._lanes_top + self._max_lanes * step - px(_LANE_GAP)
        self._lanes_left, self._lanes_right = margin, canvas_width - margin
        width = (self._lanes_right - self._lanes_left) / self._unit
        self._ticks = list(_ticks(self._duration_s, most=width / _TICK))
        self._size = (_even(self._lanes_bottom + px(_AXIS)), canvas_width)

    def _x(self, time_s: float) -> float:
        """Return where a moment is on the timeline."""
        part = min(1.0, time_s / self._duration_s)
        return self._lanes_left + part * (self._lanes_right - self._lanes_left)

    def _draw_background(self) -> tuple[Picture, Picture]:
        """Draw what never changes: the picture before playing, and the lanes once played."""
        canvas = np.full((*self._size, 3), 255, np.uint8)
        ahead = canvas[self._lanes_top : self._lanes_bottom, self._lanes_left : self._lanes_right]
        ahead[self._lane - 1 :: self._lane + self._px(_LANE_GAP)] = mix(RULE, 1)
        played, lanes = ahead.copy(), self._draw_lanes()
        paste(played, lanes, 0, 0)
        paste(ahead, lanes * np.float32(_AHEAD), 0, 0)
        return canvas, played

    # --- timeline --------------------------------------------------------------------------------

    def _draw_lanes(self) -> Sprite:
        """Draw the timelines of all faces, one lane for each slot, without background."""
        width = self._lanes_right - self._lanes_left
        sprite = np.zeros((self._lanes_bottom - self._lanes_top, width, 4), np.float32)
        step = self._lane + self._px(_LANE_GAP)
        for face in self._faces:
            if face.slot < self._max_lanes:
                self._draw_lane(sprite[face.slot * step :][: self._lane], face)
        return sprite

    def _draw_lane(self, lane: Sprite, face: _Face) -> None:
        start = round(self._x(face.clips["start_s"].iloc[0])) - self._lanes_left
        end = max(start + 1, round(self._x(face.clips["end_s"].iloc[-1])) - self._lanes_left)
        part = lane[:, start:end]
        height, width = part.shape[:2]
        times_s = (start + np.arange(width) + 0.5) / lane.shape[1] * self._duration_s
        probabilities, marks = probabilities_at(face.clips, self._labels, times_s)
        filled = np.nan_to_num(probabilities.max(0), nan=1.0) * height
        opacity = np.clip(filled - np.arange(height)[::-1, None], 0, 1)
        for x in range(width):
            if np.isnan(probabilities[0, x]):
                part[:, x] = _opaque(EMPTY)
                continue
            color = self._color_of[self._labels[int(probabilities[:, x].argmax())]]
            strength = _PALE if marks[x] else 1.0
            part[:, x] = _opaque(color) * opacity[:, x, None] * np.float32(strength)
        left = self._write_number(part, face)
        self._write_words(part, face, times_s, filled, left)

    def _write_number(self, part: Sprite, face: _Face) -> int:
        """Write the face's number at the start of its timeline; return where there is room."""
        disk = number_disk(face.number, min(self._px(_DISK), self._lane), face.color)
        side = disk.shape[0]
        if part.shape[1] < 2 * side:
            return 0
        left, top = self._px(3), round(_LANE_MIDDLE * self._lane) - side // 2
        lay(part, disk, left, min(self._lane - side, top))
        return left + side

    def _write_words(
        self, part: Sprite, face: _Face, times_s: Values, filled: Values, left: int
    ) -> None:
        """Write the emotion or the mark into every span that is wide and high enough.

        Args:
            part: the face's part of its lane.
            face: the face.
            times_s: (P,), of each column of `part`.
            filled: (P,), height of the color in each column.
            left: the first column that is free.
        """
        size, gap = self._px(_TEXT), self._px(5)
        if self._lane < 1.5 * size:
            return
        for start_s, end_s, word, confidence in emotion_spans(face.clips):
            if np.isnan(confidence) == (word in self._color_of):
                continue  # uncertain, which the pale color says
            color = self._color_of.get(word)
            name = self._names.get(word, word)
            label = text(name, size, text_color(color) if color else MUTED)
            first, last = np.searchsorted(times_s, (start_s, end_s))
            for x in range(max(first, left) + gap, last - gap - label.shape[1], gap):
                if filled[x : x + label.shape[1]].min() > 1.2 * size:
                    lay(part, label, x, round(_LANE_MIDDLE * self._lane) - label.shape[0] // 2)
                    break

    def _draw_playhead(self, canvas: Picture, time_s: float) -> None:
        x = self._x(time_s)
        width = round(x) - self._lanes_left
        lanes = canvas[self._lanes_top : self._lanes_bottom, self._lanes_left :]
        lanes[:, :width] = self._played[:, :width]
        half, above = self._px(1), self._px(4)
        left = max(0, round(x) - half)
        line = slice(self._lanes_top - above, self._lanes_bottom + above)
        canvas[line, left : left + 2 * half] = mix(INK, 1)
        self._draw_axis(canvas, time_s)

    def _draw_axis(self, canvas: Picture, time_s: float) -> None:
        """Write the current time below the playhead, and round times where there is room."""
        size, middle = self._px(_TEXT), self._lanes_bottom + self._px(0.58 * _AXIS)
        now = text(_clock(time_s), size, INK, bold=True)
        now_left = self._axis_left(time_s, now)
        paste(canvas, now, now_left, middle - now.shape[0] // 2)
        for tick_s, word in self._ticks:
            label = text(word, size, MUTED)
            left = self._axis_left(tick_s, label)
            room = max(now_left - (left + label.shape[1]), left - (now_left + now.shape[1]))
            if room > self._px(4):
                paste(canvas, label, left, middle - label.shape[0] // 2)

    def _axis_left(self, time_s: float, label: Sprite) -> float:
        """Return where a label starts that is centered on a moment, inside of the timeline."""
        left = self._x(time_s) - label.shape[1] / 2
        return max(self._lanes_left - 1, min(left, self._lanes_right - label.shape[1] + 1))

    # --- cards -----------------------------------------------------------------------------------

    def _card(self, recognized: int | None) -> Picture:
        """Draw an empty card, with the recognized emotion in bold."""
        card = np.full((self._card_height, self._card_width, 3), 255, np.uint8)
        if self._compact:
            card[self._px(_HEADER) :] = mix(EMPTY, 1)
            return card
        for index, word in enumerate(self._labels):
            strong = index == recognized
            label = text(self._names[word], self._px(_TEXT), INK if strong else MUTED, bold=strong)
            middle = self._px(_HEADER) + index * self._row + self._row // 2
            paste(card, label, self._label_width - label.shape[1], middle - label.shape[0] // 2)
            card[self._bar(index), self._bars_left :] = mix(EMPTY, 1)
        return card

    def _bar(self, index: int) -> slice:
        height = self._px(_BAR_HEIGHT)
        top = self._px(_HEADER) + index * self._row + (self._row - height + 1) // 2
        return slice(top, top + height)

    def _draw_card(self, canvas: Picture, face: _Face, index: int) -> None:
        top = self._px(_MARGIN) + face.slot * (self._card_height + self._px(_GAP))
        card = canvas[top : top + self._card_height, self._panel_left :][:, : self._card_width]
        probabilities, mark = face.probabilities[index], face.marks[index]
        readable = not np.isnan(probabilities[0])
        best = int(probabilities.argmax())
        recognized = None if mark else best
        card[:] = self._cards[recognized]
        self._draw_header(card, face, index)
        if readable and self._compact:
            color = self._color_of[self._labels[best]]
            _fill(card[self._px(_HEADER) :], probabilities[best], color, not mark)
        elif readable:
            for label, probability in enumerate(probabilities):
                color = self._color_of[self._labels[label]]
                bar = card[self._bar(label), self._bars_left :]
                _fill(bar, float(probability), color, label == recognized)

    def _draw_header(self, card: Picture, face: _Face, index: int) -> None:
        word, color = self._word(face, index)
        middle = self._px(_DISK) // 2 + 1
        disk = number_disk(face.number, self._px(_DISK), face.color)
        paste(card, disk, 0, middle - disk.shape[0] // 2)
        left, right = disk.shape[1] + self._px(6), self._card_width
        best = float(np.nan_to_num(face.probabilities[index]).max())
        if color:
            number = text(f"{100 * best:.0f} %", self._px(_TEXT), MUTED)
            right -= number.shape[1]
            paste(card, number, right, middle - number.shape[0] // 2)
            right -= self._px(4)
        ink = INK if color else MUTED
        name = fitting_text(word, self._px(_TITLE), ink, right - left, bold=color is not None)
        paste(card, name, left, middle - name.shape[0] // 2)

    def _word(self, face: _Face, index: int) -> tuple[str, str | None]:
        """Return the name of the recognized emotion and its color, or the mark and None."""
        mark = str(face.marks[index])
        if mark:
            return mark, None
        emotion = self._labels[int(face.probabilities[index].argmax())]
        return self._names[emotion], self._color_of[emotion]

    # --- picture ---------------------------------------------------------------------------------

    def _has_room_above(self, face: _Face) -> list[bool]:
        """Return for each frame whether the tag is above the box; it changes as rarely as it can.

        A tag moves only once its side has had no room for most of the last and the next second.
        """
        fits = face.boxes[:, 1] >= self._px(_TAG) + self._px(_TAG_GAP)
        longer = uniform_filter1d(fits.astype(float), _TAG_STAYS_FRAMES, mode="nearest")
        above = [bool(longer[0] > 0.5)]
        for fraction in longer[1:]:
            above.append(bool(fraction > (0.25 if above[-1] else 0.75)))
        return above

    def _draw_box(self, picture: Picture, face: _Face, index: int) -> None:
        box = face.boxes[index]
        draw_outline(picture, box, self._px(9), self._px(_LINE), self._px(_RIM), face.color)
        word, color = self._word(face, index)
        name = tag(face.number, word, self._px(_TAG), face.color, color)
        height, width = name.shape[:2]
        gap = self._px(_TAG_GAP)
        above, below = box[1] - gap - height, min(box[3] + gap, self._height - height)
        top = max(0.0, above if self._tag_above[face][index] else below)
        left = np.clip(box[0] - self._px(1), 0, max(0, self._width - width))
        paste(picture, name, left, top)


def draw_outline(
    picture: Picture, box: Values, radius: int, line: int, rim: int, color: str
) -> None:
    """Draw a rounded box as a white line with a colored rim, which shows on any background."""
    x1, y1, x2, y2 = box
    radius = min(radius, (x2 - x1) / 3, (y2 - y1) / 3)
    angles = np.linspace(0, np.pi / 2, 7)
    arc = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    corners = [
        (x2 - radius, y2 - radius) + arc,
        (x1 + radius, y2 - radius) + arc[::-1] * (-1, 1),
        (x1 + radius, y1 + radius) + arc * (-1, -1),
        (x2 - radius, y1 + radius) + arc[::-1] * (1, -1),
    ]
    points = np.round(np.concatenate(corners) * 16).astype(np.int32)
    for width, shade in ((rim, mix(color, 1).tolist()), (line, (255, 255, 255))):
        cv2.polylines(picture, [points], True, shade, width, cv2.LINE_AA, shift=4)


def _fill(bar: Picture, fraction: float, color: str, strong: bool) -> None:
    """Fill a part of a bar from the left, to a fraction of a pixel."""
    whole, rest = divmod(fraction * bar.shape[1], 1)
    opacity = 1.0 if strong else 0.5
    bar[:, : int(whole)] = mix(color, opacity)
    if int(whole) < bar.shape[1]:
        bar[:, int(whole)] = mix(color, opacity * rest, EMPTY)


def _opaque(color: str) -> npt.NDArray[np.float32]:
    return np.array([*mix(color, 1), 1], np.float32)


def _resized(image: Picture, width: int, height: int) -> Picture:
    """Return a picture of this size; only some damaged and joined videos change theirs."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height)), np.uint8)


def _even(size: int) -> int:
    return size + size % 2


def _ticks(duration_s: float, most: float) -> Iterator[tuple[float, str]]:
    """Yield the moments to label on a time axis, at most about that many."""
    steps: Sequence[float] = (0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
    step = next((step for step in steps if duration_s / step <= most), steps[-1])
    for index in range(int(duration_s / step) + 1):
        yield index * step, _clock(index * step, decimals=0 if step >= 1 else 1)


def _clock(time_s: float, decimals: int = 1) -> str:
    """Return a moment as `7.3 s`, and from one minute on as `1:07`."""
    if time_s < 60:
        return f"{time_s:.{decimals}f} s"
    return f"{int(time_s) // 60}:{int(time_s) % 60:02d}"

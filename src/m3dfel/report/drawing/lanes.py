"""The timeline below the picture: a lane for each face, which fills up behind the playhead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from m3dfel.emotions import colors
from m3dfel.report.drawing.boxes import person_color
from m3dfel.report.drawing.faces import Face
from m3dfel.report.drawing.layout import AXIS, DISK, TEXT, TICK, Layout
from m3dfel.report.drawing.sprites import (
    Sprite,
    composite,
    mix,
    number_disk,
    rgb,
    text,
    text_color,
)
from m3dfel.report.numbers import clock, ticks
from m3dfel.report.spans import Values, emotion_spans, probabilities_at
from m3dfel.report.style import EMPTY, INK, MUTED, PALE, RULE
from m3dfel.video.decode import Picture

_MIDDLE = 0.62  # where words are in a lane, as a part of its height: in the color
_AHEAD = 0.4  # opacity of the timeline after the playhead


class Timeline:
    """The lanes of a video, drawn once; each frame only shows how far it has played.

    Args:
        faces: of the video.
        labels: the model's label set.
        layout: of the video.
    """

    def __init__(self, faces: Sequence[Face], labels: Sequence[str], layout: Layout) -> None:
        self._layout, self._labels = layout, labels
        self._color_of = colors(labels)
        height = layout.lanes_bottom - layout.lanes_top
        width = layout.lanes_right - layout.lanes_left
        self.ahead = np.full((height, width, 3), 255, np.uint8)
        self.ahead[layout.lane - 1 :: layout.lane_step] = rgb(RULE)
        self._played = self.ahead.copy()
        for picture, opacity in ((self.ahead, _AHEAD), (self._played, 1.0)):
            for face in faces:
                if face.slot < layout.max_lanes:
                    lane = picture[face.slot * layout.lane_step :][: layout.lane]
                    self._draw_lane(lane, face, opacity)
        most = width / layout.unit / TICK
        self._ticks = ticks(layout.duration_s, most)

    def draw(self, canvas: Picture, time_s: float) -> None:
        """Draw what has been played, and the playhead, over a canvas that shows `ahead`."""
        layout = self._layout
        x = round(layout.x(time_s))
        lanes = canvas[layout.lanes_top : layout.lanes_bottom, layout.lanes_left :]
        lanes[:, : x - layout.lanes_left] = self._played[:, : x - layout.lanes_left]
        half, above = layout.px(1), layout.px(4)
        left = max(0, x - half)
        line = slice(layout.lanes_top - above, layout.lanes_bottom + above)
        canvas[line, left : left + 2 * half] = rgb(INK)
        self._draw_axis(canvas, time_s)

    def _draw_axis(self, canvas: Picture, time_s: float) -> None:
        """Write the current time below the playhead, and round times where there is room."""
        layout = self._layout
        size, middle = layout.px(TEXT), layout.lanes_bottom + layout.px(0.58 * AXIS)
        now = text(clock(time_s, decimals=1), size, INK, bold=True)
        now_left = self._axis_left(time_s, now)
        composite(canvas, now, now_left, middle - now.shape[0] // 2)
        for tick_s, word in self._ticks:
            label = text(word, size, MUTED)
            left = self._axis_left(tick_s, label)
            room = max(now_left - (left + label.shape[1]), left - (now_left + now.shape[1]))
            if room > layout.px(4):
                composite(canvas, label, left, middle - label.shape[0] // 2)

    def _axis_left(self, time_s: float, label: Sprite) -> float:
        """Return where a label starts that is centered on a moment, inside of the timeline."""
        layout = self._layout
        left = layout.x(time_s) - label.shape[1] / 2
        return max(layout.lanes_left - 1, min(left, layout.lanes_right - label.shape[1] + 1))

    # --- one lane --------------------------------------------------------------------------------

    def _draw_lane(self, lane: Picture, face: Face, opacity: float) -> None:
        layout, height = self._layout, lane.shape[0]
        start = round(layout.x(face.clips["start_s"].iloc[0])) - layout.lanes_left
        end = round(layout.x(face.clips["end_s"].iloc[-1])) - layout.lanes_left
        part = lane[:, start : max(start + 1, end)]
        times_s = (start + np.arange(part.shape[1]) + 0.5) / lane.shape[1] * layout.duration_s
        probabilities, marks = probabilities_at(face.clips, self._labels, times_s)
        filled = np.nan_to_num(probabilities.max(0), nan=1.0) * height
        inside = np.clip(filled - np.arange(height)[::-1, None], 0, 1)
        best = np.nan_to_num(probabilities).argmax(0)
        columns = np.array([_opaque(color) for color in self._color_of.values()])[best]
        columns[marks != ""] *= PALE
        columns[np.isnan(probabilities[0])] = _opaque(EMPTY)
        composite(part, inside[..., None] * columns * opacity, 0, 0)
        left = self._write_number(part, face.person)
        self._write_words(part, face, times_s, filled, left, opacity)

    def _write_number(self, part: Picture, person: int) -> int:
        """Write whose face it is at the start of its timeline; return where there is room."""
        layout = self._layout
        disk = number_disk(person, min(layout.px(DISK), layout.lane), person_color(person))
        side = disk.shape[0]
        if part.shape[1] < 2 * side:
            return 0
        left, top = layout.px(3), round(_MIDDLE * layout.lane) - side // 2
        composite(part, disk, left, min(layout.lane - side, top))
        return left + side

    def _write_words(
        self,
        part: Picture,
        face: Face,
        times_s: Values,
        filled: Values,
        left: int,
        opacity: float,
    ) -> None:
        """Write the emotion or the mark into every span that is wide and high enough.

        Args:
            part: the face's part of its lane.
            face: the face.
            times_s: (P,), of each column of `part`.
            filled: (P,), height of the color in each column.
            left: the first column that is free.
            opacity: of the color.
        """
        layout = self._layout
        size, gap = layout.px(TEXT), layout.px(5)
        if layout.lane < 1.5 * size:
            return
        names = dict(zip(self._labels, layout.names, strict=True))
        short_names = dict(zip(self._labels, layout.short_names, strict=True))
        for start_s, end_s, word, _ in emotion_spans(face.clips):
            color = mix(self._color_of.get(word, EMPTY), opacity)
            ink = text_color(color) if word in names else MUTED
            first, last = np.searchsorted(times_s, (start_s, end_s))
            for name in (names.get(word, word), short_names.get(word, "")):
                label = text(name, size, ink)
                width = label.shape[1]
                columns = range(max(first, left) + gap, last - gap - width + 1, gap)
                # Marks need no color behind them.
                free = (
                    x
                    for x in columns
                    if word not in names or filled[x : x + width].min() > 1.2 * size
                )
                if (x := next(free, None)) is not None:
                    top = round(_MIDDLE * layout.lane) - label.shape[0] // 2
                    composite(part, label, x, top)
                    break


def _opaque(color: str) -> Sprite:
    return np.array([*rgb(color), 1], np.float32)

"""Where everything is in an annotated video: the picture, the cards beside it, the timeline below.

Sizes are in units: a unit is one pixel in a video whose shorter side has 360 or less.
"""

from __future__ import annotations

from m3dfel.report.drawing.sprites import text_width

UNIT_SIDE = 360
MARGIN = 12.0
TITLE, TEXT, DISK = 13.0, 10.0, 15.0  # of fonts, and of the number of a person
HEADER, BAR_HEIGHT, BAR_WIDTH, GAP = 30.0, 8.0, 76.0, 16.0  # of a card
ROW, MIN_ROW = 22.0, 12.5  # from bar to bar; smaller where several cards share the height
LANE, MIN_LANE, LANE_GAP, AXIS, TICK = 22.0, 8.0, 6.0, 24.0, 80.0  # of the timeline

_MAX_TIMELINE = 0.4  # of the picture's height


def unit_of(width: int, height: int) -> float:
    """Return the pixels of a unit in a video of this size."""
    return max(1.0, min(width, height) / UNIT_SIDE)


class Layout:
    """The layout of an annotated video; everything but the unit and `duration_s` is in pixels.

    Args:
        width: of the source's picture.
        height: of the source's picture.
        names: of the emotions, as they are written.
        short_names: of the emotions, where there is no room for the names.
        slots: the number of faces that are shown at the same time, each with a card and a lane.
        duration_s: length of the timeline in seconds.
    """

    def __init__(
        self,
        width: int,
        height: int,
        names: tuple[str, ...],
        short_names: tuple[str, ...],
        slots: int,
        duration_s: float,
    ) -> None:
        self.width, self.height = width, height
        self.names, self.short_names = names, short_names
        self.duration_s = duration_s
        self.unit = unit_of(width, height)
        self._place_picture()
        self._place_cards(max(1, slots))
        self._place_timeline(max(1, slots))

    def px(self, units: float) -> int:
        """Return a size of at least one pixel."""
        return max(1, round(units * self.unit))

    def _place_picture(self) -> None:
        smallest_card = self.px(HEADER) + self.px(MIN_ROW) * len(self.names)
        # Of the picture and the cards beside it.
        self.top_height = max(self.height, smallest_card + 2 * self.px(MARGIN))
        self.picture_top = (self.top_height - self.height) // 2
        self.panel_left = self.width + self.px(MARGIN)  # where cards start

    def _place_cards(self, slots: int) -> None:
        room = self.top_height - 2 * self.px(MARGIN) + self.px(GAP)
        fitting = (room // slots - self.px(GAP) - self.px(HEADER)) // len(self.names)
        self.row = min(self.px(ROW), fitting)  # height of the row of an emotion
        # With too many cards for one bar an emotion, each has a single bar.
        self.compact = self.row < self.px(MIN_ROW)
        bars = self.px(BAR_HEIGHT) if self.compact else self.row * len(self.names)
        self.card_height = self.px(HEADER) + bars
        self.max_cards = room // (self.card_height + self.px(GAP))
        self.label_width = max(text_width(name, self.px(TEXT), True) for name in self.names)
        self.bars_left = self.label_width + self.px(7)  # in a card
        self.card_width = self.bars_left + self.px(BAR_WIDTH)

    def _place_timeline(self, slots: int) -> None:
        most = int(_MAX_TIMELINE * self.top_height)
        fitting = most // slots - self.px(LANE_GAP)
        self.lane = max(self.px(MIN_LANE), min(self.px(LANE), fitting))  # height of a lane
        self.lane_step = self.lane + self.px(LANE_GAP)
        self.max_lanes = min(slots, max(1, most // self.lane_step))
        self.lanes_top = self.top_height + self.px(MARGIN)
        self.lanes_bottom = self.lanes_top + self.max_lanes * self.lane_step - self.px(LANE_GAP)
        width = _even(self.panel_left + self.card_width + self.px(MARGIN))
        self.lanes_left, self.lanes_right = self.px(MARGIN), width - self.px(MARGIN)
        # Height and width of the annotated video, which are even as encoders want them.
        self.size = _even(self.lanes_bottom + self.px(AXIS)), width

    def card_top(self, slot: int) -> int:
        """Return where the card of a face starts."""
        return self.px(MARGIN) + slot * (self.card_height + self.px(GAP))

    def x(self, time_s: float) -> float:
        """Return where a moment is on the timeline."""
        fraction = min(1.0, time_s / self.duration_s)
        return self.lanes_left + fraction * (self.lanes_right - self.lanes_left)


def _even(size: int) -> int:
    return size + size % 2

"""Where everything is in an annotated video: the picture, the cards beside it, the timeline below.

Sizes are in units: a unit is one pixel in a video whose shorter side has 360 or less.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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


@dataclass(frozen=True)
class Layout:
    """The layout of an annotated video; everything but the unit and `duration_s` is in pixels.

    Attributes:
        width: of the source's picture.
        height: of the source's picture.
        names: of the emotions, as they are written.
        short_names: of the emotions, where there is no room for the names.
        slots: the number of faces that are shown at the same time, each with a card and a lane.
        duration_s: length of the timeline in seconds.
    """

    width: int
    height: int
    names: tuple[str, ...]
    short_names: tuple[str, ...]
    slots: int
    duration_s: float

    @cached_property
    def unit(self) -> float:
        return unit_of(self.width, self.height)

    def px(self, units: float) -> int:
        """Return a size of at least one pixel."""
        return max(1, round(units * self.unit))

    # --- cards -----------------------------------------------------------------------------------

    @cached_property
    def label_width(self) -> int:
        return max(text_width(name, self.px(TEXT), True) for name in self.names)

    @property
    def bars_left(self) -> int:
        """Where bars start in a card."""
        return self.label_width + self.px(7)

    @property
    def card_width(self) -> int:
        return self.bars_left + self.px(BAR_WIDTH)

    @cached_property
    def card_height(self) -> int:
        bars = self.px(BAR_HEIGHT) if self.compact else self.row * len(self.names)
        return self.px(HEADER) + bars

    @cached_property
    def row(self) -> int:
        """Height of the row of an emotion in a card."""
        room = self._room_for_cards // max(1, self.slots) - self.px(GAP)
        return min(self.px(ROW), (room - self.px(HEADER)) // len(self.names))

    @property
    def compact(self) -> bool:
        """Whether a card has a single bar, since there are too many for one bar an emotion."""
        return self.row < self.px(MIN_ROW)

    @cached_property
    def max_cards(self) -> int:
        return self._room_for_cards // (self.card_height + self.px(GAP))

    @property
    def _room_for_cards(self) -> int:
        return self.top_height - 2 * self.px(MARGIN) + self.px(GAP)

    def card_top(self, slot: int) -> int:
        return self.px(MARGIN) + slot * (self.card_height + self.px(GAP))

    # --- picture and canvas ----------------------------------------------------------------------

    @cached_property
    def top_height(self) -> int:
        """Height of the picture and the cards beside it."""
        smallest_card = self.px(HEADER) + self.px(MIN_ROW) * len(self.names)
        return max(self.height, smallest_card + 2 * self.px(MARGIN))

    @property
    def picture_top(self) -> int:
        return (self.top_height - self.height) // 2

    @property
    def panel_left(self) -> int:
        """Where cards start."""
        return self.width + self.px(MARGIN)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the annotated video, which are even as encoders want them."""
        return _even(self.lanes_bottom + self.px(AXIS)), self._total_width

    @cached_property
    def _total_width(self) -> int:
        return _even(self.panel_left + self.card_width + self.px(MARGIN))

    # --- timeline --------------------------------------------------------------------------------

    @cached_property
    def lane(self) -> int:
        """Height of a lane."""
        room = int(_MAX_TIMELINE * self.top_height) // max(1, self.slots) - self.px(LANE_GAP)
        return max(self.px(MIN_LANE), min(self.px(LANE), room))

    @property
    def lane_step(self) -> int:
        return self.lane + self.px(LANE_GAP)

    @cached_property
    def max_lanes(self) -> int:
        most = int(_MAX_TIMELINE * self.top_height) // self.lane_step
        return min(max(1, self.slots), max(1, most))

    @property
    def lanes_top(self) -> int:
        return self.top_height + self.px(MARGIN)

    @property
    def lanes_bottom(self) -> int:
        return self.lanes_top + self.max_lanes * self.lane_step - self.px(LANE_GAP)

    @property
    def lanes_left(self) -> int:
        return self.px(MARGIN)

    @property
    def lanes_right(self) -> int:
        return self._total_width - self.px(MARGIN)

    def x(self, time_s: float) -> float:
        """Return where a moment is on the timeline."""
        fraction = min(1.0, time_s / self.duration_s)
        return self.lanes_left + fraction * (self.lanes_right - self.lanes_left)


def _even(size: int) -> int:
    return size + size % 2

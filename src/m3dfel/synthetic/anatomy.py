"""The shapes of a drawn face, and how action units move them.

A `Face` is an identity; a `Pose` gives the outlines of its parts for given action units,
as the Facial Action Coding System describes them (Ekman, Friesen and Hager, 2002). `drawing.py`
paints these outlines, `clips.py` moves the units over time.

All coordinates are on the grid of an aligned 128×128 face, whatever the size of the picture: x to
the right and y down, eyes at (45, 52) and (83, 52), mouth corners at (48, 93) and (80, 93). An
outline or line is float64 (points, 2); lists of half an outline measure x from the face's middle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from m3dfel.synthetic.curves import MIDDLE, Points, between, circle, curve, mirrored, stroke

Color = NDArray[np.float64]

GRID = 128

HAIR_STYLES = ("crop", "side", "fringe", "bob", "bob fringe", "curls", "receding", "bald")
BEARDS = ("none", "none", "none", "none", "stubble", "full", "goatee", "mustache")
_SKINS = [
    (250, 222, 203), (245, 209, 182), (236, 192, 160), (224, 175, 138), (206, 155, 117),
    (184, 132, 96), (158, 108, 76), (132, 88, 61), (108, 71, 50), (88, 58, 43),
]  # fmt: skip
_HAIRS = [
    (30, 26, 26), (48, 36, 32), (76, 52, 38), (106, 70, 44), (144, 98, 58), (196, 154, 96),
    (222, 188, 132), (156, 76, 40), (150, 148, 146), (206, 204, 200),
]  # fmt: skip
_IRISES = [
    (64, 40, 26), (90, 58, 34), (116, 84, 46), (94, 114, 72), (74, 118, 154), (110, 130, 144),
]  # fmt: skip
_LIPSTICKS = [(168, 44, 58), (190, 76, 92), (140, 40, 70)]

# Positions along a lid from the inner to the outer corner, and along a mouth from left to right.
ACROSS = np.linspace(0.0, 1.0, 15)
ARCH = np.sin(np.pi * ACROSS)
_MOUTH = np.linspace(-1.0, 1.0, 21)
_CUPIDS_BOW = 1 - 0.28 * np.exp(-((_MOUTH / 0.15) ** 2))
_DOWN = np.array([0.0, 1.0])
BULGE = ((1 - _MOUTH**2) ** 0.7)[:, None] * _DOWN
UPPER_LIP = ((1 - np.abs(_MOUTH) ** 1.7) ** 0.9 * _CUPIDS_BOW)[:, None] * _DOWN
_LOWER_LIP = ((1 - np.abs(_MOUTH) ** 2.4) ** 0.9)[:, None] * _DOWN
_SQUARE = (1 - np.abs(_MOUTH) ** 3)[:, None] * _DOWN


class Face:
    """A random identity: RGB colors from 0 to 255, lengths in grid units, `age` from 0 to 1.

    Args:
        rng: the generator that everything is drawn from.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        def vary(mean: float, deviation: float) -> float:
            return float(mean + deviation * np.clip(rng.normal(0, 0.5), -1, 1))

        tone = rng.uniform(0, len(_SKINS) - 1.001)
        fair = tone < 4
        skin = mix(_color(_SKINS[int(tone)]), _color(_SKINS[int(tone) + 1]), tone % 1)
        age = float(rng.uniform() ** 1.5)
        gray = age > 0.7
        hair = int(rng.integers(8, 10) if gray else rng.integers(8 if fair else 3))
        beard = str(rng.choice(BEARDS))
        lips = mix(skin, np.array([178.0, 64, 68]), 0.42)
        if beard == "none" and rng.uniform() < 0.3:
            lips = mix(lips, _color(_LIPSTICKS[int(rng.integers(len(_LIPSTICKS)))]), 0.75)
        self.skin = skin + rng.normal(0, 3, 3)
        self.hair = _color(_HAIRS[hair])
        self.iris = _color(_IRISES[int(rng.integers(len(_IRISES) if fair else 3))])
        self.lips = lips
        self.hair_style = str(rng.choice(HAIR_STYLES))
        self.beard = beard
        self.glasses = bool(rng.uniform() < 0.2)
        self.freckles = bool(tone < 3 and rng.uniform() < 0.3)
        self.age = age
        self.width = vary(43.5, 3.0)
        self.jaw = vary(34, 4.5)
        self.chin = vary(118, 3.5)
        self.eye_x = vary(19, 1.3)
        self.eye_y = vary(52, 1.2)
        self.eye_width = vary(9.8, 1.0)
        self.eye_height = vary(4.7, 0.8)
        self.eye_tilt = vary(0.8, 1.4)
        self.brow_y = vary(39, 2.0)
        self.brow_slope = vary(0.9, 1.8)
        self.brow_arch = vary(2.2, 1.6)
        self.brow_thickness = vary(1.0, 0.35)
        self.nose_y = vary(74, 1.8)
        self.nose_width = vary(8.4, 1.8)
        self.mouth_y = vary(93, 1.6)
        self.mouth_width = vary(16, 1.8)
        self.mouth_curve = vary(0.6, 1.4)
        self.upper_lip = vary(3.1, 1.1)
        self.lower_lip = vary(4.8, 1.3)
        self.asymmetry = vary(0.0, 0.15)


class Pose:
    """The outlines of a face's parts for given action units.

    Args:
        face: the identity.
        units: intensity of each action unit by its FACS number, 0 to 1.
        gaze: direction of the eyes, right and down, -1 to 1.
        turn: shift of the features within the head's outline, right and down, in grid units.

    Attributes:
        closed: how far the eyes are closed, 0 to 1.
        teeth: visible length of the upper teeth, in grid units.
    """

    def __init__(
        self,
        face: Face,
        units: Mapping[int, float],
        gaze: tuple[float, float],
        turn: tuple[float, float],
    ) -> None:
        self.face = face
        self.units = units
        self.gaze = np.array(gaze)
        self.turn = np.array(turn)
        self.closed = units[45]
        self.teeth = 1.5 + 3.5 * units[12] + 1.5 * units[20] + 2.5 * units[10]
        self._drop = 15 * units[26]

    def outline(self) -> Points:
        """Return the outline of the head."""
        face, au = self.face, self.units
        w, cheek = face.width, face.width + 0.8 * au[12] + 0.4 * au[6]
        jaw = 0.5 * self._drop
        half = [
            (0, -19), (0.55 * w, -14), (0.9 * w, 6), (w, 32), (cheek, 56),
            (0.5 * (cheek + face.jaw) + 1.5, 80 + 0.2 * jaw), (face.jaw - 4.5, 99 + 0.6 * jaw),
            (15, face.chin - 2 + jaw), (0, face.chin + jaw),
        ]  # fmt: skip
        return mirrored(half)

    # --- eyes and brows ---------------------------------------------------------------------------

    def lids(self, side: int) -> tuple[Points, Points]:
        """Return the edges of the upper and the lower lid, each (15, 2), from the inner corner out.

        Args:
            side: -1 for the eye on the left of the picture, 1 for the right.
        """
        face, au = self.face, self.units
        inner = np.array([MIDDLE + side * (face.eye_x - face.eye_width), face.eye_y + 1.0])
        outer = np.array([MIDDLE + side * (face.eye_x + face.eye_width), face.eye_y + 1.0])
        outer[1] -= face.eye_tilt
        corners = inner + ACROSS[:, None] * (outer - inner) + self.turn
        squint = au[7] + 0.8 * au[6] + 0.9 * au[9] + 0.4 * au[4]
        top = max(face.eye_height + 3.4 * au[5] - squint - 0.6 * self.gaze[1], 1.0)
        low = 2.9 + 0.5 * au[5] - 1.3 * au[7] - 1.8 * au[6] - 1.5 * au[9]
        # Raising only the inner brows moves the lid's peak inwards; a frown lowers its inner part.
        peak = 1.0 - 0.35 * au[1] * (1 - au[2]) + 0.4 * au[4] * (1 - au[1])
        arch = np.sin(np.pi * ACROSS**peak)[:, None].clip(0) ** 0.8 * _DOWN
        upper = (
            corners - arch * (top * (1 - self.closed)) + ARCH[:, None] * _DOWN * 2.2 * self.closed
        )
        return upper, corners + ARCH[:, None] * _DOWN * (low - (low - 2.4) * self.closed)

    def iris(self, side: int) -> Points:
        """Return the center of the iris, (2,)."""
        middle = np.array([MIDDLE + side * self.face.eye_x, self.face.eye_y - 0.2])
        return middle + self.turn + self.gaze * [3.2, 1.8]

    def brow(self, side: int) -> Points:
        """Return the line of the brow, from its inner to its outer end."""
        face, au = self.face, self.units
        # Units 1 and 4 do not cancel out: together they raise the inner end and pull it inwards.
        frown = au[4] * (1 - 0.85 * au[1])
        lift = np.array([
            6.8 * au[1] - 6.0 * frown - 2.2 * au[9],
            3.8 * au[1] + 3.4 * au[2] - 4.6 * au[4] * (1 - 0.5 * au[1]) - 1.5 * au[9],
            0.4 * au[1] + 7.2 * au[2] - 2.8 * au[4] * (1 - 0.3 * au[2]) - 0.6 * au[9],
            6.4 * au[2] - 0.8 * au[4] - 1.4 * au[1] * (1 - au[2]),
        ])  # fmt: skip
        lift += 0.8 * au[5] - 0.4 * au[6] - 0.6 * au[7]
        x = np.array([8.5 - 2.8 * au[4], 16 - 1.6 * au[4], 25, 32])
        slope = face.brow_slope
        rest = np.array([0.8 - 0.5 * slope, -0.7, -face.brow_arch, 1.0 + 0.7 * slope])
        y = face.brow_y + rest - (1 + face.asymmetry * side) * lift
        return curve(np.stack([MIDDLE + side * x, y], 1) + self.turn)

    # --- nose and mouth ---------------------------------------------------------------------------

    def nostril(self, side: int) -> tuple[Points, Points]:
        """Return the crease around the wing of the nose, and the nostril."""
        au = self.units
        half = self.face.nose_width + 1.2 * au[9] + 0.6 * au[12]
        tip = [MIDDLE, self.face.nose_y - 3.2 * au[9] - 1.2 * au[10]] + 1.5 * self.turn
        wing = [(side * (half - 1.5), -4.2), (side * (half + 0.6), -0.6), (side * (half - 2), 3.0)]
        line = tip + curve(wing)
        hole = tip + [side * (half - 4.6), 2.6] + [2.3, 1.0 + 0.3 * au[9]] * circle()
        return stroke(line, 0.75), hole

    def corner(self, side: int) -> Points:
        """Return a corner of the mouth, (2,)."""
        au, pull = self.units, 1 + self.face.asymmetry * side
        rounding = 4.6 * au[26] * (1 - 0.8 * max(au[12], au[20])) + 3.0 * au[18]
        out = (6.0 * au[12] + 5.2 * au[20]) * pull - 2.2 * au[23] - au[17] - rounding
        up = (7.5 * au[12] - 5.8 * au[15]) * pull - 1.6 * au[20] - 0.3 * self._drop
        x = MIDDLE + side * (self.face.mouth_width + out)
        return np.array([x, self.face.mouth_y - self.face.mouth_curve - up]) + self.turn

    def lips(self) -> tuple[Points, Points, Points, Points]:
        """Return the edges of the lips from top to bottom, each (21, 2), from left to right.

        The first two bound the upper lip, the last two the lower lip.
        """
        face, au = self.face, self.units
        left, right = self.corner(-1), self.corner(1)
        middle = face.mouth_y + self.turn[1] + 1.6 * au[12] - 1.8 * au[17] - 1.6 * au[15]
        line = left + (_MOUTH[:, None] + 1) / 2 * (right - left)
        line[:, 1] += (middle - (left[1] + right[1]) / 2) * (1 - np.abs(_MOUTH) ** 1.8)
        raised = 4.2 * au[10] + 0.8 * au[9]
        gap = au[25] * (1.6 + 3.4 * au[12] + 1.8 * au[20])
        upper = line - BULGE * (0.45 * gap + 0.15 * self._drop) - _SQUARE * raised
        lowered = 0.8 * gap + 0.9 * self._drop - 0.5 * raised
        lower = np.maximum(line + BULGE * lowered, upper)
        thin = (1 - 0.65 * au[23]) * (1 - 0.25 * au[12]) * (1 - 0.35 * au[20]) * (1 + 0.5 * au[18])
        top = upper - UPPER_LIP * (face.upper_lip * thin * (1 - 0.2 * au[10]))
        pout = 1 + 0.35 * au[17] * (1 - au[23])
        return top, upper, lower, lower + _LOWER_LIP * (face.lower_lip * thin * pout)

    # --- skin -------------------------------------------------------------------------------------

    def folds(self) -> list[tuple[Points, float]]:
        """Return the folds of the skin: the outline and the depth, from -1 (a highlight) to 1."""
        shapes = [*self._forehead(), *self._chin()]
        for side in (-1, 1):
            shapes += self._cheek(side)
        return [(points + self.turn, depth) for points, depth in shapes if abs(depth) > 0.04]

    def _forehead(self) -> list[tuple[Points, float]]:
        au = self.units
        raised, frown = max(au[1], au[2]), 0.9 * au[4] * (1 - 0.3 * au[1])
        span = 4 + 24 * max(au[2], 0.55 * raised)
        bow = 2 * au[1] - 4 * au[2]
        shapes = [
            (_fold([(64 - x, y - bow), (64, y), (64 + x, y - bow)], 0.8), depth)
            for x, y in ((span, 18.0), (span - 2, 23.5), (span - 4, 29.0))
            if (depth := 0.45 * raised + 0.12 * self.face.age) > 0.04
        ]
        if frown > 0.04:
            shapes.append((_fold([(60.5, 47), (60, 41), (60.8, 35)], 0.9), frown))
            shapes.append((_fold([(67.5, 47), (68, 41), (67.2, 35)], 0.9), frown))
        if au[9] > 0.04:
            for y in (50.0, 54.5, 59.0):
                shapes.append(
                    (_fold([(58, y + 1.5), (64, y - 1), (70, y + 1.5)], 0.9), 0.8 * au[9])
                )
        return shapes

    def _cheek(self, side: int) -> list[tuple[Points, float]]:
        au, age = self.units, self.face.age
        corner = self.corner(side) - self.turn
        x, y = side * (corner[0] - MIDDLE), float(corner[1])
        nose = 71 - 3 * au[9]
        shapes: list[tuple[Points, float]] = []

        def add(knots: Sequence[tuple[float, float]], width: float, depth: float) -> None:
            if depth > 0.04:
                shapes.append((_fold(np.array(knots) * [side, 1] + [MIDDLE, 0], width), depth))

        laugh = max(0.6 * au[12], 0.95 * au[10], 0.75 * au[9], 0.3 * au[20], 0.25 * age)
        add([(9.5, nose), (0.5 * (9.5 + x) + 5.5, 81), (x + 3.5, y + 1)], 1.0, laugh)
        add([(15, nose - 3), (9, 58), (7, 54)], 0.9, 0.6 * au[9])
        add([(11, 62.5), (20, 65 - au[6]), (29, 61)], 0.9, 0.35 * max(au[6], au[7]) + 0.12 * age)
        eye = self.face.eye_x + self.face.eye_width
        for rise in (-4.0, 0.5, 5.0):
            add([(eye + 3, 52 + 0.5 * rise), (eye + 8, 52 + 1.4 * rise)], 0.5, 0.4 * au[6])
        add([(x + 1, y + 0.5), (x + 3, y + 5), (x + 3, y + 9)], 0.9, 0.8 * au[15])
        add([(x + 4, y - 4), (x + 6, y + 1), (x + 4, y + 6)], 1.0, 0.55 * au[20])
        apple = circle() * [9, 6] + [MIDDLE + side * 25, 71 - 2.5 * au[6]]
        shapes.append((apple, -0.9 * max(au[6], 0.6 * au[12])))
        return shapes

    def _chin(self) -> list[tuple[Points, float]]:
        pushed = self.units[17]
        y = self.face.mouth_y + 12 + 0.85 * self._drop - 1.5 * pushed
        shapes = [(_fold([(55, y + 1.5), (64, y - 1), (73, y + 1.5)], 1.3), 0.4 + 0.5 * pushed)]
        if pushed > 0.1:
            for x in (60.0, 64.0, 68.0):
                shapes.append((_fold([(x, y + 5), (x + 1, y + 8)], 1.0), 0.5 * pushed))
        return shapes

    def beard(self) -> list[tuple[Points, bool]]:
        """Return the shapes of the beard in painting order, and whether each is hair."""
        top, _, _, bottom = self.lips()
        y, jaw, w = self.face.mouth_y + self.turn[1], 0.5 * self._drop, self.face.width
        mustache = between(top - 4.2 * UPPER_LIP - [0, 0.6], top)
        if self.face.beard == "mustache":
            return [(mustache, True)]
        mouth = between(top - [0, 0.3], bottom + [0, 0.6])
        if self.face.beard == "goatee":
            chin = circle() * [13, 11] + [MIDDLE + self.turn[0], y + 17 + jaw]
            return [(mustache, True), (chin, True), (mouth, False)]
        full = [
            (0, y - 8), (15, y - 7), (24, y - 2), (w - 6, y - 20), (w + 3, y - 40), (w + 4, y),
            (24, 134 + jaw), (0, 138 + jaw),
        ]  # fmt: skip
        return [(mirrored(full), True), (mouth, False)]


def _fold(knots: Points | Sequence[tuple[float, float]], half_width: float) -> Points:
    return stroke(curve(knots), half_width)


# --- hair -----------------------------------------------------------------------------------------


def hair_behind(face: Face) -> Points:
    """Return the outline of the hair behind the head."""
    w = face.width
    if face.hair_style.startswith("bob"):
        return mirrored([(0, -27), (32, -21), (w + 6, 8), (w + 11, 50), (w + 10, 106), (0, 112)])
    if face.hair_style == "curls":
        return mirrored([(0, -32), (34, -26), (w + 9, 2), (w + 14, 40), (w + 10, 72), (0, 80)])
    return mirrored([(0, -24), (0.58 * w, -19), (0.95 * w + 2, 4), (w + 2.5, 34), (w - 2, 58)])


def hair_front(face: Face) -> list[Points]:
    """Return the outlines of the hair over forehead and temples; none for a bald head."""
    w, style = face.width, face.hair_style
    dome = [(w + 2, 46), (w + 3, 24), (0.93 * w + 3, 2), (0.58 * w, -21), (0, -27)]
    hairlines = {
        "crop": [(w - 3, 34), (w - 10, 17), (20, 11), (0, 12)],
        "curls": [(w - 2, 40), (w - 9, 19), (20, 13), (0, 11)],
        "receding": [(w - 2, 32), (w - 7, 12), (22, -3), (0, 5)],
        "side": [(w - 3, 38), (34, 18), (16, 6), (9, 1), (-6, 9), (-26, 18), (4 - w, 38)],
        "bob": [(w - 4, 38), (30, 16), (9, 4), (2, -3), (-5, 4), (-28, 16), (4 - w, 38)],
        "fringe": [(w - 4, 38), (w - 14, 26), (14, 28), (0, 25)],
    }
    if style == "bald":
        return []
    line = hairlines["fringe" if style == "bob fringe" else style]
    if line[-1][0] == 0:
        line = [*line, *((-x, y) for x, y in line[-2::-1])]
    over = [*dome, *((-x, y) for x, y in dome[-2::-1]), *line[::-1]]
    shapes = [curve(np.array(over) + [MIDDLE, 0], closed=True)]
    if style.startswith("bob"):
        lock = [(w - 6, 22), (w + 6, 20), (w + 10, 60), (w + 9, 104), (w, 109), (w - 3, 84)]
        for side in (-1, 1):
            shapes.append(curve(np.array(lock) * [side, 1] + [MIDDLE, 0], closed=True))
    if style == "curls":
        for angle in np.linspace(-0.12, np.pi + 0.12, 17):
            at = np.array([MIDDLE + (w + 6) * np.cos(angle), 22 - 40 * np.sin(angle)])
            shapes.append(at + 8.5 * circle())
    return shapes


# --- colors --------------------------------------------------------------------------------------


def _color(rgb: tuple[int, int, int]) -> Color:
    return np.array(rgb, np.float64)


def mix(first: Color, second: Color, weight: float) -> Color:
    """Return a color between two: the first at weight 0, the second at 1."""
    return first + weight * (second - first)

"""Painting a face in a scene: from the outlines of `anatomy.py` to pixels.

A `Portrait` paints the parts that do not move (background, hair, skin, light) once, and the parts
that do (folds, eyes, brows, nose, mouth, beard) for each frame. The canvas is larger than the final
picture and has a margin, so that the camera in `clips.py` can rotate and reduce it smoothly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3dfel.opencv import cv2
from m3dfel.synthetic.anatomy import (
    ARCH,
    BULGE,
    GRID,
    Color,
    Face,
    Pose,
    hair_behind,
    hair_front,
    mix,
)
from m3dfel.synthetic.curves import MIDDLE, Points, between, circle, curve, mirrored, ribbon, stroke

# uint8; loosely typed, as OpenCV's own annotations are.
Picture = NDArray[Any]

MARGIN = 10
OVERSAMPLING = 2

# Pixels per grid unit for everything without edges; it is enlarged afterwards.
_COARSE = 0.5

# Darker shadows on skin are redder: the red channel falls slowest.
_SHADE = np.arange(256)[:, None] / 128
_SHADE_BY_CHANNEL = np.where(_SHADE < 1, _SHADE ** np.array([0.7, 1.0, 1.1]), _SHADE**0.8)
_SHADES = (128 * _SHADE_BY_CHANNEL).clip(0, 255).astype(np.uint8)[None]

_LASHES = np.array([32.0, 24, 22])
_MOUTH_DARK = np.array([74.0, 24, 26])
_TONGUE = np.array([178.0, 78, 82])
_TEETH = np.array([242.0, 238, 229])


class Scene:
    """The surroundings of a face in one clip: random light and a random background.

    Args:
        rng: the generator that everything is drawn from.

    Attributes:
        background: the two colors of a gradient, RGB from 0 to 255.
        clothes: color of the collar.
        light: vector toward the light: right, down, toward the viewer.
        contrast: how much darker the side away from the light is, 0 to 1.
        tint: color of the light, around 1 in each channel.
        seed: seed of the spots in the background.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        base = rng.uniform(60, 215) + rng.normal(0, 14, 3)
        self.background = base, base * rng.uniform(0.55, 1.25) + rng.normal(0, 10, 3)
        self.clothes = rng.uniform(40, 210) + rng.normal(0, 26, 3)
        self.light = rng.uniform(-0.9, 0.9), rng.uniform(-0.8, 0.1), 0.8
        self.contrast = rng.uniform(0.25, 0.6)
        self.tint = rng.uniform(0.8, 1.12) * (1 + rng.normal(0, 0.022, 3))
        self.seed = int(rng.integers(2**31))


class Brush:
    """Fills outlines on canvases of one scale, which show the 128 grid and the margin around it.

    Args:
        scale: pixels per grid unit.
    """

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.side = round((GRID + 2 * MARGIN) * scale)

    def canvas(self, value: int, channels: int = 1) -> Picture:
        """Return a canvas of one value, uint8 (side, side) or (side, side, channels)."""
        shape = (self.side, self.side, channels) if channels > 1 else (self.side, self.side)
        return np.full(shape, value, np.uint8)

    def pixels(self, points: Points) -> NDArray[np.int32]:
        """Return points in sixteenths of a pixel, as OpenCV expects them."""
        return (points * (16 * self.scale) + (16 * MARGIN * self.scale - 7.5)).astype(np.int32)

    def fill(
        self,
        picture: Picture,
        points: Points,
        color: Color | float,
        corner: NDArray[np.int32] | int = 0,
    ) -> None:
        """Fill an outline; `corner` is the top left pixel (x, y) of a picture cut from a canvas."""
        tone = (color,) if isinstance(color, (int, float)) else tuple(color.tolist())
        cv2.fillPoly(picture, [self.pixels(points) - 16 * corner], tone, cv2.LINE_AA, 4)

    def soften(self, picture: Picture, sigma: float) -> Picture:
        """Return the picture blurred; `sigma` is in grid units."""
        return cv2.GaussianBlur(picture, (0, 0), sigma * self.scale)

    def enlarge(self, picture: Picture) -> Picture:
        """Return a coarser canvas, enlarged to this brush's scale."""
        return cv2.resize(picture, (self.side, self.side), interpolation=cv2.INTER_LINEAR)


class Portrait:
    """A face in a scene, which can be painted many times.

    Args:
        face: the identity.
        scene: its light and background.
        size: height and width of the final picture in pixels; the canvas has `OVERSAMPLING` times
            as many.
    """

    def __init__(self, face: Face, scene: Scene, size: int) -> None:
        self._face = face
        self._brush = Brush(OVERSAMPLING * size / GRID)
        coarse = Brush(_COARSE)
        self._back = self._brush.enlarge(_background(coarse, scene))
        _paint_behind(self._brush, self._back, face, scene)
        self._skin = self._brush.enlarge(_modeled_skin(coarse, face))
        if face.freckles:
            _paint_freckles(self._brush, self._skin, face)
        self._front, self._front_gap = _front(self._brush, face)
        self._light = self._brush.enlarge(_light(coarse, scene))

    def paint(
        self, units: Mapping[int, float], gaze: tuple[float, float], turn: tuple[float, float]
    ) -> Picture:
        """Paint the face for one frame; the arguments are those of `Pose`.

        Returns:
            The canvas, uint8 RGB: the 128 grid and `MARGIN` units around it.
        """
        pose = Pose(self._face, units, gaze, turn)
        picture = self._flesh(pose)
        self._nose(picture, pose)
        for side in (-1, 1):
            self._eye(picture, pose, side)
            self._brow(picture, pose, side)
        self._mouth(picture, pose)
        cv2.multiply(picture, self._front_gap, picture, 1 / 255)
        cv2.add(picture, self._front, picture)
        return cv2.multiply(picture, self._light, picture, 1 / 128)

    def _flesh(self, pose: Pose) -> Picture:
        """Paint the head with its folds and its beard."""
        shade = self._brush.canvas(128)
        for points, depth in pose.folds():
            self._brush.fill(shade, points, 128 - (96 if depth > 0 else 22) * depth)
        skin = _shaded(self._skin, self._brush.soften(shade, 0.9))
        if self._face.beard != "none":
            skin = self._bearded(skin, pose)
        outline = self._brush.canvas(0)
        self._brush.fill(outline, pose.outline(), 255.0)
        picture = self._back.copy()
        # Masked copying leaves hard edges; reducing the canvas later softens them.
        cv2.copyTo(skin, outline, picture)
        return picture

    def _bearded(self, skin: Picture, pose: Pose) -> Picture:
        cover = self._brush.canvas(0)
        weight = 80.0 if self._face.beard == "stubble" else 235.0
        for points, is_hair in pose.beard():
            self._brush.fill(cover, points, weight if is_hair else 0.0)
        cover = cv2.merge([self._brush.soften(cover, 1.5)] * 3)
        color = _to_picture(mix(self._face.hair, self._face.skin, 0.12))
        beard = cv2.multiply(cover, np.broadcast_to(color, cover.shape).copy(), None, 1 / 255)
        return cv2.add(cv2.multiply(skin, 255 - cover, None, 1 / 255), beard)

    def _nose(self, picture: Picture, pose: Pose) -> None:
        for side in (-1, 1):
            wing, hole = pose.nostril(side)
            self._brush.fill(picture, wing, self._face.skin * [0.76, 0.66, 0.62])
            self._brush.fill(picture, hole, self._face.skin * [0.4, 0.31, 0.29])

    def _eye(self, picture: Picture, pose: Pose, side: int) -> None:
        upper, lower = pose.lids(side)
        skin, fill = self._face.skin, self._brush.fill
        crease = upper - ARCH[:, None] * [0, 0.8 + 1.2 * pose.closed] - [0, 2.4]
        fill(picture, ribbon(crease, 0.45 * ARCH), skin * [0.68, 0.56, 0.52])
        if pose.closed < 0.85:
            self._eyeball(picture, pose, side, between(upper, lower))
        fill(picture, ribbon(lower, 0.35 * ARCH + 0.1), skin * [0.62, 0.48, 0.44])
        fill(picture, between(upper + [0, 0.3], upper - ARCH[:, None] ** 0.6 * [0, 1.4]), _LASHES)

    def _eyeball(self, picture: Picture, pose: Pose, side: int, opening: Points) -> None:
        # Painted in a small window, then copied through the opening between the lids.
        pixels = self._brush.pixels(opening) // 16
        left, top = np.maximum(pixels.min(0) - 1, 0)
        right, bottom = pixels.max(0) + 2
        window = picture[top:bottom, left:right]
        ball = np.full_like(window, 234)
        corner, at, iris = np.array([left, top], np.int32), pose.iris(side), self._face.iris
        for points, color in (
            (at + 4.8 * circle(), iris * 0.5),
            (at + 4.1 * circle(), iris),
            (at + [0, 1.3] + [2.8, 2.1] * circle(), iris * 1.25),
            (at + 2.1 * circle(), _LASHES * 0.4),
            (at + [1.4, -1.6] + 1.0 * circle(), np.array([252.0, 252, 252])),
            (between(opening[:15] - [0, 2], opening[:15] + [0, 0.9]), np.array([120.0, 106, 102])),
        ):
            self._brush.fill(ball, points, color, corner)
        mask = np.zeros(window.shape[:2], np.uint8)
        self._brush.fill(mask, opening, 255.0, corner)
        cv2.copyTo(ball, mask, window)

    def _brow(self, picture: Picture, pose: Pose, side: int) -> None:
        line = pose.brow(side)
        along = np.linspace(0, 1, len(line))
        width = (1.25 + np.minimum(4 * along, 1.0)) * (1 - along**2.5) + 0.2
        color = mix(self._face.hair * 0.75, self._face.skin, 0.14)
        self._brush.fill(picture, ribbon(line, self._face.brow_thickness * width), color)

    def _mouth(self, picture: Picture, pose: Pose) -> None:
        lips, fill = self._face.lips, self._brush.fill
        top, upper, lower, bottom = pose.lips()
        gape = lower - upper
        open_by = gape[:, 1].max()
        if open_by > 0.5:
            fill(picture, between(upper, lower), _MOUTH_DARK)
            fill(picture, between(lower - [0, 0.4] * gape, lower), _TONGUE)
            fill(picture, between(upper, np.minimum(lower, upper + BULGE * pose.teeth)), _TEETH)
        fill(picture, between(top, upper), lips * [0.86, 0.8, 0.8])
        fill(picture, between(lower, bottom), lips)
        gleam = (0.55 * lower + 0.45 * bottom)[6:-6]
        thickness = 0.2 * (bottom - lower)[10, 1]
        fill(picture, stroke(gleam, 0.5 * thickness), np.minimum(lips * 1.12 + 14, 255))
        if open_by < 2:
            fill(picture, stroke((upper + lower) / 2, 0.75), lips * [0.45, 0.36, 0.36])


# --- parts that do not move -----------------------------------------------------------------------


def _background(brush: Brush, scene: Scene) -> Picture:
    x, y = _grid(brush)
    first, second = scene.background
    blend = np.clip((y + 0.3 * x) / GRID, 0, 1)[..., None]
    picture = _to_picture(first + blend * (second - first))
    rng = np.random.default_rng(scene.seed)
    for _ in range(4):
        spot = rng.uniform(-20, 148, 2) + rng.uniform(12, 35) * circle()
        color = rng.uniform(30, 230) + rng.normal(0, 25, 3)
        brush.fill(picture, spot, mix(first, color, 0.45))
    return brush.soften(picture, 6)


def _paint_behind(brush: Brush, picture: Picture, face: Face, scene: Scene) -> None:
    """Paint what is visible around the head: hair, neck, collar and ears."""
    if face.hair_style != "bald":
        brush.fill(picture, hair_behind(face), face.hair * 0.75)
    neck = mirrored([(0, 70), (27, 80), (27, 108), (30, 124), (46, 134), (60, 160), (0, 170)])
    brush.fill(picture, neck, face.skin * [0.72, 0.66, 0.64])
    collar = [(0, 146), (24, 138), (34, 125), (60, 118), (90, 130), (90, 170), (0, 176)]
    brush.fill(picture, mirrored(collar), scene.clothes)
    if face.hair_style.startswith("bob") or face.hair_style == "curls":
        return
    for side in (-1, 1):
        at = np.array([MIDDLE + side * (face.width + 1), 61])
        brush.fill(picture, at + circle() * [5.5, 11], face.skin * [0.92, 0.84, 0.8])
        brush.fill(picture, at + circle() * [3, 6], face.skin * [0.78, 0.68, 0.64])


def _modeled_skin(brush: Brush, face: Face) -> Picture:
    """Paint the skin of a face at rest, with soft shadows."""
    shade = brush.canvas(128)

    def spot(x: float, y: float, width: float, height: float, value: float) -> None:
        for side in (-1, 1):
            points = circle() * [width, height] + [MIDDLE + side * x, y]
            brush.fill(shade, points, value)

    spot(face.eye_x - 1, face.eye_y - 5, 13, 6, 106)
    spot(9, 57, 3, 11, 112)
    spot(25, 71, 9, 6, 143)
    spot(36, 90, 6, 14, 112)
    spot(0, 26, 22, 9, 142)
    spot(0, face.chin - 8, 8, 4, 142)
    shade = brush.soften(shade, 4)
    spot(0, 62, 1.8, 13, 150)
    spot(0, face.nose_y + 7, 7, 2, 112)
    x, y = _grid(brush)
    cheeks = ((np.abs(x - MIDDLE) - 25) / 11) ** 2 + ((y - 74) / 9) ** 2
    blush = 0.16 * np.exp(-cheeks)[..., None] * (np.array([214.0, 92, 88]) - face.skin)
    return _shaded(_to_picture(face.skin + blush), brush.soften(shade, 1.7))


def _paint_freckles(brush: Brush, skin: Picture, face: Face) -> None:
    # Freckles belong to the identity, so their seed comes from it.
    rng = np.random.default_rng(int(face.width * 1e6))
    for at in rng.normal((MIDDLE, 68), (19, 6), (40, 2)):
        brush.fill(skin, at + rng.uniform(0.3, 0.7) * circle(), face.skin * [0.88, 0.78, 0.7])


def _front(brush: Brush, face: Face) -> tuple[Picture, Picture]:
    """Return hair and glasses in front of the face: color times opacity, and 255 - opacity."""
    color, gap = brush.canvas(0, 3), brush.canvas(255, 3)

    def lay(points: Points, tone: Color) -> None:
        brush.fill(gap, points, np.zeros(3))
        brush.fill(color, points, tone)

    for i, points in enumerate(hair_front(face)):
        lay(points, face.hair * (1 + 0.12 * (i % 3 - 1) * (face.hair_style == "curls")))
    for i, bend in enumerate(np.linspace(-1, 1, 23)):
        knots = [(MIDDLE + 8 * bend, -24), (MIDDLE + 34 * bend, -4), (MIDDLE + 49 * bend, 34)]
        tone = face.hair * (0.9 if i % 2 else 1.06)
        brush.fill(color, stroke(curve(knots), 0.9), tone)
    # Keep strands within the hair.
    color = cv2.min(brush.soften(color, 0.6), 255 - gap)
    if face.glasses:
        tone = face.hair * 0.35 if face.asymmetry > 0 else np.array([128.0, 92, 58])
        for line in _spectacles(face):
            lay(ribbon(line, 0.8), tone)
    return color, gap


def _spectacles(face: Face) -> list[Points]:
    lines = [curve([(58.5, 52), (64, 50.4), (69.5, 52)])]
    for side in (-1, 1):
        lens = circle() * [14, 11.5] + [MIDDLE + side * (face.eye_x + 0.5), face.eye_y + 1.5]
        lines.append(np.concatenate([lens, lens[:1]]))
        temple = [(33.0, 50), (39, 49), (46, 50)]
        lines.append(curve(np.array(temple) * [side, 1] + [MIDDLE, 0]))
    return lines


def _light(brush: Brush, scene: Scene) -> Picture:
    """Return the light on an egg-shaped head; 128 leaves a pixel unchanged."""
    x, y = _grid(brush)
    nx, ny = (x - MIDDLE) / 56, (y - 60) / 82
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.05, None))
    right, down, near = np.array(scene.light) / np.linalg.norm(scene.light)
    falling = np.clip(nx * right + ny * down + nz * near, -0.2, 1)
    gain = 1 + scene.contrast * (falling - 0.75)
    return brush.soften(_to_picture(128 * gain[..., None] * scene.tint), 3)


def _shaded(skin: Picture, shade: Picture) -> Picture:
    """Multiply skin by a gray shade; 128 leaves a pixel unchanged."""
    return cv2.multiply(skin, cv2.LUT(cv2.merge([shade] * 3), _SHADES), None, 1 / 128)


def _grid(brush: Brush) -> tuple[Points, Points]:
    """Return x and y of each pixel of a canvas in grid units."""
    line = (np.arange(brush.side) + 0.5) / brush.scale - MARGIN
    x, y = np.meshgrid(line, line)
    return x, y


def _to_picture(values: NDArray[np.float64]) -> Picture:
    return np.clip(values, 0, 255).astype(np.uint8)

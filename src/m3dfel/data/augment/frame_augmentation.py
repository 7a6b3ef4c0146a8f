"""The random transform of training clips from frames and videos, made fast.

It draws the same random numbers as `transforms.training_transform` and gives the same clips within
a few gray levels, much faster: the crop is chosen before the frames are decoded, and OpenCV changes
the colors of all frames at once, as one uint8 picture. Drawn faces and stills keep the exact
transform, so that the numbers of the recipes for them stay the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from m3dfel.config import AugmentConfig
from m3dfel.data.augment.transforms import color_jitter, degradations, random_crop
from m3dfel.data.frames import Frames, Picture
from m3dfel.opencv import LUMINANCE, cv2

_LUMINANCE = np.array(LUMINANCE[::-1])  # of blue, green and red, the order of OpenCV

# torchvision cuts fractions off where OpenCV rounds; whole numbers must stay what they are.
_CUT_OFF = -0.499

# Below this factor, plain bilinear sampling hardly differs from antialiased resizing.
_SLIGHT_REDUCTION = 1.2


class FrameAugmentation:
    """Decodes, crops, resizes, flips and colors the frames of a clip at random.

    The random numbers come from torch's generator.

    Args:
        size: height and width of the result in pixels.
        augment: which random changes, and how strong.
    """

    def __init__(self, size: int, augment: AugmentConfig) -> None:
        self.size, self.flip = size, augment.flip
        self.crop = random_crop(size, augment)
        self.jitter = color_jitter(augment) if augment.jitter else None
        self.degradations = degradations(augment)

    def __call__(self, frames: Frames) -> Tensor:
        """Return the clip, uint8 RGB (T, 3, size, size).

        Raises:
            InputError: a frame is not a picture, or they differ in size.
        """
        # Without data: torchvision asks only for the size.
        source = torch.empty((3, *frames.size), device="meta")
        crop = self.crop.make_params([source])
        mirrored = bool(self.flip and torch.rand(1) < self.flip)
        colors = self.jitter.make_params([source]) if self.jitter else {}
        # Colors are changed where there are fewer pixels, before or after resizing.
        if crop["height"] * crop["width"] < self.size**2:
            crops = np.stack([_cut(picture, crop) for picture in frames.pictures()])
            _jitter_colors(crops, colors)
            clip = _resize_all(crops, len(crops), self.size)
        else:
            clip = _crop_and_resize(frames, crop, self.size)
            _jitter_colors(clip, colors)
        degraded = _to_tensor(clip, mirrored=mirrored)
        for degrade in self.degradations:
            degraded = degrade(degraded)
        return degraded


def _cut(picture: Picture, crop: dict[str, int]) -> Picture:
    top, left = crop["top"], crop["left"]
    return picture[top : top + crop["height"], left : left + crop["width"]]


def _crop_and_resize(frames: Frames, crop: dict[str, int], size: int) -> Picture:
    """Return the crop of all frames, (T, size, size, 3), BGR.

    JPEG files are decoded at a reduced size if the crop is still as large as the result.
    """
    shorter = min(crop["height"], crop["width"])
    reduction = next((factor for factor in (8, 4, 2) if shorter >= factor * size), 1)
    if reduction == 1 or not frames.reducible:
        crops = (_cut(picture, crop) for picture in frames.pictures())
        return _resize_all(crops, len(frames.contents), size)
    return np.stack(
        [_sample(picture, crop, reduction, size) for picture in frames.pictures(reduction)]
    )


def _sample(picture: Picture, crop: dict[str, int], reduction: int, size: int) -> Picture:
    """Resize a crop, given in pixels of the full picture, of a reduced picture."""
    steps = [crop[side] / reduction / size for side in ("height", "width")]
    # The first pixel of the result is centered half a step inside the crop.
    top, left = (
        crop[side] / reduction + (step - 1) / 2
        for side, step in zip(("top", "left"), steps, strict=True)
    )
    down, across = map(_smoothing, steps)
    picture = cv2.sepFilter2D(picture, -1, across, down)
    matrix = np.array([[steps[1], 0, left], [0, steps[0], top]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        picture, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )


def _resize_all(pictures: Iterable[Picture], frames: int, size: int) -> Picture:
    """Resize pictures as torchvision's antialiased bilinear resizing does: (T, size, size, 3)."""
    clip = np.empty((frames, size, size, 3), np.uint8)
    for picture, target in zip(pictures, clip, strict=True):
        factors = [side / size for side in picture.shape[:2]]
        interpolation = cv2.INTER_LINEAR
        if max(factors) > 2:
            interpolation = cv2.INTER_AREA
        elif max(factors) > _SLIGHT_REDUCTION:
            down, across = map(_smoothing, factors)
            picture = cv2.sepFilter2D(picture, -1, across, down)
        cv2.resize(picture, (size, size), dst=target, interpolation=interpolation)
    return clip


def _smoothing(factor: float) -> npt.NDArray[np.float32]:
    """Return the filter that comes before bilinear sampling, for factors of up to about 2.

    Antialiased resizing averages with a triangle as wide as the factor: its variance is factor²/6.
    Bilinear sampling has a variance of 1/6, and the filter adds the rest.
    """
    side = (min(max(factor, 1.0), 2.0) ** 2 - 1) / 12
    return np.array([side, 1 - 2 * side, side], np.float32)


def _jitter_colors(clip: Picture, change: dict[str, Any]) -> None:
    """Apply the parameters of `v2.ColorJitter`, in their random order, to (T, H, W, 3) in place."""
    if not change:
        return
    # A picture with one row per frame: OpenCV has no clips, and is fastest with long rows.
    rows = clip.reshape(len(clip), -1, 3)
    for operation in change["fn_idx"].tolist():
        if operation == 0:
            cv2.transform(rows, _affine(change["brightness_factor"] * np.eye(3)), dst=rows)
        elif operation == 1:
            _change_contrast(rows, change["contrast_factor"])
        elif operation == 2:
            kept = change["saturation_factor"]
            mixed = kept * np.eye(3) + (1 - kept) * _LUMINANCE
            cv2.transform(rows, _affine(mixed), dst=rows)
        else:
            _turn_hue(rows, change["hue_factor"])


def _change_contrast(rows: Picture, factor: float) -> None:
    """Move each frame's pixels away from its mean luminance, or toward it, in place."""
    affine = _affine(factor * np.eye(3))
    for row in rows:
        frame = row[None]
        affine[:, 3] = (1 - factor) * (_LUMINANCE @ cv2.mean(frame)[:3]) + _CUT_OFF
        cv2.transform(frame, affine, dst=frame)


def _affine(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the (3, 4) matrix of a (3, 3) matrix of colors with fractions cut off."""
    return np.hstack([matrix, np.full((3, 1), _CUT_OFF)])


def _turn_hue(rows: Picture, turns: float) -> None:
    """Add a fraction of a turn, -0.5 to 0.5, to the hue of all pixels, in place."""
    cv2.cvtColor(rows, cv2.COLOR_BGR2HSV_FULL, dst=rows)
    # Whole rows are added at once, and uint8 wraps around as hue does.
    step = np.array([round(turns * 256) % 256, 0, 0], np.uint8)
    flat = rows.reshape(len(rows), -1)
    np.add(flat, np.tile(step, rows.shape[1]), out=flat)
    cv2.cvtColor(rows, cv2.COLOR_HSV2BGR_FULL, dst=rows)


def _to_tensor(clip: Picture, *, mirrored: bool) -> Tensor:
    """Return a BGR clip (T, S, S, 3) as uint8 RGB (T, 3, S, S)."""
    frames, size = clip.shape[:2]
    tall = clip.reshape(-1, size, 3)
    if mirrored:
        tall = cv2.flip(tall, 1)
    planes = np.empty((3, frames * size, size), np.uint8)
    cv2.split(tall, list(planes[::-1]))
    return torch.from_numpy(planes.reshape(3, frames, size, size)).transpose(0, 1)

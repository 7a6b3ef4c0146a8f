"""From a video to what each face expresses, and when.

The entrance to recognition: frames are read and tracked, and a `Stream` makes the answers of them.
A prediction is what a stream has said at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from m3dfel.data.augment.transforms import resize_middle
from m3dfel.errors import InputError
from m3dfel.models.checkpoints import BUNDLED, load_model, move_model
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.predictions.prediction import Prediction
from m3dfel.predictions.smoothing import kernel_radius
from m3dfel.progress import progress_bar
from m3dfel.recognition.appearance import AppearanceDescriptor, AppearanceEncoder
from m3dfel.recognition.settings import RecognizerSettings
from m3dfel.recognition.stream import Stream
from m3dfel.video.camera import read_camera
from m3dfel.video.decode import PICTURES_PER_S, Picture
from m3dfel.video.faces import CenterFace, FaceDetector
from m3dfel.video.follow import WINDOW_EVERY_S, can_follow
from m3dfel.video.sources import (
    Source,
    is_live,
    read_frames,
    several,
    source_duration,
    source_name,
)
from m3dfel.video.tracks import SMOOTH_AHEAD, aligned_faces, track_faces

# Instances in one forward pass. With more, detection would have to wait for them; with fewer, each
# takes longer.
_BATCH = 6


class Recognizer:
    """Recognizes what every face of a video expresses, and when.

    Args:
        model: a trained model, which is put into evaluation mode; or whatever
            `checkpoints.load_model` takes: a run, the folder of a model, a name on the hub, or
            `bundled`. None for the bundled one.
        settings: how it works; None for the defaults.
        detector: finds the faces in a frame; None for the bundled one.
        encoder: describes what faces look like, to find out which tracks are the same person; None
            for the one of this package.
        **fields: settings by name in place of `settings`, such as `device="cuda"` or `clip_s=1.28`;
            see `RecognizerSettings`.

    Raises:
        InputError: there is no such model, the device is not available, or a setting is out of its
            range.

    Example:
        In a video of real people, `Recognizer()("holiday.mp4")` finds and follows every face. The
        short video here shows a drawn face that smiles. The face fills the frame, so there is
        nothing to find: `aligned=True`.

        >>> from tempfile import TemporaryDirectory
        >>> from m3dfel import Recognizer
        >>> from m3dfel.synthetic.clips import SyntheticClip, render
        >>> from m3dfel.video.encode import write_video
        >>> smile = SyntheticClip(seed=0, identity=101, clip=1, emotion="happiness")
        >>> folder = TemporaryDirectory()
        >>> video = f"{folder.name}/smile.mp4"
        >>> write_video(video, render(smile, range(smile.n_frames), size=112), fps=25)

        >>> recognizer = Recognizer()
        >>> prediction = recognizer(video, aligned=True)
        >>> prediction.clips["emotion"].unique().tolist()
        ['happiness']
        >>> folder.cleanup()
    """

    def __init__(
        self,
        model: M3DFEL | str | Path | None = None,
        settings: RecognizerSettings | None = None,
        *,
        detector: FaceDetector | None = None,
        encoder: AppearanceEncoder | None = None,
        **fields: Any,
    ) -> None:
        self.settings = replace(settings or RecognizerSettings(), **fields)
        if not isinstance(model, M3DFEL):
            model = load_model(str(model or BUNDLED))
        self.model = move_model(model, self.settings.device).eval()
        self.detector = detector or CenterFace()
        self.encoder = encoder or AppearanceDescriptor()

    @property
    def delay_s(self) -> float:
        """Seconds from the end of a clip until its answer is final, at 25 frames per second.

        Until then come the clips that it is averaged with, the context of its last instance, the
        frames that steady landmarks, and the next detection of a face that is followed.
        """
        instance_s = self.settings.clip_s / self.model.bag_size
        clips = kernel_radius(self.settings.smooth_s / instance_s)
        follows = can_follow(self.detector, self.settings.detect_every)
        context_s = self.model.context * instance_s / self.model.instance_length
        frames_s = SMOOTH_AHEAD / PICTURES_PER_S + (WINDOW_EVERY_S if follows else 0.0)
        return clips * instance_s + context_s + frames_s

    def __call__(
        self,
        source: Any,
        aligned: bool = False,
        fps: float | None = None,
        *,
        progress: bool = True,
    ) -> Prediction | list[Prediction]:
        """Recognize the faces of a video or photo, or of several.

        Args:
            source: one of these, or a list of them, a pattern such as `*.mp4`, or a folder, which
                means all videos and photos in it:

                - the path or URL of a video or picture;
                - a NumPy array, uint8 in RGB: (H, W, 3) or (H, W) for a picture, (T, H, W, 3) for a
                  video;
                - a Pillow image;
                - an iterator of arrays, Pillow images or `Frame`s, for a video.
            aligned: the frames already show one cropped face, as in face data sets. The whole frame
                is then the face: no detection, and no marks `too small`, `turned away` or
                `blurred`. Pictures in a list or folder are the frames of one video, not photos.
            fps: pictures in a list or folder are the frames of one video, not photos, with this
                rate; also the rate of arrays. None for 25.
            progress: show how far it is, on stderr.

        Returns:
            A prediction, with a timeline for each track; without any face, empty tables and a note.
            For a list, a pattern or a folder, a list of predictions.

        Raises:
            InputError: a source cannot be read, a frame is too small to show a face, or the
                model's weights are damaged.
        """
        sources = several(source, one_video=aligned or fps is not None)
        if sources is None:
            return self.predict(source, aligned, fps, progress=progress)
        return [self.predict(one, aligned, fps, progress=progress) for one in sources]

    def predict(
        self,
        source: Source,
        aligned: bool = False,
        fps: float | None = None,
        *,
        progress: bool = True,
    ) -> Prediction:
        """Recognize the faces of one video or photo.

        Args:
            source: as for a call, but one; a folder or a list holds the frames of one video.
            aligned: as for a call.
            fps: as for a call.
            progress: as for a call.

        Raises:
            InputError: as for a call.
        """
        if is_live(source):
            raise InputError(f"camera {source} never ends: read it with stream({source!r})")
        stream = self._stream(source, aligned, fps)
        name = Path(stream.name).name
        duration_s = source_duration(source, fps) if progress else None
        bar = progress_bar(f"reading {name}", duration_s, "{:.1f} × real time", show=progress)
        done_s = 0.0
        with stream, bar as advance:
            for step in stream.steps():
                advance(step.frame.time_s - done_s)
                done_s = step.frame.time_s
        return stream.prediction()

    def stream(
        self, source: Source | int, aligned: bool = False, fps: float | None = None
    ) -> Stream:
        """Recognize the faces of a video or of a camera while it runs.

        An update comes once it is final: `delay_s` after the end of its clip. No frame or crop is
        kept, whatever the length, only the rows of the tables: 20 MB an hour for each face.

        Args:
            source: as for `predict`, or the number of a camera, from 0, or its URL, such as
                `rtsp://…`. The frames of a camera or an iterator are read at once, those of files
                in batches, which is faster.
            aligned: as for `predict`.
            fps: as for `predict`.

        Returns:
            An iterator of updates, one for each clip of each track. At its end, its `prediction()`
            is what this recognizer returns for the source.

        Raises:
            InputError: on the first update, as for a prediction, or there is no such camera.

        Example:
            >>> from m3dfel import Recognizer
            >>> from m3dfel.synthetic.clips import SyntheticClip, render
            >>> from m3dfel.video.decode import Frame
            >>> smile = SyntheticClip(seed=0, identity=101, clip=1, emotion="happiness")
            >>> images = render(smile, range(smile.n_frames), size=112)
            >>> frames = (Frame(i, i / 25, image) for i, image in enumerate(images))
            >>> with Recognizer().stream(frames, aligned=True) as stream:
            ...     for update in stream:
            ...         answer = update.end_s, update.emotion
            >>> answer
            (1.44, 'happiness')
        """
        if isinstance(source, int) or is_live(source):
            source = read_camera(source)
        return self._stream(source, aligned, fps, live=isinstance(source, Iterator))

    def _stream(
        self,
        source: Source,
        aligned: bool,
        fps: float | None,
        *,
        live: bool = False,
    ) -> Stream:
        """Return the stream of a source; a live one waits for nothing, and nothing waits for it."""
        frames, size, zoom = read_frames(source, fps), self.model.size, self.model.zoom
        if aligned:
            tracked_frames = aligned_faces(frames, _resize(size, zoom), live=live)
        else:
            tracked_frames = track_faces(
                frames,
                self.detector,
                size,
                zoom,
                detect_every=self.settings.detect_every,
                live=live,
            )
        return Stream(
            self.model,
            self.settings,
            source_name(source),
            tracked_frames,
            encoder=None if aligned else self.encoder,
            batch=1 if live else _BATCH,
        )


def _resize(size: int, zoom: float) -> Callable[[Picture], Picture]:
    """Return what turns a frame into a crop, as in evaluation."""

    def resize(image: Picture) -> Picture:
        picture = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
        return np.asarray(resize_middle(picture, size, zoom).permute(1, 2, 0), np.uint8)

    return resize

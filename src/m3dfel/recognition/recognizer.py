"""From a video to what each face expresses, and when.

The entrance to recognition: holds the model, the detector and the settings, and gives every source
to a `Stream`. A prediction is what a stream has said at its end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from m3dfel.data.augment.transforms import evaluation_transform
from m3dfel.errors import InputError
from m3dfel.models.checkpoints import BUNDLED, load_model, move_model
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.predictions.prediction import Prediction
from m3dfel.predictions.smoothing import kernel_radius
from m3dfel.recognition.appearance import AppearanceDescriptor, AppearanceEncoder
from m3dfel.recognition.defaults import CLIP_S, SMOOTH_S
from m3dfel.recognition.persons import join_tracks
from m3dfel.recognition.progress import show_progress
from m3dfel.recognition.stream import Stream, TrackFaces
from m3dfel.video.align import TEMPLATE
from m3dfel.video.camera import read_camera
from m3dfel.video.decode import PICTURES_PER_S, Frame
from m3dfel.video.defaults import SEARCH_EVERY
from m3dfel.video.faces import CenterFace, Detection, FaceDetector
from m3dfel.video.follow import LOOK_EVERY_S, can_follow
from m3dfel.video.prefetch import AHEAD
from m3dfel.video.sources import Source, read_frames, source_duration, source_name
from m3dfel.video.tracks import DETECTED_AHEAD, LOOK_AHEAD, TrackedFace, TrackedFrame, stream_faces

# Instances in one forward pass. With more, detection would have to wait for them; with fewer, each
# takes longer.
_BATCH = 6

# Frames of a camera that may wait between two steps: what waits is old when it is shown.
_LIVE_AHEAD = 1


class Recognizer:
    """Recognizes what every face of a video expresses, and when.

    Args:
        model: a trained model, which is put into evaluation mode; None for the bundled one.
        detector: finds the faces in a frame; None for the bundled one.
        device: the torch device of the model, such as `cpu` or `cuda`.
        clip_s: seconds a clip covers. Longer clips give steadier answers; shorter ones show more
            precisely when an expression starts.
        smooth_s: standard deviation in seconds of the Gaussian that averages the probabilities of
            neighboring clips. It is symmetric, so that changes appear without delay. 0 for no
            averaging.
        search_every: search the whole frame for faces every so many frames and follow known faces
            in between; 1 searches every frame, which takes several times as long.
        encoder: describes what faces look like, to find out which tracks are the same person; None
            for the one of this package.

    Raises:
        InputError: the device is not available, `clip_s` is not above 0, `smooth_s` is below 0, or
            `search_every` is below 1.

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
        model: M3DFEL | None = None,
        detector: FaceDetector | None = None,
        device: str = "cpu",
        clip_s: float = CLIP_S,
        smooth_s: float = SMOOTH_S,
        search_every: int = SEARCH_EVERY,
        encoder: AppearanceEncoder | None = None,
    ) -> None:
        if search_every < 1:
            raise InputError(f"search_every is {search_every} but must be 1 frame or more")
        if not clip_s > 0:
            raise InputError(f"clip_s is {clip_s} but must be above 0 seconds")
        if not smooth_s >= 0:
            raise InputError(f"smooth_s is {smooth_s} but must be 0 seconds or more")
        self.model = move_model(model or load_model(BUNDLED), device).eval()
        self.detector = detector or CenterFace()
        self.encoder = encoder or AppearanceDescriptor()
        self.clip_s, self.smooth_s, self.search_every = clip_s, smooth_s, search_every

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        detector: FaceDetector | None = None,
        device: str = "cpu",
        clip_s: float = CLIP_S,
        smooth_s: float = SMOOTH_S,
        search_every: int = SEARCH_EVERY,
    ) -> Recognizer:
        """Return a recognizer with the model of that name.

        Args:
            name: whatever `checkpoints.load_model` takes, such as a run's folder.
            detector: as in `Recognizer`.
            device: as in `Recognizer`.
            clip_s: as in `Recognizer`.
            smooth_s: as in `Recognizer`.
            search_every: as in `Recognizer`.

        Raises:
            InputError: there is no such model, or an argument is invalid as for `Recognizer`.
        """
        return cls(load_model(str(name)), detector, device, clip_s, smooth_s, search_every)

    @property
    def delay_s(self) -> float:
        """Seconds from the end of a clip until its answer is final, at 25 frames per second.

        Until then come the clips that it is averaged with, the context of its last instance, the
        frames that steady landmarks, and the next look at a face that is followed.
        """
        instance_s = self.clip_s / self.model.bag_size
        clips = kernel_radius(self.smooth_s / instance_s)
        look_s = LOOK_EVERY_S if can_follow(self.detector, self.search_every) else 0.0
        context_s = self.model.context * instance_s / self.model.instance_length
        return clips * instance_s + context_s + LOOK_AHEAD / PICTURES_PER_S + look_s

    def __call__(self, source: Source, aligned: bool = False) -> Prediction:
        """Recognize the faces of a video.

        Args:
            source: a video file; a folder of frames or a list of pictures, taken as 25 frames per
                second; or `Frame`s.
            aligned: the frames already show one cropped face, as in face data sets. The whole frame
                is then the face: no detection, and no marks `too small`, `turned away` or
                `blurred`.

        Returns:
            One timeline for each face; without any face, empty tables and a note.

        Raises:
            InputError: the source cannot be read, a frame is too small to show a face, or the
                model's weights are damaged.
        """
        with self._stream(source, aligned) as stream:
            for _ in show_progress(stream.steps(), stream.name, source_duration(source)):
                pass
        return join_tracks(stream.prediction(), source, self.detector, self.encoder)

    def stream(self, source: Source | int, aligned: bool = False) -> Stream:
        """Recognize the faces of a video or of a camera while it runs.

        An update comes once it is final: `delay_s` after the end of its clip. No frame or crop is
        kept, whatever the length, only the rows of the tables: 20 MB an hour for each face.

        Args:
            source: as for a prediction, or the number of a camera, from 0. The frames of a camera
                or an iterator are read at once, those of files in batches, which is faster.
            aligned: as for a prediction.

        Returns:
            An iterator of updates, one for each clip of each face. At its end, its `prediction()`
            is what this recognizer returns for the source, except that each face is a person of its
            own: who comes back is known only at the end.

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
        if isinstance(source, int):
            source = read_camera(source)
        return self._stream(source, aligned, live=isinstance(source, Iterator))

    def _stream(self, source: Source, aligned: bool, *, live: bool = False) -> Stream:
        """Return the stream of a source; a live one waits for nothing, and nothing waits for it."""
        size, zoom = self.model.size, self.model.zoom
        track: TrackFaces = partial(
            stream_faces,
            detector=self.detector,
            size=size,
            zoom=zoom,
            search_every=self.search_every,
            ahead=_LIVE_AHEAD if live else DETECTED_AHEAD,
        )
        if aligned:
            track = partial(_aligned_faces, size=size, zoom=zoom)
        return Stream(
            self.model,
            source_name(source),
            read_frames(source),
            track,
            self.clip_s,
            self.smooth_s,
            batch=1 if live else _BATCH,
            ahead=_LIVE_AHEAD if live else AHEAD,
        )


def _aligned_faces(
    frames: Iterable[Frame], size: int, zoom: float
) -> Generator[TrackedFrame, None, None]:
    """Yield frames that show one aligned face, resized as in evaluation."""
    resize = evaluation_transform(size, zoom)
    frames = iter(frames)
    following = next(frames, None)
    while following is not None:
        frame, following = following, next(frames, None)
        height, width = frame.image.shape[:2]
        picture = torch.from_numpy(np.ascontiguousarray(frame.image)).permute(2, 0, 1)
        crop = resize(picture).permute(1, 2, 0).numpy()
        box = np.array([0, 0, width, height], dtype=np.float32)
        detection = Detection(box, 1.0, (TEMPLATE * box[2:]).astype(np.float32))
        face = TrackedFace(1, frame.index, frame.time_s, detection, crop, mark="")
        yield TrackedFrame(frame, [face], ended=[] if following else [1])

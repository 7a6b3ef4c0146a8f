"""From a video to what each face expresses, and when.

Reads and tracks the faces (the video room), cuts every track into instances, runs the backbone once
for each instance, and fuses every N neighbouring instances into one clip of the timeline. So
overlapping clips cost no more than clips side by side.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import track as with_progress
from torch import Tensor

from m3dfel.checkpoints import BUNDLED, load_model
from m3dfel.data.transforms import evaluation_transform
from m3dfel.errors import InputError
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.recognition.appearance import AppearanceDescriptor, AppearanceEncoder
from m3dfel.recognition.defaults import CLIP_S, SMOOTH_S
from m3dfel.recognition.persons import join_tracks
from m3dfel.recognition.prediction import Prediction, TrackPrediction, build_prediction
from m3dfel.recognition.timeline import clip_marks, cut_track, smooth_probabilities
from m3dfel.video.align import TEMPLATE
from m3dfel.video.decode import Frame
from m3dfel.video.defaults import SEARCH_EVERY
from m3dfel.video.faces import CenterFace, FaceDetector
from m3dfel.video.quality import quality_marks
from m3dfel.video.sources import Source, read_frames, source_name
from m3dfel.video.tracks import Track, track_faces

# Instances in one forward pass: four clips of the published model.
_BATCH = 16


class Recognizer:
    """Recognises what every face of a video expresses, and when.

    Args:
        model: a trained model, which is put into evaluation mode; None for the bundled one.
        detector: finds the faces in a frame; None for the bundled one.
        device: the torch device of the model, such as `cpu` or `cuda`.
        clip_s: seconds a clip covers. Longer clips give steadier answers; shorter ones show more
            precisely when an expression starts.
        smooth_s: standard deviation in seconds of the Gaussian that averages the probabilities of
            neighbouring clips. It is symmetric, so that changes appear without delay. 0 for no
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
        >>> from m3dfel.video.decode import write_video
        >>> smile = SyntheticClip(seed=0, identity=100, clip=1, emotion="happiness")
        >>> folder = TemporaryDirectory()
        >>> video = f"{folder.name}/smile.mp4"
        >>> write_video(video, render(smile, range(smile.n_frames), size=112), fps=25)

        >>> recognizer = Recognizer()
        >>> prediction = recognizer(video, aligned=True)
        >>> prediction.table["emotion"].unique().tolist()
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
        try:
            self.model = (model or load_model(BUNDLED)).to(device).eval()
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                f"torch cannot use the device {device!r} here: choose another, such as cpu"
            ) from error
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

    def __call__(self, source: Source, aligned: bool = False) -> Prediction:
        """Recognise the faces of a video.

        Args:
            source: a video file; a folder of frames or a list of pictures, taken as 25 frames per
                second; or a list of `Frame`s.
            aligned: the frames already show one cropped face, as in face data sets. The whole frame
                is then the face: no detection, and no marks `too small`, `turned away` or
                `blurred`.

        Returns:
            One timeline for each face; without any face, empty tables and a note.

        Raises:
            InputError: the source cannot be read, a frame is too small to show a face, or the
                model's weights are damaged.
        """
        name = source_name(source)
        frames = with_progress(
            read_frames(source),
            f"reading {Path(name).name}",
            console=Console(stderr=True),
            transient=True,
        )
        size, zoom = self.model.size, self.model.zoom
        if aligned:
            tracks = [_aligned_track(frames, size, zoom)]
            marks = [np.full(len(tracks[0].times_s), "")]
        else:
            tracks = track_faces(frames, self.detector, size, zoom, search_every=self.search_every)
            marks = [quality_marks(track) for track in tracks]
        predictions = [self._predict(*pair) for pair in zip(tracks, marks, strict=True)]
        note = "" if tracks else _NO_FACE.format(name)
        model = self.model
        made = build_prediction(name, model.labels, predictions, model.min_confidence, note)
        return join_tracks(made, source, self.detector, self.encoder)

    @torch.inference_mode()
    def _predict(self, track: Track, frame_marks: npt.NDArray[np.str_]) -> TrackPrediction:
        model = self.model
        indices, borders_s = cut_track(
            track.times_s, model.bag_size, model.instance_length, self.clip_s
        )
        features = self._instance_features(track.crops, indices)
        bags = features.unfold(0, model.bag_size, 1).transpose(1, 2)
        logits, evidence = model.fuse_explained(bags)
        if not logits.isfinite().all():
            raise InputError(
                "the model's logits are not numbers: its weights are damaged, load another model"
            )
        raw = logits.softmax(1).double().cpu().numpy()
        marks = clip_marks(frame_marks, indices, model.bag_size)
        middles_s = (borders_s[: len(raw)] + borders_s[-len(raw) :]) / 2
        probabilities = smooth_probabilities(
            raw, middles_s, unreadable=np.array(marks) != "", smooth_s=self.smooth_s
        )
        return TrackPrediction(
            track=track,
            frame_marks=frame_marks,
            borders_s=borders_s,
            raw=raw,
            probabilities=probabilities,
            clip_marks=marks,
            evidence=evidence.double().cpu().numpy(),
        )

    def _instance_features(
        self, crops: npt.NDArray[np.uint8], indices: npt.NDArray[np.int64]
    ) -> Tensor:
        """Run the backbone on instances (M, t) of crops (T, S, S, 3): float (M, F)."""
        batches = [indices[start : start + _BATCH] for start in range(0, len(indices), _BATCH)]
        return torch.cat([self.model.backbone(self._input(crops[batch])) for batch in batches])

    def _input(self, crops: npt.NDArray[np.uint8]) -> Tensor:
        """Turn crops (M, t, S, S, 3) into the backbone's input: float (M, 3, t, S, S)."""
        frames = torch.from_numpy(crops).permute(0, 1, 4, 2, 3).to(self.model.mean.device)
        return self.model.normalize(frames).transpose(1, 2)


_NO_FACE = (
    "no face was found in {}: if its frames already show one cropped face, use --aligned "
    "(in Python: aligned=True)"
)


def _aligned_track(frames: Iterable[Frame], size: int, zoom: float) -> Track:
    """Return frames that show one aligned face as its track, resized as in evaluation."""
    resize = evaluation_transform(size, zoom)
    times_s, indices, boxes, crops = [], [], [], []
    for frame in frames:
        height, width = frame.image.shape[:2]
        picture = torch.from_numpy(np.ascontiguousarray(frame.image)).permute(2, 0, 1)
        times_s.append(frame.time_s)
        indices.append(frame.index)
        boxes.append((0, 0, width, height))
        crops.append(resize(picture).permute(1, 2, 0).numpy())
    corners = np.array(boxes, dtype=np.float32)
    return Track(
        face=1,
        times_s=np.array(times_s, dtype=np.float64),
        indices=np.array(indices, dtype=np.int64),
        boxes=corners,
        scores=np.ones(len(crops), dtype=np.float32),
        landmarks=(TEMPLATE * corners[:, None, 2:]).astype(np.float32),
        crops=np.stack(crops),
    )

"""Draw the timeline of a video: what each face expresses, and when.

    python examples/timeline.py holiday.mp4

Without a video, it draws one: a face that is happy, then surprised.
"""

import argparse

import numpy as np

from m3dfel import Recognizer
from m3dfel.synthetic.clips import render, synthetic_clips
from m3dfel.video.encode import write_video


def draw_video(path: str) -> None:
    clips = synthetic_clips(seed=0, identities=[8], per_emotion=1, labels=["happiness", "surprise"])
    frames = [render(clip, range(clip.n_frames), size=112) for clip in clips]
    write_video(path, np.concatenate(frames), fps=25)


parser = argparse.ArgumentParser(description="Draw the timeline of a video.")
parser.add_argument("video", nargs="?", help="default: draw one")
parser.add_argument("--output", default="timeline.png")
arguments = parser.parse_args()

video = arguments.video or "drawn_face.mp4"
if not arguments.video:
    draw_video(video)

recognizer = Recognizer()  # the bundled model
# The drawn frames show nothing but the face, so there is no face to detect and align.
prediction = recognizer(video, aligned=not arguments.video)
print(prediction.clips[["track", "start_s", "end_s", "emotion", "confidence", "mark"]])
prediction.plot(arguments.output)
print(f"written: {arguments.output}")

"""Stand-ins for prediction that worker processes start with: quick, since without torch."""

import os
import tempfile
import time
from pathlib import Path

from m3dfel.batch.settings import Outcome, Predict, PredictSettings, Video


def start(settings: PredictSettings) -> Predict:
    """Return what notes each attempt in `log.txt`, and does to some videos what their names say."""
    output = Path(settings.output)

    def predict(video: Video) -> Outcome:
        with (output / "log.txt").open("a") as file:
            file.write(video.stem + "\n")
        if video.stem == "fatal":
            tempfile.mkstemp()
            os._exit(1)
        if video.stem == "killed" and not (output / "pid").exists():
            (output / "pid.new").write_text(str(os.getpid()))
            (output / "pid.new").rename(output / "pid")
            time.sleep(600)
        if video.stem == "bad":
            return Outcome(video, "bad is not a video", finished=False)
        return Outcome(video, "", finished=True)

    return predict

"""ONNX Runtime without its usage statistics: import `onnxruntime` from here, not directly.

From version 1.29 on, importing it writes an identifier of the machine into the home folder, and
running it queues events there for sending. Only an environment variable that is set meanwhile
prevents the first; the environment of the host is left as it was.
"""

from __future__ import annotations

import os

_NAME = "ORT_DISABLE_TELEMETRY"
_before = os.environ.get(_NAME)
os.environ[_NAME] = "1"
try:
    import onnxruntime
finally:
    del os.environ[_NAME]
    if _before is not None:
        os.environ[_NAME] = _before

onnxruntime.disable_telemetry_events()

__all__ = ["onnxruntime"]

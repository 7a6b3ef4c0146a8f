"""What moves in a face: ARKit's blendshapes, and the action units of FACS that they resemble.

A model learns them from the estimates of MediaPipe's face landmarker. They are no FACS coding, in
which trained people name the muscles at work; the units only help to find what a word means.
"""

from __future__ import annotations

CLOSEST_UNITS = {
    "browDown": "AU4",
    "browInnerUp": "AU1",
    "browOuterUp": "AU2",
    "cheekPuff": "AU34",
    "cheekSquint": "AU6",
    "eyeBlink": "AU45",
    "eyeLookDown": "AU64",
    "eyeLookUp": "AU63",
    "eyeSquint": "AU7",
    "eyeWide": "AU5",
    "jawForward": "AU29",
    "jawOpen": "AU26",
    "mouthDimple": "AU14",
    "mouthFrown": "AU15",
    "mouthFunnel": "AU22",
    "mouthLowerDown": "AU16",
    "mouthPress": "AU24",
    "mouthPucker": "AU18",
    "mouthRollLower": "AU28",
    "mouthRollUpper": "AU28",
    "mouthShrugLower": "AU17",
    "mouthSmile": "AU12",
    "mouthStretch": "AU20",
    "mouthUpperUp": "AU10",
    "noseSneer": "AU9",
}
"""The action unit that each movement is closest to, where there is one; left and right are one."""

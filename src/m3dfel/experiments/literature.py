"""Published results, printed next to ours and labeled as published. None was measured here.

"The replication" is the study of M3DFEL with the intensity-aware loss that this package started
from, on fold 1 of DFEW.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Published:
    """The published results of one method.

    Attributes:
        method: its name, with the year of the paper where known.
        results: from data set to WAR and UAR in percent, digit for digit; None where the source
            gives no value.
        source: where the numbers were read.
        trick: what the method does differently.
        protocol: from data set to the folds used, where the source says so.
    """

    method: str
    results: Mapping[str, tuple[float, float | None]]
    source: str
    trick: str = ""
    protocol: Mapping[str, str] = field(default_factory=dict)


PUBLISHED: tuple[Published, ...] = (
    Published(
        "Former-DFER (2021)",
        {"DFEW": (65.70, 53.69), "FERV39k": (45.72, 36.88)},
        source="its README",
        trick="CNN + Transformer",
    ),
    Published(
        "GCA + IAL (2023)",
        {"DFEW": (69.24, 55.71), "FERV39k": (48.54, 35.82)},
        source="figures of the MAE-DFER repository",
        trick="intensity-aware loss",
    ),
    Published(
        "M3DFEL (2023)",
        {"DFEW": (69.25, 56.10), "FERV39k": (47.67, 35.94)},
        source="paper; TFace, CVPR_result.png",
        trick="MIL over 3D instances; disgust recall 0.00",
        protocol={"DFEW": "5 folds"},
    ),
    # Users of the authors' code report results in this range.
    Published(
        "M3DFEL, users' lowest result",
        {"DFEW": (66.5, None)},
        source="Tencent/TFace#132",
        trick="the authors' code",
    ),
    Published(
        "M3DFEL, users' highest result",
        {"DFEW": (67.9, None)},
        source="Tencent/TFace#132",
        trick="the authors' code",
    ),
    Published(
        "M3DFEL + IAL (replication)",
        {"DFEW": (68.22, 57.70)},
        source="the replication",
        protocol={"DFEW": "fold 1"},
    ),
    Published(
        "M3DFEL without IAL (replication)",
        {"DFEW": (68.69, 57.17)},
        source="the replication, from its differences +0.47 / −0.53",
        protocol={"DFEW": "fold 1"},
    ),
    Published(
        "AEN (2023)",
        {"DFEW": (69.37, 56.66), "FERV39k": (47.88, 38.18)},
        source="DFER-CLIP, performance.png",
        trick="frame-level guidance",
    ),
    Published(
        "CDGT",
        {"DFEW": (70.07, 59.16), "FERV39k": (50.80, 41.34)},
        source="SurveyFER README",
        trick="transformer",
    ),
    Published(
        "CLIPER (2023)",
        {"DFEW": (70.84, 57.56), "FERV39k": (51.34, 41.23)},
        source="DFER-CLIP, performance.png",
        trick="CLIP text",
    ),
    Published(
        "DFER-CLIP (2023)",
        {"DFEW": (71.25, 59.61), "FERV39k": (51.65, 41.27)},
        source="DFER-CLIP, performance.png",
        trick="descriptions of expressions",
    ),
    Published(
        "LSGTNet",
        {"DFEW": (72.34, 61.33), "FERV39k": (51.31, 41.30)},
        source="SurveyFER README",
    ),
    Published(
        "SVFAP (2024)",
        {"DFEW": (74.27, 62.83), "FERV39k": (52.29, 42.14)},
        source="its README",
        trick="self-supervised, VoxCeleb2",
    ),
    Published(
        "MAE-DFER (2023)",
        {"DFEW": (74.43, 63.41), "FERV39k": (52.07, 43.12)},
        source="its figures",
        trick="masked pretraining, VoxCeleb2",
    ),
    Published(
        "VideoMAE on VoxCeleb2",
        {"DFEW": (74.60, 63.60), "FERV39k": (52.39, 43.33)},
        source="figures of the MAE-DFER repository",
        trick="masked pretraining, VoxCeleb2, plain ViT (WAR without: 70.61)",
    ),
    Published(
        "S2D (2024)",
        {"DFEW": (76.03, 61.82), "FERV39k": (52.56, 41.28)},
        source="its README",
        trick="AffectNet image model, landmarks",
    ),
    Published(
        "FineCLIPER (2024)",
        {"DFEW": (76.21, 65.98), "FERV39k": (53.98, 45.22)},
        source="SurveyFER README",
        trick="masks, landmarks, text",
    ),
    Published(
        "S4D (2025)",
        {"DFEW": (76.68, None), "FERV39k": (53.65, None)},
        source="arXiv 2409.06154",
        trick="joint image and video training",
    ),
)

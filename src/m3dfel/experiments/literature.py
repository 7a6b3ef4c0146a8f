"""Published results, to print beside ours and never as ours.

From the papers named; M3DFEL with the intensity-aware loss from the replication this package was
started from, on fold 1 of DFEW; its result without the loss follows from the differences it gives.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published result.

    Attributes:
        method: its name, with the year of the paper.
        dataset: `DFEW` or `FERV39k`.
        war: weighted average recall, a fraction.
        uar: unweighted average recall, a fraction; None where not published.
        protocol: on what, where it is not the data set's own protocol.
    """

    method: str
    dataset: str
    war: float
    uar: float | None
    protocol: str = ""


PUBLISHED = (
    Published("Former-DFER (2021)", "DFEW", 0.6570, 0.5369),
    Published("M3DFEL (2023)", "DFEW", 0.6925, 0.5610),
    Published("M3DFEL + IAL (replication)", "DFEW", 0.6822, 0.5770, "fold 1"),
    Published("M3DFEL without IAL (replication)", "DFEW", 0.6869, 0.5717, "fold 1"),
    Published("MAE-DFER (2023)", "DFEW", 0.7443, 0.6341),
    Published("S2D (2024)", "DFEW", 0.7603, 0.6182),
    Published("S4D (2025)", "DFEW", 0.7668, None),
    Published("Former-DFER (2021)", "FERV39k", 0.4572, 0.3688),
    Published("M3DFEL (2023)", "FERV39k", 0.4767, 0.3594),
    Published("MAE-DFER (2023)", "FERV39k", 0.5207, 0.4312),
    Published("S2D (2024)", "FERV39k", 0.5256, 0.4128),
    Published("S4D (2025)", "FERV39k", 0.5365, None),
)

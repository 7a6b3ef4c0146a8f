import numpy as np

from m3dfel.evaluation.failures import count_causes, failure_causes
from made_up import LABELS, run_with_evidence


def test_the_cause_is_fusion_if_the_decisive_instance_was_right():
    evidence = np.array(
        [
            [[9.0, 0, 0], [0, 0, 0], [0, 0, 0]],  # right
            [[3.0, 0, 0], [0, 2, 0], [0, 2, 0]],  # the decisive one is right, outvoted by two
            [[1.0, 0, 0], [0, 3, 0], [0, 0, 1]],  # one is right, but the decisive one is not
            [[0, 0, 1.0], [0, 0, 1], [0, 0, 1]],  # none is right
        ]
    )
    run = run_with_evidence(["happiness"] * 4, evidence)
    failures = failure_causes(run).set_index("path")
    assert failures["cause"].to_dict() == {
        "clip-1": "fusion",
        "clip-2": "classification",
        "clip-3": "classification",
    }
    assert failures["instances_right"].to_dict() == {"clip-1": 1, "clip-2": 1, "clip-3": 0}
    assert failures.loc["clip-2", "decisive"] == "sadness"
    counts = count_causes(failure_causes(run), run.clips, LABELS).set_index("emotion")
    assert counts.loc["happiness"].tolist() == [4, 3, 2, 1]
    assert counts.loc["sadness"].tolist() == [0, 0, 0, 0]
    assert counts.loc["all"].tolist() == [4, 3, 2, 1]
    right = run_with_evidence(["happiness", "sadness"], np.eye(3)[:2, None])
    counts = count_causes(failure_causes(right), right.clips, LABELS).set_index("emotion")
    assert counts["clips"].tolist() == [1, 1, 0, 2]
    assert counts["wrong"].tolist() == [0, 0, 0, 0]

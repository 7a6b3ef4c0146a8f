import math
from pathlib import Path

import pytest
import torch

from m3dfel.evaluation.measure import SplitOutputs, measure
from m3dfel.models.checkpoints import load_model
from m3dfel.training import calibration
from m3dfel.training.calibration import calibrate, prior_shift
from m3dfel.training.loop import train
from small_data import small_model, tiny, write_frames


def test_the_best_model_is_calibrated_on_the_validation_clips(dfew: Path, tmp_path: Path):
    results = train(tiny(tmp_path / "run", dfew, epochs=1))
    calibrated = results["calibrated"]
    assert 0.1 <= calibrated["temperature"] <= 10
    assert calibrated["val"]["loss"] <= results["best_on_val"]["val"]["loss"] + 1e-6
    best, last = (load_model(str(tmp_path / "run" / name)) for name in ("best", "last"))
    for name in ("weight", "bias"):
        after, before = getattr(best.classifier, name), getattr(last.classifier, name)
        torch.testing.assert_close(after * calibrated["temperature"], before)


def test_calibrated_outputs_are_those_of_the_calibrated_model():
    parts = {"motion": True, "movements": ["jawOpen"], "movement_classifier": True}
    model = small_model(bag_size=4, **parts).eval()
    for part in model.motion, model.movement_classifier:
        torch.nn.init.normal_(part.weight)
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(256, (8, 8, 3, 16, 16), dtype=torch.uint8, generator=generator)
    batch = {"clips": clips, "targets": torch.arange(8) % 7, "indices": torch.arange(8)}
    shift = torch.linspace(-1, 1, 7)
    calibration = calibrate(model, measure(model, [batch]), shift)
    again = measure(model, [batch])
    torch.testing.assert_close(calibration.outputs.logits, again.logits)
    torch.testing.assert_close(calibration.outputs.evidence, again.evidence)


def test_the_balance_can_be_restored_in_part(tmp_path: Path):
    """Three of four training clips are happy, but training samples both classes equally."""
    for number in range(8):
        write_frames(tmp_path / "faces" / str(number), 1, shade=number)
    emotions = ["happiness"] * 3 + ["fear"] + ["happiness", "fear"] * 2
    splits = ["train"] * 4 + ["val"] * 4
    rows = zip(range(8), emotions, splits, strict=True)
    table = tmp_path / "faces.csv"
    table.write_text("file,emotion,split\n" + "".join(f"{i}/1.jpg,{e},{s}\n" for i, e, s in rows))
    config = tiny(tmp_path / "run", table, epochs=1, batch_size=2)
    config.data.labels = ["happiness", "fear"]
    config.data.balance, config.data.prior_correction = 1.0, 0.5
    temperature = train(config)["calibrated"]["temperature"]
    best, last = (load_model(str(tmp_path / "run" / name)) for name in ("best", "last"))
    gain = best.classifier.bias * temperature - last.classifier.bias
    assert (gain[0] - gain[1]).item() == pytest.approx(0.5 * math.log(3), abs=1e-4)


def test_nothing_is_restored_without_balance():
    counts = torch.tensor([3.0, 1.0, 0.0])
    assert not prior_shift(counts, counts, 1.0).any()


def test_the_draws_are_undone_whatever_made_them_uneven():
    """By balance, by mixing weights, or both: what counts is how often each class was drawn."""
    counts, drawn = torch.tensor([6.0, 3.0, 1.0]).double(), torch.tensor([2.0, 5.0, 1.0]).double()
    balanced = (drawn / drawn.sum()).log()  # the logits of a model that knows only what was drawn
    restored = (balanced + prior_shift(counts, drawn, 1.0)).softmax(0)
    torch.testing.assert_close(restored, counts / 10)
    half = prior_shift(counts, 7 * drawn, 0.5)
    torch.testing.assert_close(2 * half, prior_shift(counts, drawn, 1.0))


def test_a_class_without_clips_moves_with_the_class_that_moves_most():
    restored = prior_shift(torch.tensor([3.0, 1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0]), 1.0)
    assert restored[2] == restored[1] < restored[0]


def outputs_with(*answers: tuple[float, bool]) -> SplitOutputs:
    """Outputs with these confidences, whose answers are right or wrong."""
    confidence = torch.tensor([confidence for confidence, _ in answers])
    logits = torch.stack([confidence, 1 - confidence], 1).log()
    targets = torch.tensor([0 if right else 1 for _, right in answers])
    return SplitOutputs(torch.arange(len(answers)), logits, targets, logits.unsqueeze(1))


def test_the_model_answers_from_the_smallest_confidence_that_is_reliable_enough(caplog):
    model = small_model(labels=["happiness", "fear"])
    outputs = outputs_with(
        *[(0.9, True)] * 18,
        *[(0.9, False)] * 2,
        *[(0.7, True)] * 4,
        *[(0.7, False)] * 2,
        *[(0.6, False)] * 2,
    )
    answers = calibrate(model, outputs, torch.zeros(2), target_accuracy=0.8).answers
    assert answers.answered == pytest.approx(13 / 14)
    assert answers.answered_right == pytest.approx(11 / 13)
    assert answers.min_confidence == model.min_confidence
    assert not caplog.records


def test_without_a_confidence_that_is_reliable_enough_the_model_keeps_its_own(caplog):
    model = small_model(labels=["happiness", "fear"])
    outputs = outputs_with(*[(0.9, True)] * 19, *[(0.8, False)] * 11)
    answers = calibrate(model, outputs, torch.zeros(2), target_accuracy=0.9).answers
    assert model.min_confidence == answers.min_confidence == 0.5
    assert "at no confidence are 90 % of 20 or more answers" in caplog.text, "19 are too few"
    assert "min_confidence stays 0.5" in caplog.text


def test_the_chosen_confidence_is_saved_with_the_model(dfew: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(calibration, "MIN_ANSWERS", 1)
    config = tiny(tmp_path / "run", dfew, epochs=1)
    config.target_accuracy = 0.01
    calibrated = train(config)["calibrated"]
    assert load_model(str(tmp_path / "run")).min_confidence == calibrated["min_confidence"] < 0.5
    assert calibrated["answered"] > 0
    assert calibrated["answered_right"] >= 0.01

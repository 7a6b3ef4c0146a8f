from pathlib import Path

import pytest

from m3dfel.config import TrainConfig, read_recipe, recipes, with_overrides
from m3dfel.errors import InputError
from m3dfel.models.checkpoints import save_model
from m3dfel.training.prepare import prepare, with_architecture
from small_data import small_model, tiny


def model_of(**settings):
    overrides = {f"model.{name}": value for name, value in settings.items()}
    return with_architecture(with_overrides(TrainConfig(), overrides)).model


def test_without_other_weights_the_model_is_the_published_one():
    model = model_of(weights="none")
    assert (model.frames, model.size, model.bag_size, model.zoom) == (16, 112, 4, 1.0)
    assert (model.backbone, model.aggregation) == ("r3d", "dliam")
    assert (model.backbone_options, model.aggregation_options) == ({}, {})


def test_weights_bring_their_architecture_and_what_is_named_overrides_it(tmp_path: Path):
    save_model(small_model(grayscale=True, aggregation="mean"), tmp_path)
    model = model_of(weights=str(tmp_path))
    assert (model.frames, model.size, model.bag_size, model.grayscale) == (8, 16, 2, True)
    assert (model.backbone_options, model.aggregation) == ({"width": 4, "depth": 10}, "mean")
    model = model_of(weights=str(tmp_path), size=32, backbone_options={"depth": 18})
    assert (model.size, model.backbone_options) == (32, {"width": 4, "depth": 18})


def test_only_named_movements_are_shown_unlike_those_of_the_weights(tmp_path: Path):
    trained = small_model(movements=["jawOpen", "eyeBlink"], reported_movements=["eyeBlink"])
    save_model(trained, tmp_path)
    model = model_of(weights=str(tmp_path))
    assert (model.movements, model.reported_movements) == (["jawOpen", "eyeBlink"], ["eyeBlink"])
    model = model_of(weights=str(tmp_path), movements=["jawOpen"])
    assert (model.movements, [*model.reported_movements]) == (["jawOpen"], [])


def test_the_movement_classifier_is_kept_while_what_it_reads_stays_as_it_is(tmp_path: Path):
    save_model(small_model(movements=["jawOpen"], movement_classifier=True), tmp_path / "with")
    save_model(small_model(movements=["jawOpen"]), tmp_path / "without")

    def has_one(weights: str, parts: list[str], **named: object) -> bool | None:
        overrides = {f"model.{name}": value for name, value in named.items()}
        overrides |= {"model.weights": str(tmp_path / weights), "optim.parts": parts}
        return with_architecture(with_overrides(TrainConfig(), overrides)).model.movement_classifier

    assert has_one("with", ["classifier"])
    assert not has_one("with", ["backbone.4"])
    assert not has_one("with", ["movement_head"])
    assert not has_one("with", [])
    assert has_one("with", [], movement_classifier=True)
    assert not has_one("with", ["classifier"], movements=["eyeBlink"])
    assert has_one("without", ["classifier", "movement_classifier"], movement_classifier=True)
    with pytest.raises(InputError, match=r"add movement_classifier to optim\.parts"):
        has_one("without", ["classifier"], movement_classifier=True)


def test_options_of_another_part_are_not_taken_over():
    assert model_of(weights="bundled").aggregation_options == {"init": "mean"}
    assert model_of(weights="bundled", aggregation="mean").aggregation_options == {}
    assert model_of(weights="bundled", backbone="resnet").backbone_options == {}


def test_a_configuration_is_checked_with_its_parts_and_stages(tmp_path: Path):
    config = tiny(tmp_path / "run", "faces")
    complete = prepare(config)
    assert prepare(complete) == complete, "a resumed run reads the complete settings"
    config.model.aggregation_options = {"norm": "group"}
    with pytest.raises(InputError, match="wrong option of the aggregation dliam: norm is 'group'"):
        prepare(config)
    config.model.bag_size = 3
    with pytest.raises(InputError, match=r"must be a divisor of model\.frames"):
        prepare(config)


@pytest.mark.parametrize("name", recipes())
def test_every_recipe_is_complete_but_for_the_data(name: str):
    assert prepare(read_recipe(name, {"data.path": "faces.csv", "output": "run"})).model.size

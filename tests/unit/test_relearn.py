"""Learning from labels: a correction that helps is found and promoted, one that does not hardly ever is."""

import time

import numpy as np
import onnxruntime
import pytest

from infra.operations.learn import _seen
from model.calibrate import softmax
from model.files import UnusableModel
from model.training.classifier_file import BothSides, build
from model.training.onnx_file import Graph
from model.training.onnx_head import FEATURES, LOGITS, corrected, with_features
from model.training.relearn import NONE, Comparison, learn
from tests.simulate.labels import promotions

DIRECTIONS = np.random.default_rng(1).normal(size=(5, 60)) * 0.45
SHIFT = np.random.default_rng(2).normal(size=60)


def sure_enough(scores):
    return scores.max(axis=1) >= 0.9


def images(rng, count, shift=1.6):
    """Features, present probabilities and labels of images that a planted shift has moved."""
    labels = rng.integers(0, 5, count)
    features = DIRECTIONS[labels] + rng.normal(size=(count, 60)) + shift * SHIFT
    logits = features @ DIRECTIONS.T - 0.5 * (DIRECTIONS**2).sum(axis=1)
    return features, softmax(logits), labels


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_200_labels_of_a_planted_shift_halve_the_error(seed):
    rng = np.random.default_rng(seed)
    features, present, labels = images(rng, 200)
    correction, _, comparison = learn(features, present, labels, sure_enough)
    features, present, labels = images(rng, 4_000)
    before = np.mean(present.argmax(axis=1) != labels)
    after = np.mean(correction.probabilities(features, present).argmax(axis=1) != labels)
    assert before > 0.1
    assert after < before / 2
    assert comparison.is_better


def test_1000_labels_take_seconds():
    began = time.process_time()
    features, present, labels = images(np.random.default_rng(4), 1_000)
    learn(features, present, labels, sure_enough)
    assert time.process_time() - began < 10


def test_a_thousand_classes_take_as_long_as_those_that_have_labels():
    rng = np.random.default_rng(10)
    labels = rng.integers(0, 50, 150)
    features = rng.normal(size=(1_000, 60))[labels] + rng.normal(size=(150, 60))
    present = softmax(rng.normal(size=(150, 1_000)) + 4 * np.eye(1_000)[labels])
    began = time.process_time()
    correction, out_of_fold, _ = learn(features, present, labels, sure_enough)
    assert time.process_time() - began < 10
    assert np.abs(correction.weight[np.unique(labels)]).max(axis=1).min() > 0
    assert not correction.weight[50:].any()
    assert not correction.bias[50:].any()
    assert out_of_fold.sum(axis=1) == pytest.approx(np.ones(150))
    kept = out_of_fold[:, 50:] / out_of_fold[:, 50:].sum(axis=1, keepdims=True)
    assert kept == pytest.approx(present[:, 50:] / present[:, 50:].sum(axis=1, keepdims=True))


def test_a_model_that_is_not_better_is_hardly_ever_promoted():
    assert promotions(np.random.default_rng(5), 5).measured <= 0.2


def test_images_of_none_of_the_classes_teach_to_be_unsure():
    rng = np.random.default_rng(6)
    features, present, labels = images(rng, 200, shift=0.0)
    foreign = rng.normal(size=(100, 60)) + 3 * SHIFT
    sure = softmax(foreign @ DIRECTIONS.T * 3)
    correction, _, comparison = learn(
        np.concatenate([features, foreign]),
        np.concatenate([present, sure]),
        np.concatenate([labels, np.full(100, NONE)]),
        sure_enough,
    )
    others = rng.normal(size=(300, 60)) + 3 * SHIFT
    before = softmax(others @ DIRECTIONS.T * 3)
    after = correction.probabilities(others, before)
    assert np.mean(after.max(axis=1) > 0.9) < np.mean(before.max(axis=1) > 0.9) / 2
    assert comparison.is_better


def test_what_may_be_chance_says_how_many_labels_are_missing():
    assert Comparison(100, 95, 92, wins=5, losses=2, p_value=0.2266).missing_labels == pytest.approx(
        151, abs=5
    )
    nearly = Comparison(100_000, 5_002, 5_000, wins=2_502, losses=2_500, p_value=0.49)
    assert nearly.missing_labels is None  # and it does not take minutes
    assert Comparison(100, 90, 92, wins=2, losses=4, p_value=0.9).missing_labels is None
    assert Comparison(100, 99, 90, wins=9, losses=0, p_value=0.002).missing_labels is None


# ── the model's file ───────────────────────────────────────────────────────────────────────────────────────


def a_model(logits=3, then=None):
    """A model with a last layer of three classes, perhaps more logits, and perhaps a MatMul behind it."""
    rng = np.random.default_rng(7)
    weight = rng.normal(size=(192, logits)).astype(np.float32) / 20

    def body(graph: Graph, x: str) -> str:
        flat = graph.node("Flatten", [x])
        hidden = graph.node("Relu", [flat])
        last = graph.node(
            "Gemm", [hidden, graph.half_constant(weight), graph.constant(np.zeros(logits, np.float32))]
        )
        return last if then is None else graph.node("MatMul", [last, graph.constant(then)])

    return build(
        BothSides(body, logits),
        name="small",
        classes=("a", "b", "c"),
        size_px=(8, 8),
        mean=np.full(3, 127, np.float32),
        std=np.full(3, 64, np.float32),
        temperature=0.8,
    )


def test_a_file_whose_last_gemm_is_not_the_classifier_is_refused():
    pixels = np.random.default_rng(8).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    assert _seen(a_model().content, pixels, 3, 0.8)[2] == 3
    with pytest.raises(UnusableModel, match="its probabilities are not the softmax"):
        _seen(a_model().content, pixels, 3, temperature=2.0)
    mixing = np.random.default_rng(3).normal(size=(3, 3)).astype(np.float32)
    with pytest.raises(UnusableModel, match="its probabilities are not the softmax"):
        _seen(a_model(then=mixing).content, pixels, 3, 0.8)


def run(content, names, pixels):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(names, {"images": pixels}), session.get_modelmeta().custom_metadata_map


def test_a_correction_in_the_file_is_the_one_that_was_learned():
    pixels = np.random.default_rng(8).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    file = a_model()
    (present, features, logits), _ = run(
        with_features(file.content), ["probabilities", FEATURES, LOGITS], pixels
    )
    assert (features.shape, logits.shape) == ((10, 192), (10, 3))  # each image and its mirror image
    rng = np.random.default_rng(9)
    weight = (rng.normal(size=(3, 192)) / 30).astype(np.float32)
    bias = np.array([0.5, 0, -0.5], np.float32)
    content, version = corrected(file.content, weight, bias)
    (found,), metadata = run(content, ["probabilities"], pixels)
    mean = features.reshape(2, 5, 192).mean(axis=0)
    expected = softmax(np.log(present) + (mean @ weight.T + bias) / 0.8)
    assert found == pytest.approx(expected, abs=1e-5)
    assert np.abs(found - present).max() > 0.05
    assert metadata["model_version"] == version != file.model_version
    assert version.startswith("small-")
    again, _ = corrected(content, weight, bias)  # a corrected model can be corrected again
    assert run(again, ["probabilities"], pixels)[0][0].shape == (5, 3)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x3a\xff\xff\xff\xff\x01", b"\x3a\x00"])
def test_what_is_no_model_with_a_last_layer_is_said_so(content):
    with pytest.raises(UnusableModel):
        with_features(content)

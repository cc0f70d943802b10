"""model.training.label_errors: labels that are probably wrong are found, and sound ones mostly are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.calibrate import softmax
from model.data.dataset import Dataset
from model.training.label_errors import MOST, find, suspicious


def predictions(seed, images=1_000, classes=5, planted=50, noise=1.0):
    """Out-of-fold probabilities of a model with 95 % accuracy, and labels of which some are wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, images)
    logits = 5.0 * np.eye(classes)[truth] + noise * rng.normal(0, 1.6, (images, classes))
    wrong = rng.choice(images, planted, replace=False)
    labels = truth.copy()
    labels[wrong] = (truth[wrong] + rng.integers(1, classes, planted)) % classes
    return softmax(logits), labels, set(wrong.tolist())


@pytest.mark.parametrize("seed", range(5))
def test_of_50_planted_errors_among_1000_labels_45_are_among_the_first_60(seed):
    probabilities, labels, planted = predictions(seed)
    assert np.mean(probabilities.argmax(axis=1) == labels) < 0.95
    assert len(planted & set(suspicious(probabilities, labels)[:60])) >= 45


def test_sound_labels_are_hardly_suspected():
    probabilities, labels, _ = predictions(1, planted=0, noise=0.8)
    assert len(suspicious(probabilities, labels)) <= 25


@given(st.integers(0, 1_000))
def test_a_suspect_is_predicted_as_something_else(seed):
    probabilities, labels, _ = predictions(seed, images=60, planted=6, noise=2.0)
    found = suspicious(probabilities, labels)
    assert len(set(found)) == len(found)
    assert all(probabilities[i].argmax() != labels[i] for i in found)


def test_a_class_without_labels_is_no_reason_to_suspect_one():
    probabilities = np.array([[0.1, 0.9, 0.0], [0.0, 1.0, 0.0], [0.2, 0.1, 0.7]])
    assert suspicious(probabilities, np.array([1, 1, 0])) == []


def test_nearly_the_same_images_with_two_labels_are_listed():
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    pixels[1] = np.clip(pixels[0].astype(int) + 2, 0, 255)
    pixels[3] = pixels[2]
    data = Dataset(pixels, np.array([0, 1, 1, 1]), ("cat", "dog"), ("a.png", "b.png", "c.png", "d.png"))
    probabilities = np.array([[0.9, 0.1], [0.95, 0.05], [0.1, 0.9], [0.1, 0.9]])
    found = find(data, probabilities)
    assert found.near_duplicates == [("a.png", "b.png")]
    assert [(each.image, each.label, each.rather) for each in found.suspects] == [("b.png", "dog", "cat")]
    assert found.lines() == [
        "1 labels are probably wrong:",
        "  b.png: labelled dog, rather cat (0.050)",
        "1 pairs of nearly the same images have two labels:",
        "  a.png and b.png",
    ]


def test_many_pairs_of_near_duplicates_are_counted_and_the_first_ones_listed():
    pixels = np.zeros((60, 32, 32, 3), np.uint8)
    data = Dataset(pixels, np.arange(60) % 2, ("cat", "dog"), tuple(f"{i}.png" for i in range(60)))
    found = find(data, np.full((60, 2), 0.5)).for_json()
    assert (len(found["near_duplicates_with_two_labels"]), found["near_duplicate_pairs"]) == (MOST, 900)

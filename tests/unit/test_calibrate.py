import json
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model import calibrate
from model.training.summary import summary

CLASSES = ("bicycle", "motorcycle")


def predictions(confidence, correct):
    """Two-class probabilities whose first class is true where `correct`, predicted with `confidence`."""
    confidence, correct = np.asarray(confidence), np.asarray(correct, dtype=bool)
    first = np.where(correct, confidence, 1 - confidence)
    return np.stack([first, 1 - first], axis=1), np.zeros(len(confidence), dtype=int)


def test_the_temperature_that_made_the_logits_too_small_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 3))
    labels = np.array([rng.choice(3, p=row) for row in calibrate.softmax(logits)])
    assert calibrate.fit_temperature(logits * 0.5, labels) == pytest.approx(0.5, rel=0.05)
    assert calibrate.fit_temperature(logits * 3.0, labels) == pytest.approx(3.0, rel=0.05)


def test_predictions_without_an_error_do_not_get_infinite_confidence():
    logits = np.tile([[1.0, 0.0]], (50, 1))
    fitted = calibrate.fit_temperature(logits, np.zeros(50, dtype=int))
    assert fitted == pytest.approx(calibrate.TEMPERATURES[0], rel=0.01)


def test_confidence_that_is_right_as_often_as_it_says_has_no_calibration_error():
    probabilities, labels = predictions([0.8] * 10, [True] * 8 + [False] * 2)
    assert calibrate.expected_calibration_error(probabilities, labels) == pytest.approx(0)


def test_the_calibration_error_is_the_gap_weighted_by_the_images_in_each_bin():
    probabilities, labels = predictions([0.9] * 10 + [0.6] * 30, [True] * 5 + [False] * 5 + [True] * 30)
    expected = (10 * abs(0.9 - 0.5) + 30 * abs(0.6 - 1.0)) / 40
    assert calibrate.expected_calibration_error(probabilities, labels) == pytest.approx(expected)


def test_the_threshold_is_the_lowest_that_is_precise_enough():
    # 300 sure and right; of 100 at .80 one in ten is wrong.
    confidence = np.array([0.95] * 300 + [0.80] * 100)
    correct = np.array([True] * 300 + ([True] * 9 + [False]) * 10)
    assert calibrate.choose_threshold(confidence, correct, 0.99) == pytest.approx(0.801)
    assert calibrate.choose_threshold(confidence, correct, 0.97) == pytest.approx(0.5)


def test_too_few_predictions_to_prove_the_precision_accept_nothing():
    confidence, correct = np.full(50, 0.97), np.full(50, True)
    assert calibrate.choose_threshold(confidence, correct, 0.99) == 1.0


def test_a_prediction_that_is_less_likely_than_all_others_together_is_never_accepted():
    confidence, correct = np.full(1000, 0.4), np.full(1000, True)
    threshold = calibrate.choose_threshold(confidence, correct, 0.5)
    assert not (confidence >= threshold).any()


@given(
    confidence=arrays(np.float64, st.integers(1, 200), elements=st.floats(0.5, 1.0)),
    data=st.data(),
    target=st.floats(0.5, 0.999),
)
def test_what_a_chosen_threshold_accepts_is_as_precise_as_asked_for(confidence, data, target):
    correct = data.draw(arrays(np.bool_, len(confidence)))
    threshold = calibrate.choose_threshold(confidence, correct, target)
    accepted = confidence >= threshold
    if threshold < 1.0:
        assert correct[accepted].mean() >= target - 1e-9
        lower = [t for t in calibrate.THRESHOLDS if t < threshold]
        for t in lower:
            kept = correct[confidence >= t]
            assert ((~kept).sum() + 1) / (len(kept) + 1) > 1 - target


def test_each_class_has_a_threshold_of_its_own():
    # The first class is always right when predicted; the second is wrong below .9.
    first = np.tile([[0.7, 0.3]], (200, 1))
    second = np.concatenate([np.tile([[0.2, 0.8]], (20, 1)), np.tile([[0.05, 0.95]], (200, 1))])
    probabilities = np.concatenate([first, second])
    labels = np.array([0] * 200 + [0] * 20 + [1] * 200)
    overall, per_class = calibrate.choose_thresholds(probabilities, labels, CLASSES, 0.99)
    assert per_class["bicycle"] == pytest.approx(0.5)
    assert per_class["motorcycle"] == pytest.approx(0.801)
    assert overall == pytest.approx(0.801)


def two_classes(*, rare, rare_wrong, rare_confidence=0.97):
    """1,000 sure and right bicycles; `rare` images taken for motorcycles, `rare_wrong` of them wrongly."""
    first, second = (
        np.tile([[0.98, 0.02]], (1000, 1)),
        np.tile([[1 - rare_confidence, rare_confidence]], (rare, 1)),
    )
    return np.concatenate([first, second]), np.array([0] * (1000 + rare_wrong) + [1] * (rare - rare_wrong))


@pytest.mark.parametrize(("rare", "wrong"), [(20, 0), (20, 1), (98, 0), (150, 1)])
def test_a_class_with_too_few_predictions_to_tell_follows_the_threshold_of_all(rare, wrong):
    probabilities, labels = two_classes(rare=rare, rare_wrong=wrong)
    overall, per_class = calibrate.choose_thresholds(probabilities, labels, CLASSES, 0.99)
    assert overall == 0.5
    assert per_class == {"bicycle": 0.5}
    result = calibrate.figures(probabilities, labels, CLASSES, overall, per_class, 0.99)
    assert result["at_class_thresholds"]["accepted"] == 1000 + rare


@pytest.mark.parametrize(("rare", "wrong"), [(20, 2), (150, 3)])
def test_a_class_that_is_seen_to_be_imprecise_is_reviewed(rare, wrong):
    probabilities, labels = two_classes(rare=rare, rare_wrong=wrong)
    overall, per_class = calibrate.choose_thresholds(probabilities, labels, CLASSES, 0.99)
    assert overall < 0.97
    assert per_class["motorcycle"] == 1.0
    result = calibrate.figures(probabilities, labels, CLASSES, overall, per_class, 0.99)
    assert result["at_class_thresholds"] == {
        "accepted": 1000,
        "coverage": round(1000 / (1000 + rare), 4),
        "errors": 0,
        "precision": 1.0,
        "precision_at_least_95": 0.997,
    }


def test_without_evidence_no_class_has_a_threshold_of_its_own():
    probabilities, labels = predictions([0.97] * 50, [True] * 50)
    assert calibrate.choose_thresholds(probabilities, labels, CLASSES, 0.99) == (1.0, {})


def test_acceptance_counts_the_errors():
    probabilities, labels = predictions([0.9, 0.9, 0.9, 0.6], [True, True, False, False])
    result = calibrate.acceptance(probabilities, labels, 0.8)
    assert result == {
        "accepted": 3,
        "coverage": 0.75,
        "errors": 1,
        "precision": 0.6667,
        "precision_at_least_95": 0.1353,
    }
    assert calibrate.acceptance(probabilities, labels, 0.95)["precision"] is None


def test_cross_fitting_measures_only_images_that_did_not_choose_the_threshold():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 1000)
    logits = np.stack([np.zeros(1000), (labels * 2 - 1) * 2 + rng.normal(0, 1, 1000)], axis=1)
    fold = np.arange(1000) % 5
    result = calibrate.cross_fitted_acceptance(logits, labels, fold, 0.99)
    assert 0.97 <= result["precision"] <= 1.0
    assert 0.5 <= result["coverage"] < 1.0


def test_risk_grows_with_coverage():
    probabilities, labels = predictions([0.6, 0.9, 0.8, 0.7], [False, True, True, False])
    coverage, risk = calibrate.risk_coverage(probabilities, labels)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3, 0.5])


def test_the_figures_of_a_thousand_classes_fit_into_a_card_and_on_a_screen():
    classes = [f"class {number:04}" for number in range(1_000)]
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 1_000, 1_500)
    probabilities = np.full((1_500, 1_000), 0.0005)
    probabilities[np.arange(1_500), np.where(rng.random(1_500) < 0.9, labels, 7)] = 0.5005
    result = calibrate.figures(probabilities, labels, classes, 0.5, {}, 0.9)
    assert len(json.dumps(result, indent=2)) < 1_000_000
    predicted = probabilities.argmax(axis=1)
    some = int(labels[predicted == 7][0])
    row = result["confusion"][classes[some]]
    assert row[classes[7]] == ((labels == some) & (predicted == 7)).sum()
    assert row[classes[some]] == ((labels == some) & (predicted == some)).sum()
    text = summary(result)
    assert len(text.splitlines()) < 100
    assert max(map(len, text.splitlines())) < 300
    lowest = min(value for value in result["recall"].values() if value is not None)
    assert f"{lowest:.4f} class" in text
    assert "predicted as, 20 of 1,000 classes:" in text


def test_the_figures_show_what_accuracy_alone_hides():
    # 90 of 100 images are bicycles, and every image is classified as one: accuracy .90, without any skill.
    probabilities, labels = np.tile([[0.9, 0.1]], (100, 1)), np.array([0] * 90 + [1] * 10)
    result = calibrate.figures(probabilities, labels, CLASSES, 0.8, dict.fromkeys(CLASSES, 0.8), 0.99)
    assert result["accuracy"] == result["majority_baseline"] == 0.9
    assert result["recall"] == {"bicycle": 1.0, "motorcycle": 0.0}
    assert result["confusion"]["motorcycle"] == {"bicycle": 10, "motorcycle": 0}
    assert result["at_threshold"] == {
        "threshold": 0.8,
        "accepted": 100,
        "coverage": 1.0,
        "errors": 10,
        "precision": 0.9,
        "precision_at_least_95": math.floor(1e4 * scipy.stats.beta.ppf(0.05, 90, 11)) / 1e4,
    }


# ── order, chance and guarantees ───────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60))
def test_the_auroc_of_errors_is_the_mann_whitney_statistic(images):
    confidence = np.array([level / 20 for level, _ in images])
    correct = np.array([right for _, right in images])
    found = calibrate.auroc_of_errors(confidence, correct)
    if correct.all() or not correct.any():
        assert found is None
        return
    statistic = scipy.stats.mannwhitneyu(confidence[correct], confidence[~correct]).statistic
    assert found == pytest.approx(statistic / correct.sum() / (~correct).sum())


def test_a_calibrated_model_shows_the_calibration_error_that_chance_gives():
    rng = np.random.default_rng(4)
    shown, by_chance = [], []
    for _ in range(100):
        confidence = rng.uniform(0.5, 1, 50)
        probabilities = np.stack([confidence, 1 - confidence], axis=1)
        labels = (rng.random(50) > confidence).astype(int)
        shown.append(calibrate.expected_calibration_error(probabilities, labels))
        by_chance.append(calibrate.calibration_error_by_chance(probabilities, labels))
    assert np.mean(shown) > 0.08
    assert np.mean(by_chance) == pytest.approx(np.mean(shown), abs=0.01)


def test_a_guaranteed_threshold_misses_its_precision_in_few_of_many_data_sets():
    rng = np.random.default_rng(5)
    missed, found = 0, 0
    for _ in range(200):
        confidence = rng.beta(8, 0.6, 1_500)
        threshold = calibrate.guaranteed_threshold(confidence, rng.random(1_500) < confidence, 0.97)
        if threshold is not None:
            found += 1
            missed += float(confidence[confidence >= threshold].mean()) < 0.97
    assert found > 150
    assert missed <= 0.05 * 200


def test_too_few_images_carry_no_guarantee():
    assert calibrate.guaranteed_threshold(np.ones(298), np.ones(298, bool), 0.99) is None
    assert calibrate.guaranteed_threshold(np.ones(299), np.ones(299, bool), 0.99) == 0.5


def test_figures_say_what_is_expected_and_what_is_sure():
    confidence = np.linspace(0.6, 1, 841)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.zeros(841, int)
    labels[:7] = 1
    shown = calibrate.figures(probabilities, labels, ["a", "b"], 0.5, {}, 0.99)
    assert (shown["at_threshold"]["precision"], shown["at_threshold"]["precision_at_least_95"]) == (
        0.9917,
        0.9844,
    )
    assert (shown["errors"], shown["auroc_of_errors"]) == (7, 1.0)
    assert shown["guaranteed"]["threshold"] < 0.61
    assert shown["guaranteed"]["precision_at_least_95"] >= 0.99

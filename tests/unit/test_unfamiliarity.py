"""What a model says of images that are unlike its classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import unfamiliarity
from model.unfamiliarity import Scale, auroc, score

scores = st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=60)


@given(scores, scores, scores)
def test_a_scale_rises_from_0_to_1_and_a_threshold_of_95_percent_costs_at_most_5(accepted, foreign, others):
    scale = Scale.fit(np.array(accepted), np.array(foreign))
    assert (np.diff(scale.scores) > 0).all()
    levels = scale(np.sort(np.array(others)))
    assert levels.min() >= 0
    assert levels.max() <= 1
    assert (np.diff(levels) >= 0).all()
    lost = scale(np.array(accepted)) > 0.95
    # The scale's points are rounded to four digits.
    assert lost.sum() <= 0.05 * len(accepted) + (np.abs(np.array(accepted) - scale.scores[5]) < 1e-4).sum()


def test_of_many_accepted_images_a_threshold_costs_its_share():
    rng = np.random.default_rng(0)
    accepted, foreign = rng.normal(0, 1, 4000), rng.normal(3, 1, 4000)
    scale = Scale.fit(accepted, foreign)
    for threshold in (0.5, 0.9, 0.95, 0.98):
        assert (scale(accepted) > threshold).mean() == pytest.approx(1 - threshold, abs=0.003)
    assert 0.03 < (scale(foreign) >= 1).mean() < 0.07


@given(scores, scores)
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(known, foreign):
    pairs = np.subtract.outer(np.array(foreign), np.array(known))
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert auroc(np.array(known), np.array(foreign)) == pytest.approx(expected)


def test_the_score_compares_what_the_kinds_and_the_classes_claim():
    logits = np.array([[1000.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 3.0, 3.0]])
    assert score(logits, 2) == pytest.approx([np.log(2) - 1000, 0.0, 3.0])


def test_figures_count_what_confidence_and_unfamiliarity_accept_together():
    found = unfamiliarity.figures(
        known=np.array([0.1, 0.2, 0.97, 0.3]),
        known_accepted=np.array([True, True, True, False]),
        known_right=np.array([True, False, True, True]),
        foreign=np.array([0.2, 1.0, 0.99, 1.0, 0.5, 1.0, 1.0, 1.0]),
        foreign_accepted=np.array([True, True, False, False, False, False, False, False]),
        kinds=np.array([0, 0, 1, 1, 2, 2, 3, 3]),
        names=("bus", "rose", "sea", "cup"),
    )
    assert found["known"] == {"images": 4, "accepted_by_confidence_alone": 3, "accepted": 2, "errors": 1}
    assert (found["images"], found["accepted_by_confidence_alone"], found["accepted"]) == (8, 0.25, 0.125)
    assert found["near"]["kinds"] == ["bus"]
    assert (found["near"]["accepted"], found["far"]["accepted"]) == (0.5, 0.0)
    assert found["by_kind"]["cup"]["auroc"] == 1.0
    assert found["by_kind"]["bus"]["auroc"] == pytest.approx((1.5 + 4) / 8, abs=1e-4)

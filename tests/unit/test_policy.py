import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workflow import policy as policy_module
from workflow.answers import Scores
from workflow.errors import InvalidScores, UnknownLabel, WrongModel
from workflow.outcome import Outcome
from workflow.policy import KEPT_CLASSES, PARAMETERS, SUM_TOLERANCE, UNLIKE_TRAINING, Policy

TWO = ("bicycle", "motorcycle")


def a_policy(classes=TWO, threshold=0.9, class_thresholds=None, temperature=1.0):
    return Policy(tuple(classes), threshold, class_thresholds or {}, temperature)


def parse(classes="bicycle,motorcycle", threshold="0.9", class_thresholds="", temperature="1"):
    return Policy.from_mapping(
        {
            "ClassNames": classes,
            "Threshold": threshold,
            "ClassThresholds": class_thresholds,
            "Temperature": temperature,
        }
    )


@st.composite
def scores_of_classes(draw, most=KEPT_CLASSES):
    weights = draw(st.lists(st.floats(1e-6, 1), min_size=1, max_size=most))
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def decide(values, policy, labels=None, unfamiliarity=None):
    return policy_module.decide(Scores(values, labels, unfamiliarity), policy)


def names(scores):
    return [f"class_{number}" for number in range(len(scores))]


# ── the decision ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_most_probable_class_is_the_label():
    prediction = decide([0.05, 0.95], a_policy())
    assert (prediction.outcome, prediction.label, prediction.confidence) == (
        Outcome.ACCEPTED,
        "motorcycle",
        0.95,
    )
    assert prediction.threshold == 0.9
    assert prediction.probabilities == {"bicycle": 0.05, "motorcycle": 0.95}


@given(scores_of_classes(most=40))
def test_the_ten_most_probable_classes_are_kept_and_the_others_summed(scores):
    prediction = decide(scores, a_policy(names(scores)))
    kept = list(prediction.probabilities.values())
    assert sorted(kept) == sorted(scores)[-KEPT_CLASSES:]
    assert [*prediction.probabilities] == [name for name in names(scores) if name in prediction.probabilities]
    assert prediction.probabilities[prediction.label] == prediction.confidence
    if len(scores) <= KEPT_CLASSES:
        assert prediction.other_probability is None
    else:
        assert math.fsum(kept) + prediction.other_probability == pytest.approx(math.fsum(scores))


@pytest.mark.parametrize(
    ("confidence", "outcome"),
    [
        (0.9, Outcome.ACCEPTED),
        (math.nextafter(0.9, 1), Outcome.ACCEPTED),
        (math.nextafter(0.9, 0), Outcome.NEEDS_REVIEW),
        (0.5, Outcome.NEEDS_REVIEW),
        (1, Outcome.ACCEPTED),
    ],
)
def test_what_reaches_the_threshold_is_accepted(confidence, outcome):
    assert decide([confidence, 1 - confidence], a_policy()).outcome == outcome


@pytest.mark.parametrize(("threshold", "outcome"), [(0, Outcome.ACCEPTED), (1, Outcome.NEEDS_REVIEW)])
def test_a_threshold_may_be_at_either_end(threshold, outcome):
    assert decide([0.99, 0.01], a_policy(threshold=threshold)).outcome == outcome


def test_a_certain_score_reaches_a_threshold_of_one():
    assert decide([1.0, 0.0], a_policy(threshold=1)).outcome == Outcome.ACCEPTED


def test_a_class_may_have_a_threshold_of_its_own():
    policy = a_policy(class_thresholds={"motorcycle": 0.5})
    assert decide([0.4, 0.6], policy).outcome == Outcome.ACCEPTED
    assert decide([0.4, 0.6], policy).threshold == 0.5
    assert decide([0.6, 0.4], policy).outcome == Outcome.NEEDS_REVIEW
    assert decide([0.6, 0.4], policy).threshold == 0.9


def test_of_equal_scores_the_first_class_is_the_label():
    assert decide([0.5, 0.5], a_policy()).label == "bicycle"


def test_a_single_class_is_always_certain():
    assert decide([1], a_policy(["bicycle"])).outcome == Outcome.ACCEPTED


@given(scores_of_classes())
def test_the_label_is_a_class_that_no_other_exceeds(scores):
    prediction = decide(scores, a_policy(names(scores)))
    assert prediction.confidence == max(scores) == prediction.probabilities[prediction.label]
    assert list(prediction.probabilities) == names(scores)


@given(scores_of_classes(), st.floats(0, 1))
def test_accepted_means_at_least_the_threshold(scores, threshold):
    prediction = decide(scores, a_policy(names(scores), threshold))
    assert (prediction.outcome == Outcome.ACCEPTED) == (prediction.confidence >= threshold)


# ── temperature ────────────────────────────────────────────────────────────────────────────────────────────


@given(scores_of_classes())
def test_a_temperature_of_one_changes_nothing(scores):
    assert list(decide(scores, a_policy(names(scores))).probabilities.values()) == scores


@given(scores_of_classes(), st.floats(0.05, 20))
def test_tempered_scores_are_probabilities_in_the_same_order(scores, temperature):
    prediction = decide(scores, a_policy(names(scores), temperature=temperature))
    tempered = list(prediction.probabilities.values())
    assert math.isclose(math.fsum(tempered), 1, abs_tol=1e-9)
    assert all(0 <= probability <= 1 for probability in tempered)
    order = sorted(range(len(scores)), key=scores.__getitem__)
    assert all(tempered[low] <= tempered[high] for low, high in pairwise(order))


@given(scores_of_classes(), st.floats(1.01, 20))
def test_a_high_temperature_softens_and_a_low_one_sharpens(scores, temperature):
    assume(max(scores) > 1.001 / len(scores))
    policies = [a_policy(names(scores), temperature=t) for t in (1 / temperature, 1, temperature)]
    sharp, plain, soft = (decide(scores, policy).confidence for policy in policies)
    assert sharp >= plain - 1e-12
    assert plain >= soft - 1e-12


def test_tempering_is_the_softmax_of_the_divided_logits():
    logits, temperature = [2.0, -1.0, 0.5], 0.7
    softmax = [math.exp(logit) for logit in logits]
    divided = [math.exp(logit / temperature) for logit in logits]
    scores = [value / sum(softmax) for value in softmax]
    expected = [value / sum(divided) for value in divided]
    prediction = decide(scores, a_policy("abc", temperature=temperature))
    assert list(prediction.probabilities.values()) == pytest.approx(expected)


def test_a_probability_of_zero_stays_zero_at_any_temperature():
    assert decide([1.0, 0.0], a_policy(temperature=20)).probabilities == {"bicycle": 1, "motorcycle": 0}


# ── scores that are none ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "scores",
    [
        [],
        [1.0],
        [0.5, 0.25, 0.25],
        [0.5, None],
        [0.5, "0.5"],
        [True, False],
        [1.0, False],
        [0.5, [0.5]],
        [float("nan"), 1.0],
        [float("inf"), 0.0],
        [-0.1, 1.1],
        [1.0, -1e-9],
        [0.5, 0.5 + 2 * SUM_TOLERANCE],
        [0.5, 0.5 - 2 * SUM_TOLERANCE],
        [0, 0],
        [1, 1],
        [10**400, 0],
        None,
        "10",
        {"bicycle": 0.5, "motorcycle": 0.5},
        0.5,
        [[0.5, 0.5]],
    ],
    ids=repr,
)
def test_what_is_not_one_probability_per_class_is_invalid(scores):
    with pytest.raises(InvalidScores):
        decide(scores, a_policy())


def test_scores_may_add_up_to_one_only_roughly():
    assert decide([0.333, 0.333, 0.333], a_policy("abc")).label == "a"


def test_the_error_shows_the_scores_but_not_all_of_them():
    with pytest.raises(
        InvalidScores, match="expected 2 probabilities, one per class of ClassNames, got "
    ) as caught:
        decide([0.001] * 1_000, a_policy())
    assert len(str(caught.value)) < 300


@given(st.lists(st.none() | st.booleans() | st.text() | st.floats() | st.integers() | st.lists(st.floats())))
def test_any_list_is_decided_on_or_invalid(scores):
    try:
        prediction = decide(scores, a_policy())
    except InvalidScores:
        return
    assert abs(math.fsum(prediction.probabilities.values()) - 1) <= SUM_TOLERANCE + 1e-9


# ── scores with names ──


def test_where_the_endpoint_names_the_classes_names_decide_and_not_positions():
    prediction = decide([0.95, 0.05], a_policy(), labels=["motorcycle", "bicycle"])
    assert prediction.label == "motorcycle"
    assert prediction.probabilities == {"bicycle": 0.05, "motorcycle": 0.95}


def test_the_most_probable_classes_are_enough():
    prediction = decide([0.6, 0.3], a_policy("abcdef", 0.5), labels=["c", "a"])
    assert (prediction.label, prediction.outcome) == ("c", Outcome.ACCEPTED)
    assert prediction.probabilities == {"a": 0.3, "c": 0.6}


def test_a_label_that_the_policy_does_not_have_is_an_error_of_its_own():
    with pytest.raises(UnknownLabel, match="names 'LABEL_0', which is none of the 2 ClassNames bicycle,mo"):
        decide([0.95], a_policy(), labels=["LABEL_0"])


@pytest.mark.parametrize(("values", "labels"), [([0.9, 0.3], "ab"), ([0.0], "a"), ([None], "a"), ([2], "a")])
def test_named_scores_are_probabilities_too(values, labels):
    with pytest.raises(InvalidScores):
        decide(values, a_policy("abc"), labels=list(labels))


def test_some_of_the_probabilities_cannot_be_tempered():
    with pytest.raises(InvalidScores, match="1 of 3 classes, but a temperature or logits need all"):
        decide([0.9], a_policy("abc", temperature=2), labels=["a"])


# ── logits ──


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=8), st.floats(0.05, 20))
def test_the_softmax_of_logits_is_tempered_as_their_probabilities_would_be(logits, temperature):
    policy = Policy(tuple(names(logits)), 0.9, {}, temperature, scores_are="logits")
    probabilities = list(decide(logits, policy).probabilities.values())
    powers = [math.exp((logit - max(logits)) / temperature) for logit in logits]
    assert probabilities == pytest.approx([power / math.fsum(powers) for power in powers])
    assert math.isclose(math.fsum(probabilities), 1, abs_tol=1e-9)


@pytest.mark.parametrize("logits", [[5_000, 0], [5_000, 5_000 - 1_000]])
def test_large_logits_do_not_overflow(logits):
    assert decide(logits, Policy(TWO, 0.9, {}, scores_are="logits")).probabilities == {TWO[0]: 1, TWO[1]: 0}


@pytest.mark.parametrize("values", [[None, 1], [10**400, 1], ["1", 2], [True, 1], [1]])
def test_what_is_not_a_finite_logit_per_class_is_invalid(values):
    with pytest.raises(InvalidScores):
        decide(values, Policy(TWO, 0.9, {}, scores_are="logits"))


@pytest.mark.parametrize("values", [[-1.2, 3.4], [0.9, 0.9]])
def test_what_may_be_logits_is_refused_with_the_parameter_that_says_so(values):
    with pytest.raises(InvalidScores, match="logits need EndpointScores=logits"):
        decide(values, a_policy())


# ── unfamiliarity ──


@pytest.mark.parametrize(
    ("unfamiliarity", "reason"),
    [(None, None), (0, None), (0.95, None), (math.nextafter(0.95, 1), UNLIKE_TRAINING), (1, UNLIKE_TRAINING)],
)
def test_above_its_threshold_unfamiliarity_means_review(unfamiliarity, reason):
    prediction = decide([0.01, 0.99], a_policy(), unfamiliarity=unfamiliarity)
    assert (prediction.reason, prediction.unfamiliarity) == (reason, unfamiliarity)
    assert prediction.outcome == (Outcome.NEEDS_REVIEW if reason else Outcome.ACCEPTED)


def test_an_uncertain_image_that_is_unlike_the_classes_says_so():
    assert decide([0.5, 0.5], a_policy(), unfamiliarity=0.99).reason == UNLIKE_TRAINING
    assert decide([0.5, 0.5], a_policy(), unfamiliarity=0.5).reason is None


@pytest.mark.parametrize("unfamiliarity", [-0.1, 1.1, "0.5", True, [0.5]])
def test_an_unfamiliarity_is_from_0_to_1(unfamiliarity):
    with pytest.raises(InvalidScores, match="unfamiliarity from 0 to 1"):
        decide([0.5, 0.5], a_policy(), unfamiliarity=unfamiliarity)


# ── the policy ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_template_s_parameters_make_a_policy():
    policy = parse("bicycle, motorcycle", "0.94", "bicycle=0.9,motorcycle=0.95", "0.7")
    assert policy == Policy(TWO, 0.94, {"bicycle": 0.9, "motorcycle": 0.95}, 0.7)


def test_a_model_s_card_makes_a_policy():
    card = {"classes": list(TWO), "threshold": 0.94, "thresholds": {"bicycle": 0.9}, "model_version": "m"}
    assert Policy.from_mapping(card) == Policy(TWO, 0.94, {"bicycle": 0.9}, model_version="m")


def test_the_temperature_of_a_card_is_not_applied_again():
    card = {"classes": list(TWO), "threshold": 0.94, "thresholds": {}, "temperature": 0.7584}
    assert Policy.from_mapping(card).temperature == 1


def test_one_number_of_a_sigmoid_is_the_second_class_s_probability():
    policy = Policy(TWO, 0.9, {}, scores_are="sigmoid")
    decided = decide([0.97], policy)
    assert (decided.label, decided.confidence) == ("motorcycle", 0.97)
    assert decided.probabilities == pytest.approx({"bicycle": 0.03, "motorcycle": 0.97})
    tempered = decide([0.25], Policy(TWO, 0.9, {}, temperature=0.5, scores_are="sigmoid"))
    assert tempered.confidence == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("values", "classes", "says"),
    [
        ([0.1, 0.9], TWO, "EndpointScores=sigmoid is for one number and two classes"),
        ([0.97], (*TWO, "car"), r"got \[0.97\] for 3 ClassNames"),
        ([-3.2], TWO, r"a number from 0 to 1, got \[-3.2\]: a logit"),
        ([None], TWO, "None is NaN"),
    ],
)
def test_what_is_no_sigmoid_of_two_classes_is_invalid(values, classes, says):
    with pytest.raises(InvalidScores, match=says):
        decide(values, Policy(classes, 0.9, {}, scores_are="sigmoid"))


@pytest.mark.parametrize("scores_are", ["probabilities", "logits", "sigmoid"])
@pytest.mark.parametrize("values", [[None, 0.5], [3.0, 1e9], [0.5, 0.6, 0.7], []])
def test_every_refusal_of_scores_shows_them_and_names_a_parameter(values, scores_are):
    with pytest.raises(InvalidScores, match=r"ClassNames|EndpointScores") as caught:
        decide(values, Policy(TWO, 0.9, {}, scores_are=scores_are))
    assert repr(values) in str(caught.value)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(TWO, 0.94, {}),
        Policy(TWO, 0.5, {"bicycle": 0.25, "motorcycle": 1.0}, 0.7),
        Policy(TWO, 0.94, {}, model_version="m-2"),
        Policy(TWO, 0.5, {}, unfamiliarity_threshold=0.8, scores_are="logits"),
    ],
)
def test_the_template_s_parameters_carry_the_whole_policy(policy):
    assert Policy.from_mapping(policy.to_parameters()) == policy


def test_a_policy_names_every_parameter_so_that_nothing_of_another_one_stays():
    parameters = Policy(TWO, 0.94, {}).to_parameters()
    assert tuple(parameters) == PARAMETERS
    assert parameters["Temperature"] == "1"


def test_a_policy_takes_no_answer_of_another_model_version():
    policy = Policy(TWO, 0.94, {}, model_version="m-2")
    policy.check_version("m-2")
    for other in ("m-1", "m-20", "scones/AllTraffic"):
        with pytest.raises(WrongModel, match=rf"for model 'm-2', and '{other}' answered"):
            policy.check_version(other)


def test_a_policy_without_a_version_takes_every_answer():
    Policy(TWO, 0.94, {}).check_version("scones/AllTraffic")


@pytest.mark.parametrize("missing", ["ClassNames", "Threshold", "ClassThresholds"])
def test_a_policy_without_classes_or_thresholds_is_refused(missing):
    parameters = Policy(TWO, 0.94, {}).to_parameters()
    del parameters[missing]
    with pytest.raises(KeyError):
        Policy.from_mapping(parameters)


def test_a_class_without_a_threshold_has_the_common_one():
    policy = parse(class_thresholds=" bicycle=0.8, ")
    assert (policy.threshold_of("bicycle"), policy.threshold_of("motorcycle")) == (0.8, 0.9)


@pytest.mark.parametrize("name", ["a\nb", "a\u202eb", "a\x00b"])
def test_a_class_of_a_card_has_a_printable_name(name):
    with pytest.raises(ValueError, match="must be printable"):
        Policy.from_mapping({"classes": [name, "other"], "threshold": 0.9, "thresholds": {}})


@pytest.mark.parametrize("threshold", ["0", "1"])
def test_a_threshold_of_0_or_1_may_be_a_parameter(threshold):
    assert parse(threshold=threshold).threshold == int(threshold)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"classes": ""}, "distinct and not empty"),
        ({"classes": "a,,b"}, "distinct and not empty"),
        ({"classes": "a,b,a"}, "distinct and not empty"),
        ({"classes": "a, a"}, "distinct and not empty"),
        ({"threshold": "1.1"}, "from 0 to 1"),
        ({"threshold": "-0.1"}, "from 0 to 1"),
        ({"threshold": "nan"}, "from 0 to 1"),
        ({"threshold": ""}, "from 0 to 1: ''"),
        ({"class_thresholds": "car=0.5"}, "'car' is not one of bicycle,motorcycle"),
        ({"class_thresholds": "bicycle"}, "is not one of"),
        ({"class_thresholds": "bicycle=2"}, "from 0 to 1"),
        ({"class_thresholds": "bicycle=high"}, "from 0 to 1: 'high'"),
        ({"class_thresholds": "bicycle=0.5,bicycle=0.6"}, "two thresholds"),
        ({"temperature": "0"}, "more than 0"),
        ({"temperature": "-1"}, "more than 0"),
        ({"temperature": "inf"}, "more than 0"),
        ({"temperature": "nan"}, "more than 0"),
        ({"temperature": "warm"}, "could not convert"),
    ],
)
def test_a_wrong_parameter_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        parse(**wrong)

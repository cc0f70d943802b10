"""A card may come from anywhere: what a process would break on is refused in one sentence."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.aws.changes import DeployFailed
from infra.aws.deploy import parameters_of_model
from model import unfamiliarity
from model.files import CARD_FILE, DEFAULT_MODEL, UnusableModel, read_card
from workflow.policy import DEFAULT_UNFAMILIARITY_THRESHOLD

GOOD = {
    "classes": ["bicycle", "motorcycle"],
    "image_size_px": 32,
    "model_version": "m-1",
    "threshold": 0.9,
    "thresholds": {"bicycle": 0.95},
}


def write(folder, card):
    (folder / CARD_FILE).write_text(card if isinstance(card, str) else json.dumps(card), encoding="utf-8")
    return folder


def test_the_default_models_card_is_a_good_one():
    card = read_card(DEFAULT_MODEL)
    assert card["classes"] == ["bicycle", "motorcycle", "poppy", "tulip", "willow_tree"]
    assert card["unfamiliarity_threshold"] == unfamiliarity.THRESHOLD == DEFAULT_UNFAMILIARITY_THRESHOLD


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"classes": "bicycle"}, "a list of names"),
        ({"classes": []}, "a list of names"),
        ({"classes": ["bicycle", 2]}, "a list of names"),
        ({"image_size_px": 10**9}, "a whole number from 8 to 1024"),
        ({"image_size_px": True}, "a whole number"),
        ({"image_size_px": "32"}, "a whole number"),
        ({"model_version": "a\nb"}, "printable ASCII"),
        ({"model_version": None}, "printable ASCII"),
        ({"threshold": float("nan")}, "NaN is not a number"),
        ({"anything": float("inf")}, "Infinity is not a number"),
    ],
)
def test_a_card_that_no_process_could_serve_is_refused(tmp_path, changed, said):
    with pytest.raises(UnusableModel, match=said):
        read_card(write(tmp_path, {**GOOD, **changed}))


@pytest.mark.parametrize("missing", ["classes", "image_size_px", "model_version"])
def test_what_a_card_lacks_is_named(tmp_path, missing):
    card = {name: value for name, value in GOOD.items() if name != missing}
    with pytest.raises(UnusableModel, match=f"lacks '{missing}'"):
        read_card(write(tmp_path, card))


@pytest.mark.parametrize("text", ["", "[]", "nonsense", "[" * 100_000, '"' + "a" * 5_000_000 + '"'])
def test_a_file_that_is_not_a_card_is_refused(tmp_path, text):
    with pytest.raises(UnusableModel, match=CARD_FILE):
        read_card(write(tmp_path, text))


@pytest.mark.parametrize(
    "changed",
    [
        {"classes": ["bicycle", "motor\u202ecycle"]},
        {"classes": ["bicycle", "bicycle"]},
        {"threshold": 1.5},
        {"thresholds": {"bicycle": None}},
    ],
)
def test_a_card_with_another_policy_than_it_says_is_not_deployed(tmp_path, changed):
    with pytest.raises(DeployFailed, match="is not a folder of a model"):
        parameters_of_model(write(tmp_path, {**GOOD, **changed}))


@given(
    card=st.dictionaries(
        st.sampled_from([*GOOD]), st.recursive(st.none() | st.text() | st.floats(), st.lists)
    )
)
def test_whatever_a_card_holds_it_is_read_or_refused(tmp_path_factory, card):
    with suppress(DeployFailed):
        parameters_of_model(write(tmp_path_factory.mktemp("card"), {**GOOD, **card}))

"""workflow.answers: each form of an answer, and what is refused because it could mean two things."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.answers import SHOWN_CHARS, NotReadable, Scores, read_answer, read_answer_to
from workflow.errors import UnclearAnswer

ONE, OTHER = Scores([0.1, 0.9]), Scores([0.6, 0.4])
NAMED = Scores([0.9, 0.1], ["motorcycle", "bicycle"])
TOP = Scores([0.9], ["motorcycle"])


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("[0.1, 0.9]", [ONE]),
        ("[[0.1, 0.9], [0.6, 0.4]]", [ONE, OTHER]),
        ('{"predictions": [[0.1, 0.9]]}', [ONE]),
        ('{"predictions": [[0.1, 0.9], [0.6, 0.4]]}', [ONE, OTHER]),
        ('{"outputs": [[0.1, 0.9]]}', [ONE]),
        ('{"probabilities": [0.1, 0.9]}', [ONE]),
        ('{"predictions": [{"scores": [0.1, 0.9]}, {"scores": [0.6, 0.4]}]}', [ONE, OTHER]),
        ('{"probabilities": [0.1, 0.9], "logits": [-2, 3]}', [ONE]),
        ('{"scores": [0.1, 0.9], "predictions": [0.1, 0.9]}', [ONE]),
        ('{"predictions": ["motorcycle"], "probabilities": [[0.1, 0.9]]}', [ONE]),
        # Hugging Face
        ('[{"label": "motorcycle", "score": 0.9}, {"label": "bicycle", "score": 0.1}]', [NAMED]),
        ('[[{"label": "motorcycle", "score": 0.9}, {"label": "bicycle", "score": 0.1}]]', [NAMED]),
        ('[[{"label": "motorcycle", "score": 0.9}], [{"label": "motorcycle", "score": 0.9}]]', [TOP, TOP]),
        ('{"label": "motorcycle", "score": 0.9}', [TOP]),
        # JumpStart
        (
            '{"probabilities": [0.9, 0.1], "labels": ["motorcycle", "bicycle"], "predicted_label": "x"}',
            [NAMED],
        ),
        ('{"probabilities": [[0.9, 0.1]], "labels": [["motorcycle", "bicycle"]]}', [NAMED]),
        ('{"probabilities": [[0.9, 0.1]], "labels": ["motorcycle", "bicycle"]}', [NAMED]),
        (  # as many images as classes
            '{"probabilities": [[0.9, 0.1], [0.2, 0.8]], "labels": ["motorcycle", "bicycle"]}',
            [NAMED, Scores([0.2, 0.8], ["motorcycle", "bicycle"])],
        ),
        # lines
        ('{"prediction": [0.1, 0.9]}\n\n{"prediction": [0.6, 0.4]}\n', [ONE, OTHER]),
        ("[0.1, 0.9]\r\n[0.6, 0.4]", [ONE, OTHER]),
        ('{"label": "motorcycle", "score": 0.9}\n{"label": "motorcycle", "score": 0.9}', [TOP, TOP]),
        ("\ufeff0.1, 0.9\n0.6,0.4\n", [ONE, OTHER]),
        ("0.1,0.9\r\n \r\n0.6, 0.4\r\n\r\n", [ONE, OTHER]),
        # beside the scores: no names of their classes
        ('{"probabilities": [0.1, 0.9], "predicted_label": "x", "tags": ["a"], "classes": 2}', [ONE]),
        ('{"probabilities": [0.1, 0.9], "labels": null, "model": {"name": "m", "version": "2"}}', [ONE]),
        (
            '{"predictions": [{"label": "motorcycle", "score": 0.9}, {"label": "bicycle", "score": 0.1}], '
            '"top": ["a", "b"]}',
            [NAMED],
        ),
        # numbers that JSON does not have
        ("[0.5, NaN, Infinity, -Infinity, 1e999]", [Scores([0.5, None, None, None, None])]),
        ("0.5,nan,inf,-inf,1e999", [Scores([0.5, None, None, None, None])]),
        # CSV with names
        (
            '"tabby, tabby cat",dog\n0.1,0.9\n0.6,0.4',
            [Scores([0.1, 0.9], ["tabby, tabby cat", "dog"])] * 1
            + [Scores([0.6, 0.4], ["tabby, tabby cat", "dog"])],
        ),
        ('"0.1", "0.9"', [ONE]),
        # Scones
        ('{"probabilities": [0.1, 0.9], "unfamiliarity": 0.4}', [Scores([0.1, 0.9], None, 0.4)]),
        (
            '[{"probabilities": [0.1, 0.9], "unfamiliarity": 0.4}, {"probabilities": [0.6, 0.4]}]',
            [Scores([0.1, 0.9], None, 0.4), OTHER],
        ),
        (
            '{"probabilities": [[0.1, 0.9], [0.6, 0.4]], "unfamiliarity": [0.4, 0.5]}',
            [Scores([0.1, 0.9], None, 0.4), Scores([0.6, 0.4], None, 0.5)],
        ),
    ],
)
def test_a_form_is_recognised_by_its_shape(text: str, scores: list[Scores]) -> None:
    assert read_answer(text.encode()) == scores
    assert read_answer_to(len(scores), text.encode()) == scores


def test_logits_are_taken_where_the_scores_are_logits() -> None:
    body = b'{"probabilities": [0.1, 0.9], "logits": [-2, 3]}'
    assert read_answer(body, "logits") == [Scores([-2, 3])]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"logits": [-2, 3]}', 'only "logits": set EndpointScores=logits'),
        (
            '{"scores": [0.1, 0.9], "outputs": [0.2, 0.8]}',
            "different scores under scores and outputs: set",
        ),
        ('{"probabilities": [0.9, 0.1], "labels": ["motorcycle"]}', "other classes than it has scores"),
        ('{"probabilities": [1, 0], "labels": ["a", "b"], "classes": ["b", "a"]}', "other classes than"),
        ('{"predictions": [{"label": "a", "score": 1}], "labels": ["b"]}', "other classes than it has"),
        ('{"label": ["a", "b"], "score": [0.1, 0.9]}', "may name its classes under 'label'"),
        ('{"predictions": ["b", "a"], "scores": [0.9, 0.1]}', "may name its classes under 'predictions'"),
        ('{"probabilities": [[0.9, 0.1]], "names": [["b", "a"]]}', "may name its classes under 'names'"),
        ('{"probabilities": [0.9, 0.1], "labels": "[\'b\', \'a\']"}', "its classes under 'labels'"),
        (
            '[{"probabilities": [0.9, 0.1], "id2label": {"0": "b", "1": "a"}}]',
            "may name its classes under 'id2label'",
        ),
        ('{"probabilities": [0.9, 0.1], "ClassMap": {"0": "b", "1": "a"}}', "under 'ClassMap'"),
        ('[{"label": "a", "score": 0.5}, {"label": "a", "score": 0.5}]', "a label has several scores"),
        ('[{"label": 1, "score": 0.5}]', "the label 1 is not text: set EndpointAccept"),
        ("[0.5, [0.5]]", "a list mixes scores and lists"),
        ("[[[0.5, 0.5]]]", "a list within a list holds more than numbers"),
        ('{"label": "bicycle"}', "a list of scores under none of probabilities, scores, "),
        ('{"predictions": ["bicycle"]}', "a list of scores under none of"),
        ("{}", "a list of scores under none of"),
        ('[1]\n"bicycle"', "a value is not a list or an object"),
        ("[0.97]", "set EndpointScores=sigmoid"),
        ("0.97", "set EndpointScores=sigmoid"),
        ("[[0.97], [0.03]]", "set EndpointScores=sigmoid"),
        ('{"predictions": [[0.97]]}', "set EndpointScores=sigmoid"),
        ('{"predictions": [{"score": 0.97, "predicted_label": 1}]}', "set EndpointScores=sigmoid"),
        ('{"score": 0.97}', "set EndpointScores=sigmoid"),
        ('["0.1", "0.9"]', '"0.1" is not a number: set EndpointAccept'),
        ('["bicycle", "motorcycle"]', '"bicycle" is not a number: set EndpointAccept'),
        ("[true, false]", "true is not a number: set EndpointAccept"),
        ("[]", "a list of scores is empty: set EndpointAccept"),
        ('{"predictions": [[]]}', "a list of scores is empty: set EndpointAccept"),
        ('{"probabilities": [1, 0], "probabilities": [0, 1]}', "an object has a name twice: set"),
        ("0.1,,0.8", "a line of CSV has other cells than numbers: set"),
        ("label,score\nbicycle,0.9", "a line of CSV has other cells than numbers: set"),
        ("bicycle,0.9", "a line of CSV has other cells than numbers: set"),
        ("a,b,c\n0.1,0.9", "another number of scores than the first line has names: set"),
        ("a,a\n0.1,0.9", "a label has several scores"),
        (
            '{"probabilities": [[1, 0]], "unfamiliarity": [0.1, 0.2]}',
            "2 values of unfamiliarity for 1",
        ),
    ],
)
def test_what_has_two_meanings_or_none_is_refused_with_the_parameter_to_set(text: str, says: str) -> None:
    with pytest.raises(UnclearAnswer) as caught:
        read_answer(text.encode())
    assert says in str(caught.value)
    assert str(caught.value).endswith(f"The answer begins: {text}")
    assert re.search(r": set (EndpointScores|EndpointAccept)\b", str(caught.value))


def test_a_refusal_shows_the_first_200_characters_of_the_answer() -> None:
    text = json.dumps({"text": "鳥" * 500}, ensure_ascii=False)
    for images, body in ((1, text), (2, f'[{{"label": "{"鳥" * 500}", "score": 1}}]')):
        with pytest.raises(UnclearAnswer) as caught:
            read_answer_to(images, body.encode())
        assert str(caught.value).endswith(f"begins: {body[:SHOWN_CHARS]}")


@pytest.mark.parametrize(
    "text", ['{"probabilities": [0.1, 0.9]}', '{"predictions": [{"probabilities": [0.1, 0.9]}]}']
)
def test_probabilities_by_name_are_no_logits(text: str) -> None:
    with pytest.raises(UnclearAnswer, match="set EndpointScores=probabilities"):
        read_answer(text.encode(), "logits")


@pytest.mark.parametrize(
    "text",
    [
        "[0.1, 0.9]",  # of two images: a list for both
        "[[0.1], [0.9]]",
        '{"predictions": [[0.1], [0.9]]}',
        '{"predictions": [0.1, 0.9]}',
        '{"predictions": [{"score": 0.1, "predicted_label": 0}, {"score": 0.9}]}',
        '{"prediction": 0.1}\n{"prediction": 0.9}',
        "0.1\n0.9",
        "0.1,0.9",
        '{"score": 0.1, "prediction": false, "model": ["net"]}\n{"score": 0.9, "prediction": true}',
    ],
)
def test_a_sigmoid_has_one_number_for_each_image_where_the_parameter_says_so(text: str) -> None:
    assert read_answer_to(2, text.encode(), "sigmoid") == [Scores([0.1]), Scores([0.9])]
    assert read_answer(text.encode(), "sigmoid") == [Scores([0.1]), Scores([0.9])]


@pytest.mark.parametrize(
    ("text", "scores_are", "says"),
    [
        ("[0.1, 0.9]", "sigmoid", "or EndpointScores=probabilities if it gives both classes"),
        ("[1.3]", "logits", "one logit does not say which class it is of: set EndpointScores=sigmoid and"),
    ],
)
def test_no_refusal_leads_to_a_parameter_that_is_refused_in_turn(
    text: str, scores_are: str, says: str
) -> None:
    with pytest.raises(UnclearAnswer, match=says):
        read_answer_to(1, text.encode(), scores_are)


def test_a_sigmoid_has_no_labels() -> None:
    with pytest.raises(UnclearAnswer, match="the scores have labels: set EndpointScores=probabilities"):
        read_answer(b'{"label": "motorcycle", "score": 0.9}', "sigmoid")


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (1, "0.1\n0.9"),  # two classes of one image, or one class of two
        (1, "[[0.1], [0.9]]"),
        (1, '{"label": "a", "score": 0.6}\n{"label": "b", "score": 0.4}'),
        (2, "[0.1, 0.9]"),
        (2, '[{"label": "a", "score": 0.6}, {"label": "b", "score": 0.4}]'),
        (2, '{"predictions": [0.1, 0.9]}'),
    ],
)
def test_an_answer_to_another_number_of_images_is_refused(images: int, text: str) -> None:
    with pytest.raises(UnclearAnswer, match=f"answers to {images} images: set EndpointAccept"):
        read_answer_to(images, text.encode())


@pytest.mark.parametrize(
    "body",
    [b"", b" \n", b"<html>", b"[0.5", b"\xff\xfe", b"a,b", b'"a', b'0.1,"0.9', b'{"a": 1}\n<', b"[" * 10**5],
)
def test_what_is_no_such_text_is_not_readable(body: bytes) -> None:
    with pytest.raises(NotReadable, match="neither JSON nor JSON Lines nor CSV"):
        read_answer(body)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["probabilities", "labels", "label", "score", "predictions", "unfamiliarity"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(anything)
def test_any_json_is_scores_or_says_why_not(value: Any) -> None:
    try:
        found = read_answer(json.dumps(value).encode())
    except (UnclearAnswer, NotReadable):
        return
    for scores in found:
        assert scores.labels is None or len(scores.labels) == len(set(scores.labels)) == len(scores.values)
        json.dumps(scores.values, allow_nan=False)


@given(st.binary())
def test_any_bytes_are_scores_or_say_why_not(body: bytes) -> None:
    try:
        read_answer(body)
    except (UnclearAnswer, NotReadable):
        return

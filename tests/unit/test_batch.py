import io
import json
from itertools import permutations

import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.lake import batch as lake_batch
from analytics.lake.batch import path_of, sort_out
from analytics.lake.schema import SCHEMA, to_table
from tests.builders import a_message, an_event, an_sqs_event


def records(*messages):
    return an_sqs_event(*messages)["Records"]


def rows_of(batch):
    return [row for _, table in sorted(batch.files.items()) for row in table.to_pylist()]


def file_bytes(batch):
    files = {}
    for path, table in batch.files.items():
        buffer = io.BytesIO()
        parquet.write_table(table, buffer)
        files[path] = buffer.getvalue()
    return files


def an_image(number, day=16, **changes):
    return a_message(
        event=an_event(f"{number}.png", f"v{number}", time=f"2026-11-{day}T09:30:00Z"), **changes
    )


def test_a_batch_becomes_one_file_per_day():
    batch = sort_out(records(an_image(1), an_image(2), an_image(3, day=17)))
    assert sorted(path[: len("predictions/dt=2026-11-16/")] for path in batch.files) == [
        "predictions/dt=2026-11-16/",
        "predictions/dt=2026-11-17/",
    ]
    assert sorted(table.num_rows for table in batch.files.values()) == [1, 2]
    assert batch.row_count == 3
    assert batch.refused == []


def test_no_records_become_no_files():
    assert sort_out([]).files == {}


def test_a_message_that_comes_twice_becomes_one_row():
    batch = sort_out(records(an_image(1), an_image(1), an_image(2)))
    assert sorted(row["key"] for row in rows_of(batch)) == ["1.png", "2.png"]


@pytest.mark.parametrize("order", list(permutations(["31", "32", "33"])))
def test_all_decisions_about_the_same_stay_whatever_their_order(order):
    copies = [an_image(1, decided_at=f"2026-11-16T09:{minute}:00Z") for minute in order]
    rows = rows_of(sort_out(records(*copies)))
    assert [row["decided_at"].minute for row in rows] == [31, 32, 33]


def a_decision_without_a_model(outcome, minute):
    return a_message(outcome, prediction=None, decided_at=f"2026-11-16T09:{minute}:00Z")


def test_a_later_failure_does_not_overwrite_the_file_of_a_rejection():
    both = [a_decision_without_a_model("rejected", "30"), a_decision_without_a_model("failed", "31")]
    first, second = (sort_out(records(message)) for message in both)
    assert [row["result_id"] for row in rows_of(first)] == [row["result_id"] for row in rows_of(second)]
    assert not first.files.keys() & second.files.keys()


def test_a_failure_and_a_later_success_are_two_rows():
    event = an_event()
    batch = sort_out(records(a_message("failed", event), a_message("accepted", event)))
    assert sorted(row["outcome"] for row in rows_of(batch)) == ["accepted", "failed"]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(16, 18), st.integers(30, 39)), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_the_same_messages_in_any_order_and_number_give_the_same_files(images, random):
    messages = [
        an_image(number, day, decided_at=f"2026-11-18T09:{minute}:00Z") for number, day, minute in images
    ]
    again = messages + random.choices(messages, k=3)
    random.shuffle(again)
    first, second = sort_out(records(*messages)), sort_out(records(*again))
    assert file_bytes(first) == file_bytes(second)
    assert first.row_count == len(set(images))


def test_sound_rows_are_checked_at_once_and_not_one_by_one(monkeypatch):
    calls = []

    def counted(rows):
        calls.append(1)
        return to_table(rows)

    monkeypatch.setattr(lake_batch, "to_table", counted)
    sort_out(records(*(an_image(number) for number in range(20))))
    assert len(calls) == 2  # to check them all, and to write their only day


def test_a_file_is_named_by_its_rows():
    names = {path_of("2026-11-16", some) for some in (["a"], ["b"], ["a", "b"], ["ab"])}
    assert len(names) == 4
    assert path_of("2026-11-16", ["a", "b"]) == path_of("2026-11-16", ["b", "a"])
    assert path_of("2026-11-16", ["a"]) != path_of("2026-11-17", ["a"])
    assert path_of("2026-11-16", ["a"]).startswith("predictions/dt=2026-11-16/")
    assert path_of("2026-11-16", ["a"]).endswith(".parquet")


def without(message, *path):
    changed = json.loads(json.dumps(message))
    *parents, last = path
    place = changed
    for name in parents:
        place = place[name]
    del place[last]
    return changed


def with_value(message, value, *path):
    changed = json.loads(json.dumps(message))
    *parents, last = path
    place = changed
    for name in parents:
        place = place[name]
    place[last] = value
    return changed


def test_a_list_of_outcomes_becomes_a_row_for_each():
    batch = sort_out(records([an_image(1), an_image(2)], an_image(3)))
    assert sorted(row["key"] for row in rows_of(batch)) == ["1.png", "2.png", "3.png"]


POISON = {
    "no text": "",
    "no JSON": "{",
    "null": "null",
    "a list": "[]",
    "a list of a list": [[a_message()]],
    "a list with something else in it": [an_image(7), {}],
    "a list with a value that fits no column": [
        an_image(7),
        with_value(an_image(8), "wide", "image", "width_px"),
    ],
    "a number": "5",
    "an empty object": "{}",
    "brackets without end": "[" * 100_000,
    "no event": without(a_message(), "event"),
    "no key": without(a_message(), "event", "detail", "object", "key"),
    "a key that is null": with_value(a_message(), None, "event", "detail", "object", "key"),
    "a key that is a number": with_value(a_message(), 5, "event", "detail", "object", "key"),
    "a key of half a character": with_value(a_message(), "\ud800", "event", "detail", "object", "key"),
    "a bucket that is null": with_value(a_message(), None, "event", "detail", "bucket", "name"),
    "a time that is none": with_value(a_message(), "yesterday", "event", "time"),
    "a time before all times": with_value(a_message(), "0001-01-01T00:00:00+14:00", "event", "time"),
    "a size that is infinite": json.dumps(a_message()).replace("48000", "Infinity"),
    "an unknown outcome": a_message(outcome="maybe"),
    "an image that is a number": a_message(image=5),
    "a width that is a text": with_value(a_message(), "wide", "image", "width_px"),
    "a width beyond its column": with_value(a_message(), 2**40, "image", "width_px"),
    "probabilities that are a list": with_value(a_message(), [0.5, 0.5], "prediction", "probabilities"),
    "a confidence beyond all numbers": with_value(a_message(), 10**400, "prediction", "confidence"),
    "an error that is a text": a_message("failed", error="it failed"),
    "an error without a name": a_message("failed", error={"Cause": "it failed"}),
    "a cause that is a number": a_message("failed", error={"Error": "E", "Cause": 5}),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_a_message_that_is_no_outcome_is_set_aside_and_the_others_are_kept(poison):
    batch = sort_out(records(an_image(1), poison, an_image(2)))
    assert [message_id for message_id, _ in batch.refused] == ["message-1"]
    assert sorted(row["key"] for row in rows_of(batch)) == ["1.png", "2.png"]
    file_bytes(batch)  # no row among them that pyarrow refuses only as it writes


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["event", "detail", "object", "outcome", "image", "prediction", "error", "time"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from([(), ("event",), ("event", "detail", "object"), ("image",), ("prediction",), ("error",)]),
)
def test_any_json_is_a_row_or_set_aside(value, path):
    message = with_value(a_message("failed"), value, *path) if path else value
    batch = sort_out(records(message))
    assert batch.row_count + len(batch.refused) == 1
    assert all(table.schema.equals(SCHEMA) for table in batch.files.values())
    file_bytes(batch)

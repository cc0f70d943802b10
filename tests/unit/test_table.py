import io
import json
import math
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.lake.columns import COLUMNS, COMMENTS, LABELS_COLUMNS, OUTCOMES_COLUMNS, glue_columns
from analytics.lake.schema import SCHEMA, partition, row_from_message, to_table
from tests.builders import EVENTS, a_message, an_event
from workflow.outcome import Outcome

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
numbers = st.floats(allow_nan=False, allow_infinity=False)
optional = st.none() | numbers

messages = st.builds(
    lambda outcome, key, seconds, image, prediction: a_message(
        outcome, an_event(key, time=datetime.fromtimestamp(seconds, UTC).isoformat()), **image, **prediction
    ),
    outcome=st.sampled_from(list(Outcome)),
    key=texts.filter(bool),
    seconds=st.integers(0, 4_000_000_000),
    image=st.fixed_dictionaries(
        {
            "image": st.none()
            | st.fixed_dictionaries(
                {"image_format": texts, "width_px": st.integers(1, 2**31 - 1), "brightness": optional}
            )
        }
    ),
    prediction=st.fixed_dictionaries(
        {
            "prediction": st.fixed_dictionaries(
                {
                    "label": texts,
                    "confidence": st.floats(0, 1),
                    "threshold": numbers,
                    "probabilities": st.dictionaries(texts, optional),
                }
            )
        }
    ),
)


def through_parquet(table):
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return parquet.read_table(buffer)


def back(row):
    """Return a row as pyarrow gives it back: a map as pairs."""
    pairs = None if row["probabilities"] is None else list(row["probabilities"].items())
    return {**row, "probabilities": pairs}


def test_an_accepted_message_becomes_a_row():
    row = row_from_message(a_message())
    assert row == {
        "result_id": row["result_id"],
        "upload_id": row["upload_id"],
        "bucket": "scones-incoming",
        "key": "van-07/bicycle.png",
        "version_id": "v1",
        "etag": an_event()["detail"]["object"]["etag"],
        "size_bytes": 48_000,
        "uploaded_at": datetime(2026, 11, 16, 9, 30),  # noqa: DTZ001 - UTC, as all of the table
        "decided_at": datetime(2026, 11, 16, 9, 30, 0, 850_000),  # noqa: DTZ001
        "first_decided_at": None,
        "outcome": "accepted",
        "label": "bicycle",
        "confidence": 0.97,
        "threshold": 0.94,
        "probabilities": {"bicycle": 0.97, "motorcycle": 0.03},
        "other_probability": None,
        "unfamiliarity": None,
        "reason": None,
        "detail": None,
        "model_version": "resnet9-2026-11-01",
        "endpoint": "scones",
        "image_format": "png",
        "width_px": 640,
        "height_px": 480,
        "brightness": 118.5,
        "sharpness": 410.25,
        "serialize_ms": 21.5,
        "classify_ms": 34.0,
        "execution_arn": "arn:aws:states:us-east-1:111122223333:express:scones-image:one:two",
    }
    assert list(row.keys() ^ set(SCHEMA.names)) == []


@pytest.mark.parametrize(
    ("outcome", "changes"),
    [
        ("accepted", {"prediction": None}),
        ("needs_review", {"prediction": {"label": "tulip", "threshold": 0.9}}),
        ("accepted", {"prediction": {"label": None, "confidence": 0.9, "threshold": 0.9}}),
        ("accepted", {"prediction": {"label": "tulip", "confidence": 1.5, "threshold": 0.9}}),
        ("accepted", {"prediction": {"label": "tulip", "confidence": math.nan, "threshold": 0.9}}),
        ("rejected", {"error": None}),
        ("failed", {"error": None}),
    ],
)
def test_an_outcome_without_what_it_came_from_is_no_row(outcome, changes):
    with pytest.raises(ValueError, match=r"the prediction has no|a confidence is|no error says"):
        row_from_message(a_message(outcome, **changes))


def test_a_rejected_message_becomes_a_row_with_its_reason():
    row = row_from_message(a_message("rejected"))
    assert (row["outcome"], row["reason"], row["detail"]) == (
        "rejected",
        "corrupt",
        "PNG: broken data stream",
    )
    assert (row["label"], row["model_version"], row["width_px"]) == (None, None, None)


def test_a_failed_message_keeps_what_was_known_of_the_image():
    row = row_from_message(a_message("failed"))
    assert (row["outcome"], row["reason"]) == ("failed", "States.Timeout")
    assert (row["width_px"], row["label"]) == (640, None)


def test_a_row_is_known_by_its_upload_and_its_model():
    ids = {
        row_from_message(message)["result_id"]
        for message in (
            a_message(),
            a_message(decided_at="2026-11-17T00:00:00Z", execution_arn="another"),
            a_message("needs_review"),
        )
    }
    assert len(ids) == 1
    assert row_from_message(a_message("failed"))["result_id"] not in ids
    assert row_from_message(a_message("failed"))["upload_id"] == row_from_message(a_message())["upload_id"]


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_a_key_of_any_kind_survives_parquet(path):
    event = json.loads(path.read_text(encoding="utf-8"))
    table = through_parquet(to_table([row_from_message(a_message(event=event))]))
    assert table.column("key").to_pylist() == [event["detail"]["object"]["key"]]


@given(st.lists(messages, max_size=4))
def test_rows_survive_parquet_with_the_very_schema(some):
    rows = [row_from_message(json.loads(json.dumps(message))) for message in some]
    table = through_parquet(to_table(rows))
    assert table.schema.equals(SCHEMA)
    assert table.to_pylist() == [back(row) for row in rows]


def test_times_are_milliseconds_without_a_zone():
    for name in ("uploaded_at", "decided_at"):
        assert SCHEMA.field(name).type == pa.timestamp("ms")
        assert SCHEMA.field(name).type.tz is None


def test_a_finer_time_is_cut_to_milliseconds():
    row = row_from_message(a_message(decided_at="2026-11-16T09:30:00.123999Z"))
    (decided_at,) = through_parquet(to_table([row])).column("decided_at").to_pylist()
    assert decided_at.microsecond == 123_000


def test_times_of_another_zone_become_utc():
    row = row_from_message(
        a_message(event=an_event(time="2026-11-17T01:00:00+02:00"), decided_at="2026-11-16T20:00:00-04:00")
    )
    assert row["uploaded_at"].isoformat() == "2026-11-16T23:00:00"
    assert row["decided_at"].isoformat() == "2026-11-17T00:00:00"
    assert partition(row) == "2026-11-16"


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize(
    "decided_at", ["2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z", "2027-06-01T00:00:00Z"]
)
def test_every_copy_of_a_row_has_the_same_partition(outcome, decided_at):
    message = a_message(outcome, an_event(time="2026-12-31T23:59:59Z"), decided_at=decided_at)
    assert partition(row_from_message(message)) == "2026-12-31"


def test_a_partition_is_the_path_s_date_even_long_ago():
    assert partition(row_from_message(a_message(event=an_event(time="0999-01-02T00:00:00Z")))) == "0999-01-02"


def test_glue_s_columns_are_those_of_the_schema():
    columns = {column["Name"]: column["Type"] for column in glue_columns(COLUMNS)}
    assert list(columns) == SCHEMA.names
    assert "dt" not in columns
    assert columns["uploaded_at"] == "timestamp"
    assert columns["probabilities"] == "map<string,double>"
    assert (columns["size_bytes"], columns["width_px"]) == ("bigint", "int")


def test_each_column_is_described_and_nothing_else():
    assert COMMENTS.keys() == {*OUTCOMES_COLUMNS, *LABELS_COLUMNS, "dt"}


@pytest.mark.parametrize("comment", COMMENTS.values())
def test_a_column_s_comment_is_one_that_glue_takes(comment):
    """Source: https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html"""
    assert 0 < len(comment) <= 255
    assert comment.isprintable()
    assert comment.endswith(".")


@pytest.mark.parametrize(
    "row",
    [{"key": None}, {"key": 5}, {"confidence": "high"}, {"width_px": 2**31}],
    ids=repr,
)
def test_a_value_that_fits_no_column_is_refused(row):
    with pytest.raises((ValueError, TypeError)):
        to_table([{**row_from_message(a_message()), **row}])


def test_no_rows_are_a_table_too():
    assert to_table([]).schema.equals(SCHEMA)

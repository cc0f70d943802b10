"""analytics.capture: every form in which an answer may have been captured, and whatever else a line is."""

import base64
import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.capture import FIRST_AT, Capture, NotACapture, Source, messages, read_line
from analytics.lake.batch import sort_out
from ingest.model_input import ModelInput
from tests.builders import png_bytes
from tests.template import resources_of_type
from workflow.answers import Scores
from workflow.errors import InvalidScores, UnknownLabel
from workflow.outcome import IMPORTED_BUCKET
from workflow.policy import Policy

NOW = datetime(2026, 11, 24, tzinfo=UTC)
POLICY = Policy(("bicycle", "motorcycle"), 0.9, {})
SOURCE = Source("scones", "AllTraffic")


def part(data: Any, encoding: str) -> dict[str, Any]:
    return {"observedContentType": "any/thing", "mode": "OUTPUT", "data": data, "encoding": encoding}


def a_line(output: Any, sent: Any = None, **metadata: Any) -> bytes:
    data = {"endpointOutput": output, **({"endpointInput": sent} if sent else {})}
    said = {"eventId": "e-1", "inferenceTime": "2025-11-15T10:30:45Z", **metadata}
    return json.dumps({"captureData": data, "eventMetadata": said, "eventVersion": "0"}).encode() + b"\n"


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


FORMS = [
    ("[0.1, 0.9]", [[0.1, 0.9]]),
    ("[[0.1, 0.9]]", [[0.1, 0.9]]),
    ("[[0.1, 0.9], [1, 0]]", [[0.1, 0.9], [1, 0]]),
    ('{"predictions": [[0.1, 0.9]]}', [[0.1, 0.9]]),
    ('{"probabilities": [0.1, 0.9]}', [[0.1, 0.9]]),
    ('{"predictions": ["motorcycle"], "probabilities": [[0.1, 0.9]]}', [[0.1, 0.9]]),
    ('{"predictions": [{"scores": [0.1, 0.9]}, {"scores": [1, 0]}]}', [[0.1, 0.9], [1, 0]]),
    ('{"prediction": "motorcycle", "scores": [0.1, 0.9]}', [[0.1, 0.9]]),
    # SageMaker's image classification, and its linear learner
    ('{"prediction": [0.1, 0.9]}', [[0.1, 0.9]]),
    ('{"predictions": [{"score": [0.1, 0.9], "predicted_label": 1}]}', [[0.1, 0.9]]),
]
LINES = [
    ('{"prediction": [0.1, 0.9]}\n', [[0.1, 0.9]]),
    ('{"prediction": [0.1, 0.9]}\n\n{"prediction": [1, 0]}\n', [[0.1, 0.9], [1, 0]]),
    ("[0.1, 0.9]\r\n[1, 0]", [[0.1, 0.9], [1, 0]]),
    ('{\n "scores": [\n  0.1,\n  0.9]}', [[0.1, 0.9]]),
]
CSV = [("0.1,0.9", [[0.1, 0.9]]), ("0.1, 0.9\n1,0\n", [[0.1, 0.9], [1.0, 0.0]])]


@pytest.mark.parametrize(("text", "scores"), FORMS)
def test_json_is_read_as_text_as_itself_and_in_base64(text: str, scores: Any) -> None:
    for output in (part(text, "JSON"), part(json.loads(text), "JSON"), part(in_base64(text), "BASE64")):
        assert read_line(a_line(output), NOW).scores == [Scores(each) for each in scores]


@pytest.mark.parametrize(("text", "scores"), LINES)
def test_json_may_have_lines_and_a_line_its_own_json(text: str, scores: Any) -> None:
    for output in (part(text, "JSON"), part(in_base64(text), "BASE64")):
        assert read_line(a_line(output), NOW).scores == [Scores(each) for each in scores]


@pytest.mark.parametrize(("text", "scores"), CSV)
def test_csv_is_read_as_text_and_in_base64(text: str, scores: Any) -> None:
    for output in (part(text, "CSV"), part(in_base64(text), "BASE64")):
        assert read_line(a_line(output), NOW).scores == [Scores(each) for each in scores]


probabilities = st.lists(st.floats(0, 1), min_size=2, max_size=5)


@given(st.lists(probabilities, min_size=1, max_size=4), st.sampled_from(["JSON", "CSV", "BASE64"]))
def test_whatever_the_probabilities_they_come_through_every_encoding(scores: Any, encoding: str) -> None:
    text = (
        "\n".join(",".join(map(repr, each)) for each in scores) if encoding == "CSV" else json.dumps(scores)
    )
    output = part(in_base64(text) if encoding == "BASE64" else text, encoding)
    assert read_line(a_line(output), NOW).scores == [Scores(each) for each in scores]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary() | anything.map(lambda value: json.dumps(value).encode()))
def test_any_line_is_a_capture_or_says_why_not(line: bytes) -> None:
    with pytest.raises(NotACapture):
        read_line(line, NOW)


@given(
    output=anything | st.builds(part, anything, st.sampled_from(["JSON", "CSV", "BASE64", "X"])), id_=anything
)
def test_any_answer_becomes_rows_or_says_why_not(output: Any, id_: Any) -> None:
    with contextlib.suppress(NotACapture, InvalidScores, UnknownLabel):
        capture = read_line(a_line(output, eventId=id_), NOW)
        assert list(messages(capture, SOURCE, POLICY, ModelInput.square(32), NOW))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"not json", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[]", "the line is not a JSON object"),
        (b"{}", "eventMetadata is not a JSON object"),
        (a_line(part("[1, 0]", "JSON"), eventId=""), "no eventId"),
        (a_line(part("[1, 0]", "JSON"), inferenceTime="yesterday"), "not a time"),
        (a_line(part("[1, 0]", "JSON"), inferenceTime=None), "not a time"),
        (a_line(part("[1, 0]", "JSON"), inferenceTime="0001-01-01T00:00:00+14:00"), "not a time"),
        (a_line(part("[1, 0]", "JSON"), inferenceTime="1970-01-01T00:00:00Z"), "is not between"),
        (a_line(part("[1, 0]", "JSON"), inferenceTime="2027-01-01T00:00:00Z"), "is not between"),
        (a_line(None), "endpointOutput is not a JSON object"),
        (a_line(part(None, "JSON")), "data is not text"),
        (a_line(part("[1, 0]", "NONE")), "encoding is none of"),
        (a_line(part("[1,", "JSON")), "neither JSON"),
        (a_line(part("%%", "BASE64")), "data is not BASE64"),
        (a_line(part("/w==", "BASE64")), "neither JSON"),
        (a_line(part("a,b", "CSV")), "holds no scores: neither JSON"),
        (a_line(part("", "CSV")), "holds no scores"),
        (a_line(part("[]", "JSON")), "holds no scores"),
        (a_line(part('{"label": "bicycle"}', "JSON")), "holds no scores"),
        (
            json.dumps({"eventMetadata": {"eventId": "e"}, "captureData": {}}).encode(),
            "capture its answers, too",
        ),
    ],
)
def test_a_line_that_is_no_capture_says_why(line: bytes, why: str) -> None:
    with pytest.raises(NotACapture, match=why):
        read_line(line, NOW)


# ── the rows ───────────────────────────────────────────────────────────────────────────────────────────────


def rows_of(*lines: bytes, source: Source = SOURCE) -> list[dict[str, Any]]:
    """Return the rows that Record's own code makes of lines."""
    records = [
        {"messageId": str(number), "body": json.dumps(message)}
        for number, line in enumerate(lines)
        for message in messages(read_line(line, NOW), source, POLICY, ModelInput.square(32), NOW)
    ]
    batch = sort_out(records)
    assert batch.refused == []
    return [row for table in batch.files.values() for row in table.to_pylist()]


def test_a_captured_image_has_its_whole_row() -> None:
    image = png_bytes()
    sent = part(base64.b64encode(image).decode(), "BASE64")
    (row,) = rows_of(a_line(part("[0.04, 0.96]", "JSON"), sent))
    assert (row["bucket"], row["key"], row["endpoint"]) == (IMPORTED_BUCKET, "e-1", "scones")
    assert (row["outcome"], row["label"], row["confidence"]) == ("accepted", "motorcycle", 0.96)
    assert dict(row["probabilities"]) == {"bicycle": 0.04, "motorcycle": 0.96}
    assert row["model_version"] == "scones/AllTraffic"
    assert row["uploaded_at"] == datetime.fromisoformat("2025-11-15T10:30:45")
    assert row["decided_at"] == NOW.replace(tzinfo=None)
    assert (row["image_format"], row["width_px"], row["height_px"]) == ("png", 40, 20)
    assert row["brightness"] > 0
    assert row["size_bytes"] == len(image)
    assert row["classify_ms"] is row["serialize_ms"] is row["execution_arn"] is None


@pytest.mark.parametrize("sent", [None, part("1,2,3", "CSV"), part(in_base64("no image"), "BASE64")])
def test_what_is_no_image_is_not_measured(sent: Any) -> None:
    (row,) = rows_of(a_line(part("[0.5, 0.5]", "JSON"), sent))
    assert row["outcome"] == "needs_review"
    assert row["image_format"] is row["width_px"] is row["brightness"] is row["sharpness"] is None


def test_each_image_of_a_request_is_an_outcome_of_its_own() -> None:
    rows = rows_of(a_line(part("[[0.1, 0.9], [1, 0], [0.5, 0.5]]", "JSON")))
    assert {row["key"]: row["label"] for row in rows} == {
        "e-1": "motorcycle",
        "e-1/1": "bicycle",
        "e-1/2": "bicycle",
    }
    assert len({row["result_id"] for row in rows}) == 3


@pytest.mark.parametrize("answer", ["0.1\n0.9", "[[0.1, 0.9], [1, 0]]"])
def test_several_answers_to_one_image_are_refused_as_where_it_is_served(answer: str) -> None:
    sent = part(base64.b64encode(png_bytes()).decode(), "BASE64")
    with pytest.raises(NotACapture, match=r"2 answers to 1 images: set EndpointAccept .* begins: "):
        read_line(a_line(part(answer, "JSON"), sent), NOW)


def test_a_line_is_the_same_row_wherever_its_file_lies() -> None:
    line = a_line(part("[0.1, 0.9]", "JSON"))
    assert len(rows_of(line, line)) == 1
    here, elsewhere = (rows_of(line, source=source)[0] for source in (SOURCE, Source(None, None)))
    assert here["upload_id"] == elsewhere["upload_id"]


def test_scores_of_other_classes_are_refused() -> None:
    with pytest.raises(InvalidScores, match="expected 2 probabilities"):
        rows_of(a_line(part("[0.1, 0.2, 0.7]", "JSON")))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("s3://b/capture/scones/AllTraffic/2025/11/15/10/30-45-1.jsonl", Source("scones", "AllTraffic")),
        ("scones/blue/2025/11/15/10/a.jsonl", Source("scones", "blue")),
        ("/home/me/a.jsonl", Source(None, None)),
        ("/2025/11/15/10/a.jsonl", Source(None, None)),
    ],
)
def test_the_path_names_the_endpoint(path: str, source: Source) -> None:
    assert Source.of(path) == source


def test_a_time_without_a_zone_is_utc() -> None:
    line = a_line(part("[1, 0]", "JSON"), inferenceTime="2025-11-15T10:30:45.123")
    assert read_line(line, NOW) == Capture(
        "e-1", datetime(2025, 11, 15, 10, 30, 45, 123_000, UTC), b"", [Scores([1, 0])]
    )


def test_athena_sees_all_days_that_may_be_imported() -> None:
    inputs = [table["TableInput"] for table in resources_of_type("AWS::Glue::Table").values()]
    tables = [table for table in inputs if table["TableType"] == "EXTERNAL_TABLE"]
    assert tables
    for table in tables:
        if table["Parameters"]["projection.dt.type"] == "injected":  # its partitions are no days
            continue
        days = table["Parameters"]["projection.dt.range"]
        assert days == f"{FIRST_AT:%Y-%m-%d},NOW+1DAYS"

import io
import json

import boto3
import pyarrow.parquet as parquet
import pytest
from botocore.exceptions import ClientError

from analytics.lake import record
from analytics.lake.schema import SCHEMA
from tests.builders import FakeContext, a_message, an_event, an_sqs_event
from tests.template import resources_of_type

BUCKET = "scones-results"


@pytest.fixture(autouse=True, scope="module")
def fresh_client(moto_s3):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESULTS_BUCKET", BUCKET)
        patch.setenv("CHALLENGER_IMAGES_URL", "")
        yield
    record.results_bucket.cache_clear()
    record.challenger_images.cache_clear()


@pytest.fixture(autouse=True)
def bucket(s3):
    s3.create_bucket(Bucket=BUCKET)


@pytest.fixture
def dead_letters(s3, monkeypatch):
    """Return what reads the bodies in the dead-letter queue."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="unrecorded")["QueueUrl"]
    sqs.purge_queue(QueueUrl=url)
    monkeypatch.setenv("UNRECORDED_OUTCOMES_URL", url)
    record.unrecorded_outcomes.cache_clear()

    def read():
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ())
        return [message["Body"] for message in messages]

    yield read
    record.unrecorded_outcomes.cache_clear()


def test_requests_that_stall_are_given_up_within_the_lambda_s_time(s3, dead_letters):
    timeout_s = resources_of_type("AWS::Serverless::Function")["RecordFunction"]["Timeout"]
    for client in (record.results_bucket()._s3, record.unrecorded_outcomes()._sqs):
        config = client.meta.config
        assert config.retries["mode"] == "standard"
        tries = config.retries["total_max_attempts"]
        assert tries > 1
        assert tries * (config.connect_timeout + config.read_timeout) < timeout_s


def an_image(number, day=16, **changes):
    return a_message(
        event=an_event(f"{number}.png", f"v{number}", time=f"2026-11-{day}T09:30:00Z"), **changes
    )


def invoke(*messages):
    return record.lambda_handler(an_sqs_event(*messages), FakeContext())


def files(s3):
    listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {item["Key"]: s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read() for item in listed}


def rows(s3):
    return [row for data in files(s3).values() for row in parquet.read_table(io.BytesIO(data)).to_pylist()]


def test_a_batch_becomes_a_parquet_file_of_each_day(s3):
    assert invoke(an_image(1), an_image(2), an_image(3, day=17)) == {"batchItemFailures": []}
    assert sorted(key.split("/")[1] for key in files(s3)) == ["dt=2026-11-16", "dt=2026-11-17"]
    assert sorted(row["key"] for row in rows(s3)) == ["1.png", "2.png", "3.png"]
    for data in files(s3).values():
        assert parquet.read_schema(io.BytesIO(data)).equals(SCHEMA)


def test_a_batch_that_is_delivered_again_overwrites_itself(s3):
    invoke(an_image(1), an_image(2))
    before = files(s3)
    invoke(an_image(2), an_image(1), an_image(2))
    assert files(s3) == before


def test_batches_of_other_messages_leave_each_other_alone(s3):
    invoke(an_image(1))
    invoke(an_image(2))
    assert sorted(row["key"] for row in rows(s3)) == ["1.png", "2.png"]


def test_a_message_that_is_no_outcome_goes_to_the_dead_letters_and_the_others_are_written(
    s3, dead_letters, lines_of
):
    read = lines_of(record)
    null_key = json.dumps(an_image(3)).replace('"3.png"', "null")
    response = invoke(an_image(1), "poison", null_key, an_image(2))
    assert response == {"batchItemFailures": []}
    assert sorted(dead_letters()) == sorted(["poison", null_key])
    assert sorted(row["key"] for row in rows(s3)) == ["1.png", "2.png"]
    _, lines = read()
    refused = [line["message_id"] for line in lines if line.get("level") == "ERROR"]
    assert refused == ["message-1", "message-2"]
    assert lines[-1]["RowsWritten"] == [2]


def test_a_batch_of_nothing_but_poison_writes_nothing(s3, dead_letters):
    assert invoke("poison", "{}") == {"batchItemFailures": []}
    assert sorted(dead_letters()) == ["poison", "{}"]
    assert files(s3) == {}


NOTIFICATION = {"Records": [{"eventSource": "aws:s3", "s3": {"object": {"key": "a.png"}}}]}


@pytest.mark.parametrize("event", [NOTIFICATION, {}, None, [], {**an_event(), "time": None}])
def test_an_outcome_about_an_event_of_another_shape_goes_to_the_dead_letters_at_once(s3, dead_letters, event):
    """As the machine sends it that was started by something else than an EventBridge event."""
    assert invoke({**a_message("failed"), "event": event}) == {"batchItemFailures": []}
    assert len(dead_letters()) == 1
    assert files(s3) == {}


def test_what_the_dead_letter_queue_does_not_take_is_handed_back(s3, monkeypatch):
    monkeypatch.setenv("UNRECORDED_OUTCOMES_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/gone")
    record.unrecorded_outcomes.cache_clear()
    response = invoke("poison", an_image(1))
    record.unrecorded_outcomes.cache_clear()
    assert response == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert len(rows(s3)) == 1


def test_all_outcomes_are_rows(s3):
    invoke(
        *(
            a_message(outcome, an_event(outcome))
            for outcome in ("accepted", "needs_review", "rejected", "failed")
        )
    )
    reasons = {row["outcome"]: row["reason"] for row in rows(s3)}
    assert reasons == {
        "accepted": None,
        "needs_review": None,
        "rejected": "corrupt",
        "failed": "States.Timeout",
    }


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_a_write_that_fails_brings_the_whole_batch_back(s3):
    s3.delete_bucket(Bucket=BUCKET)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        invoke(an_image(1))


def test_a_thousand_messages_are_one_file(s3):
    assert invoke(*(an_image(number) for number in range(1_000))) == {"batchItemFailures": []}
    (data,) = files(s3).values()
    assert parquet.read_table(io.BytesIO(data)).num_rows == 1_000
    assert len(data) < 200_000

"""One image's story follows from the facts: what became of each row, and what mends each end."""

import json
import shlex
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import commands
from analytics.athena.local import LocalEngine
from analytics.lake.merge import merge
from analytics.questions.queries import views
from analytics.reconciliation import IN_FLIGHT
from infra.cli.main import scones
from infra.operations.story import DeleteMarker, Facts, Given, Queues, Row, Stored, tell
from infra.operations.why import _labels, _queues, _rows, near_keys
from ingest.upload import Upload
from tests.builders import a_message, an_upload
from tests.builders_table import a_failed_row, a_label, a_row, write_labels, write_rows
from tests.console import A_STACK
from workflow.outcome import Outcome
from workflow.policy import UNLIKE_TRAINING, Policy

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
UPLOAD = an_upload()


def at(time):
    return datetime.fromisoformat(f"2026-11-16T{time}")


def a_told_row(**changes):
    row = {
        "path": "predictions/dt=2026-11-16/a.parquet",
        "dt": "2026-11-16",
        "counts": True,
        "first_decided_at": at("09:31"),
        "upload": UPLOAD,
        "result_id": "r",
        "decided_at": at("09:31"),
        "outcome": "accepted",
        "label": "bicycle",
        "confidence": 0.97,
        "threshold": 0.94,
        "scores": {"bicycle": 0.97, "motorcycle": 0.03},
        "unfamiliarity": 0.2,
        "reason": None,
        "detail": None,
        "model_version": "m",
        "endpoint": "scones",
        "image": {},
        "serialize_ms": 20.0,
        "classify_ms": 30.0,
        "execution_arn": "arn",
    }
    return Row(**{**row, **changes})


def facts(*rows, **changes):
    return Facts(
        **{
            "bucket": UPLOAD.bucket,
            "key": UPLOAD.key,
            "key_pattern": "*",
            "now": NOW,
            "versions": [Stored(UPLOAD, is_latest=True)],
            "markers": [],
            "rows": rows,
            "chosen": UPLOAD,
            **changes,
        }
    )


def became(*rows):
    return [told.became for told in tell(facts(*rows)).rows]


def test_a_row_is_superseded_by_a_better_outcome_or_by_a_later_decision():
    failed = a_told_row(counts=False, outcome="failed", decided_at=at("10:00"), result_id="f")
    earlier = a_told_row(counts=False, decided_at=at("09:30"), result_id="old")
    assert became(failed, a_told_row(), earlier) == [
        "counts",
        "superseded by the later decision of 2026-11-16 09:31:00 UTC",
        "superseded by accepted of 2026-11-16 09:31:00 UTC, which ranks before it",
    ]


def test_a_decision_that_was_written_twice_is_a_duplicate_and_on_two_days_it_counts_twice():
    again = a_told_row(path="predictions/dt=2026-11-16/b.parquet")
    assert became(again, a_told_row()) == [
        "counts",
        "duplicate of the row in predictions/dt=2026-11-16/a.parquet",
    ]
    other_day = a_told_row(dt="2026-11-17", decided_at=at("09:30"))
    story = tell(facts(a_told_row(), other_day))
    assert story.rows[1].became == "counts a second time, on 2026-11-17: only the row on 2026-11-16 should"
    assert "It is counted 2 times, on 2026-11-16, 2026-11-17." in story.notes
    assert story.mends[0].command == "make redrive APPLY=1"


rows = st.builds(
    lambda outcome, second, name, file: a_told_row(
        outcome=outcome,
        decided_at=at(f"09:30:0{second}"),
        result_id=name,
        path=f"predictions/dt=2026-11-16/{file}.parquet",
        counts=False,
    ),
    st.sampled_from([*(each.value for each in Outcome), "of a later version"]),
    st.integers(0, 3),
    st.sampled_from("ab"),
    st.sampled_from("xyz"),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(rows, min_size=1, max_size=6))
def test_of_whatever_rows_one_counts_and_each_of_the_others_has_its_reason(some):
    first = min(row.sort_key for row in some)
    said = became(*(replace(row, counts=row.sort_key == first) for row in some))
    assert said.count("counts") == 1
    assert len(said) == len(some)
    decisions = {row.sort_key for row in some}
    assert sum(each.startswith("duplicate") for each in said) == len(some) - len(decisions)
    assert all(each.startswith(("counts", "duplicate of", "superseded by")) for each in said)


OLD = NOW - IN_FLIGHT - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("age", "queues", "pattern", "fate", "mended"),
    [
        (timedelta(minutes=1), Queues(), "*", "In flight", "make why"),
        (timedelta(hours=1), Queues(), "*", "Missing", "make redrive"),
        (timedelta(hours=1), Queues(waiting=3), "*", "No outcome yet. 3 images wait", None),
        (timedelta(hours=1), Queues(is_undelivered=True), "*", "Its event started no", "make redrive"),
        (timedelta(hours=1), Queues(is_unrecorded=True), "*", "Decided, but", "make redrive"),
        (timedelta(hours=1), Queues(), "other/*", "Not classified: the stack takes other/*", None),
    ],
)
def test_an_upload_without_an_outcome_is_where_it_is(age, queues, pattern, fate, mended):
    upload = an_upload(uploaded_at=NOW - age)
    story = tell(
        facts(
            chosen=upload,
            versions=[Stored(upload, is_latest=True)],
            queues=queues,
            key_pattern=pattern,
        )
    )
    assert story.fate.startswith(fate)
    assert [str(each.command).startswith(mended) for each in story.mends] == ([True] if mended else [])


@pytest.mark.parametrize(
    ("changes", "fate", "commands"),
    [
        ({}, "Accepted as bicycle.", ["make label FROM=labels.jsonl"]),
        (
            {
                "outcome": "needs_review",
                "reason": UNLIKE_TRAINING,
                "detail": "unfamiliarity 0.98, above 0.95",
            },
            "Needs review: it is unlike the classes: unfamiliarity 0.98, above 0.95.",
            ["make review", "make label FROM=labels.jsonl"],
        ),
        (
            {"outcome": "rejected", "reason": "corrupt", "detail": "PNG: broken"},
            "Rejected (corrupt): PNG: broken.",
            ["aws s3 cp FILE s3://scones-incoming/van-07/bicycle.png", "make rejected DOWNLOAD=rejected"],
        ),
        (
            {"outcome": "rejected", "reason": "archived", "detail": "GLACIER"},
            "Rejected (archived): GLACIER.",
            [
                "aws s3api restore-object --bucket scones-incoming --key van-07/bicycle.png --version-id v1 "
                "--restore-request Days=7",
                "make backfill PREFIX=van-07/bicycle.png",
            ],
        ),
        (
            {"outcome": "failed", "reason": "EndpointFault", "detail": None},
            "Failed (EndpointFault).",
            ["make redrive APPLY=1"],
        ),
        (
            {"outcome": "failed", "reason": "wrong_model", "detail": "m2 answered"},
            "Failed (wrong_model): m2 answered.",
            ["make up MODEL=…", "make redrive APPLY=1"],
        ),
    ],
)
def test_each_end_has_the_commands_that_mend_it(changes, fate, commands):
    story = tell(facts(a_told_row(**changes)))
    assert story.fate == fate
    assert [each.command for each in story.mends] == commands


def test_a_command_for_aws_says_so_and_a_hostile_key_is_one_word_of_a_shell():
    hostile = an_upload(key="a'; rm -rf / #$(id).png")
    row = a_told_row(upload=hostile, outcome="rejected", reason="empty")
    commands.name_stack_on_aws("team")
    story = tell(facts(row, chosen=hostile, key=hostile.key, is_on_aws=True))
    assert story.mends[0].command == "aws s3 cp FILE 's3://scones-incoming/a'\"'\"'; rm -rf / #$(id).png'"
    assert story.mends[1].command == "make rejected DOWNLOAD=rejected ON=aws STACK=team"


@pytest.mark.parametrize("is_checkout", [True, False])
@pytest.mark.parametrize("reason", ["EndpointFault", "InvalidScores", "wrong_model"])
def test_what_mends_a_failure_on_aws_is_a_command_with_these_values(monkeypatch, reason, is_checkout):
    monkeypatch.setattr(commands, "is_checkout", lambda: is_checkout)
    row = a_told_row(outcome="failed", reason=reason, endpoint="mine")
    commands.name_stack_on_aws("team")
    for mend in tell(facts(row, is_on_aws=True)).mends:
        program, name, *values = shlex.split(mend.command)
        command = scones.commands[name]
        if is_checkout:
            assert program == "make"
            known = {getattr(each, "make_name", None) for each in command.params}
            assert {each.partition("=")[0] for each in values} <= known
        else:
            assert program == "scones"
            command.make_context(name, values)


def test_the_scores_are_compared_with_the_threshold_of_then_and_of_now():
    policy = Policy(("bicycle", "motorcycle"), 0.98, {}, model_version="m2")
    assert tell(facts(a_told_row(), policy=policy)).decision == [
        "Confidence 0.9700 for bicycle is at least the threshold 0.94.",
        "Unfamiliarity 0.200 is within its threshold.",
        "The threshold is 0.98 now: not reached.",
        "The stack's policy is for model m2 now.",
    ]


def test_each_step_has_its_time_or_its_duration_and_a_merged_file_is_no_record():
    merged = "predictions/dt=2026-11-16/rows-current-0123456789abcdef0123456789abcdef-0000.parquet"
    written = datetime(2026, 11, 17, 3, tzinfo=UTC)
    first = at("09:30:30")
    rows = [a_told_row(first_decided_at=first), a_told_row(path=merged, first_decided_at=first)]
    story = tell(facts(*rows, recorded_at={merged: written}))
    assert [(step.name, step.at, step.took_ms) for step in story.steps] == [
        ("uploaded", UPLOAD.uploaded_at, None),
        ("classified", None, 30.0),
        ("decided", datetime(2026, 11, 16, 9, 31, tzinfo=UTC), None),
        ("recorded", None, None),
        ("compacted", written, None),
    ]
    assert "60.0\u00a0s after the upload; first at 2026-11-16 09:30:30 UTC" in story.steps[2].said


def test_a_label_that_counts_is_not_asked_for_again():
    label = Given("tulip", at("10:00"), "Ada", None, None, counts=True)
    assert tell(facts(a_told_row(), labels=[label])).mends == []


def test_a_key_that_nobody_has_seen_leads_to_what_is_known():
    story = tell(facts(chosen=None, versions=[], near_keys=["van-07/bicycles.png"]))
    assert story.fate.startswith("Never seen")
    assert story.near_keys == [("van-07/bicycles.png", "make why KEY=van-07/bicycles.png")]
    deleted = tell(facts(chosen=None, versions=[], markers=[DeleteMarker(NOW, is_latest=True)]))
    assert deleted.fate.startswith("Deleted 2026-11-16 12:00:00 UTC")


def test_what_the_listing_says_of_a_version_is_noted():
    later = an_upload(version_id="v2", uploaded_at=NOW)
    story = tell(
        facts(a_told_row(), versions=[Stored(later, is_latest=True), Stored(UPLOAD, is_latest=False)])
    )
    assert story.notes == ["A later version was uploaded 2026-11-16 12:00:00 UTC."]
    assert story.others == [(later, "no outcome, uploaded 2026-11-16 12:00:00 UTC")]
    gone = tell(facts(a_told_row(), versions=[]))
    assert gone.notes == ["This version is no longer in the bucket."]


def test_rows_and_labels_are_those_that_the_views_choose_among(tmp_path):
    key = "it's/a key.jpg"
    accepted = a_row(1, key=key)
    retried = a_failed_row(1, key=key, upload_id=accepted["upload_id"])
    write_rows(tmp_path, [accepted, retried, a_row(2, key="another.jpg")])
    write_rows(tmp_path, [accepted], "part-1")
    moment = accepted["uploaded_at"]
    labels = [
        a_label(accepted, "tulip", labelled_at=moment + timedelta(hours=1), labelled_by="Ada"),
        a_label(accepted, None, labelled_at=moment + timedelta(hours=2), labelled_by="Grace"),
    ]
    write_labels(tmp_path, "2026-11-16", labels)
    answers = LocalEngine(tmp_path, views())
    try:
        assert _rows(answers, key, None, [], date(2026, 11, 17)) == []
        found = _rows(answers, key, None, [], date(2026, 11, 1))
        listed = [Stored(an_upload(key=key, uploaded_at=moment.replace(tzinfo=UTC)), is_latest=True)]
        assert _rows(answers, key, None, listed, None) == found
        given_ = _labels(answers, accepted["upload_id"], {"2026-11-16"})
    finally:
        answers.close()
    assert [(row.outcome, row.counts) for row in found] == [
        ("accepted", True),
        ("failed", False),
        ("accepted", True),
    ]
    assert found[0].path == "predictions/dt=2026-11-16/part-0.parquet"
    assert found[0].scores == accepted["probabilities"]
    assert (found[0].image["width_px"], found[1].image) == (640, {})
    assert found[0].upload == Upload(
        "scones-incoming", key, "v1", accepted["etag"], "", 48_000, moment.replace(tzinfo=UTC)
    )
    assert [(each.true_label, each.labelled_by, each.counts) for each in given_] == [
        (None, "Grace", True),
        ("tulip", "Ada", False),
    ]


def test_the_row_that_counts_is_the_one_of_the_view_also_in_a_compacted_day(tmp_path):
    first = a_row(1, key="a.jpg")
    later = a_row(1, key="a.jpg", model_version="m2", decided_at=first["decided_at"] + timedelta(hours=1))
    failed = a_failed_row(1, key="a.jpg", decided_at=first["decided_at"] + timedelta(hours=2))
    write_rows(tmp_path, [first, failed])
    write_rows(tmp_path, [later, first, a_row(2)], "part-1")
    answers = LocalEngine(tmp_path, views())

    def counted():
        rows = [row for row in _rows(answers, "a.jpg", None, [], date(2026, 11, 1)) if row.counts]
        assert len({row.sort_key for row in rows}) == 1
        return rows[0].result_id, rows[0].decided_at, rows[0].first_decided_at

    def of_view():
        sql = "SELECT result_id, decided_at, first_decided_at FROM outcomes WHERE key = 'a.jpg'"
        (row,) = answers.query(sql).frame.itertuples(index=False)
        return row.result_id, row.decided_at, row.first_decided_at

    try:
        assert counted() == of_view() == (later["result_id"], later["decided_at"], first["decided_at"])
        day = tmp_path / "predictions" / "dt=2026-11-16"
        files = sorted(day.iterdir())
        (tmp_path / "merged").mkdir()
        merged = merge(files, tmp_path / "merged", "predictions/dt=2026-11-16/")
        for path in files:
            path.unlink()
        for path, file in merged.files.items():
            file.rename(tmp_path / path)
        assert counted() == of_view() == (later["result_id"], later["decided_at"], first["decided_at"])
    finally:
        answers.close()


class Sqs:
    """Queues by URL: the bodies of their messages, and who may see them."""

    def __init__(self, **queues):
        self._queues = queues
        self.visible = {url: set(range(len(bodies))) for url, bodies in queues.items()}

    def get_queue_attributes(self, QueueUrl, **_):
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": len(self._queues.get(QueueUrl, ())),
                "ApproximateNumberOfMessagesNotVisible": 0,
            }
        }

    def receive_message(self, QueueUrl, **_):
        numbers = sorted(self.visible[QueueUrl])
        self.visible[QueueUrl] = set()
        bodies = self._queues[QueueUrl]
        return {
            "Messages": [{"MessageId": str(n), "ReceiptHandle": str(n), "Body": bodies[n]} for n in numbers]
        }

    def change_message_visibility_batch(self, QueueUrl, Entries):
        self.visible[QueueUrl] |= {int(each["ReceiptHandle"]) for each in Entries}


def test_an_image_is_found_in_the_dead_letter_queues_whose_messages_stay():
    event = json.dumps(UPLOAD.to_event())
    outcome = json.dumps(a_message("accepted", UPLOAD.to_event()))
    sqs = Sqs(undelivered=["no event", event], unrecorded=[outcome], waiting=["x", "y"])
    assert _queues(A_STACK, sqs, UPLOAD.key, UPLOAD.upload_id) == Queues(2, True, True)
    assert sqs.visible["undelivered"] == {0, 1}
    assert sqs.visible["unrecorded"] == {0}
    assert _queues(A_STACK, sqs, UPLOAD.key, None) == Queues(2, True, True)
    assert _queues(A_STACK, sqs, UPLOAD.key, "of another version") == Queues(2, False, False)
    assert _queues(A_STACK, Sqs(), UPLOAD.key, None) == Queues()


class Listing:
    """The two listings of S3 that near keys are looked for in."""

    def __init__(self, *keys):
        self._keys = sorted(keys)

    def list_object_versions(self, Bucket, Prefix, MaxKeys):
        return {"Versions": [{"Key": key} for key in self._keys if key.startswith(Prefix)][:MaxKeys]}

    def list_objects_v2(self, Bucket, Prefix, Delimiter):
        rest = [key.removeprefix(Prefix) for key in self._keys if key.startswith(Prefix)]
        folders = sorted({each.partition(Delimiter)[0] + Delimiter for each in rest if Delimiter in each})
        return {
            "CommonPrefixes": [{"Prefix": Prefix + each} for each in folders],
            "Contents": [{"Key": Prefix + each} for each in rest if Delimiter not in each],
        }


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("s3://incoming/vans/van 07/a+b.png", "vans/van 07/a+b.png"),
        ("vans/van%2007/a%2Bb.png", "vans/van 07/a+b.png"),
        ("van/van 7/a-b.png", "vans/van 07/a+b.png"),
        ("cafe\u0301.png", "caf\u00e9.png"),
    ],
)
def test_a_key_in_another_notation_or_mistyped_is_found(asked, near):
    s3 = Listing("vans/van 07/a+b.png", "vans/van 08/other.png", "caf\u00e9.png")
    assert near_keys(s3, "incoming", asked)[0] == near
    assert near_keys(s3, "incoming", "nothing like it/x") == []

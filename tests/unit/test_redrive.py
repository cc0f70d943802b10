import json
from datetime import UTC, datetime, timedelta

import pytest

from analytics.reconciliation import IN_FLIGHT, Account
from infra.operations.redrive import HOLD_S, DeadLetterQueue, Message, plan_messages, to_classify
from tests.builders import a_message, an_upload
from tests.builders_audit import FakeReconciliation
from workflow.outcome import Outcome

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)


def a_queued_message(body, number=0):
    return Message(
        f"message-{number}", f"handle-{number}", body if isinstance(body, str) else json.dumps(body)
    )


def an_account(name, outcome=None, uploaded_at=LONG_AGO, is_listed=True):
    upload = an_upload(key=name, uploaded_at=uploaded_at, sequencer="")
    return Account(upload, is_listed, outcome and Outcome(outcome), 1 if outcome else 0)


def an_event_message(name, number=0):
    return a_queued_message(
        an_upload(key=name, uploaded_at=LONG_AGO + timedelta(seconds=1)).to_event(), number
    )


def an_outcome_message(name, outcome="accepted", number=0):
    return a_queued_message(a_message(outcome, an_upload(key=name).to_event()), number)


def again(accounts, undelivered=(), unrecorded=(), in_flight=IN_FLIGHT):
    plan = plan_messages(undelivered, unrecorded)
    uploads = list(to_classify(plan, FakeReconciliation(*accounts), NOW, in_flight))
    assert plan.to_classify == len(uploads)
    return [upload.key for upload in uploads]


def test_what_failed_or_is_missing_is_classified_again_and_nothing_else():
    accounts = [
        an_account("accepted", "accepted"),
        an_account("needs_review", "needs_review"),
        an_account("rejected", "rejected"),
        an_account("failed", "failed"),
        an_account("missing"),
        an_account("in flight", uploaded_at=NOW - timedelta(minutes=1)),
    ]
    assert again(accounts) == ["failed", "missing"]
    assert again(accounts, in_flight=timedelta(0)) == ["failed", "missing", "in flight"]


def test_all_that_is_classified_again_is_counted():
    accounts = [an_account(name, "failed") for name in "ab"] + [an_account(name) for name in "cde"]
    plan = plan_messages([an_event_message("gone", 1), an_event_message("gone too", 2)], [])
    assert len(list(to_classify(plan, FakeReconciliation(*accounts), NOW, IN_FLIGHT))) == 7
    assert (plan.failed, plan.missing, plan.to_classify) == (2, 5, 7)


def test_what_failed_and_was_deleted_since_is_left_alone():
    assert again([an_account("failed", "failed", is_listed=False)]) == []


def test_an_undelivered_event_is_classified_even_if_it_is_young():
    young = an_account("young", uploaded_at=NOW)
    assert again([young], undelivered=[an_event_message("young")]) == ["young"]


def test_an_undelivered_event_keeps_its_own_time():
    plan = plan_messages([an_event_message("a")], [])
    (upload,) = to_classify(plan, FakeReconciliation(an_account("a")), NOW, IN_FLIGHT)
    assert upload.uploaded_at == LONG_AGO + timedelta(seconds=1)
    assert upload.sequencer


@pytest.mark.parametrize("outcome", ["accepted", "needs_review", "rejected"])
def test_an_undelivered_event_of_an_upload_that_has_its_outcome_is_done_with(outcome):
    message = an_event_message("a")
    assert again([an_account("a", outcome)], undelivered=[message]) == []


def test_an_undelivered_event_of_an_object_that_is_gone_is_classified_so_that_this_is_recorded():
    assert again([], undelivered=[an_event_message("gone")]) == ["gone"]


def test_an_event_that_lies_there_twice_is_classified_once():
    messages = [an_event_message("a", 1), an_event_message("a", 2)]
    assert again([], undelivered=messages) == ["a"]
    ((_, both),) = plan_messages(messages, []).undelivered.values()
    assert both == messages


def test_an_upload_whose_outcome_is_sent_again_is_not_classified_again():
    accounts = [an_account("a"), an_account("b"), an_account("c", "failed")]
    messages = [an_outcome_message("a"), an_outcome_message("c", "rejected")]
    assert again(accounts, unrecorded=messages) == ["b"]
    assert again([], [an_event_message("a")], messages) == []


def test_each_outcome_in_a_message_of_many_is_taken_into_account():
    many = [a_message(outcome, an_upload(key=outcome).to_event()) for outcome in ("accepted", "failed")]
    accounts = [an_account("accepted"), an_account("failed"), an_account("other")]
    assert again(accounts, unrecorded=[a_queued_message(many)]) == ["failed", "other"]


def test_a_failure_that_is_sent_again_is_classified_as_well():
    assert again([an_account("a")], unrecorded=[an_outcome_message("a", "failed")]) == ["a"]


@pytest.mark.parametrize("body", ["", "{", "null", "[]", "5", "{}", '{"detail": {}}', '{"time": 5}'])
def test_a_message_that_is_neither_stays_for_people(body):
    message = a_queued_message(body)
    plan = plan_messages([message], [message])
    assert plan.unreadable == [("undelivered events", message), ("unrecorded outcomes", message)]
    assert not plan.undelivered
    assert not plan.unrecorded


def test_a_message_that_is_neither_does_not_hide_those_after_it():
    plan = plan_messages(
        [a_queued_message("{"), an_event_message("a", 1)], [a_queued_message("{"), an_outcome_message("b")]
    )
    assert (len(plan.undelivered), len(plan.unrecorded), len(plan.unreadable)) == (1, 1, 2)


class FakeSqs:
    """A queue of some messages, which remembers what it is asked for."""

    def __init__(self, messages):
        self.waiting = [
            {"MessageId": f"id-{number}", "ReceiptHandle": f"handle-{number}", "Body": "{}"}
            for number in range(messages)
        ]
        self.received, self.batches = [], []

    def receive_message(self, **request):
        self.received.append(request)
        some, self.waiting = self.waiting[:10], self.waiting[10:]
        return {"Messages": some} if some else {}

    def delete_message_batch(self, **request):
        self.batches.append(request["Entries"])

    change_message_visibility_batch = delete_message_batch


@pytest.mark.parametrize("method", ["delete", "release"])
def test_messages_are_held_and_handed_back_ten_at_a_time(method):
    sqs = FakeSqs(23)
    queue = DeadLetterQueue(sqs, "url")
    messages = queue.read()
    assert len(messages) == 23
    assert len(sqs.received) == 4
    assert all(request["VisibilityTimeout"] == HOLD_S for request in sqs.received)
    assert all(request["MaxNumberOfMessages"] == 10 for request in sqs.received)
    assert all(request["WaitTimeSeconds"] for request in sqs.received)  # else a queue may seem to be empty
    queue.delete(messages) if method == "delete" else queue.release()
    assert [len({entry["Id"] for entry in batch}) for batch in sqs.batches] == [10, 10, 3]
    handles = [entry["ReceiptHandle"] for batch in sqs.batches for entry in batch]
    assert handles == [message.receipt_handle for message in messages]
    assert all(entry.get("VisibilityTimeout", 0) == 0 for batch in sqs.batches for entry in batch)

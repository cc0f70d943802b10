"""Readers see one outcome per upload, whatever happens to the messages, and the audit confirms it."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.lake.batch import sort_out
from analytics.reconciliation import (
    IN_FLIGHT,
    Account,
    Audit,
    Reconciliation,
    Settled,
    listing_key,
    reconciled,
)
from ingest.upload import Upload
from tests.athena import Athena
from tests.builders import a_message, an_sqs_event, an_upload
from tests.builders_table import a_row, write_rows
from workflow.outcome import Outcome, rank_of

BUCKET = "scones-incoming"
NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def record(folder: Path, *batches: list[Any]) -> None:
    """Write batches of messages as the Record Lambda does."""
    for messages in batches:
        for path, table in sort_out(an_sqs_event(*messages)["Records"]).files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            parquet.write_table(table, folder / path)


def decided(
    upload: Upload, outcome: str = "accepted", at: datetime = NOON, model: str = "m1"
) -> dict[str, Any]:
    message = a_message(outcome, upload.to_event(), decided_at=at.isoformat())
    message["execution_arn"] = f"{outcome} {at} {model}"
    if message["prediction"]:
        message["prediction"] = {**message["prediction"], "model_version": model}
    return message


def audit_of(folder: Path, listing: list[Upload], now: datetime = NOON) -> tuple[Audit, list[Account]]:
    """Return the totals, and every account; the summary of the accounts has the same totals."""
    audit, summarized = Audit(), Audit()
    with reconciled(folder, BUCKET, listing) as reconciliation:
        found = list(reconciliation.accounts())
        for account in found:
            audit.add(account, now, IN_FLIGHT)
        for each in reconciliation.summarized():
            if isinstance(each, Settled):
                summarized.add_settled(each)
            else:
                assert each in found
                assert summarized.add(each, now, IN_FLIGHT) or each.outcome in (None, Outcome.FAILED)
    assert summarized == audit
    return audit, found


# ── identity ───────────────────────────────────────────────────────────────────────────────────────────────

UPLOADS = [
    an_upload(key="a.png", version_id="1", uploaded_at=NOON),
    an_upload(key="a.png", version_id="2", uploaded_at=NOON + timedelta(minutes=1)),
    an_upload(key="b +é.png", version_id="1", uploaded_at=datetime(2026, 11, 15, 23, 59, 59, 999000, UTC)),
    an_upload(key="c.png", version_id=None, sequencer="01", uploaded_at=NOON),
    an_upload(key="c.png", version_id=None, sequencer="02", uploaded_at=NOON),
]
decisions = st.builds(
    decided,
    st.sampled_from(UPLOADS),
    st.sampled_from(sorted(Outcome)),
    st.integers(0, 5).map(lambda second: NOON + timedelta(seconds=second)),
    st.sampled_from(["m1", "m2"]),
)


def best(messages: list[Any]) -> dict[str, Any]:
    """Return what readers should see, the long way: by upload, the best outcome, then the latest decision."""
    seen: dict[str, set[Any]] = {}
    for message in messages:
        upload = Upload.from_event(message["event"])
        rank = (rank_of(message["outcome"]), -datetime.fromisoformat(message["decided_at"]).timestamp())
        seen.setdefault(upload.upload_id, set()).add((*rank, message["outcome"]))
    # Of two equals at the same instant, either will do.
    return {
        upload_id: {outcome for *place, outcome in found if place == list(min(found)[:2])}
        for upload_id, found in seen.items()
    }


@settings(max_examples=20)
@given(st.lists(decisions, max_size=14), st.randoms(use_true_random=False))
def test_readers_see_one_outcome_of_each_upload_the_best_and_then_the_latest(messages, random):
    """Duplicates, redeliveries, re-uploads, late failures, new models, another order: all at once."""
    delivered = messages + random.choices(messages, k=len(messages) // 2) if messages else []
    random.shuffle(delivered)
    cut = random.randint(0, len(delivered))
    batches = [delivered[:cut], delivered[cut:], delivered[: cut // 2]]  # the last one: delivered again
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder), *batches)
        engine = Athena(Path(folder))
        rows = engine.query("SELECT upload_id, outcome FROM outcomes").frame.to_dict("records")
    expected = best(messages)
    assert sorted(row["upload_id"] for row in rows) == sorted(expected)
    assert all(row["outcome"] in expected[row["upload_id"]] for row in rows)


@pytest.mark.parametrize("late", ["failed", "rejected"])
def test_a_late_duplicate_does_not_take_the_place_of_a_better_outcome(folder, late):
    upload = an_upload(uploaded_at=NOON)
    record(folder, [decided(upload)], [decided(upload, late, NOON + timedelta(hours=1))])
    (account,) = audit_of(folder, [upload])[1]
    assert account.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("known", ["accepted", "rejected", "failed"])
def test_an_outcome_that_is_not_known_comes_after_all_others(folder, known):
    upload = an_upload(uploaded_at=NOON)
    record(folder, [decided(upload, known)])
    day = NOON + timedelta(days=1)  # two days, so that it is the audit that chooses
    late = a_row(9, bucket=upload.bucket, key=upload.key, version_id=upload.version_id, outcome="unheard_of")
    at = {"uploaded_at": day.replace(tzinfo=None), "decided_at": day.replace(tzinfo=None)}
    write_rows(folder, [{**late, **at}], file="late")
    (account,) = audit_of(folder, [upload])[1]
    assert (account.outcome, account.upload.uploaded_at) == (Outcome(known), upload.uploaded_at)


@pytest.mark.parametrize("later_day", [0, 1])
def test_an_account_has_the_time_of_the_row_that_counts_so_that_a_redrive_lands_beside_it(folder, later_day):
    days = [an_upload(uploaded_at=NOON + timedelta(days=day)) for day in range(2)]
    late = NOON + timedelta(days=3)
    record(folder, *([decided(days[day], "failed", late if day == later_day else NOON)] for day in range(2)))
    (account,) = audit_of(folder, days[:1])[1]
    assert (account.outcomes, account.upload.uploaded_at) == (2, days[later_day].uploaded_at)


def test_a_later_decision_of_the_same_model_takes_the_place_of_the_earlier_whatever_is_redelivered(folder):
    upload = an_upload(uploaded_at=NOON)
    first = [decided(upload, "accepted")]
    again = [decided(upload, "needs_review", NOON + timedelta(days=1))]  # the threshold has been raised
    record(folder, first, again, first)
    (account,) = audit_of(folder, [upload])[1]
    assert (account.outcome, account.outcomes) == (Outcome.NEEDS_REVIEW, 1)


def test_what_the_table_does_not_have_of_an_upload_is_empty_in_its_account():
    row = ("a.png", None, None, None, NOON.replace(tzinfo=None), False, "accepted", 1)
    (account,) = Reconciliation(lambda _: [row], BUCKET, "", "all").accounts()
    assert account == Account(Upload(BUCKET, "a.png", None, "", "", 0, NOON), False, Outcome.ACCEPTED, 1)


def test_a_summary_has_accounts_beside_counts_also_of_uploads_without_a_version():
    rows = [
        (None, None, None, None, None, True, "accepted", 1, 7),
        ("a.png", None, "etag", 5, NOON.replace(tzinfo=None), True, None, 0, 1),
        (None, None, None, None, None, False, "rejected", 1, 2),
    ]
    assert list(Reconciliation(lambda _: rows, BUCKET, "", "all").summarized()) == [
        Settled(True, Outcome.ACCEPTED, 7),
        Account(Upload(BUCKET, "a.png", None, "etag", "", 5, NOON), True, None, 0),
        Settled(False, Outcome.REJECTED, 2),
    ]


def test_uploads_add_up() -> None:
    audit = Audit()
    for outcome, is_listed, uploads in (
        (Outcome.ACCEPTED, True, 3),
        (Outcome.REJECTED, True, 4),
        (Outcome.ACCEPTED, True, 5),
        (Outcome.ACCEPTED, False, 6),
        (Outcome.REJECTED, False, 7),
    ):
        audit.add_settled(Settled(is_listed, outcome, uploads))
    assert (audit.uploaded, audit.deleted_since) == (12, 13)
    assert audit.by_outcome == {Outcome.ACCEPTED: 8, Outcome.REJECTED: 4}
    for uploaded_at, count in ((NOON - 2 * IN_FLIGHT, 5), (NOON, 2)):
        for _ in range(count):
            audit.add(Account(replace(an_upload(), uploaded_at=uploaded_at), True, None, 0), NOON, IN_FLIGHT)
    audit.let_wait(3)
    assert (audit.missing, audit.waiting, audit.in_flight, audit.uploaded) == (2, 3, 2, 19)


# ── the audit ──────────────────────────────────────────────────────────────────────────────────────────────

OLD = NOON - IN_FLIGHT - timedelta(seconds=1)
fates = st.dictionaries(
    st.tuples(st.text("aé+/ ", min_size=1, max_size=3), st.sampled_from("123")),
    st.tuples(
        st.sampled_from(["accepted", "needs_review", "rejected", "failed", None]),
        st.booleans(),  # whether it is in the bucket still
        st.booleans(),  # whether it is old
    ),
    max_size=12,
)


@settings(max_examples=20)
@given(fates)
def test_the_totals_add_up(fates):
    uploads = {
        identity: an_upload(key=identity[0], version_id=identity[1], uploaded_at=OLD if old else NOON)
        for identity, (_, _, old) in fates.items()
    }
    listing = [uploads[identity] for identity, (_, listed, _) in fates.items() if listed]
    with tempfile.TemporaryDirectory() as folder:
        record(
            Path(folder), [decided(uploads[identity], fate[0]) for identity, fate in fates.items() if fate[0]]
        )
        audit, found = audit_of(Path(folder), listing)
    assert audit.uploaded == len(listing)
    assert audit.uploaded == sum(audit.by_outcome.values()) + audit.in_flight + audit.missing
    for outcome in Outcome:
        assert audit.by_outcome[outcome] == sum(
            fate == outcome and listed for fate, listed, _ in fates.values()
        )
    assert audit.missing == sum(fate is None and listed and old for fate, listed, old in fates.values())
    assert audit.deleted_since == sum(fate is not None and not listed for fate, listed, _ in fates.values())
    assert audit.doubled == 0
    assert {(account.upload.key, account.upload.version_id) for account in found} == {
        identity for identity, (fate, listed, _) in fates.items() if fate or listed
    }


def test_uploads_are_matched_across_midnight(folder):
    event = an_upload(uploaded_at=datetime(2026, 11, 17, 0, 0, 0, 400000, UTC))
    listed = replace(event, uploaded_at=datetime(2026, 11, 16, 23, 59, 59, tzinfo=UTC), sequencer="")
    record(folder, [decided(event)])
    (account,) = audit_of(folder, [listed])[1]
    assert (account.outcome, account.outcomes) == (Outcome.ACCEPTED, 1)
    assert account.upload.size_bytes == event.size_bytes  # by which batches are filled
    # Another row of it, made from the account, has to land beside the first.
    record(folder, [decided(account.upload, at=NOON + timedelta(days=2))])
    (account,) = audit_of(folder, [listed])[1]
    assert account.outcomes == 1


def test_an_upload_that_readers_see_twice_is_doubled(folder):
    upload = an_upload(uploaded_at=NOON)
    record(folder, [decided(upload)], [decided(replace(upload, uploaded_at=NOON - timedelta(days=1)))])
    audit, (account,) = audit_of(folder, [upload])
    assert account.outcomes == 2
    assert (audit.doubled, audit.is_clean, audit.uploaded) == (1, False, 1)


def test_while_versioning_is_suspended_each_upload_counts_once(folder):
    """Its event names no version, its listing `null`, which the next upload under the key takes over."""
    first, second = (an_upload(version_id=None, etag=etag, uploaded_at=OLD) for etag in ("one", "two"))
    listed = replace(second, version_id="null", sequencer="", uploaded_at=OLD + timedelta(seconds=1))
    record(folder, [decided(first, "rejected")], [decided(second)])
    audit, found = audit_of(folder, [listed])
    assert (audit.uploaded, audit.by_outcome, audit.missing) == (1, {Outcome.ACCEPTED: 1}, 0)
    assert (audit.doubled, audit.deleted_since) == (0, 1)
    # A backfill takes the upload from the listing: its row lands beside the one that came by the event.
    (account,) = (account for account in found if account.is_listed)
    assert account.upload.upload_id == second.upload_id
    record(folder, [decided(account.upload, at=NOON + timedelta(days=1))])
    audit, _ = audit_of(folder, [listed])
    assert (audit.uploaded, audit.doubled, audit.is_clean) == (1, 0, True)


def test_another_bucket_and_another_prefix_are_left_out(folder):
    uploads = [
        an_upload(key="in/a.png"),
        an_upload(key="out/a.png"),
        an_upload(key="in/a.png", bucket="other"),
    ]
    record(folder, [decided(upload) for upload in uploads])
    with reconciled(folder, BUCKET, [uploads[0]], "in/") as reconciliation:
        (account,) = reconciliation.accounts()
    assert (account.upload.key, account.upload.bucket) == ("in/a.png", BUCKET)


def test_a_bucket_without_one_row_is_audited(folder):
    audit, (account,) = audit_of(folder, [an_upload(uploaded_at=OLD)])
    assert (audit.missing, account.outcome) == (1, None)
    assert account.upload.size_bytes == an_upload().size_bytes  # as listed: batches are filled by it
    assert not audit.is_clean


def test_an_empty_bucket_is_clean(folder):
    audit, found = audit_of(folder, [])
    assert (audit.uploaded, audit.is_clean, found) == (0, True, [])


def test_uploads_that_have_an_outcome_other_than_a_failure_are_found_by_their_ids(folder, monkeypatch):
    monkeypatch.setattr("analytics.reconciliation._IDS_AT_ONCE", 2)
    days = [NOON + timedelta(days=number) for number in range(5)]
    uploads = [an_upload(key=f"{number}.png", uploaded_at=day) for number, day in enumerate(days)]
    outcomes = ["accepted", "failed", "rejected", "needs_review"]
    record(folder, [decided(upload, outcome) for upload, outcome in zip(uploads, outcomes, strict=False)])
    with reconciled(folder, BUCKET, []) as reconciliation:
        asked: list[str] = []

        def stream(sql: str) -> Any:
            asked.append(sql)
            return reconciliation.stream(sql)

        noting = replace(reconciliation, stream=stream)
        assert noting.settled([]) == set()
        assert noting.settled(uploads) == {uploads[number].upload_id for number in (0, 2, 3)}
    named = [[upload.upload_id in sql for upload in uploads] for sql in asked]
    assert [sum(each) for each in named] == [2, 2, 1]  # a statement has a limit


def test_a_statement_has_as_many_ids_as_athena_takes():
    asked: list[str] = []

    def stream(sql: str) -> list[Any]:
        asked.append(sql)
        return []

    uploads = [an_upload(key=f"{number}.png") for number in range(3_001)]
    assert Reconciliation(stream, BUCKET, "", "all").settled(uploads) == set()
    assert len(asked) == 2
    assert len(asked[0].encode()) <= 262_144


def test_an_outcome_of_the_day_before_or_after_is_found_by_its_upload_s_id(folder):
    """Around midnight, a listing and an event have other dates."""
    midnight = datetime(2026, 11, 17, tzinfo=UTC)
    late, early = (midnight + timedelta(seconds=seconds) for seconds in (-1, 1))
    rows = [an_upload(key=f"{at:%H}.png", uploaded_at=at) for at in (late, early)]
    record(folder, [decided(upload) for upload in rows])
    listed = [replace(rows[0], uploaded_at=early), replace(rows[1], uploaded_at=late)]
    with reconciled(folder, BUCKET, []) as reconciliation:
        for upload in listed:
            assert reconciliation.settled([upload]) == {upload.upload_id}


def test_a_listing_that_a_killed_audit_left_does_not_count(folder):
    left = folder / listing_key("all")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of a file")
    assert audit_of(folder, [an_upload(uploaded_at=OLD)])[0].missing == 1


def test_the_listing_is_gone_when_the_audit_ends(folder):
    record(folder, [decided(an_upload())])
    audit_of(folder, [an_upload()])
    assert {path.name for path in folder.iterdir()} == {"predictions"}


def test_neither_the_listing_nor_the_accounts_are_held_in_memory(folder, monkeypatch):
    monkeypatch.setattr("analytics.reconciliation._ROWS_AT_ONCE", 100)
    asked = []

    def listing() -> Iterator[Upload]:
        for number in range(1000):
            asked.append(number)
            yield an_upload(key=f"{number}.png")

    written = []
    write_table = parquet.ParquetWriter.write_table

    def counting(self, table, *args, **options):
        written.append((table.num_rows, len(asked)))
        return write_table(self, table, *args, **options)

    monkeypatch.setattr(parquet.ParquetWriter, "write_table", counting)
    with reconciled(folder, BUCKET, listing()) as reconciliation:
        assert sum(1 for _ in reconciliation.accounts()) == 1000
    assert [rows for rows, _ in written if rows] == [100] * 10
    assert all(seen - 100 * number <= 100 for number, (_, seen) in enumerate(written))


@pytest.mark.parametrize(
    ("is_listed", "outcome", "rows", "uploaded_at", "fault"),
    [
        (True, None, 0, OLD, "missing"),
        (True, None, 0, NOON, None),
        (True, None, 0, OLD + timedelta(seconds=1), None),  # just in flight
        (True, Outcome.ACCEPTED, 2, NOON, "doubled"),
        (False, Outcome.ACCEPTED, 2, NOON, "doubled"),
        (True, Outcome.FAILED, 1, OLD, None),
        (False, Outcome.ACCEPTED, 1, NOON, None),
    ],
)
def test_the_fault_of_an_account_is_named_so_that_it_can_be_listed(
    is_listed, outcome, rows, uploaded_at, fault
):
    account = Account(an_upload(uploaded_at=uploaded_at), is_listed, outcome, rows)
    audit = Audit()
    for count in (1, 2):
        assert audit.add(account, NOON, IN_FLIGHT) == fault
        faults = (audit.missing, audit.doubled, audit.deleted_since)
        assert faults == (count * (fault == "missing"), count * (fault == "doubled"), count * (not is_listed))

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.upload import Upload, bucket_and_key, utc_text
from tests.builders import EVENTS, LONGEST_KEY, an_event, an_upload, recorded_event

uploads = st.builds(
    Upload,
    bucket=st.text(min_size=1),
    key=st.text(min_size=1),
    version_id=st.none() | st.text(min_size=1),
    etag=st.text(),
    sequencer=st.text(),
    size_bytes=st.integers(0, 5 * 2**40),
    uploaded_at=st.datetimes(timezones=st.just(UTC)),
)


def test_an_event_of_aws_names_the_upload():
    assert Upload.from_event(recorded_event("put_object")) == Upload(
        bucket="scones-incoming",
        key="van-07/bicycle.png",
        version_id="IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
        etag=recorded_event("put_object")["detail"]["object"]["etag"],
        sequencer="0067378A1B2C3D4E5F",
        size_bytes=48_213,
        uploaded_at=datetime(2026, 11, 16, 9, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("key_with_spaces", "my photos/a bicycle  (1).png"),
        ("key_with_plus_signs", "a+b/c++.png"),
        ("key_with_percent_signs", "100%25/a%20b%.png"),
        ("key_in_unicode", "фото/自転車/vélo 🚲.png"),
        ("key_with_html", '<script>alert("\'&amp;")</script>.png'),
        ("key_of_1024_bytes", LONGEST_KEY),
    ],
)
def test_a_key_is_not_decoded(name, key):
    assert Upload.from_event(recorded_event(name)).key == key


@pytest.mark.parametrize("name", ["put_object", "complete_multipart_upload", "copy_object"])
def test_the_way_an_object_came_makes_no_difference(name):
    event = recorded_event(name)
    assert Upload.from_event(event).version_id == "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
    assert Upload.from_event(event).size_bytes == event["detail"]["object"]["size"]


def test_a_bucket_without_versioning_names_no_version():
    assert Upload.from_event(recorded_event("put_object_without_versioning")).version_id is None


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_a_manifests_line_is_read_as_its_event_is(path):
    upload = Upload.from_event(json.loads(path.read_text(encoding="utf-8")))
    assert Upload.from_event(json.loads(json.dumps(upload.to_event()))) == upload


@given(uploads)
def test_any_upload_is_the_same_after_a_manifest(upload):
    assert Upload.from_event(json.loads(json.dumps(upload.to_event()))) == upload


def test_an_event_may_name_a_bucket_a_key_and_a_time_alone():
    event = {"time": "2026-11-24T09:30:00Z", "detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}}
    assert Upload.from_event(event) == Upload(
        "b", "k", None, "", "", 0, datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    )


def test_a_utc_time_is_written_as_events_have_it():
    at = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    assert (utc_text(at), utc_text(at, "milliseconds")) == (
        "2026-11-24T09:30:00Z",
        "2026-11-24T09:30:00.000Z",
    )


@pytest.mark.parametrize(("url", "parts"), [("s3://b/a/k", ("b", "a/k")), ("s3://b", ("b", ""))])
def test_a_url_of_s3_is_a_bucket_and_a_key(url, parts):
    assert bucket_and_key(url) == parts


def test_a_time_with_another_zone_becomes_utc():
    upload = Upload.from_event(an_event(time="2026-11-17T00:30:00+02:00"))
    assert upload.uploaded_at == datetime(2026, 11, 16, 22, 30, tzinfo=UTC)
    assert upload.uploaded_at.tzinfo is UTC


@pytest.mark.parametrize("event", [{}, {"detail": {}}, {"detail": {"object": {"key": "a"}}}])
def test_an_invalid_event_is_refused(event):
    with pytest.raises(KeyError):
        Upload.from_event(event)


def test_an_event_without_a_proper_time_is_refused():
    with pytest.raises(ValueError, match="yesterday"):
        Upload.from_event(an_event(time="yesterday"))


def test_every_copy_of_an_event_is_the_same_upload():
    first, again = an_event(), an_event()
    again["id"] = "2ee9cc15-d022-99ea-1fb8-1b1bac4850f9"
    assert Upload.from_event(first).upload_id == Upload.from_event(again).upload_id


@pytest.mark.parametrize(
    "other", [{"bucket": "another"}, {"key": "another.png"}, {"version_id": "v2"}, {"version_id": None}]
)
def test_another_bucket_key_or_version_is_another_upload(other):
    assert an_upload().upload_id != an_upload(**other).upload_id


def test_without_versions_another_etag_is_another_upload():
    assert an_upload(version_id=None).upload_id != an_upload(version_id=None, etag="another").upload_id


@pytest.mark.parametrize("listed_as", ["null", None, ""])
def test_without_versions_an_upload_is_the_same_from_its_event_and_from_a_listing(listed_as):
    """A listing has no sequencer, and calls the version `null`."""
    from_a_listing = an_upload(version_id=listed_as, sequencer="")
    assert from_a_listing.upload_id == an_upload(version_id=None).upload_id
    assert from_a_listing.version_id is None


def test_a_version_is_the_same_upload_whatever_else_is_known_of_it():
    from_a_listing = an_upload(sequencer="", uploaded_at=datetime(2026, 11, 16, 9, 31, tzinfo=UTC))
    assert from_a_listing.upload_id == an_upload().upload_id


def test_each_model_version_has_a_result_of_its_own():
    ids = [an_upload().result_id(version) for version in ("m1", "m2", None)] + [an_upload().upload_id]
    assert len(set(ids)) == 4
    assert {len(id_) for id_ in ids} == {64}


def test_the_parts_of_an_identity_do_not_run_into_each_other():
    split = [an_upload(bucket=b, key=k, version_id=v) for b, k, v in [("ab", "c", "d"), ("a", "bc", "d")]]
    split += [an_upload(bucket="a", key="b", version_id="cd")]
    assert all(one.upload_id != other.upload_id for one, other in combinations(split, 2))


@given(uploads)
def test_an_identity_is_one_of_bucket_key_and_version_only(upload):
    other = replace(upload, size_bytes=upload.size_bytes + 1)
    assert other.upload_id == upload.upload_id
    assert other.result_id("m") == upload.result_id("m")


def test_identities_are_the_same_from_release_to_release():
    """Another id for an upload that has one would count it twice."""
    upload = an_upload()
    assert upload.upload_id == "0f601ec29672ea5140f52d1399631a45c63a5ff85e0fb585d2b135ea943483d5"
    assert upload.result_id("m1") == "0374db8796ebcf5f67cca4a1da204b8cb72a861ecccf788c1f03f141778a13e6"
    assert upload.result_id(None) == "3362a1fb722d47993e8d47be131845f09946187c519796c325974cb193425988"
    without_a_version = "83d58adbd8d81fae9a3d1339675b31d4bf1709b0f3dbe8ed7fb59107196e82b8"
    assert an_upload(version_id=None).upload_id == without_a_version

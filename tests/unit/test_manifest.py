import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.upload import Upload
from tests.builders import LONGEST_KEY, an_upload
from workflow.manifest import BATCH_BYTES, BATCH_IMAGES, LINE_BYTES, batches

STATE_MAX_BYTES = 262_144


def uploads_of(lines):
    return [[Upload.from_event(event) for event in json.loads(line)["events"]] for line in lines]


@given(
    st.lists(
        st.builds(
            an_upload,
            key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
            version_id=st.none() | st.text("abcXYZ019._-", min_size=1, max_size=40),
            size_bytes=st.integers(0, BATCH_BYTES * 2),
        ),
        max_size=30,
    )
)
def test_every_upload_is_in_the_manifest_once_and_in_order(uploads):
    lines = list(batches(uploads))
    assert [upload for batch in uploads_of(lines) for upload in batch] == uploads
    # As whoever reads lines might split them: Python at more characters than Step Functions.
    assert "\n".join(lines).splitlines() == lines


@given(st.lists(st.integers(0, BATCH_BYTES * 2), max_size=300))
def test_a_batch_is_bounded_unless_it_is_one_image(sizes):
    for batch in uploads_of(batches(an_upload(size_bytes=size) for size in sizes)):
        assert len(batch) <= BATCH_IMAGES
        assert len(batch) == 1 or sum(upload.size_bytes for upload in batch) <= BATCH_BYTES


def test_small_images_fill_their_batches():
    lengths = [len(batch) for batch in uploads_of(batches([an_upload()] * 250))]
    assert lengths == [100, 100, 50]


def test_all_originals_of_a_batch_count_towards_its_limit():
    third = an_upload(size_bytes=BATCH_BYTES // 3)
    lengths = [len(batch) for batch in uploads_of(batches([third] * 5))]
    assert lengths == [3, 2]


def test_a_line_is_as_short_as_json_can_be():
    (line,) = batches([an_upload(key="é")])
    assert '"key":"é"' in line


@pytest.mark.parametrize("key", [LONGEST_KEY, '"' * 1024, "\x01" * 1024, "\u2028" * 341])
def test_the_longest_keys_fit_in_a_state(key):
    lines = list(batches([an_upload(key=key)] * 200))
    assert max(len(line.encode()) for line in lines) <= LINE_BYTES + len('{"events":[]}')
    assert LINE_BYTES * 2 < STATE_MAX_BYTES  # even if all of it were written with escapes of two bytes
    assert [upload.key for batch in uploads_of(lines) for upload in batch] == [key] * 200


def test_no_uploads_make_no_lines():
    assert list(batches([])) == []

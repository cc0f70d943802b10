"""analytics.review.labels: a file that anybody may have written, and the table that it becomes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.lake.schema import LABELS_SCHEMA
from analytics.review import labels as labels_module
from analytics.review.labels import Classified, UnusableLabels, classified_images, parse
from tests.athena import Athena
from tests.builders_table import a_label, a_rejected_row, a_row, write_labels, write_rows

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
AT = "2026-11-24T09:00:00.123Z"
CLASSES = ["bicycle", "motorcycle"]
ID = "5e" * 32


def a_line(upload_id=ID, label="bicycle", labelled_at=AT, key="van-07/a.png", **more):
    return {"upload_id": upload_id, "key": key, "label": label, "labelled_at": labelled_at, **more}


def a_file(*lines):
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def known(*ids, dt="2026-11-16", classes=CLASSES):
    return {id_: Classified("van-07/a.png", dt, classes) for id_ in ids}


def to_files(labels, images, classes=()):
    return labels_module.to_files(labels, images, classes)


def rows_of(files):
    return {row["upload_id"]: row["true_label"] for table in files.values() for row in table.to_pylist()}


def test_a_line_becomes_a_label():
    (label,) = parse(a_file(a_line(comment="whatever else there is")), NOW)
    assert (label.line, label.upload_id, label.true_label, label.key) == (1, ID, "bicycle", "van-07/a.png")
    assert label.labelled_at == datetime.fromisoformat("2026-11-24T09:00:00.123")


def test_a_time_of_another_zone_becomes_utc_in_milliseconds():
    (label,) = parse(a_file(a_line(labelled_at="2026-11-24T11:00:00.123987+02:00")), NOW)
    assert label.labelled_at == datetime.fromisoformat("2026-11-24T09:00:00.123")


def test_empty_lines_a_byte_order_mark_and_the_ends_of_lines_of_windows_do_no_harm():
    data = b"\xef\xbb\xbf\r\n" + a_file(a_line()).replace(b"\n", b"\r\n") + b"\n" + a_file(a_line(label=None))
    assert [(label.line, label.true_label) for label in parse(data, NOW)] == [(2, "bicycle"), (4, None)]


def test_a_key_may_hold_what_other_programs_take_for_the_end_of_a_line():
    line = json.dumps(a_line(key="a\u2028b\x85c"), ensure_ascii=False).encode()
    assert [label.key for label in parse(line, NOW)] == ["a\u2028b\x85c"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "line 2: it is not JSON: '{'"),
        (b"\xff", "line 2: it is not UTF-8"),
        (b"[" * 100_000, "line 2: it is not JSON"),
        (b"9" * 5_000, "line 2: "),
        (b"[1]", r"line 2: it is not a JSON object: \[1\]"),
        (a_file({"key": "a.png"}), 'line 2: the field "upload_id" is missing'),
        (
            a_file(a_line(upload_id="'); DROP TABLE labels")),
            "line 2: upload_id is 64 hexadecimal digits, not",
        ),
        (a_file(a_line(upload_id=ID.upper())), "line 2: upload_id is 64"),
        (a_file(a_line(upload_id=f"{ID}\n")), "line 2: upload_id is 64"),
        (a_file(a_line(key=7)), "line 2: key is a text, not 7"),
        (a_file(a_line(label=["bicycle"])), "line 2: label is a class or null, not"),
        (a_file(a_line(labelled_at="2026-11-24")), "line 2: labelled_at is a time with its zone, not '2026"),
        (a_file(a_line(labelled_at=5)), "line 2: labelled_at is a time with its zone, not 5"),
        (a_file(a_line(labelled_at="0001-01-01T00:00:00+05:00")), "line 2: labelled_at is a time with"),
        (a_file(a_line(labelled_at="2026-11-24T11:00:00Z")), "line 2: labelled_at is in the future"),
        (a_file(a_line(labelled_by=7)), "line 2: labelled_by is a name of up to 100 characters, not 7"),
        (a_file(a_line(labelled_by="a\n")), "line 2: labelled_by is a name"),
        (a_file(a_line(labelled_by="a" * 101)), "line 2: labelled_by is a name"),
        (
            a_file(a_line(source="dice")),
            "line 2: source is sample, below_threshold, one_kind, gallery, other or null",
        ),
        (a_file(a_line(source={})), "line 2: source is sample"),
        (a_file(a_line(draw_probability=0)), "line 2: draw_probability is above 0 and at most 1, not 0"),
        (a_file(a_line(draw_probability=float("nan"))), "line 2: draw_probability is above 0"),
        (a_file(a_line(draw_probability=True)), "line 2: draw_probability is above 0"),
    ],
)
def test_a_line_that_is_no_label_is_named_with_the_reason(line, why):
    with pytest.raises(UnusableLabels, match=why) as raised:
        parse(a_file(a_line()) + line, NOW)
    assert len(str(raised.value)) < 300
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("data", [b"", b"\n\n"])
def test_a_file_without_labels_is_refused(data):
    with pytest.raises(UnusableLabels, match="contains no label"):
        parse(data, NOW)


def test_a_file_that_is_too_large_is_refused_unread(monkeypatch):
    monkeypatch.setattr("analytics.review.labels.MAX_BYTES", 10)
    with pytest.raises(UnusableLabels, match="more than 10: split it"):
        parse(a_file(a_line()), NOW)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
LINES = st.one_of(
    st.fixed_dictionaries(
        {
            "upload_id": st.just(ID) | st.text() | VALUES,
            "key": st.text() | VALUES,
            "label": st.none() | st.text() | VALUES,
            "labelled_at": st.just(AT) | st.datetimes().map(str) | st.text() | VALUES,
        }
    ).map(lambda line: json.dumps(line).encode()),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.binary(),
)


@given(st.lists(LINES, max_size=4))
def test_anything_is_read_or_refused_with_one_printable_line(lines):
    try:
        labels = parse(b"\n".join(lines), NOW)
    except UnusableLabels as error:
        assert str(error).isprintable()  # noqa: PT017
        return
    try:
        to_files(labels, known(ID))
    except UnusableLabels as error:
        assert "is not a class: bicycle, motorcycle" in str(error)  # noqa: PT017
        assert str(error).isprintable()  # noqa: PT017


IDS = st.sampled_from([f"{number:064x}" for number in range(4)])
SAID = st.lists(
    st.builds(
        lambda upload_id, label, minute: a_line(upload_id, label, f"2026-11-24T09:{minute:02}:00Z"),
        IDS,
        st.sampled_from([*CLASSES, None]),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=12,
)


@given(SAID)
def test_the_latest_label_of_an_image_stays_and_each_image_is_once(lines):
    latest: dict[str, dict[str, Any]] = {}
    for line in lines:
        before = latest.get(line["upload_id"])
        if before is None or line["labelled_at"] >= before["labelled_at"]:
            latest[line["upload_id"]] = line
    files = to_files(parse(a_file(*lines), NOW), known(*latest))
    assert sum(table.num_rows for table in files.values()) == len(latest)
    assert rows_of(files) == {upload_id: line["label"] for upload_id, line in latest.items()}


@given(SAID)
def test_the_same_labels_are_the_same_files(lines):
    labels = parse(a_file(*lines), NOW)
    images = known(*(label.upload_id for label in labels))
    once, again = to_files(labels, images), to_files(labels, images)
    assert once.keys() == again.keys()
    others = to_files(parse(a_file(*lines, a_line("ff" * 32)), NOW), {**images, **known("ff" * 32)})
    assert once.keys() != others.keys()


def test_a_label_has_its_person_its_source_and_its_probability():
    line = a_line(labelled_by=" Ada ", source="sample", draw_probability=0.02)
    (table,) = to_files(parse(a_file(line), NOW), known(ID)).values()
    (row,) = table.to_pylist()
    assert (row["labelled_by"], row["source"], row["draw_probability"]) == ("Ada", "sample", 0.02)
    (plain,) = to_files(parse(a_file(a_line(labelled_by="")), NOW), known(ID)).values()
    assert plain.column("labelled_by").to_pylist() == [None]


def test_what_two_people_say_about_an_image_is_two_rows():
    lines = [
        a_line(labelled_by=name, label=label) for name, label in zip("abb", [*CLASSES, None], strict=True)
    ]
    (table,) = to_files(parse(a_file(*lines), NOW), known(ID)).values()
    assert sorted(zip(table["labelled_by"].to_pylist(), table["true_label"].to_pylist(), strict=True)) == [
        ("a", "bicycle"),
        ("b", None),
    ]


@pytest.mark.parametrize(
    ("drawn_as", "corrected_as", "stays"),
    [
        ("sample", "gallery", "sample"),
        ("below_threshold", "gallery", "below_threshold"),
        ("below_threshold", "sample", "sample"),
    ],
)
def test_an_image_that_was_drawn_stays_so_whoever_corrects_it(tmp_path, drawn_as, corrected_as, stays):
    row = a_row(1)
    write_rows(tmp_path, [row])
    drawn = a_label(row, "bicycle", source=drawn_as, draw_probability=0.1, labelled_by="a")
    later = a_label(row, "motorcycle", source=corrected_as, labelled_by="b")
    later["labelled_at"] += timedelta(days=1)
    write_labels(tmp_path, "2026-11-16", [drawn, later])
    frame = Athena(tmp_path).query("SELECT * FROM true_labels").frame
    (found,) = frame.to_dict("records")
    assert (found["true_label"], found["labelled_by"]) == ("motorcycle", "b")
    assert (found["source"], found["draw_probability"]) == (stays, 0.1)


def test_labels_lie_in_the_partitions_of_their_images():
    images = {**known("aa" * 32, dt="2026-11-16"), **known("bb" * 32, dt="2026-11-17")}
    files = to_files(parse(a_file(a_line("aa" * 32), a_line("bb" * 32)), NOW), images)
    assert sorted(path.rpartition("/")[0] for path in files) == [
        "labels/dt=2026-11-16",
        "labels/dt=2026-11-17",
    ]
    assert {table.schema for table in files.values()} == {LABELS_SCHEMA}


def test_the_table_has_the_key_that_the_image_really_has():
    files = to_files(parse(a_file(a_line(key="something else")), NOW), known(ID))
    assert [row["key"] for table in files.values() for row in table.to_pylist()] == ["van-07/a.png"]


def test_an_unknown_class_is_answered_with_the_known_ones():
    labels = parse(a_file(a_line(), a_line(label="bicicle")), NOW)
    with pytest.raises(UnusableLabels, match=r"line 2: 'bicicle' is not a class: bicycle, motorcycle$"):
        to_files(labels, known(ID))


def test_a_class_of_the_policy_may_be_one_that_no_image_has_a_probability_for():
    classes = [f"class_{number:03}" for number in range(1_000)]
    lines = parse(a_file(a_line(label="class_777")), NOW)
    assert rows_of(to_files(lines, known(ID), classes)) == {ID: "class_777"}
    wrong = parse(a_file(a_line(label="clas_777")), NOW)
    with pytest.raises(UnusableLabels, match=r"not a class: none of 1,002, perhaps class_777 or class_"):
        to_files(wrong, known(ID), classes)


def test_images_that_are_not_in_the_table_are_named():
    lines = [a_line("ab" * 32, key=f"{number}.png\x1b[2J") for number in range(12)]
    with pytest.raises(UnusableLabels, match=r"not in the table: line 2: '0.png\\x1b") as raised:
        to_files(parse(a_file(a_line(), *lines), NOW), known(ID))
    assert "line 11: '9.png" in str(raised.value)
    assert str(raised.value).endswith("and 2 more")


def test_an_image_without_an_answer_cannot_have_a_label():
    with pytest.raises(UnusableLabels, match=r"without an answer of the model: line 1: 'van-07/a.png'"):
        to_files(parse(a_file(a_line()), NOW), known(ID, classes=()))


def test_the_table_says_which_images_are_known_and_their_classes(tmp_path, monkeypatch):
    monkeypatch.setattr("analytics.review.labels._IDS_AT_ONCE", 2)
    rows = [a_row(number) for number in range(5)]
    rows.append(a_rejected_row(5, uploaded_at=rows[0]["uploaded_at"] + timedelta(days=1)))
    write_rows(tmp_path, rows)
    ids = [row["upload_id"] for row in rows[1:]]
    engine = Athena(tmp_path)
    images = classified_images(engine, [*ids, *ids, ID])
    assert images.keys() == set(ids)
    assert images[ids[0]] == Classified(rows[1]["key"], "2026-11-16", CLASSES)
    assert images[ids[-1]] == Classified(rows[5]["key"], "2026-11-17", ())

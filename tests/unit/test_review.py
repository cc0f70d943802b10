"""analytics.review.sheet: which images wait, and a page of them that is safe whatever they are called."""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.lake.label_source import Source
from analytics.review.sample import shuffled
from analytics.review.sheet import (
    NONE_KEY,
    Kind,
    Queue,
    Waiting,
    certificate_queue,
    keys_of,
    review_queue,
    sheet,
)
from analytics.text import visible
from localathena.results import frame_of, typed_rows
from tests.athena import Athena
from tests.builders import png_bytes
from tests.builders_table import a_label, a_rejected_row, a_row, write_labels, write_rows
from workflow.outcome import IMPORTED_BUCKET
from workflow.policy import UNLIKE_TRAINING

SINCE, UNTIL = date(2026, 11, 1), date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 9, 30, 5, tzinfo=UTC)
HOSTILE = (
    "gnp.\u202eexe",
    "\u2066a\u2069\u200b\u200f\ufeff\u061c",
    "\x00\x07\x1b[2J\x7f\x85\r",
    "\u2028\u2029\ud800",
    "\U000e0041\u00ad\ufff9",
)
NASTY = "</script><script>alert(1)</script><!--\"' onerror=alert(2) {{ 7 * 7 }}\u2028"


def unsure(number: int, confidence: float = 0.6, **changes: Any) -> dict[str, Any]:
    scores = {"bicycle": confidence, "motorcycle": 1 - confidence}
    return a_row(number, outcome="needs_review", confidence=confidence, probabilities=scores, **changes)


def queue_of(folder, rows, sample=0, since=SINCE):
    write_rows(folder, rows)
    return review_queue(Athena(folder), since, UNTIL, sample)


def waiting(number: int = 0, **changes: Any) -> Waiting:
    image = {
        "upload_id": hashlib.sha256(str(number).encode()).hexdigest(),
        "bucket": "scones-incoming",
        "key": f"van-07/{number}.png",
        "version_id": "v1",
        "uploaded_at": datetime.fromisoformat("2026-11-16T09:30"),
        "label": "bicycle",
        "confidence": 0.6,
        "threshold": 0.94,
        "scores": {"bicycle": 0.6, "motorcycle": 0.4},
        "source": Source.BELOW_THRESHOLD,
        "draw_probability": 0.5,
    }
    return Waiting(**{**image, **changes})


def page_of(
    *images: Waiting,
    waiting: int | None = None,
    sampled: int = 0,
    pictures: Sequence[Any] = (),
    classes: Sequence[str] = (),
):
    queue = Queue(images, len(images) - sampled if waiting is None else waiting, sampled, SINCE)
    return sheet(queue, pictures or [None] * len(images), classes, NOW)


# ── the queue ──────────────────────────────────────────────────────────────────────────────────────────────


def test_images_below_the_threshold_wait_in_the_order_of_their_hashes(tmp_path):
    rows = [unsure(1, 0.8), unsure(2, 0.5), unsure(3, 0.7), a_row(4), a_rejected_row(5)]
    queue = queue_of(tmp_path, [*rows, rows[0]])
    assert [image.upload_id for image in queue.images] == sorted(row["upload_id"] for row in rows[:3])
    assert (queue.waiting, queue.sampled) == (3, 0)
    (image,) = [image for image in queue.images if image.upload_id == rows[0]["upload_id"]]
    assert image.scores == pytest.approx({"bicycle": 0.8, "motorcycle": 0.2})
    assert (image.source, image.draw_probability) == (Source.BELOW_THRESHOLD, 1.0)
    assert queue.classes == ["bicycle", "motorcycle"]


def test_an_image_that_was_decided_again_waits_only_if_it_still_does(tmp_path):
    old = unsure(1, model_version="m1")
    new = a_row(1, model_version="m2", decided_at=old["decided_at"].replace(hour=20))
    assert queue_of(tmp_path, [old, new]).images == []


def test_an_image_with_a_label_waits_no_more_be_it_none_of_the_classes(tmp_path):
    rows = [unsure(n) for n in range(4)]
    write_labels(tmp_path, "2026-11-16", [a_label(rows[0], "bicycle"), a_label(rows[1], None)])
    queue = queue_of(tmp_path, rows)
    assert {image.upload_id for image in queue.images} == {row["upload_id"] for row in rows[2:]}
    assert queue.waiting == 2


def test_one_kind_alone_is_no_sample_of_all_and_waits_in_its_turn_all_the_same(tmp_path):
    rows = [
        unsure(1),
        unsure(2),
        unsure(3, 0.99, reason=UNLIKE_TRAINING),
        unsure(4, 0.5, reason=UNLIKE_TRAINING),
    ]
    write_rows(tmp_path, [*rows, a_row(5)])
    write_labels(
        tmp_path, "2026-11-16", [a_label(rows[0], "bicycle"), a_label(rows[2], None, source="one_kind")]
    )

    def ids(only=None, sample=0):
        queue = review_queue(Athena(tmp_path), SINCE, UNTIL, sample, only)
        assert queue.waiting + queue.sampled == len(queue.images)
        return {(image.upload_id, image.source, image.draw_probability) for image in queue.images}

    id_of = [row["upload_id"] for row in rows]
    assert ids(Kind.UNSURE) == {(id_of[1], Source.ONE_KIND, None)}
    assert ids(Kind.UNLIKE) == {(id_of[3], Source.ONE_KIND, None)}
    assert ids(Kind.SAMPLE, 20) == {(a_row(5)["upload_id"], Source.SAMPLE, 1.0)}
    assert ids() == {(id_of[number], Source.BELOW_THRESHOLD, 3 / 4) for number in (1, 2, 3)}


def test_a_sheet_is_bounded_and_knows_how_many_wait(tmp_path, monkeypatch):
    monkeypatch.setattr("analytics.review.sheet.MAX_IMAGES", 3)
    rows = [unsure(n, 0.5 + n / 100) for n in range(8)]
    queue = queue_of(tmp_path, rows)
    assert [image.upload_id for image in queue.images] == sorted(row["upload_id"] for row in rows)[:3]
    assert queue.waiting == 8
    assert {image.draw_probability for image in queue.images} == {3 / 8}


def test_earlier_uploads_are_left_out(tmp_path):
    rows = [unsure(1), unsure(2, uploaded_at=datetime.fromisoformat("2026-11-20T10:00"))]
    queue = queue_of(tmp_path, rows, since=date(2026, 11, 20))
    assert [image.upload_id for image in queue.images] == [rows[1]["upload_id"]]


def test_half_of_a_sample_are_the_next_accepted_images_without_a_blind_label(tmp_path):
    rows = [a_row(n, key=f"van-{n % 2}/{n}.jpg") for n in range(60)]
    by_id = [row["upload_id"] for row in sorted(rows, key=lambda row: row["upload_id"])]
    labelled = {row["upload_id"]: row for row in rows}
    labels = [
        a_label(labelled[by_id[0]], "bicycle", source="sample"),
        a_label(labelled[by_id[1]], "bicycle", source="gallery"),
        a_label(labelled[by_id[2]], "bicycle"),
    ]
    write_labels(tmp_path, "2026-11-16", labels)
    queue = queue_of(tmp_path, [unsure(99), *rows], sample=20)
    drawn = [image.upload_id for image in queue.images if image.source == Source.SAMPLE]
    assert set(by_id[1:11]) <= set(drawn)
    assert by_id[0] not in drawn
    assert (queue.waiting, queue.sampled, len(set(drawn))) == (1, 20, 20)


def test_a_sample_has_images_of_each_class_and_folder_with_their_probabilities(tmp_path):
    rows = [
        *(a_row(n, key=f"van-1/{n}.jpg") for n in range(400)),
        *(a_row(n, key=f"van-2/{n}.jpg", label="motorcycle") for n in range(400, 404)),
    ]
    queue = queue_of(tmp_path, rows, sample=20)
    of_class = Counter(image.label for image in queue.images)
    assert of_class["motorcycle"] >= 1  # one in a hundred images is one
    for image in queue.images:
        images = 4 if image.label == "motorcycle" else 400
        assert image.draw_probability == of_class[image.label] / images


def test_a_certificate_asks_for_accepted_images_in_their_order(tmp_path):
    rows = [a_row(n) for n in range(30)]
    by_id = sorted(row["upload_id"] for row in rows)
    write_rows(tmp_path, [unsure(99), *rows])
    queue = certificate_queue(Athena(tmp_path), SINCE, UNTIL, 10)
    assert [image.upload_id for image in queue.images] == by_id[:10]
    assert {(image.source, image.draw_probability) for image in queue.images} == {(Source.SAMPLE, 1 / 3)}


def test_whoever_stops_early_has_labelled_the_first_of_each_kind():
    kinds = [range(0, 5), range(10, 80), range(100, 103)]
    mixed = shuffled(kinds, "a seed")
    assert mixed == shuffled(kinds, "a seed") != shuffled(kinds, "another")
    for kind in kinds:
        assert [each for each in mixed if each in kind] == list(kind)
    assert mixed != [each for kind in kinds for each in kind]


def test_what_was_imported_without_its_picture_does_not_wait(tmp_path):
    rows = [unsure(1, bucket=IMPORTED_BUCKET), a_row(2, bucket=IMPORTED_BUCKET)]
    assert queue_of(tmp_path, rows, sample=5) == Queue([], 0, 0, SINCE)


def test_an_empty_queue_has_no_images(tmp_path):
    assert queue_of(tmp_path, [a_row(1)]) == Queue([], 0, 0, SINCE)


def test_classes_whose_names_have_commas_or_look_like_numbers_keep_their_names_on_aws():
    """Athena gives a map as a text, which does not tell where a name ends."""
    names = ["upload_id", "bucket", "key", "version_id", "uploaded_at", "label", "confidence", "threshold"]
    types = ["varchar"] * 4 + ["timestamp", "varchar", "double", "double", "map", "varchar", "bigint"]
    texts = ["ab", "b", "k", None, "2026-11-16 09:30:00.000", "007", "0.6", "0.9", "{007=0.4, a, b=0.6}"]
    columns, rows = typed_rows(
        list(zip([*names, "probabilities", "scores", "waiting"], types, strict=True)),
        [[*texts, '{"007":0.4,"a, b":0.6}', "1"]],
    )
    answers = iter([SimpleNamespace(frame=frame_of(columns, rows)), SimpleNamespace(records=list)])
    engine: Any = SimpleNamespace(query=lambda sql: next(answers))
    (image,) = review_queue(engine, SINCE, UNTIL).images
    assert image.scores == {"a, b": 0.6, "007": 0.4}
    assert image.version_id is None


# ── the keys ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_class_has_a_digit_and_its_first_letter_if_no_other_class_begins_so():
    assert keys_of(["bicycle", "motorcycle", "Poppy", "pear"]) == {
        "bicycle": ["1", "b"],
        "motorcycle": ["2", "m"],
        "Poppy": ["3"],
        "pear": ["4"],
    }


@given(st.lists(st.text(min_size=1), unique=True, max_size=30))
def test_no_key_says_two_things(classes):
    keys = [key for own in keys_of(classes).values() for key in own]
    assert len(set(keys)) == len(keys)
    assert NONE_KEY not in keys
    assert all(len(key) == 1 for key in keys)


# ── the page ───────────────────────────────────────────────────────────────────────────────────────────────


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts.append(data)
        elif self.cdata_elem is None:
            self.text += data


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    return tags


def test_the_page_names_the_key_the_label_and_every_score():
    text = parsed(page_of(waiting(3))).text.replace("\u00a0", " ")
    for part in ("van-07/3.png", "bicycle 60.0 %", "motorcycle40.0 %", "threshold 0.94"):
        assert part in text


def test_the_page_needs_no_network_and_runs_no_script_but_ours():
    page = page_of(waiting(), pictures=[png_bytes()])
    tags = parsed(page)
    (script,) = tags.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [attrs["content"] for tag, attrs in tags.found if attrs.get("http-equiv")]
    assert policy == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; " + f"script-src 'sha256-{digest}'"
    )
    assert not re.search(r"https?://|url\(|@import", page)
    assert not [
        attrs for _, attrs in tags.found if "src" in attrs and not str(attrs["src"]).startswith("data:")
    ]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
    | st.sampled_from([NASTY, "'\"><img src=x onerror=alert(1)>", "{% raw %}", "&amp;&lt;", *HOSTILE])
)
def test_a_key_and_a_class_are_shown_and_do_nothing(text):
    image = waiting(key=text, label=text, scores={text: 1.0})
    tags = parsed(page_of(image))
    plain = parsed(page_of(waiting(key="k", label="k", scores={"k": 1.0})))
    assert [tag for tag, _ in tags.found if tag != "kbd"] == [tag for tag, _ in plain.found if tag != "kbd"]
    assert tags.scripts == plain.scripts
    assert visible(text) in tags.text
    attributes = [attrs for _, attrs in tags.found]
    assert [json.loads(str(attrs["data-key"])) for attrs in attributes if "data-key" in attrs] == [text]
    labels = [json.loads(str(attrs["data-label"])) for attrs in attributes if "data-label" in attrs]
    assert labels == [text, None]
    assert not [name for attrs in attributes for name in attrs if name.startswith("on")]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_character_of_a_key_or_a_class_hides_or_turns_round_what_is_beside_it(text):
    image = waiting(key=text, label=text, scores={text: 0.6, f"other {text}": 0.4})
    page = page_of(image)
    assert not [char for char in page if category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char != "\n"]
    page.encode()
    for _, attrs in parsed(page).found:
        for name in attrs.keys() & {"data-key", "data-label"}:
            assert str(attrs[name]).isascii()
        assert not [value for value in attrs.values() if value and visible(value) != value]


def test_an_image_without_a_picture_is_there_all_the_same():
    page = page_of(waiting(1), waiting(2), pictures=[png_bytes(), None])
    assert page.count("The picture could not be read.") == 1
    assert page.count('src="data:image/jpeg') == 1


def test_of_many_classes_one_is_found_by_typing_and_the_page_stays_small():
    names = [f"class {number:03}" for number in range(999)] + ["<b>\u202eodd"]
    scores = {name: 0.1 - number / 1_000 for number, name in enumerate(names[:10])}
    images = [waiting(number, scores=scores, label=names[0]) for number in range(200)]
    tags = parsed(page_of(*images, classes=names))
    (find,) = [attrs for _, attrs in tags.found if attrs.get("id") == "find"]
    assert json.loads(str(find["data-classes"])) == sorted([name, visible(name)] for name in names)
    assert str(find["data-classes"]).replace("\ufffd", "").isascii()
    assert [attrs["data-label"] for _, attrs in tags.found if "data-label" in attrs] == ["null"]
    assert tags.text.count("class 004") == len(images)  # the fifth score, and not the sixth
    assert "class 005" not in tags.text
    assert len(tags.found) < 40 * len(images)


def test_every_class_of_the_policy_can_be_said():
    tags = parsed(page_of(waiting(), classes=["tulip"]))
    labels = [json.loads(str(attrs["data-label"])) for _, attrs in tags.found if "data-label" in attrs]
    assert labels == ["bicycle", "motorcycle", "tulip", None]


def test_more_that_wait_are_said_so():
    assert "This sheet has 2 of them" in page_of(waiting(1), waiting(2), waiting=40)
    assert "of them</b>" not in page_of(waiting(1), waiting(2))
    page = page_of(*(waiting(n) for n in range(3)), waiting=2, sampled=1)
    assert "of them</b>" not in page
    assert "1 accepted image is on this sheet too" in page
    assert "no label." not in page_of(waiting(1), sampled=1)


def test_every_button_has_a_name_and_its_keys():
    tags = parsed(page_of(waiting()))
    keys = {
        attrs.get("data-name", attrs.get("id")): attrs["data-keys"]
        for _, attrs in tags.found
        if "data-keys" in attrs
    }
    assert keys == {
        "bicycle": "1 b",
        "motorcycle": "2 m",
        "none of these": "0",
        "back": "ArrowLeft",
        "undo": "Backspace",
        "skip": "ArrowRight",
    }
    for tag, attrs in tags.found:
        if tag == "button" and "data-keys" in attrs:
            assert attrs["aria-keyshortcuts"] == attrs["data-keys"]

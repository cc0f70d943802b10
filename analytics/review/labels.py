"""Labels files: what people say that images show. They are untrusted, and checked line by line.

A file is JSON Lines, as a review sheet saves it; `label` is null for an image that shows none of the classes:

    {"upload_id": "5e88…", "key": "van-07/a.png", "label": "bicycle", "labelled_at": "2026-11-24T09:30:00Z",
     "labelled_by": "Ada", "source": "sample", "draw_probability": 0.02}

The last three may be missing or null.
"""

import codecs
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from itertools import islice
from typing import Any

import pyarrow as pa

from analytics.athena.engine import Engine
from analytics.lake.columns import LABELS_TABLE
from analytics.lake.label_source import Source
from analytics.lake.schema import LABELS_SCHEMA
from analytics.questions.queries import internal_query
from ingest.errors import SconesError

MAX_BYTES = 16_000_000
"""Most bytes of a file: about 70,000 labels."""

_UPLOAD_ID = re.compile(r"[0-9a-f]{64}")
_CLOCKS_DIFFER_BY = timedelta(hours=1)
_IDS_AT_ONCE = 2_000
"""Most ids in one statement, which Athena limits to 262,144 bytes."""
_NAME_MAX_CHARS = 100
_NAMED = 10
_SHOWN_CHARS = 100


class UnusableLabels(SconesError):
    """A labels file cannot be loaded: which line is wrong, and why. Nothing was loaded."""


@dataclass(frozen=True)
class Label:
    """A label that a person gave to an image."""

    line: int
    """Line number in the file, from 1."""
    upload_id: str
    key: str
    """Key as the file has it, for messages."""
    true_label: str | None
    """None means none of the classes."""
    labelled_at: datetime
    """UTC, without a zone, in milliseconds, as in the table."""
    labelled_by: str | None = None
    source: str | None = None
    """A `Source`."""
    draw_probability: float | None = None


@dataclass(frozen=True)
class Classified:
    """An image in the table."""

    key: str
    dt: str
    classes: Sequence[str]
    """Classes of the model; empty if the image was rejected or failed."""


def parse(data: bytes, now: datetime) -> list[Label]:
    """Read a labels file; `now` bounds its times, because the latest label of an image wins.

    Raises:
        UnusableLabels: a line is not a label, or there is none.
    """
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    labels = []
    # Split at line feeds only: Python's splitlines() also splits at characters that a text may contain.
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if line.strip():
            try:
                labels.append(_label(number, json.loads(line.decode("utf-8")), now))
            except UnicodeDecodeError as error:
                raise UnusableLabels(f"line {number}: it is not UTF-8") from error
            except (json.JSONDecodeError, RecursionError) as error:
                raise UnusableLabels(f"line {number}: it is not JSON: {_shown(line.decode())}") from error
            except ValueError as error:
                raise UnusableLabels(f"line {number}: {error}") from error
    if not labels:
        raise UnusableLabels("it contains no label")
    return labels


def too_large(size_bytes: int) -> UnusableLabels:
    """Return the error for a file of this size."""
    return UnusableLabels(f"it has {size_bytes:,} bytes, more than {MAX_BYTES:,}: split it")


def classified_images(engine: Engine, upload_ids: Iterable[str]) -> dict[str, Classified]:
    """Return uploads by their ids, as the table has them; unknown ones are left out.

    Raises:
        QueryRefused, QueryFailed: the engine could not answer.
    """
    found = {}
    ids = iter(sorted(set(upload_ids)))
    while some := list(islice(ids, _IDS_AT_ONCE)):
        sql = internal_query("classes_of_uploads", upload_ids=some)
        for row in engine.query(sql).frame.itertuples(index=False):
            found[row.upload_id] = Classified(row.key, row.dt, json.loads(row.classes) if row.classes else ())
    return found


def to_files(
    labels: Sequence[Label], images: Mapping[str, Classified], classes: Iterable[str]
) -> dict[str, pa.Table]:
    """Return the files that labels become, by their paths in the results bucket.

    A file is named after a hash of its labels: loading it again overwrites it. It has the latest label that
    each person gave an image.

    Args:
        labels: to store.
        images: by their ids.
        classes: those that an image may have beside the ones that some image has a probability for.

    Raises:
        UnusableLabels: an image is not in the table or has no prediction, or a label is not a class.
    """
    _ensure_known(labels, images)
    known = {*classes, *(name for image in images.values() for name in image.classes)}
    rows: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = defaultdict(dict)
    for label in sorted(labels, key=lambda label: (label.labelled_at, label.line)):
        if label.true_label is not None and label.true_label not in known:
            raise UnusableLabels(
                f"line {label.line}: {_shown(label.true_label)} is not a class: "
                f"{_some(label.true_label, sorted(known))}"
            )
        image = images[label.upload_id]
        rows[image.dt][label.upload_id, label.labelled_by or ""] = {
            "upload_id": label.upload_id,
            "key": image.key,
            "true_label": label.true_label,
            "labelled_at": label.labelled_at,
            "labelled_by": label.labelled_by,
            "source": label.source,
            "draw_probability": label.draw_probability,
        }
    return dict(_file(dt, [of_day[each] for each in sorted(of_day)]) for dt, of_day in rows.items())


def _label(line: int, said: Any, now: datetime) -> Label:
    """Check a line. Raises ValueError with what is wrong."""
    if not isinstance(said, dict):
        raise ValueError(f"it is not a JSON object: {_shown(said)}")
    for name in ("upload_id", "key", "label", "labelled_at"):
        if name not in said:
            raise ValueError(f'the field "{name}" is missing')
    upload_id, key, label = said["upload_id"], said["key"], said["label"]
    if not (isinstance(upload_id, str) and _UPLOAD_ID.fullmatch(upload_id)):
        raise ValueError(f"upload_id is 64 hexadecimal digits, not {_shown(upload_id)}")
    if not isinstance(key, str):
        raise ValueError(f"key is a text, not {_shown(key)}")
    if label is not None and not isinstance(label, str):
        raise ValueError(f"label is a class or null, not {_shown(label)}")
    return Label(
        line,
        upload_id,
        key,
        label,
        _moment(said["labelled_at"], now),
        _name(said.get("labelled_by")),
        _source(said.get("source")),
        _probability(said.get("draw_probability")),
    )


def _name(name: Any) -> str | None:
    if name is None:
        return None
    if not isinstance(name, str) or len(name) > _NAME_MAX_CHARS or not name.isprintable():
        raise ValueError(f"labelled_by is a name of up to {_NAME_MAX_CHARS} characters, not {_shown(name)}")
    return name.strip() or None


def _source(source: Any) -> str | None:
    if source is not None and source not in list(Source):
        raise ValueError(f"source is {', '.join(Source)} or null, not {_shown(source)}")
    return source and str(source)


def _probability(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError(f"draw_probability is above 0 and at most 1, not {_shown(value)}")
    return float(value)


def _moment(text: Any, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("it has no zone")
        moment = moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"labelled_at is a time with its zone, not {_shown(text)}") from error
    if moment > now + _CLOCKS_DIFFER_BY:
        raise ValueError(f"labelled_at is in the future: {text}")
    return moment.replace(tzinfo=None, microsecond=moment.microsecond // 1000 * 1000)


def _ensure_known(labels: Sequence[Label], images: Mapping[str, Classified]) -> None:
    unknown = [label for label in labels if label.upload_id not in images]
    if unknown:
        raise UnusableLabels(f"images that are not in the table: {'; '.join(_named(unknown))}")
    unseen = [label for label in labels if not images[label.upload_id].classes]
    if unseen:
        raise UnusableLabels(f"images without an answer of the model: {'; '.join(_named(unseen))}")


def _some(name: str, classes: Sequence[str]) -> str:
    """Return the classes, or of many those that are spelled like a name."""
    if len(classes) <= _NAMED:
        return ", ".join(classes)
    near = get_close_matches(name, classes, 3)
    return f"none of {len(classes):,}{', perhaps ' + ' or '.join(near) + '?' if near else ''}"


def _named(labels: Sequence[Label]) -> Iterator[str]:
    for label in labels[:_NAMED]:
        yield f"line {label.line}: {_shown(label.key)} ({label.upload_id[:16]}…)"
    if len(labels) > _NAMED:
        yield f"and {len(labels) - _NAMED:,} more"


def _file(dt: str, rows: Sequence[Mapping[str, Any]]) -> tuple[str, pa.Table]:
    digest = hashlib.sha256(json.dumps(rows, default=str).encode()).hexdigest()
    return f"{LABELS_TABLE}/dt={dt}/{digest}.parquet", pa.Table.from_pylist(rows, LABELS_SCHEMA)


def _shown(value: Any) -> str:
    """Return untrusted text on one line, shortened, and without control characters."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"

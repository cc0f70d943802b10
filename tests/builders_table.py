"""Rows of the results table, one or weeks of them, and the files they lie in."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from analytics.lake.columns import LABELS_TABLE, TABLE
from analytics.lake.schema import LABELS_SCHEMA, partition, to_table

MODEL = "resnet9-2026-11-01"


def a_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    """Return the row of an accepted bicycle; `number` tells uploads apart."""
    upload_id = changes.get("upload_id") or hashlib.sha256(f"upload {number}".encode()).hexdigest()
    uploaded_at = changes.get("uploaded_at", datetime.fromisoformat("2026-11-16T09:30"))
    row = {
        "result_id": hashlib.sha256(
            f"{upload_id} {changes.get('model_version', MODEL)}".encode()
        ).hexdigest(),
        "upload_id": upload_id,
        "bucket": "scones-incoming",
        "key": f"van-{number % 40:02}/{number:07}.jpg",
        "version_id": f"v{number}",
        "etag": hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest(),
        "size_bytes": 48_000,
        "uploaded_at": uploaded_at,
        "decided_at": uploaded_at + timedelta(milliseconds=850),
        "outcome": "accepted",
        "label": "bicycle",
        "confidence": 0.97,
        "threshold": 0.94,
        "probabilities": {"bicycle": 0.97, "motorcycle": 0.03},
        "other_probability": None,
        "unfamiliarity": None,
        "reason": None,
        "detail": None,
        "model_version": MODEL,
        "endpoint": "scones",
        "image_format": "jpeg",
        "width_px": 640,
        "height_px": 480,
        "brightness": 118.0,
        "sharpness": 410.0,
        "serialize_ms": 21.0,
        "classify_ms": 34.0,
        "execution_arn": f"arn:aws:states:us-east-1:000000000000:express:image:{number}",
    }
    return {**row, **changes}


def a_rejected_row(number: int = 0, reason: str = "not_an_image", **changes: Any) -> dict[str, Any]:
    return a_row(number, outcome="rejected", reason=reason, detail="a sentence", **_UNSEEN, **changes)


def a_failed_row(number: int = 0, reason: str = "EndpointBusy", **changes: Any) -> dict[str, Any]:
    return a_row(number, outcome="failed", reason=reason, detail="a sentence", **_UNSEEN, **changes)


_UNSEEN: dict[str, Any] = dict.fromkeys(
    (
        *("label", "confidence", "threshold", "probabilities", "model_version", "endpoint"),
        *("image_format", "width_px", "height_px", "brightness", "sharpness", "serialize_ms", "classify_ms"),
    )
)


@dataclass(frozen=True)
class Week:
    """What a week of a small team's images is like."""

    monday: date
    images_a_day: int = 400
    labels: Mapping[str, float] = field(
        default_factory=lambda: {
            "bicycle": 0.36,
            "motorcycle": 0.27,
            "tulip": 0.15,
            "poppy": 0.12,
            "willow_tree": 0.10,
        }
    )
    certainty: float = 14.0
    """Of the beta distribution that confidences follow; more is surer."""
    brightness: float = 122.0
    sharpness: float = 430.0
    rejected: float = 0.012
    failed: float = 0.002
    threshold: float = 0.8


def rows_of(week: Week, seed: int = 1, first_number: int = 0) -> list[dict[str, Any]]:
    """Return a week's rows: more on working days and by day, a burst now and then."""
    rng = np.random.default_rng([seed, week.monday.toordinal()])
    rows: list[dict[str, Any]] = []
    names, shares = list(week.labels), np.array(list(week.labels.values()))
    for day in range(7):
        count = int(rng.poisson(week.images_a_day * (1.15 if day < 5 else 0.55)))
        seconds = np.sort(np.clip(rng.normal(13.2, 3.1, count), 0.02, 23.95) * 3600)
        for second in seconds:
            number = first_number + len(rows)
            at = datetime.combine(week.monday + timedelta(days=day), datetime.min.time())
            at += timedelta(milliseconds=int(second * 1000))
            seen: dict[str, Any] = {
                "uploaded_at": at,
                "decided_at": at + timedelta(milliseconds=int(rng.lognormal(6.75, 0.28))),
                "size_bytes": int(rng.lognormal(10.9, 0.5)),
            }
            fate = rng.random()
            if fate < week.rejected:
                reason = str(
                    rng.choice(["not_an_image", "corrupt", "empty", "too_large"], p=[0.5, 0.3, 0.15, 0.05])
                )
                rows.append(a_rejected_row(number, reason, **seen))
                continue
            if fate < week.rejected + week.failed:
                reason = str(rng.choice(["EndpointBusy", "Lambda.TooManyRequestsException"], p=[0.8, 0.2]))
                rows.append(a_failed_row(number, reason, **seen))
                continue
            label = str(rng.choice(names, p=shares / shares.sum()))
            confidence = float(
                np.clip(rng.beta(week.certainty * (0.75 if label == "tulip" else 1.0), 1.35), 0.22, 0.9999)
            )
            other = str(rng.choice([name for name in names if name != label] or ["other"]))
            rows.append(
                a_row(
                    number,
                    **seen,
                    label=label,
                    confidence=confidence,
                    threshold=week.threshold,
                    probabilities={label: confidence, other: 1 - confidence},
                    outcome="accepted" if confidence >= week.threshold else "needs_review",
                    brightness=float(np.clip(rng.normal(week.brightness, 34), 2, 253)),
                    sharpness=float(rng.lognormal(np.log(week.sharpness), 0.8)),
                    image_format=str(rng.choice(["jpeg", "png", "webp"], p=[0.86, 0.11, 0.03])),
                    serialize_ms=float(rng.lognormal(3.0, 0.45)),
                    classify_ms=float(rng.lognormal(3.4, 0.35)),
                )
            )
    return rows


def weeks_of_rows(last: Week, weeks_before: int = 5, seed: int = 1) -> list[dict[str, Any]]:
    """Return the rows of `last` and of usual weeks before it, 1 in 100 of them delivered twice."""
    rows: list[dict[str, Any]] = []
    for back in range(weeks_before, 0, -1):
        usual = Week(
            last.monday - timedelta(weeks=back), images_a_day=last.images_a_day, threshold=last.threshold
        )
        rows += rows_of(usual, seed, first_number=len(rows))
    rows += rows_of(last, seed, first_number=len(rows))
    return rows + rows[::100]


def write_rows(folder: Path, rows: Iterable[Mapping[str, Any]], file: str = "part-0") -> None:
    """Write rows as the Record Lambda does: a Parquet file per day under `predictions/dt=…`."""
    for dt, of_day in groupby(sorted(rows, key=partition), key=partition):
        write_day(folder, dt, to_table(of_day), file)


def write_day(folder: Path, dt: str, table: pa.Table, file: str = "part-0") -> None:
    path = folder / TABLE / f"dt={dt}" / f"{file}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, compression="zstd")


def a_label(row: Mapping[str, Any], true_label: str | None, **changes: Any) -> dict[str, Any]:
    """Return a row of the labels table about a row of results."""
    label = {"upload_id": row["upload_id"], "key": row["key"], "true_label": true_label}
    return {**label, "labelled_at": row["decided_at"] + timedelta(days=1), **changes}


def write_labels(folder: Path, dt: str, labels: Iterable[Mapping[str, Any]], file: str = "part-0") -> None:
    path = folder / LABELS_TABLE / f"dt={dt}" / f"{file}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(list(labels), LABELS_SCHEMA), path)


def many(table: pa.Table, copies: int) -> pa.Table:
    """Return `copies` times the rows, each an upload of its own."""
    ids = table.column("upload_id").to_pylist()
    place = table.schema.get_field_index("upload_id")
    return pa.concat_tables(
        table.set_column(place, table.schema.field(place), _renamed(ids, copy)) for copy in range(copies)
    )


def _renamed(ids: Sequence[str], copy: int) -> pa.Array:
    return pa.array([f"{copy:08x}{id_[8:]}" for id_ in ids])

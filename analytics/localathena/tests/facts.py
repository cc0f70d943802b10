"""What a real Trino answers to statements, and how the local Athena differs from it.

`facts.jsonl` has one statement a line, with Trino's answer: `sql`, and `columns` and `rows`, or `error`.
Rows are left out where only the columns are certain, as of `now()`. `differences.jsonl` has the statements of
which the local Athena says something else.

To add a fact, add a line with its `sql` and ask a Trino (in Scones: `make check-trino`). `python facts.py`
writes the differences anew, and keeps the reason in `because` that somebody wrote beside one.
"""

import base64
import json
import math
import re
import struct
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from localathena import arrow
from localathena.engine import LocalAthena
from localathena.errors import QueryFailed, QueryRefused
from localathena.results import items_of, text_of
from localathena.types import Type

Fact = dict[str, Any]

FACTS = Path(__file__).with_name("facts.jsonl")
DIFFERENCES = Path(__file__).with_name("differences.jsonl")

DECISIONS = pa.schema(
    [
        ("result_id", pa.string()),
        ("upload_id", pa.string()),
        ("bucket", pa.string()),
        ("key", pa.string()),
        ("size_bytes", pa.int64()),
        ("uploaded_at", pa.timestamp("ms")),
        ("decided_at", pa.timestamp("ms")),
        ("outcome", pa.string()),
        ("label", pa.string()),
        ("confidence", pa.float64()),
        ("threshold", pa.float64()),
        ("probabilities", pa.map_(pa.string(), pa.float64())),
        ("detail", pa.string()),
        ("width_px", pa.int32()),
        ("height_px", pa.int32()),
        ("classify_ms", pa.float64()),
    ]
)
LABELS = pa.schema(
    [
        ("upload_id", pa.string()),
        ("key", pa.string()),
        ("true_label", pa.string()),
        ("labelled_at", pa.timestamp("ms")),
    ]
)
DATABASE = "facts"
TABLES = {"outcomes": DECISIONS, "predictions": DECISIONS, "labels": LABELS, "true_labels": LABELS}
"""Tables that facts may ask about, each partitioned by `dt`."""

COLUMNS = {
    name: {field.name: str(arrow.trino_type(field.type)) for field in schema}
    for name, schema in TABLES.items()
}
"""The same, each column with Trino's type."""

DAYS = ("2026-11-19", "2026-11-20", "2026-11-21")


def write_tables(folder: Path) -> None:
    """Write the tables as `FOLDER/TABLE/dt=YYYY-MM-DD/rows.parquet`: the same bytes of content each time."""
    for day, dt in enumerate(DAYS):
        decisions = [_decision(8 * day + number, dt) for number in range(8)]
        labels = [_label(row) for row in decisions[::3]]
        for table, schema in TABLES.items():
            file = folder / table / f"dt={dt}" / "rows.parquet"
            file.parent.mkdir(parents=True)
            rows = labels if schema is LABELS else decisions
            pq.write_table(pa.Table.from_pylist(rows, schema), file)


def _decision(number: int, dt: str) -> dict[str, Any]:
    at = datetime.fromisoformat(f"{dt}T09:30") + timedelta(minutes=37 * (number % 8), milliseconds=number)
    outcome = ("accepted", "accepted", "needs_review", "accepted", "failed")[number % 5]
    is_classified = outcome != "failed"
    confidence = round(0.55 + 0.019 * number, 4) if is_classified else None
    label = ("bicycle", "motorcycle", "scooter")[number % 3] if is_classified else None
    return {
        "result_id": f"r{number:03}",
        "upload_id": f"u{number:03}",
        "bucket": "incoming",
        "key": f"top{number}.png" if number % 4 == 3 else f"van-{number % 3:02}/{number:06}.jpg",
        "size_bytes": 40_000 + 997 * number,
        "uploaded_at": at,
        "decided_at": at + timedelta(milliseconds=700 + 13 * number),
        "outcome": outcome,
        "label": label,
        "confidence": confidence,
        "threshold": 0.8 if is_classified else None,
        "probabilities": {label: confidence, "other": round(1 - confidence, 4)}
        if label and confidence
        else None,
        "detail": None if is_classified else "a sentence",
        "width_px": 640 if number % 2 else 1024,
        "height_px": 480 if number % 2 else 768,
        "classify_ms": 30.5 + number if is_classified else None,
    }


def _label(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "upload_id": row["upload_id"],
        "key": row["key"],
        "true_label": row["label"],
        "labelled_at": row["uploaded_at"] + timedelta(days=1),
    }


def read(file: Path) -> list[Fact]:
    """Return the lines of a file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def write(file: Path, lines: Iterable[Fact]) -> None:
    """Write lines, each a fact or a difference."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    file.write_text(text, encoding="utf-8")


_CHANGING = re.compile(
    r"\b(now|random|rand|shuffle|uuid|current_\w+|localtime\w*|bernoulli|approx_\w+)\b|\bversion\(|\$(path|file)",
    re.IGNORECASE,
)


_ORDERED = re.compile(r"\bORDER\s+BY\b(?!\s+\d+(?:\s*\+|\.\d))[^()]*$", re.IGNORECASE)
"""Statements whose rows have an order: they end with ORDER BY of more than a constant."""
_LONG = 2_000
"""Size of an answer, as JSON, of which only the number of rows is kept."""


def fact_of(sql: str, columns: Sequence[tuple[str, str]], rows: list[list[Any]], error: str = "") -> Fact:
    """Return what a Trino answered as a fact."""
    if error:
        return {"sql": sql, "error": error.splitlines()[0]}
    answer = {"sql": sql, "columns": [[name, type_.replace(", ", ",")] for name, type_ in columns]}
    if _CHANGING.search(sql):
        return answer
    if not _ORDERED.search(sql):
        rows = sorted(rows, key=_in_order)
    is_long = len(json.dumps(rows)) > _LONG
    return {**answer, **({"row_count": len(rows)} if is_long else {"rows": rows})}


def _in_order(row: Any) -> str:
    """Return what rows are sorted by: a map's keys have no order."""
    return json.dumps(row, sort_keys=True)


def local_fact(athena: LocalAthena, sql: str) -> Fact:
    """Return what the local Athena answers, in the form of a fact."""
    try:
        columns, rows = athena.rows(sql)
    except (QueryRefused, QueryFailed) as error:
        return {"sql": sql, "error": str(error)}
    kinds = [column.type for column in columns]
    as_json = [[_in_json(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in rows]
    return fact_of(sql, [(column.name, str(column.type)) for column in columns], as_json)


def _in_json(value: Any, type_: Type) -> Any:
    """Return a value of DuckDB's as Trino's protocol has it."""
    if value is None or isinstance(value, bool | str):
        return value
    match type_.name:
        case "tinyint" | "smallint" | "integer" | "bigint":
            return int(value)
        case "real" | "double" if not math.isfinite(value):
            return text_of(value, type_)
        case "real":
            return struct.unpack("f", struct.pack("f", value))[0]
        case "double":
            return float(value)
        case "varbinary":
            return base64.b64encode(value).decode()
        case "array":
            return [_in_json(element, type_.arguments[0]) for element in value]
        case "map":
            return {
                _key(k, type_.arguments[0]): _in_json(v, type_.arguments[1])
                for k, v in items_of(value, type_)
            }
        case "row":
            return [_in_json(v, of) for v, of in zip(value.values(), type_.arguments, strict=True)]
    return text_of(value, type_)


def _key(value: Any, type_: Type) -> str:
    """Return a map's key as a text, which is Java's `toString` of it."""
    if value is None:
        return "null"
    if type_.name in ("array", "row"):
        parts = [(part, type_.arguments[0]) for part in value]
        if type_.name == "row":
            parts = list(zip(value.values(), type_.arguments, strict=True))
        return f"[{', '.join(_key(part, of) for part, of in parts)}]"
    return text_of(value, type_)


def difference(fact: Fact, local: Fact) -> Fact | None:
    """Return how the local Athena's answer differs from Trino's, None where it does not.

    Both refuse: no difference, whatever they say. A varchar's length is not announced by Athena.
    """
    sql = fact["sql"]
    if "error" in local:
        return None if "error" in fact else {"sql": sql, "kind": "refused", "local": local["error"]}
    if "error" in fact:
        return {"sql": sql, "kind": "answered", "local": local["columns"]}
    names, types = _unzipped(fact["columns"])
    local_names, local_types = _unzipped(local["columns"])
    if names != local_names:
        return {"sql": sql, "kind": "names", "local": local_names}
    if [_plain(type_) for type_ in types] != [_plain(type_) for type_ in local_types]:
        return {"sql": sql, "kind": "types", "local": local_types}
    is_same = (
        _same_rows(fact["rows"], local["rows"], types)
        if "rows" in fact and "rows" in local
        else (fact.get("row_count") == local.get("row_count"))
    )
    return None if is_same else {"sql": sql, "kind": "rows", "local": local.get("rows", [])[:5]}


def _unzipped(columns: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    return [name for name, _ in columns], [type_ for _, type_ in columns]


def _plain(type_: str) -> str:
    spelled = re.sub(r"INTERVAL [A-Z ]+", lambda found: found[0].lower(), type_.replace(", ", ","))
    return re.sub(r"\b(varchar|char)\(\d+\)", "varchar", spelled.replace('"', ""))


def _same_rows(rows: Sequence[Any], local: Sequence[Any], types: Sequence[str]) -> bool:
    return len(rows) == len(local) and all(
        _same(x, y, "real" in type_)
        for one, other in zip(rows, local, strict=True)
        for x, y, type_ in zip(one, other, types, strict=True)
    )


def _same(a: Any, b: Any, is_real: bool) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y, is_real) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key], is_real) for key in a)
    if isinstance(a, float) and isinstance(b, float | int):
        return math.isclose(a, b, rel_tol=1e-6 if is_real else 1e-13, abs_tol=1e-300)
    return type(a) is type(b) and bool(a == b)


def answers() -> list[tuple[Fact, Fact]]:
    """Return each fact, and what the local Athena answers to its statement."""
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder))
        athena = LocalAthena(Path(folder), schemas=COLUMNS, database=DATABASE, threads=1)
        try:
            return [(fact, local_fact(athena, fact["sql"])) for fact in read(FACTS)]
        finally:
            athena.close()


def differences(answered: Sequence[tuple[Fact, Fact]]) -> list[Fact]:
    """Return the difference of each fact that has one."""
    found = (difference(fact, local) for fact, local in answered)
    return [each for each in found if each]


def main() -> None:
    """Write the differences anew, and keep the reasons that were written beside them."""
    reasons = {line["sql"]: line["because"] for line in read(DIFFERENCES) if "because" in line}
    found = differences(answers())
    write(
        DIFFERENCES,
        ({**line, **({"because": reasons[line["sql"]]} if line["sql"] in reasons else {})} for line in found),
    )
    print(f"{len(found)} of {len(read(FACTS))} differ", file=sys.stderr)


if __name__ == "__main__":
    main()

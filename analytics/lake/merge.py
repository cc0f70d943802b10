"""Parquet files of a day → one generation of files: sorted, each row once, in bounded memory.

A generation has two kinds of files. `rows-current-GENERATION-NNNN.parquet` hold the current row of each
upload, with the time of its first outcome of equal rank. `rows-history-GENERATION-NNNN.parquet` hold all
other rows of the same uploads: of other model versions and of other attempts. GENERATION is a hash of all its
rows.

The names sort after those of Record's files, which are hexadecimal: a reader who lists a day page by page
while it is compacted finds both the old and the new files of a row, never neither.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
import pyarrow.parquet as parquet

from analytics.lake.order import SortKey, sort_key
from analytics.lake.schema import SCHEMA
from ingest.errors import SconesError
from workflow.outcome import Outcome

ROWS_PER_FILE = 400_000
"""About 60 MB, at 150 bytes a row. Fixed, so that the same rows are always cut into the same files."""

ROWS_AT_ONCE = 50_000
"""About 50 MB in memory, and several times as much while they are sorted."""

_TIMES = ("decided_at", "first_decided_at")
_PARTS_MAX = 512
"""Open files at a time; a Lambda may have 1,024."""


class UnreadableFile(SconesError):
    """A file under the table's prefix is not one of the table's files."""


@dataclass(frozen=True)
class Merged:
    """A generation, still on the local disk."""

    files: dict[str, Path]
    """Path in the bucket → local file."""
    uploads: int


def merge(
    sources: Sequence[Path], folder: Path, prefix: str, keep_to: Mapping[str, SortKey] | None = None
) -> Merged:
    """Merge files of one day into a generation.

    The same rows make the same files, however they were spread over the sources.

    Args:
        sources: Parquet files of the table.
        folder: for temporary and finished files, about twice the size of the sources.
        prefix: of the day's files in the bucket, such as `predictions/dt=2026-11-24/`.
        keep_to: upload id → a sort key; rows of the upload after it are left out.

    Raises:
        UnreadableFile: a source is not a Parquet file, or has columns that the table does not have.
    """
    read = sum(_row_count(path) for path in sources)
    parts = _scatter(sources, folder, keep_to or {}, min(-(-read // ROWS_AT_ONCE), _PARTS_MAX))
    current, history = _Writer(folder, "current"), _Writer(folder, "history")
    for part in parts:
        of_each_upload, others = _split(_load(part))
        part.unlink()
        current.write(of_each_upload)
        history.write(others)
    digest = hashlib.sha256(f"{current.digest()} {history.digest()}".encode()).hexdigest()[:32]
    files = {
        f"{prefix}rows-{writer.kind}-{digest}-{number:04}.parquet": path
        for writer in (history, current)
        for number, path in enumerate(writer.close())
    }
    return Merged(files, current.rows)


def _row_count(path: Path) -> int:
    try:
        metadata = parquet.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UnreadableFile(f"{path.name}: {error}") from error
    if unknown := set(metadata.schema.to_arrow_schema().names) - set(SCHEMA.names):
        raise UnreadableFile(f"{path.name} has columns that the table does not have: {sorted(unknown)}")
    rows: int = metadata.num_rows
    return rows


def _scatter(sources: Iterable[Path], folder: Path, keep_to: Mapping[str, SortKey], count: int) -> list[Path]:
    """Spread rows over `count` files by upload, in the order of their ids: hash digits are uniformly
    distributed."""
    paths = [folder / f"part-{number:04}.arrow" for number in range(count)]
    options = ipc.IpcWriteOptions(compression="zstd")
    hex3 = pa.array([f"{number:03x}" for number in range(4096)])
    writers = [ipc.new_stream(path, SCHEMA, options=options) for path in paths]
    for table in _in_chunks(sources):
        table = _without_later(table, keep_to)
        first = pc.index_in(pc.utf8_slice_codeunits(table["upload_id"], 0, 3), hex3).fill_null(0)
        part = pc.divide(pc.multiply(first, count), len(hex3))
        order = pc.sort_indices(part)
        table, part = table.take(order), part.take(order)
        start = 0
        for group in pc.value_counts(part).to_pylist():
            writers[group["values"]].write_table(table.slice(start, group["counts"]))
            start += group["counts"]
    for writer in writers:
        writer.close()
    return paths


def _in_chunks(sources: Iterable[Path]) -> Iterator[pa.Table]:
    """Yield rows in tables of about `ROWS_AT_ONCE`, from many files or from a part of one."""
    waiting: list[pa.Table] = []
    for source in sources:
        with parquet.ParquetFile(source) as file:
            for batch in file.iter_batches(ROWS_AT_ONCE):
                waiting.append(_with_all_columns(pa.Table.from_batches([batch])))
                if sum(table.num_rows for table in waiting) >= ROWS_AT_ONCE:
                    yield pa.concat_tables(waiting).combine_chunks()
                    waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _without_later(table: pa.Table, keep_to: Mapping[str, SortKey]) -> pa.Table:
    suspects = pc.indices_nonzero(pc.is_in(table["upload_id"], pa.array(list(keep_to), pa.string())))
    columns = ["outcome", "decided_at", "result_id", "execution_arn"]
    uploads = table["upload_id"].take(suspects).to_pylist()
    rows = table.select(columns).take(suspects).to_pylist()
    later = [
        number
        for number, upload_id, row in zip(suspects.to_pylist(), uploads, rows, strict=True)
        if sort_key(**row) > keep_to[upload_id]
    ]
    if not later:
        return table
    return table.filter(pc.invert(pc.is_in(pa.array(range(table.num_rows)), pa.array(later))))


def _with_all_columns(table: pa.Table) -> pa.Table:
    """Fill columns that were added after the file was written with nulls."""
    columns = [
        table[name] if name in table.column_names else pa.nulls(table.num_rows) for name in SCHEMA.names
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _load(part: Path) -> pa.Table:
    with pa.memory_map(str(part)) as source:
        return ipc.open_stream(source).read_all()


def _split(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the current row of each upload, and the best row of every other result id, by upload id."""
    keys = table.select(["upload_id", "result_id", "decided_at", "execution_arn"])
    # Not among the constants of the module: pa.array loads pandas where there is one.
    outcomes, ranks = (pa.array([getattr(each, name) for each in Outcome]) for name in ("value", "rank"))
    rank = pc.take(ranks, pc.index_in(table["outcome"], outcomes))  # NULL, which sorts last, if unknown
    since = pc.coalesce(table["first_decided_at"], table["decided_at"])
    keys = keys.append_column("rank", rank).append_column("since", since)
    best = [("rank", "ascending"), ("decided_at", "descending")]
    # The view's order, extended so that it has no ties: the same rows lead to the same choice.
    order = pc.sort_indices(keys, [("result_id", "ascending"), *best, ("execution_arn", "ascending")])
    order = order.filter(_is_first(keys["result_id"].take(order)))
    by_upload = [("upload_id", "ascending"), *best, ("result_id", "ascending")]
    order = order.take(pc.sort_indices(keys.take(order), by_upload))
    is_current = _is_first(keys["upload_id"].take(order))
    current = table.take(order.filter(is_current))
    history = table.take(order.filter(pc.invert(is_current)))
    return _since(current, _firsts(keys)), _since(history, history["decided_at"])


def _firsts(keys: pa.Table) -> pa.ChunkedArray:
    """Return the time of each upload's first outcome of the best rank, in the order of upload ids."""
    order = pc.sort_indices(keys, [("upload_id", "ascending"), ("rank", "ascending"), ("since", "ascending")])
    return keys["since"].take(order.filter(_is_first(keys["upload_id"].take(order))))


def _since(table: pa.Table, first: pa.ChunkedArray) -> pa.Table:
    """Set `first_decided_at`, or NULL where it equals `decided_at`: equal rows are written equally."""
    column = table.schema.get_field_index("first_decided_at")
    earlier = pc.if_else(pc.less(first, table["decided_at"]), first, None)
    return table.set_column(column, table.schema.field(column), earlier)


def _is_first(sorted_: pa.ChunkedArray) -> pa.Array:
    """Return where a value differs from the one before it."""
    values = sorted_.combine_chunks()
    if len(values) == 0:
        return pa.array([], pa.bool_())
    differs = pc.not_equal(values.slice(1), values.slice(0, len(values) - 1))
    return pa.concat_arrays([pa.array([True]), differs])


class _Writer:
    """Writes the files of one kind, and hashes the identities of their rows."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind = kind
        self.rows = 0
        self._folder = folder
        self._paths: list[Path] = []
        self._file: parquet.ParquetWriter | None = None
        self._digest = hashlib.sha256()

    def write(self, table: pa.Table) -> None:
        self._digest.update(_identities(table))
        while table.num_rows:
            room = -self.rows % ROWS_PER_FILE
            file = self._file if room and self._file else self._next_file()
            head = table.slice(0, room or ROWS_PER_FILE)
            file.write_table(head)
            self.rows += head.num_rows
            table = table.slice(head.num_rows)

    def digest(self) -> str:
        return self._digest.hexdigest()

    def close(self) -> list[Path]:
        if self._file:
            self._file.close()
        return self._paths

    def _next_file(self) -> parquet.ParquetWriter:
        self.close()
        self._paths.append(self._folder / f"{self.kind}-{len(self._paths):04}.parquet")
        self._file = parquet.ParquetWriter(self._paths[-1], SCHEMA, compression="zstd")
        return self._file


def _identities(table: pa.Table) -> bytes:
    """Return a line for each row that identifies it."""
    columns = (
        table["result_id"],
        table["outcome"],
        *(table[of].cast(pa.int64()).cast(pa.string()).fill_null("") for of in _TIMES),
        table["execution_arn"].fill_null(""),
    )
    lines = pc.binary_join_element_wise(*columns, " ")
    return "".join(f"{line}\n" for line in lines.to_pylist()).encode()

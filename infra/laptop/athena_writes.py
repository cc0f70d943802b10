"""CREATE TABLE AS SELECT and UNLOAD, as Parquet within the bucket of query results."""

import io
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

from ministack.services import glue

_NAME = r'[`"]?(\w+)[`"]?'
_CTAS = re.compile(
    rf"CREATE\s+TABLE\s+(?:{_NAME}\s*\.\s*)?{_NAME}\s*(?:WITH\s*\(([^)]*)\)\s*)?AS\s+", re.IGNORECASE
)
_DATA = re.compile(r"\sWITH\s+(NO\s+)?DATA\Z", re.IGNORECASE)
_LONGEST_DATA = 100
_UNLOAD = re.compile(r"UNLOAD\s*\((.*)\)\s*TO\s+'([^']*)'\s*WITH\s*\(([^)]*)\)", re.IGNORECASE | re.DOTALL)
_PROPERTY = re.compile(r"\b(\w+)\s*=\s*'([^']*)'")
_COMPRESSIONS = ("SNAPPY", "GZIP", "ZSTD", "NONE")
_CODE = "org.apache.hadoop.hive.ql.io.parquet"
_OTHERWISE = "Other forms run on AWS."


@dataclass(frozen=True)
class Write:
    """A query whose rows are written."""

    id: str
    sql: str
    folder: str
    """Address of the folder of its files, with a slash at the end."""
    manifest: str
    compression: str
    database: str = ""
    """Database that the statement names, if it names one."""
    table: str = ""
    """Name of the table to create, none for UNLOAD."""

    def check(self, database: str) -> None:
        """Check before the query runs that what it writes has a place.

        Raises:
            ValueError: the table exists, or is in another database.
        """
        if self.table and self.database.lower() not in ("", database.lower()):
            raise ValueError(
                f"a table can be created in {database} only, not in {self.database}. {_OTHERWISE}"
            )
        if self.table and f"{database}/{self.table}" in glue._tables:
            raise ValueError(f"Table '{database}.{self.table}' already exists")

    def parquet(self, columns: Sequence[Any], rows: Sequence[Any]) -> bytes:
        """Return the rows as a Parquet file.

        Raises:
            localathena.errors.QueryRefused: Athena does not write a type among them.
            ValueError: a column has no name of its own.
        """
        import pyarrow.parquet as pq

        from localathena.arrow import arrow_table

        names = [column.name for column in columns]
        if self.table and (len(set(names)) < len(names) or any(name.startswith("_col") for name in names)):
            raise ValueError(
                f"each column of a table needs a name of its own, and these are {names}: write AS"
            )
        file = io.BytesIO()
        pq.write_table(arrow_table(columns, rows), file, compression=self.compression)
        return file.getvalue()

    def table_input(self, columns: Sequence[Any]) -> dict[str, Any]:
        """Return the new table in Glue's form."""
        from localathena.types import in_hive

        return {
            "Name": self.table,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet", "has_encrypted_data": "false"},
            "PartitionKeys": [],
            "StorageDescriptor": {
                "Location": self.folder.rstrip("/"),
                "InputFormat": f"{_CODE}.MapredParquetInputFormat",
                "OutputFormat": f"{_CODE}.MapredParquetOutputFormat",
                "SerdeInfo": {"SerializationLibrary": f"{_CODE}.serde.ParquetHiveSerDe"},
                "Columns": [{"Name": column.name, "Type": in_hive(column.type)} for column in columns],
            },
        }


def write_of(sql: str, output: str) -> Write | None:
    """Return what a statement writes, None if it is neither CTAS nor UNLOAD.

    Args:
        sql: the statement.
        output: address of its result; what it writes must be in the same bucket.

    Raises:
        ValueError: this form is not supported.
    """
    folder, _, name = output.rpartition("/")
    id_ = name.partition(".")[0]
    sql = sql.strip().removesuffix(";").rstrip()
    if found := _CTAS.match(sql):
        database, table, listed = found.groups()
        select = sql[found.end() :]
        data = _DATA.search(select, max(len(select) - _LONGEST_DATA, 0))
        properties = _properties(listed or "")
        to = properties.pop("external_location", f"{folder}/tables/{id_}")
        if data and data[1]:
            raise ValueError(f"WITH NO DATA is not supported. {_OTHERWISE}")
        manifest = f"{folder}/tables/{id_}-manifest.csv"
        compression = _compression(properties)
        select = select[: data.start()] if data else select
        return Write(id_, select, _within(to, output), manifest, compression, database or "", table.lower())
    if found := _UNLOAD.fullmatch(sql):
        select, to, listed = found.groups()
        compression = _compression(_properties(listed))
        manifest = f"{folder}/{id_}-manifest.csv"
        return Write(uuid.uuid4().hex, select, _within(to, output), manifest, compression)
    return None


def _properties(listed: str) -> dict[str, str]:
    found = {name.lower(): value for name, value in _PROPERTY.findall(listed)}
    rest = _PROPERTY.sub("", listed).replace(",", "").strip()
    if rest:
        raise ValueError(f"the properties {rest} are not supported. {_OTHERWISE}")
    return found


def _compression(properties: Mapping[str, str]) -> str:
    """Return the compression; Parquet is the only format, and no property beside the two is supported."""
    left = dict(properties)
    if left.pop("format", "ORC").upper() != "PARQUET":
        raise ValueError(f"only format = 'PARQUET' is supported. {_OTHERWISE}")
    names = ("write_compression", "parquet_compression", "compression")
    chosen = next((left.pop(name) for name in names if name in left), "GZIP").upper()
    if chosen not in _COMPRESSIONS:
        raise ValueError(
            f"the compression must be one of {', '.join(_COMPRESSIONS)}, not {chosen}. {_OTHERWISE}"
        )
    if left:
        raise ValueError(f"the properties {', '.join(left)} are not supported. {_OTHERWISE}")
    return chosen


def _within(address: str, output: str) -> str:
    """Return the address of a folder in the bucket of the results.

    Raises:
        ValueError: it is in another bucket, where the laptop's system keeps its own objects.
    """
    bucket = urlparse(output).netloc
    if urlparse(address).scheme != "s3" or urlparse(address).netloc != bucket:
        raise ValueError(f"the laptop's Athena writes to s3://{bucket}/ only, not to {address}. {_OTHERWISE}")
    return address.rstrip("/") + "/"

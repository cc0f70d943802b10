"""The embedded AWS's Athena, over its S3: the local Athena's answers, and Athena's API and files around them.

ministack passes SQL to DuckDB unchanged, where `approx_percentile` does not exist and 1 / 2 is 0.5. It also
writes results to another key than it names, and describes tables that do not exist. The local Athena is
loaded with the first query: pandas, pyarrow and DuckDB take 150 MB.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from ministack.core.responses import error_response_json, get_account_id, json_response
from ministack.services import athena, glue, s3

from infra.laptop.athena_writes import Write, write_of
from infra.laptop.scheduling import on_all_cores
from localathena.statements import first_word

_PAGE = 1000
"""Most rows of a page of results, the header included. Source: Athena's GetQueryResults."""
_MOST_SQL_BYTES = 262_144
"""Longest statement. Source: https://docs.aws.amazon.com/athena/latest/ug/service-limits.html"""
_PRECISIONS = {
    "boolean": 0,
    "tinyint": 3,
    "smallint": 5,
    "integer": 10,
    "bigint": 19,
    "real": 17,
    "double": 17,
    "varchar": 2_147_483_647,
    "varbinary": 1_073_741_824,
    "timestamp": 3,
    "timestamp with time zone": 3,
}
_NAMES = {"real": "float"}
"""Trino's type → Athena's name for it, where they differ."""


@dataclass(frozen=True)
class Result:
    """What a statement returned: names, and texts as Athena's API has them."""

    columns: Sequence[Mapping[str, Any]] = ()
    """Each as `ColumnInfo` of Athena's API."""
    rows: Sequence[Sequence[str | None]] = ()
    scanned_bytes: int = 0
    update_count: int = 0
    manifest: str = ""
    """Address of the list of files that the statement wrote."""


def install() -> None:
    """Put this Athena in the place of ministack's."""
    athena._start_query_execution = started(athena._start_query_execution)
    athena._execute_query = execute
    athena._get_query_results = results_page
    athena._get_table_metadata = table_metadata
    athena._list_table_metadata = list_table_metadata


def started(start: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Return ministack's start of a query, with Athena's location of results and the query's parameters."""

    def wrapped(request: dict[str, Any]) -> Any:
        workgroup = athena._workgroups.get(request.get("WorkGroup", "primary"))
        if workgroup is None:
            message = f"WorkGroup {request['WorkGroup']} is not found."
            return error_response_json("InvalidRequestException", message, 400)
        if len(request.get("QueryString", "").encode()) > _MOST_SQL_BYTES:
            message = f"The statement is longer than {_MOST_SQL_BYTES:,} bytes."
            return error_response_json("InvalidRequestException", message, 400)
        settings = workgroup.get("Configuration", {})
        if settings.get("EnforceWorkGroupConfiguration"):
            request = {key: value for key, value in request.items() if key != "ResultConfiguration"}
        answer = start(request)
        if answer[0] == 200:
            execution = athena._executions[json.loads(answer[2])["QueryExecutionId"]]
            _describe(execution, request)
        return answer

    return wrapped


def _describe(execution: dict[str, Any], request: Mapping[str, Any]) -> None:
    """Complete an execution before it runs: its kind, its parameters, and the file of its results."""
    execution["StatementType"] = kind = _statement_type(execution["Query"])
    if request.get("ExecutionParameters"):
        execution["ExecutionParameters"] = request["ExecutionParameters"]
    context = execution["QueryExecutionContext"]
    context["Database"] = context["Database"].strip('`"')
    suffix = "csv" if kind == "DML" else "txt"
    id_ = execution["QueryExecutionId"]
    folder = execution["ResultConfiguration"]["OutputLocation"].removesuffix(f"{id_}.csv").rstrip("/")
    execution["ResultConfiguration"]["OutputLocation"] = f"{folder}/{id_}.{suffix}"


def _statement_type(sql: str) -> str:
    """Source: https://docs.aws.amazon.com/athena/latest/APIReference/API_QueryExecution.html"""
    word = first_word(sql).upper()
    if word in ("SHOW", "DESCRIBE", "DESC", "EXPLAIN"):
        return "UTILITY"
    return "DDL" if word in ("CREATE", "DROP", "ALTER", "MSCK") else "DML"


async def execute(query_id: str, sql: str, database: str, ddl: Any, catalog: str | None = None) -> None:
    """Run a query of ministack's Athena, write its results to S3, and tell its execution how it went."""
    execution = athena._executions[query_id]
    status, began = execution["Status"], time.monotonic()
    status["State"] = "RUNNING"
    try:
        database = execution["QueryExecutionContext"]["Database"]
        parameters = execution.get("ExecutionParameters", [])
        if ddl is not None:
            athena._run_ddl(ddl, database)
            result = Result()
        elif write := write_of(sql, execution["ResultConfiguration"]["OutputLocation"]):
            result = await _written(write, database, parameters, status)
        else:
            result = await run(sql, database, parameters)
        file = await asyncio.to_thread(_file_of, execution["StatementType"], result)
        if status["State"] == "RUNNING":  # it may have been stopped
            put(execution["ResultConfiguration"]["OutputLocation"], file)
            _finish(execution, result)
    except Exception as error:
        if status["State"] == "RUNNING":
            status |= {"State": "FAILED", "StateChangeReason": str(error)[:2000]}
    elapsed_ms = int((time.monotonic() - began) * 1000)
    execution["Statistics"] |= {
        "EngineExecutionTimeInMillis": elapsed_ms,
        "TotalExecutionTimeInMillis": elapsed_ms,
    }
    status["CompletionDateTime"] = int(time.time())


def _finish(execution: dict[str, Any], result: Result) -> None:
    execution["_results"] = {
        "columns": result.columns,
        "rows": result.rows,
        "update_count": result.update_count,
    }
    execution["Statistics"]["DataScannedInBytes"] = result.scanned_bytes
    if result.manifest:
        execution["Statistics"]["DataManifestLocation"] = result.manifest
    execution["Status"]["State"] = "SUCCEEDED"


async def run(sql: str, database: str, parameters: Sequence[str] = ()) -> Result:
    """Run a statement that reads, each `?` in it standing for a literal in SQL.

    Raises:
        LookupError: the database has no table of results. ministack would read any file.
        localathena.errors.QueryRefused, localathena.errors.QueryFailed: with the reason.
    """
    return await asyncio.to_thread(_read, sql, database, parameters)


def _read(sql: str, database: str, parameters: Sequence[str]) -> Result:
    columns, rows, scanned_bytes = read_rows(sql, database, parameters)
    from localathena.results import text_of

    kinds = [column.type for column in columns]
    texts = [
        [None if cell is None else text_of(cell, kind) for cell, kind in zip(row, kinds, strict=True)]
        for row in rows
    ]
    return Result([_column_info(column) for column in columns], texts, scanned_bytes)


async def _written(
    write: Write, database: str, parameters: Sequence[str], status: Mapping[str, Any]
) -> Result:
    """Run CTAS or UNLOAD: write the rows of a query as Parquet, list the file, and create the table.

    Nothing is written if the query was stopped while its rows were read.
    """
    write.check(database)
    columns, rows, scanned_bytes = await asyncio.to_thread(read_rows, write.sql, database, parameters)
    content = await asyncio.to_thread(write.parquet, columns, rows)
    if status["State"] != "RUNNING":
        return Result()
    file = f"{write.folder}{write.id}.parquet"
    put(file, content)
    put(write.manifest, f"{file}\n".encode())
    if write.table:
        answer = glue._create_table({"DatabaseName": database, "TableInput": write.table_input(columns)})
        if answer[0] != 200:
            raise ValueError(json.loads(answer[2]).get("message", "Glue refuses the table"))
    return Result(scanned_bytes=scanned_bytes, update_count=len(rows), manifest=write.manifest)


@on_all_cores()
def read_rows(sql: str, database: str, parameters: Sequence[str]) -> tuple[Any, Any, int]:
    """Return the columns of a query, its rows with DuckDB's values, and the bytes that it read.

    Raises:
        LookupError, localathena.errors.QueryRefused, localathena.errors.QueryFailed: as `run` does.
    """
    from analytics.lake.columns import TABLE, TABLES
    from analytics.questions.queries import views
    from localathena.engine import LocalAthena
    from localathena.tables import Sql

    tables = _tables(database)
    if TABLE not in tables:
        raise LookupError(f"the database {database} has no results to ask about: name the stack's own")
    bucket = urlparse(tables[TABLE]["StorageDescriptor"]["Location"]).netloc
    local = LocalAthena(
        Path(s3.DATA_DIR, get_account_id(), bucket),
        views(),
        schemas=TABLES,
        database=database,
        location=f"s3://{bucket}",
        glue=tables,
    )
    try:
        columns, rows = local.rows(sql, list(map(Sql, parameters)))
        return columns, rows, local.scanned_bytes()
    finally:
        local.close()


def _tables(database: str) -> dict[str, Mapping[str, Any]]:
    """Return the tables and views of a database as Glue has them, by name."""
    found = json.loads(glue._get_tables({"DatabaseName": database})[2])
    return {table["Name"]: table for table in found["TableList"]}


def _column_info(column: Any) -> dict[str, Any]:
    name, scale = column.type.name, 0
    precision = _PRECISIONS.get(name, 0)
    if name == "decimal":
        precision, scale = column.type.precision, column.type.scale
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": column.name,
        "Label": column.name,
        "Type": _NAMES.get(name, name),
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": name == "varchar",
    }


def _file_of(statement_type: str, result: Result) -> bytes:
    """Return the file of a result: a CSV with all values in quotes for SELECT, plain lines for SHOW.

    NULL is nothing between two commas. Lines of DESCRIBE have columns of 20 characters. Athena also writes a
    file `.metadata`, whose form is not documented and which no client reads.
    """
    if statement_type == "DML":
        header = [column["Name"] for column in result.columns]
        lines = [",".join(map(_quoted, row)) for row in [header, *result.rows] if row]
    else:
        is_table = len(result.columns) > 1
        lines = [
            "\t".join(f"{cell or '':<20}" if is_table else cell or "" for cell in row) for row in result.rows
        ]
    return "".join(f"{line}\n" for line in lines).encode()


def _quoted(value: str | None) -> str:
    return "" if value is None else '"' + value.replace('"', '""') + '"'


def put(address: str, data: bytes) -> None:
    """Write an object of the embedded S3: a result, or what CTAS and UNLOAD write.

    Raises:
        OSError: it was not written.
    """
    parts = urlparse(address)
    headers = {"content-type": "application/octet-stream", "content-length": str(len(data))}
    answer = s3._put_object(parts.netloc, parts.path.lstrip("/"), data, headers)
    if answer[0] >= 300:
        raise OSError(f"{address} cannot be written: {bytes(answer[2]).decode(errors='replace')}")


def results_page(request: Mapping[str, Any]) -> Any:
    """Answer GetQueryResults. The header of a SELECT is the first row of the first page."""
    id_ = request.get("QueryExecutionId")
    execution = athena._executions.get(id_)
    if execution is None:
        return error_response_json("InvalidRequestException", f"QueryExecution {id_} was not found", 400)
    status = execution["Status"]
    if status["State"] != "SUCCEEDED":
        why = f" Error Message: {status['StateChangeReason']}" if status["StateChangeReason"] else ""
        message = f"Query did not finish successfully. Final query state: {status['State']}.{why}"
        if status["State"] in ("QUEUED", "RUNNING"):
            message = f"Query has not yet finished. Current state: {status['State']}"
        return error_response_json("InvalidRequestException", message, 400)
    found = execution["_results"]
    has_header = bool(execution["StatementType"] == "DML" and found["columns"])
    header = [[column["Name"] for column in found["columns"]]] if has_header else []
    first, most = int(request.get("NextToken") or 0), int(request.get("MaxResults") or _PAGE)
    begin, end = first - len(header), first + most - len(header)
    page = [*(header if first == 0 else []), *found["rows"][max(begin, 0) : end]]
    more = {"NextToken": str(first + most)} if end < len(found["rows"]) else {}
    data = [{"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in page]
    metadata = {"ColumnInfo": found["columns"]}
    result = {"Rows": data, "ResultSetMetadata": metadata}
    return json_response({"ResultSet": result, "UpdateCount": found["update_count"], **more})


def table_metadata(request: Mapping[str, Any]) -> Any:
    """Answer GetTableMetadata; a table that does not exist is an error."""
    database, name = str(request.get("DatabaseName")), str(request.get("TableName"))
    found = _tables(database).get(name.lower())
    if found is None:
        return _not_found(f"Table {database}.{name} not found")
    return json_response({"TableMetadata": _metadata(found)})


def list_table_metadata(request: Mapping[str, Any]) -> Any:
    """Answer ListTableMetadata, in pages, for the tables whose name has the form of Expression."""
    database = str(request.get("DatabaseName"))
    if database not in glue._databases:
        return _not_found(f"Database {database} not found")
    form = str(request.get("Expression") or ".*")
    names = sorted(_tables(database).items())
    try:
        tables = [table for name, table in names if re.fullmatch(form, name, re.IGNORECASE)]
    except re.error as error:
        return error_response_json("InvalidRequestException", f"Expression {form}: {error}", 400)
    first, most = int(request.get("NextToken") or 0), int(request.get("MaxResults") or 50)
    page = [_metadata(table) for table in tables[first : first + most]]
    more = {"NextToken": str(first + most)} if first + most < len(tables) else {}
    return json_response({"TableMetadataList": page, **more})


def _metadata(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **athena._glue_table_to_metadata(table),
        "CreateTime": table.get("CreateTime", 0),
        "LastAccessTime": 0,
        "Parameters": table.get("Parameters", {}),
    }


def _not_found(what: str) -> Any:
    return error_response_json("MetadataException", f"{what} (Service: AmazonDataCatalog)", 400)

"""Asks a Trino and the local Athena the same statements, and reports where they differ."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import facts
import pyarrow as pa

from localathena.engine import LocalAthena
from tests.trino.client import ask
from tests.trino.statements import of_the_tests

_AT_ONCE = 4
HIVE, GLUE = "hive", "awsdatacatalog"
_TRINO = {
    pa.string(): "varchar",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.timestamp("ms"): "timestamp(3)",
    pa.map_(pa.string(), pa.float64()): "map(varchar, double)",
}


def over_files(store: Path) -> dict[str, str]:
    """Return the properties of a catalog over files below a folder, with its metastore in the folder too."""
    return {
        "connector.name": "hive",
        "hive.metastore": "file",
        "hive.metastore.catalog.dir": "local:///meta",
        "fs.native-local.enabled": "true",
        "local.location": str(store),
        "hive.parquet.use-column-names": "true",
    }


def over_glue(url: str, region: str, access_key_id: str, secret_access_key: str) -> dict[str, str]:
    """Return the properties of a catalog that reads the Glue and the S3 at an address."""
    return {
        "connector.name": "hive",
        "hive.metastore": "glue",
        "hive.metastore.glue.region": region,
        "hive.metastore.glue.endpoint-url": url,
        "hive.metastore.glue.aws-access-key": access_key_id,
        "hive.metastore.glue.aws-secret-key": secret_access_key,
        "hive.partition-projection-enabled": "true",
        "hive.parquet.use-column-names": "true",
        "fs.native-s3.enabled": "true",
        "s3.endpoint": url,
        "s3.region": region,
        "s3.path-style-access": "true",
        "s3.aws-access-key": access_key_id,
        "s3.aws-secret-key": secret_access_key,
    }


class Judge:
    """A running Trino, and what it has said so far."""

    def __init__(self, address: str, say: Callable[[str], None]) -> None:
        self._address = address
        self._say = say

    def declare_facts(self) -> None:
        """Create the facts' tables over their files, `STORE/facts/TABLE/dt=…`."""
        self._do(f"CREATE SCHEMA {HIVE}.{facts.DATABASE}")
        for table, schema in facts.TABLES.items():
            columns = ", ".join(f'"{field.name}" {_TRINO[field.type]}' for field in schema)
            self._do(
                f"CREATE TABLE {table} ({columns}, dt varchar) WITH (external_location = "
                f"'local:///facts/{table}', format = 'PARQUET', partitioned_by = ARRAY['dt'])"
            )
            self._do(f"CALL {HIVE}.system.sync_partition_metadata('{facts.DATABASE}', '{table}', 'FULL')")

    def renew_facts(self) -> bool:
        """Write the table of facts from Trino's answers; tell whether all were as written."""
        known = facts.read(facts.FACTS)
        asked = self._facts((fact["sql"] for fact in known), HIVE, facts.DATABASE)
        stale = [new["sql"] for old, new in zip(known, asked, strict=True) if old != new]
        if stale:
            facts.write(facts.FACTS, asked)
            self._report(f"{facts.FACTS.name} was stale and is written anew", stale)
        self._say(f"{len(known)} facts, {len(stale)} of them stale.")
        return not stale

    def compare_tests(self, athena: LocalAthena) -> bool:
        """Compare the statements of the local Athena's tests; what differs there must be a fact."""
        known = {fact["sql"] for fact in facts.read(facts.FACTS)}
        asked = [sql for sql in dict.fromkeys(of_the_tests()) if sql not in known]
        return self._compare(
            "statement of the tests", [(sql, sql) for sql in asked], athena, HIVE, facts.DATABASE
        )

    def compare_project(self, named: Iterable[tuple[str, str]], athena: LocalAthena, database: str) -> bool:
        """Compare statements about the project's tables, which Trino reads from the laptop's Glue and S3."""
        return self._compare("statement of the project", list(named), athena, GLUE, database)

    def _compare(
        self, what: str, named: list[tuple[str, str]], athena: LocalAthena, catalog: str, database: str
    ) -> bool:
        answers = self._facts((sql for _, sql in named), catalog, database)
        found: list[str] = []
        for (name, sql), answer in zip(named, answers, strict=True):
            local = facts.local_fact(athena, sql)
            if "error" in answer and "error" in local:
                found.append(f"{name}: neither answers: {answer['error']}")
            elif differs := facts.difference(answer, local):
                found.append(f"{name}: {differs['kind']}, {_of(answer)} and {_of(local)}")
        self._report(f"a {what} differs", found)
        self._say(f"{len(named) - len(found)} of {len(named)} answers to a {what} are the same.")
        return not found

    def _facts(self, asked: Iterable[str], catalog: str, database: str) -> list[facts.Fact]:
        def fact(sql: str) -> facts.Fact:
            answer = ask(self._address, sql, catalog, database)
            return facts.fact_of(sql, answer.columns, answer.rows, answer.error)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(fact, asked))

    def _do(self, sql: str) -> None:
        answer = ask(self._address, sql, HIVE, facts.DATABASE)
        if answer.error:
            raise RuntimeError(answer.error)

    def _report(self, title: str, lines: Iterable[str]) -> None:
        for line in lines:
            self._say(f"{title}: {line}")


def _of(fact: Mapping[str, Any]) -> str:
    return str(fact.get("error") or (fact["columns"], fact.get("rows", [])[:3]))[:300]

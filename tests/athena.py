"""One local Athena for one folder of results after another: its start takes longer than a small report."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from analytics.athena.engine import QueryResult, Record
from analytics.athena.local import LocalEngine
from analytics.lake.columns import TABLES
from analytics.questions.queries import views


class Athena:
    """The local Athena over a folder, with the views. All of these are one engine, which keeps running."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
        return self._engine().query(sql, parameters)

    def records(self, sql: str) -> Sequence[Record]:
        return self._engine().records(sql)

    def _engine(self) -> LocalEngine:
        """Return the engine, whose folder has this one's files as further names of the same files."""
        tables, engine = _shared()
        if _files(tables) != _files(self._folder):
            for name in TABLES:
                shutil.rmtree(tables / name, ignore_errors=True)
                if (self._folder / name).exists():
                    shutil.copytree(self._folder / name, tables / name, copy_function=os.link)
        return engine


def _files(folder: Path) -> set[tuple[Path, int]]:
    return {
        (file.relative_to(folder), file.stat().st_ino)
        for name in TABLES
        for file in (folder / name).rglob("*")
        if file.is_file()
    }


@cache
def _shared() -> tuple[Path, LocalEngine]:
    tables = Path(tempfile.mkdtemp())
    return tables, LocalEngine(tables, views())

"""The terminal that commands print to: much of what they print was written by others."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.text import Text

from analytics.text import visible

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

WIDEST = 10_000
"""Columns of a file or a pipe: nothing is cut or broken there."""

LINE_EVERY_S = 5.0
"""Between two lines of progress where there is no terminal."""


class Terminal(Console):
    """A console that text cannot control: it shows visible characters and lines, and nothing else."""

    def __init__(self, **options: Any) -> None:
        """Take rich's options; `:x:` and `[bold]` are printed as they are."""
        self._is_terminal: bool | None = options.get("force_terminal")
        if os.environ.get("FORCE_COLOR"):
            options.setdefault("color_system", "standard")
        super().__init__(emoji=False, markup=False, **options)
        if not self.is_terminal and "width" not in options and "COLUMNS" not in os.environ:
            self.width = WIDEST

    @property
    def is_terminal(self) -> bool:
        """Whether lines have to fit a terminal. FORCE_COLOR, as jobs set it, asks for colours in a file."""
        return self.file.isatty() if self._is_terminal is None else self._is_terminal

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; in a file or a pipe, a table is columns alone: no frame, no blanks at the ends of lines."""
        tables = [] if self.is_terminal or "rich.table" not in sys.modules else _tables(objects)
        if not tables:
            super().print(*objects, **options)
            return
        for table in tables:
            table.box, table.pad_edge, table.padding = None, False, (0, 2, 0, 0)
        with self.capture() as captured:
            super().print(*objects, **options)
        lines = "\n".join(line.rstrip() for line in captured.get().splitlines())
        super().print(Text.from_ansi(lines), soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """End quietly when nobody reads on, as in `scones query … | head`: that is not a failure."""
        end_quietly()

    def render_str(self, text: str, **options: Any) -> Text:
        """Return text as rich shows it, with a � for each non-printable character."""
        return super().render_str(visible(text), **options)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show what goes on: with a spinner on a terminal, as a line elsewhere."""
        if self.is_terminal:
            with self.status(Text(text)):
                yield
        else:
            self.print(text, highlight=False)
            yield


def _tables(objects: Sequence[Any]) -> "list[Table]":
    from rich.table import Table

    return [each for each in objects if isinstance(each, Table)]


def end_quietly() -> NoReturn:
    """End the process with 0; what is still to be written to standard output goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


answers = Terminal()
"""Standard output: what was asked for."""

words = Terminal(stderr=True)
"""Standard error: progress and hints. `--quiet` silences it."""

errors = Terminal(stderr=True)
"""Standard error: why a command failed."""


def progress_bar(console: Console) -> "Progress":
    """Return the bars of long commands; where there is no terminal, a line every few seconds instead."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    class ProgressLines(Progress):
        """Progress as lines: a line every few seconds, and one at the end of each task."""

        _printed_at = float("-inf")

        def advance(self, task_id: TaskID, advance: float = 1) -> None:
            super().advance(task_id, advance)
            self._print(task_id)

        def update(self, task_id: TaskID, **changes: Any) -> None:
            before = self._tasks[task_id].completed
            super().update(task_id, **changes)
            self._print(task_id, has_changed=self._tasks[task_id].completed != before)

        def _print(self, task_id: TaskID, *, has_changed: bool = True) -> None:
            with self._lock:
                task, now = self._tasks[task_id], time.monotonic()
                is_last = has_changed and task.completed == task.total
                if not is_last and now - self._printed_at < LINE_EVERY_S:
                    return
                self._printed_at = now
            total = "?" if task.total is None else f"{task.total:,.0f}"
            self.console.print(f"{task.description}: {task.completed:,.0f} of {total}", highlight=False)

    if not console.is_terminal:
        return ProgressLines(console=console, disable=True)
    columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def say(line: str) -> None:
    """Print a line of progress."""
    words.print(line, highlight=False, soft_wrap=True)


@contextmanager
def steps(label: str) -> "Iterator[Callable[[int, int], None]]":
    """Show the progress of one step; give what takes the work done and the work there is."""
    with progress_bar(words) as progress:
        task = progress.add_task(label, total=1, visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=True)

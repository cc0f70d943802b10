"""Progress of a command's steps."""

from collections.abc import Iterator
from contextlib import contextmanager

from model.data.load import Progress


@contextmanager
def steps(label: str) -> Iterator[Progress]:
    """Show a progress bar on stderr; give what takes the work done and the work there is."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=1, visible=False)
        yield lambda done, total: bars.update(task, completed=done, total=total, visible=True)

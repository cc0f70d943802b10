"""What training and evaluation show on a terminal."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr; what it gives is to be called with what is done and what there is."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=1, visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=True)


def summary(figures: Mapping[str, Any]) -> str:
    """Return the figures of `model.training.calibrate.figures` as lines for people."""
    low, high = figures["accuracy_interval_95"]
    at, per_class = figures["at_threshold"], figures["at_class_thresholds"]
    lines = [
        f"accuracy           {figures['accuracy']:.4f} on {figures['images']:,} images",
        f"95 % interval      {low:.4f} to {high:.4f}",
        f"majority baseline  {figures['majority_baseline']:.4f}",
        *(f"recall             {_number(value)} {name}" for name, value in figures["recall"].items()),
        f"calibration error  {figures['ece']:.4f}",
        f"log loss           {figures['log_loss']:.4f}",
        "",
        "true class, predicted as:",
        *(
            f"  {name:<16} " + "  ".join(f"{other} {count:,}" for other, count in row.items())
            for name, row in figures["confusion"].items()
        ),
        "",
        "threshold   accepted   coverage   errors   precision",
        *(_line(f"{row['threshold']:.4g}", row) for row in figures["by_threshold"]),
        _line(f"{at['threshold']:.4g} *", at),
        _line("per class", per_class),
    ]
    return "\n".join(lines)


def _line(name: str, row: Mapping[str, Any]) -> str:
    return (
        f"{name:<11} {row['accepted']:>8,}   {row['coverage']:>8.4f}   {row['errors']:>6,}   "
        f"{_number(row['precision']):>9}"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"

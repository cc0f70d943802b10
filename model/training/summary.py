"""The figures of a model as text."""

from collections.abc import Mapping
from typing import Any


def summary(figures: Mapping[str, Any]) -> str:
    """Return the figures of `model.calibrate.figures` as lines for people."""
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

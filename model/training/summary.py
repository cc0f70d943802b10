"""The figures of a model as text."""

from collections.abc import Mapping
from typing import Any

MOST_CLASSES = 20
"""Classes that are listed one by one."""


def summary(figures: Mapping[str, Any]) -> str:
    """Return the figures of `model.calibrate.figures` as lines for people."""
    low, high = figures["accuracy_interval_95"]
    at, per_class = figures["at_threshold"], figures["at_class_thresholds"]
    recall = _worst(figures["recall"])
    kind = (
        ""
        if len(recall) == len(figures["recall"])
        else f", {len(recall)} of {len(figures['recall']):,} classes"
    )
    lines = [
        f"accuracy           {figures['accuracy']:.4f} on {figures['images']:,} images",
        f"95 % interval      {low:.4f} to {high:.4f}",
        f"majority baseline  {figures['majority_baseline']:.4f}",
        *(f"recall             {_number(value)} {name}" for name, value in recall.items()),
        f"calibration error  {figures['ece']:.4f} (chance alone gives {figures['ece_by_chance']:.4f})",
        f"AUROC of errors    {_number(figures['auroc_of_errors'])} ({figures['errors']:,} errors)",
        f"risk-coverage area {figures['risk_coverage_area']:.4f}",
        f"log loss           {figures['log_loss']:.4f}",
        "",
        f"true class, predicted as{kind}:",
        *(
            f"  {name:<16} "
            + "  ".join(f"{other} {count:,}" for other, count in figures["confusion"][name].items())
            for name in recall
        ),
        "",
        "threshold   accepted   coverage   errors   precision   at least (95 % sure)",
        *(_line(f"{row['threshold']:.4g}", row) for row in figures["by_threshold"]),
        _line(f"{at['threshold']:.4g} *", at),
        _line("per class", per_class),
        _guaranteed(figures["guaranteed"]),
    ]
    return "\n".join(lines)


def _worst(recall: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the recall of every class, or, of many classes, the lowest ones."""
    if len(recall) <= MOST_CLASSES:
        return dict(recall)
    known = {name: value for name, value in recall.items() if value is not None}
    return dict(sorted(known.items(), key=lambda item: item[1])[:MOST_CLASSES])


def _line(name: str, row: Mapping[str, Any]) -> str:
    return (
        f"{name:<11} {row['accepted']:>8,}   {row['coverage']:>8.4f}   {row['errors']:>6,}   "
        f"{_number(row['precision']):>9}   {row['precision_at_least_95']:.4f}"
    )


def _guaranteed(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "\nNo threshold carries a guarantee: there are too few images, or errors of high confidence."
    return (
        f"\nThreshold {row['threshold']:.4g} carries a guarantee: its precision is at least "
        f"{row['target_precision']:g}, 95 % sure ({row['coverage']:.4f} of the images)."
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"

"""The demo: draw images, drop them, wait for every outcome, ask, report."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from analytics.questions.queries import saved_query
from infra.cli.tables import show_answer
from infra.cli.terminal import Terminal, progress_bar
from infra.cli.words import show_outcomes, shown
from infra.demo_images import write_images
from infra.laptop.local import running
from infra.operations.answers import engine
from infra.operations.drop import drop, settle
from infra.operations.image_folder import read_folder
from infra.operations.write_report import report_of, this_week
from workflow.outcome import Outcome

IMAGES = 200
SEED = 2026
PATIENCE_S = 180.0
QUERIES = ("class_balance_by_week", "confidence_percentiles", "rejects_by_reason")


def run(words: Terminal, answers: Terminal, folder: Path, images: int = IMAGES) -> dict[str, Any]:
    """Run the demo in a system of its own, which ends with it; return the contents of `summary.json`.

    Args:
        words: gets the progress.
        answers: gets the tables.
        folder: is emptied, and gets everything that the demo writes.
        images: how many to draw.
    """
    shutil.rmtree(folder, ignore_errors=True)
    count = write_images(folder / "images", images, SEED)
    words.print(f"Drew {count} images into {shown(folder / 'images')}, some of them broken on purpose.")
    words.print("Starting the embedded AWS and the model's endpoint, and deploying the template to them.")
    with running(folder / "home", folder / "stack.json") as stack:
        words.print(f"Up at {stack.endpoint_url}. Dropping the images into s3://{stack.incoming_bucket}")
        started = time.monotonic()
        with progress_bar(words) as progress:
            dropped = drop(stack, read_folder(folder / "images").files, progress)
            settled = settle(stack, dropped, progress, PATIENCE_S)
        seconds = time.monotonic() - started
        show_outcomes(answers, settled)

        week = this_week()
        with engine(stack, folder / "results") as athena:
            for name in QUERIES:
                sql = saved_query(name, from_dt=week.monday, to_dt=week.sunday)
                show_answer(answers, name, athena.query(sql).frame)
            page = report_of(stack, athena, week, week.back()).write(folder)
    words.print(f"The report is in {shown(page)}, the Parquet files are below {shown(folder / 'results')}.")

    summary = {
        "dropped": len(dropped),
        "outcomes": settled.outcomes,
        "missing": len(settled.missing),
        "duplicates": settled.duplicates,
        "seconds": round(seconds, 2),
        "images_per_second": round(len(dropped) / seconds, 2),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def went_well(summary: dict[str, Any]) -> bool:
    """Tell whether every image has exactly one outcome, and none failed."""
    return not (summary["missing"] or summary["duplicates"] or summary["outcomes"][Outcome.FAILED])

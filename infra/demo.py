"""The main job, once through: draw images, drop them, wait for every outcome, ask, report."""

import json
import shutil
import time
from typing import Any

from analytics.questions.queries import saved_query
from infra.cli import tables as show
from infra.cli.terminal import Terminal
from infra.demo_images import write_images
from infra.laptop.local import running
from infra.operations.answers import engine
from infra.operations.drop import drop, files_of, progress_bar, settle
from infra.operations.write_report import report_of, this_week
from infra.stack import state_folder
from workflow.outcome import Outcome

FOLDER = state_folder() / "demo"
IMAGES = 200
SEED = 2026
PATIENCE_S = 180.0
QUERIES = ("class_balance_by_week", "confidence_percentiles", "rejects_by_reason")


def run(console: Terminal, images: int = IMAGES) -> dict[str, Any]:
    """Run the demo in a system of its own, which ends with it; return what `summary.json` says."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    count = write_images(FOLDER / "images", images, SEED)
    console.print(f"Drew {count} images into {FOLDER / 'images'}, some of them broken on purpose.")
    console.print("Starting the embedded AWS and the model's endpoint, and deploying the template to them.")
    with running(FOLDER / "home", FOLDER / "stack.json") as stack:
        console.print(f"Up at {stack.endpoint_url}. Dropping the images into s3://{stack.incoming_bucket}")
        started = time.monotonic()
        with progress_bar(console) as progress:
            dropped = drop(stack, files_of(FOLDER / "images"), progress)
            settled = settle(stack, dropped, progress, PATIENCE_S)
        seconds = time.monotonic() - started
        show.outcomes(console, settled)

        week = this_week()
        with engine(stack, FOLDER / "results") as answers:
            for name in QUERIES:
                sql = saved_query(name, from_dt=week.monday, to_dt=week.sunday)
                show.answer(console, name, answers.query(sql).frame)
            page = report_of(stack, answers, week, week.back()).write(FOLDER)
    console.print(f"The report is in {page}, the Parquet files are below {FOLDER / 'results'}.")

    summary = {
        "dropped": len(dropped),
        "outcomes": settled.outcomes,
        "missing": len(settled.missing),
        "duplicates": settled.duplicates,
        "seconds": round(seconds, 2),
        "images_per_second": round(len(dropped) / seconds, 2),
    }
    (FOLDER / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def went_well(summary: dict[str, Any]) -> bool:
    """Tell whether every image has exactly one outcome, and none failed."""
    return not (summary["missing"] or summary["duplicates"] or summary["outcomes"][Outcome.FAILED])

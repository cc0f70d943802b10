"""Review: what do these images show? One after the other, blind, and straight into the table of labels."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from infra.console import frame
from infra.console.system import System
from model.serving.connections import Refused, read_body

if TYPE_CHECKING:
    from analytics.review.sheet import Kind, Queue, Waiting
    from infra.operations.load_labels import LabelsOneByOne

TITLE, PATH = "Review", "/review"

SAMPLES = (0, 20, 50, 100, 200)
"""Numbers of accepted images that a person may add to those for review."""
_SAID_MAX_BYTES = 10_000
_REMEMBERED = 10_000
"""Most images that can be labelled at a time, of all windows."""
_SCORES = 5
"""Most scores that are shown with the model's answer."""


def routes(system: System) -> Sequence[BaseRoute]:
    """Return the page's routes."""
    review = _Review(system)
    return [
        Route(PATH, review.page),
        Route(f"{PATH}/queue", review.queue),
        Route(f"{PATH}/labels", review.label, methods=["POST"]),
        Route(f"{PATH}/labels/taken-back", review.take_back, methods=["POST"]),
    ]


class _Review:
    def __init__(self, system: System) -> None:
        self._system = system
        self._waiting: dict[str, Waiting] = {}
        """Images that were given out to be labelled, by upload id."""
        self._classes: list[str] = []

    @cached_property
    def _labels(self) -> "LabelsOneByOne":
        from analytics.lake.aws import ResultsBucket  # pyarrow: not before somebody labels
        from infra.operations.load_labels import LabelsOneByOne

        bucket = self._system.stack.results_bucket
        return LabelsOneByOne(ResultsBucket(self._system.client("s3"), bucket))

    async def page(self, request: Request) -> Response:
        """Return the page, which asks for the queue."""
        return frame.page(request, "review.html.j2", samples=SAMPLES)

    async def queue(self, request: Request) -> Response:
        """Return the images to label, in their order: `?sample=20&only=unlike`.

        The model's answers are not among it.
        """
        from analytics.review.sheet import Kind, keys_of

        sample = request.query_params.get("sample", "0")
        if not sample.isdecimal() or int(sample) not in SAMPLES:
            raise Refused(422, "sample", f"sample is one of {', '.join(map(str, SAMPLES))}")
        only = request.query_params.get("only") or None
        if only not in (None, *Kind):
            raise Refused(422, "only", f"only is one of {', '.join(Kind)}")
        queue, classes = await self._system.in_thread(self._asked, int(sample), only and Kind(only))
        if len(self._waiting) > _REMEMBERED:
            self._waiting = {}
        self._waiting |= {each.upload_id: each for each in queue.images}
        self._classes = classes
        return JSONResponse(
            {
                "images": [
                    {"id": each.upload_id, "key": each.key, "version": each.version_id or ""}
                    for each in queue.images
                ],
                "keys": keys_of(classes),
                "waiting": queue.waiting,
                "sampled": queue.sampled,
                "since": queue.since.isoformat(),
            }
        )

    async def label(self, request: Request) -> Response:
        """Write a label, `{"id", "label", "by"}`; return what the model says."""
        said = await _said(request)
        image = self._waiting.get(str(said.get("id")))
        if image is None:
            raise Refused(409, "unknown_image", "This image is not in the queue any more: load it again.")
        await self._system.in_thread(self._give, self._labels, image, said)
        return JSONResponse(_answer(image))

    async def take_back(self, request: Request) -> Response:
        """Take back a label: `{"id", "by"}`."""
        said = await _said(request)
        by = str(said.get("by") or "").strip()
        done = await self._system.in_thread(self._labels.take_back, str(said.get("id")), by)
        if not done:
            raise Refused(409, "no_label", "There is no label of yours to take back: it was given before.")
        return JSONResponse({})

    def _asked(self, sample: int, only: "Kind | None") -> "tuple[Queue, list[str]]":
        """Return the queue, and the classes that an image may have."""
        from analytics.questions.queries import CONSOLE_DAYS
        from analytics.review.sheet import review_queue
        from infra.operations.deployed import deployed_policy

        today = datetime.now(UTC).date()
        with self._system.engine() as engine:
            queue = review_queue(engine, today - timedelta(days=CONSOLE_DAYS), today, sample, only)
        policy = deployed_policy(self._system.client, self._system.stack.name)
        return queue, sorted({*policy.classes, *queue.classes})

    def _give(self, labels: "LabelsOneByOne", image: "Waiting", said: dict[str, Any]) -> None:
        from analytics.lake.schema import partition
        from analytics.review.labels import Classified, UnusableLabels

        line = {
            "upload_id": image.upload_id,
            "label": said.get("label", ""),
            "labelled_by": said.get("by"),
            "source": image.source,
            "draw_probability": image.draw_probability,
        }
        dt = partition({"uploaded_at": image.uploaded_at})
        try:
            labels.give(line, Classified(image.key, dt, self._classes))
        except UnusableLabels as error:
            raise Refused(422, "unusable_label", str(error).removeprefix("line 1: ")) from error


def _answer(image: "Waiting") -> dict[str, Any]:
    """Return what the model says of an image."""
    return {
        "label": image.label,
        "confidence": image.confidence,
        "threshold": image.threshold,
        "scores": dict(list(image.scores.items())[:_SCORES]),
        "is_accepted": image.source == "sample",
    }


async def _said(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request has.

    Raises:
        Refused: it has none.
    """
    try:
        said = json.loads(await read_body(request, _SAID_MAX_BYTES))
    except (ValueError, RecursionError) as error:
        raise Refused(422, "not_json", "the body is not JSON") from error
    if not isinstance(said, dict):
        raise Refused(422, "not_json", "the body is not a JSON object")
    return said

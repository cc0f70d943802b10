"""What happens in the system, as a browser hears of it: server-sent events.

While somebody watches, the queues and the table's new files are looked at every second, on AWS every ten. An
event `images` has what has changed since the one before; its id says where it ends. A browser that comes back
names the last id, and one that names none, or that of a console before a restart, gets everything.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
import logging
import re
import secrets
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from analytics.lake.aws import ResultsBucket
from infra.console.board import MOST_IMAGES, Board
from infra.console.system import System
from infra.operations.listing import listed_of, matches
from infra.operations.tail import POLL_ON_AWS_S, POLL_S, SINCE, Tail
from ingest.upload import Upload
from ingest.waiting import depth

TICK_S = 0.2
"""Between two events: changes in between go together."""
SILENCE_S = 15.0
"""A stream says something at least so often, so that both sides notice when the other one is gone."""
IMAGES_AT_ONCE = 500
"""Most images of one event."""

_logger = logging.getLogger("uvicorn.error")
_CURSOR = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})", re.ASCII)


class Feed:
    """The board of a system, kept up to date while somebody watches."""

    def __init__(self, system: System) -> None:
        self.board = Board()
        self.state: dict[str, Any] = {"queues": None, "fault": None}
        """Depths of the queues, and what went wrong when they were last asked for."""
        self._system = system
        self._run = secrets.token_hex(4)
        """Tells the numbers of this board from those of one before a restart."""
        self._watchers = 0
        self._looking: asyncio.Task[None] | None = None
        results = ResultsBucket(system.client("s3"), system.stack.results_bucket)
        self._tail = Tail(results, system.stack.incoming_bucket)

    async def events(self, cursor: str) -> AsyncGenerator[str, None]:
        """Yield events, from a browser's last id on, until the console ends or the browser is gone."""
        self._watchers += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        change, told, quiet_s = self._change_of(cursor), "", 0.0
        try:
            yield "retry: 1000\n\n"
            while not self._system.is_closing:
                images, change = self.board.since(change, IMAGES_AT_ONCE)
                state = json.dumps(self.state)
                if images:
                    yield f"id: {self._run}-{change}\nevent: images\ndata: {json.dumps(images)}\n\n"
                if state != told:
                    told = state
                    yield f"event: state\ndata: {state}\n\n"
                quiet_s = 0.0 if images else quiet_s + TICK_S
                if quiet_s > SILENCE_S:
                    quiet_s = 0.0
                    yield ": still here\n\n"
                # The rest of a board that does not fit into one event comes at once.
                await asyncio.sleep(0 if len(images) == IMAGES_AT_ONCE else TICK_S)
        finally:
            self._watchers -= 1

    def _change_of(self, cursor: str) -> int:
        found = _CURSOR.fullmatch(cursor)
        return int(found[2]) if found and found[1] == self._run else 0

    async def _look(self) -> None:
        """Look at the system again and again, as long as somebody watches."""
        poll_s = POLL_S if self._system.stack.endpoint_url else POLL_ON_AWS_S
        is_listed = False
        while self._watchers and not self._system.is_closing:
            try:
                if not is_listed:
                    for upload in await self._system.in_thread(self._stored_lately):
                        self.board.uploaded(upload)
                    is_listed = True
                queues, rows = await asyncio.gather(
                    self._system.in_thread(self._depths), self._system.in_thread(self._new_rows)
                )
                self.board.decided(rows)
                self.state = {"queues": queues, "fault": None}
            except (BotoCoreError, ClientError) as error:
                self.state = {**self.state, "fault": str(error)}
            except Exception as error:
                _logger.exception("the system cannot be looked at")
                self.state = {**self.state, "fault": f"{type(error).__name__}: {error}"}
            await asyncio.sleep(poll_s)

    def _stored_lately(self) -> list[Upload]:
        """Return the images that were put into the bucket in the last day, as far as one look finds them."""
        since, stack = datetime.now(UTC) - SINCE, self._system.stack
        versions = islice(listed_of(self._system.client("s3"), stack), MOST_IMAGES)
        images = (
            each for each in versions if each.uploaded_at >= since and matches(each.key, stack.key_pattern)
        )
        return sorted(images, key=lambda each: each.uploaded_at)

    def _new_rows(self) -> list[dict[str, Any]]:
        return self._tail.new_rows(datetime.now(UTC))

    def _depths(self) -> dict[str, int]:
        sqs, stack = self._system.client("sqs"), self._system.stack
        return {
            "results": depth(sqs, stack.results_queue_url),
            "waiting": depth(sqs, stack.waiting_images_url),
            "undelivered": depth(sqs, stack.undelivered_events_url),
            "unrecorded": depth(sqs, stack.unrecorded_outcomes_url),
        }

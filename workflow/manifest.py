"""A manifest: JSON Lines in S3, each line a batch of images, each line one child of the Distributed Map.

    {"events": [an upload as `Upload.to_event` writes it, …]}

The one reader of such an event is `Upload.from_event`, as for EventBridge's own. The batches are made here
and not by Step Functions' ItemBatcher, which knows neither how much there is to read nor how long a key is.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ingest.upload import Upload

BATCH_IMAGES = 100
"""One invocation's worth: some seconds of work, and 300 KB of pixels for the endpoint, which takes 6 MB."""
BATCH_BYTES = 64 * 1024 * 1024
"""Of originals: what a batch holds in memory at once, at most, and reads in about a second."""
LINE_BYTES = 100_000
"""A state's input may have 262,144 bytes, and a key alone 1,024; the rest is for what is added on the way."""
MANIFEST_LINES = 40_000
"""A Map's result is one small number per line, all of them in one state of 262,144 bytes."""


def batches(uploads: Iterable[Upload]) -> Iterator[str]:
    """Yield the manifest's lines, without their ends; an upload beyond a limit makes a batch of its own."""
    events: list[str] = []
    read_bytes = line_bytes = 0
    for upload in uploads:
        event = _json(upload.to_event())
        event_bytes = len(event.encode())
        full = (
            len(events) == BATCH_IMAGES
            or read_bytes + upload.size_bytes > BATCH_BYTES
            or line_bytes + event_bytes > LINE_BYTES
        )
        if events and full:
            yield _line(events)
            events, read_bytes, line_bytes = [], 0, 0
        events.append(event)
        read_bytes += upload.size_bytes
        line_bytes += event_bytes + 1
    if events:
        yield _line(events)


def _line(events: list[str]) -> str:
    return f'{{"events":[{",".join(events)}]}}'


def _json(value: Any) -> str:
    # Escaped, a character of three bytes would take six. But Unicode's line separators must not end the line.
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for separator in "\x85\u2028\u2029":
        text = text.replace(separator, f"\\u{ord(separator):04x}")
    return text

"""A manifest: JSON Lines in S3, each line a batch of images, each line one child of the Distributed Map.

    {"events": [an upload as `Upload.to_event` writes it, …]}

`Upload.from_event` reads such an event, as it reads EventBridge's. The batches are made here and not by Step
Functions' ItemBatcher, which knows neither the size of an object nor the length of a key.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ingest.upload import Upload

BATCH_IMAGES = 100
"""Images of one invocation: some seconds of work, and 300 KB of pixels for the endpoint, which takes 6 MB."""
BATCH_BYTES = 64 * 1024 * 1024
"""Limit of the originals of a batch, which are in memory at once and are read in about a second."""
LINE_BYTES = 100_000
"""Limit of a line. A state's input may have 262,144 bytes; the rest is for what later states add."""
MANIFEST_LINES = 40_000
"""Limit of a manifest: a Map's result is one small number per line, in one state of 262,144 bytes."""


def batches(uploads: Iterable[Upload]) -> Iterator[str]:
    """Yield the manifest's lines without line ends. An upload above a limit is a batch of its own."""
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
    # Unescaped, because escapes double the size. But Unicode's line separators must not end a line.
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for separator in "\x85\u2028\u2029":
        text = text.replace(separator, f"\\u{ord(separator):04x}")
    return text

"""Events, uploads, outcome messages and image files, filled in where a test does not care."""

import io
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from PIL import Image

from ingest.upload import Upload
from workflow.outcome import Outcome

EVENTS = sorted((Path(__file__).parent / "events").glob("*.json"))
"""`Object Created` events as AWS sends them."""

LONGEST_KEY = "van-07/" + "é" * 506 + "x.png"
"""1,024 bytes in UTF-8: S3 takes no longer one."""


def recorded_event(name: str) -> dict[str, Any]:
    path = Path(__file__).parent / "events" / f"{name}.json"
    event: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return event


def an_event(
    key: str = "van-07/bicycle.png",
    version_id: str | None = "v1",
    size_bytes: int = 48_000,
    time: str = "2026-11-16T09:30:00Z",
    bucket: str = "scones-incoming",
) -> dict[str, Any]:
    event = recorded_event("put_object")
    event["time"] = time
    event["detail"]["bucket"]["name"] = bucket
    event["detail"]["object"] |= {"key": key, "size": size_bytes, "version-id": version_id}
    if version_id is None:
        del event["detail"]["object"]["version-id"]
    return event


def an_upload(**changes: Any) -> Upload:
    upload = {
        "bucket": "scones-incoming",
        "key": "van-07/bicycle.png",
        "version_id": "v1",
        "etag": "b1946ac92492d2347c6235b4d2611184",
        "sequencer": "0067378A1B2C3D4E5F",
        "size_bytes": 48_000,
        "uploaded_at": datetime(2026, 11, 16, 9, 30, tzinfo=UTC),
    }
    return Upload(**{**upload, **changes})


def a_message(
    outcome: str = "accepted", event: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """Return an outcome message as the state machine sends it."""
    message = {
        "event": event or an_event(),
        "outcome": outcome,
        "decided_at": "2026-11-16T09:30:00.850Z",
        "execution_arn": "arn:aws:states:us-east-1:111122223333:express:scones-image:one:two",
        "image": {
            "image_format": "png",
            "width_px": 640,
            "height_px": 480,
            "brightness": 118.5,
            "sharpness": 410.25,
            "serialize_ms": 21.5,
        },
        "prediction": {
            "label": "bicycle",
            "confidence": 0.97,
            "threshold": 0.94,
            "probabilities": {"bicycle": 0.97, "motorcycle": 0.03},
            "model_version": "resnet9-2026-11-01",
            "endpoint": "scones",
            "classify_ms": 34.0,
        },
        "error": None,
    }
    if outcome == "rejected":
        rejection = {"errorMessage": "corrupt: PNG: broken data stream", "errorType": "RejectedImage"}
        error = {"Error": "RejectedImage", "Cause": json.dumps(rejection)}
        message |= {"image": None, "prediction": None, "error": error}
    elif outcome in set(Outcome) and not Outcome(outcome).is_classified:
        error = {"Error": "States.Timeout", "Cause": "Task timed out after 6 seconds"}
        message |= {"prediction": None, "error": error}
    return {**message, **changes}


def an_sqs_event(*messages: Any) -> dict[str, Any]:
    """Return what Lambda gets from a queue; a message that is text is sent as it stands."""
    bodies = [message if isinstance(message, str) else json.dumps(message) for message in messages]
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1763285400850",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1763285400851",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:scones-results",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


class FakeContext(LambdaContext):
    """Of Lambda: what Powertools reads of it."""

    _function_name = "under-test"
    _memory_limit_in_mb = 256
    _invoked_function_arn = "arn:aws:lambda:us-east-1:111122223333:function:under-test"
    _aws_request_id = "52fdfc07-2182-154f-163f-5f0f9a621d72"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 39_000


def image_net_names(count: int) -> list[str]:
    """Return distinct class names as ImageNet has them, most with commas."""
    return [
        f"tabby {number}, tabby cat, Felis catus {number}" if number % 4 else f"tench {number}"
        for number in range(count)
    ]


def a_picture(width_px: int = 40, height_px: int = 20) -> Image.Image:
    """Return a picture that looks different whichever way it is turned: a corner of each colour."""
    picture = Image.new("RGB", (width_px, height_px), "gray")
    for colour, x, y in (("red", 0, 0), ("lime", 1, 0), ("blue", 0, 1)):
        corner = (x * width_px // 2, y * height_px // 2)
        picture.paste(colour, (*corner, corner[0] + width_px // 2, corner[1] + height_px // 2))
    return picture


def noise(width_px: int, height_px: int, mode: str = "RGB") -> Image.Image:
    """Return the picture that compresses worst."""
    values = random.Random(1).randbytes(width_px * height_px * len(Image.new(mode, (1, 1)).getbands()))
    return Image.frombytes(mode, (width_px, height_px), values)


def encoded(picture: Image.Image, format_: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def png_bytes(picture: Image.Image | None = None, **options: Any) -> bytes:
    return encoded(picture or a_picture(), "PNG", **options)


def jpeg_bytes(picture: Image.Image | None = None, **options: Any) -> bytes:
    return encoded(picture or a_picture(), "JPEG", **{"quality": 95, "subsampling": 0, **options})

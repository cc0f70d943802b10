"""CPU time of Serialize and Classify for a model of 32 × 32 pixels, by their handlers and without a network.

`python -m tests.bench.cpu_of_an_image [WIDTHxHEIGHT] >/dev/null`: of the original, 32x32 if left out. Logs go
to the standard output.
"""

import io
import os
import sys
import time
from typing import Any

import click
import numpy as np
from PIL import Image

from ingest import serialize
from ingest.model_input import PIXELS_TYPE
from ingest.upload import Upload
from tests.builders import FakeContext, an_event
from workflow import classify
from workflow.aws import Endpoint

IMAGES = 500
ENVIRONMENT = {
    "ImageSizePx": "32",
    "EndpointContentType": PIXELS_TYPE,
    "AWS_DEFAULT_REGION": "us-east-1",
    "WAITING_IMAGES_URL": "",
}


class Answering:
    """Stands for the bucket and for SageMaker's runtime: both answer at once."""

    def __init__(self, width_px: int, height_px: int) -> None:
        coarse = np.random.default_rng(0).integers(0, 255, (height_px // 8, width_px // 8, 3), np.uint8)
        original = io.BytesIO()
        Image.fromarray(coarse).resize((width_px, height_px)).save(original, "JPEG")
        self._original = original.getvalue()

    def read(self, upload: Upload) -> bytes:
        return self._original

    def invoke_endpoint(self, **_: Any) -> dict[str, Any]:
        body = io.BytesIO(b"[0.1, 0.2, 0.3, 0.2, 0.2]")
        return {"Body": body, "CustomAttributes": "model_version=m"}


def measured(answering: Answering) -> tuple[float, float]:
    """Return mean milliseconds of CPU in Serialize and in Classify."""
    endpoint = Endpoint(answering, "e")
    serialize.incoming_bucket = lambda: answering  # type: ignore[assignment]
    classify.endpoint = lambda: endpoint  # type: ignore[assignment]
    request = {"event": an_event("a.jpg"), "execution_arn": "x"}
    spent = [0.0, 0.0]
    for number in range(-IMAGES // 10, IMAGES):
        began = time.process_time()
        payload = serialize.lambda_handler(request, FakeContext())
        between = time.process_time()
        classify.lambda_handler({**payload, "execution_arn": "x"}, FakeContext())
        if number >= 0:
            spent[0] += between - began
            spent[1] += time.process_time() - between
    return spent[0] * 1000 / IMAGES, spent[1] * 1000 / IMAGES


def main() -> None:
    width_px, height_px = map(int, (sys.argv[1:] or ["32x32"])[0].split("x"))
    os.environ |= ENVIRONMENT
    in_serialize, in_classify = measured(Answering(width_px, height_px))
    click.echo(f"Serialize {in_serialize:.2f} ms, Classify {in_classify:.2f} ms", err=True)


if __name__ == "__main__":
    main()

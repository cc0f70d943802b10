"""Client of an endpoint with SageMaker's contract: raw image bytes in, a JSON list of probabilities out."""

import http
import http.client
import io
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ingest.errors import SconesError
from model.data.dataset import Dataset

_TIMEOUT_S = 60
CONTENT_TYPE = "image/png"

Classify = Callable[[bytes], list[float]]
"""The bytes of one image → one probability for each class."""


class EndpointError(SconesError):
    """An endpoint that cannot be reached or answers wrongly, in one sentence."""


@contextmanager
def over_http(url: str) -> Iterator[Classify]:
    """Give a function that asks the endpoint at `url` over one connection.

    Raises:
        EndpointError: it is not an HTTP URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EndpointError(f"{url} is not an http or https URL")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = parts.path.rstrip("/") + "/invocations"

    def classify(image: bytes) -> list[float]:
        try:
            connection.request("POST", path, image, {"Content-Type": CONTENT_TYPE})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise EndpointError(f"no answer from {url} ({error or type(error).__name__})") from error
        if response.status != http.HTTPStatus.OK:
            raise EndpointError(f"{url} answered {response.status}: {body[:200].decode(errors='replace')}")
        return scores(body)

    with closing(kind(parts.hostname, parts.port, timeout=_TIMEOUT_S)) as connection:
        yield classify


def scores(body: bytes) -> list[float]:
    """Return the probabilities in an endpoint's answer.

    Raises:
        EndpointError: it is not a JSON list of numbers.
    """
    try:
        return [float(value) for value in list(json.loads(body))]
    except (ValueError, TypeError) as error:
        raise EndpointError(f"the endpoint's answer is not a list of numbers: {body[:200]!r}") from error


def ask(classify: Classify, data: Dataset, progress: Callable[[int, int], None]) -> NDArray[np.float64]:
    """Return probabilities `(n, k)`, sending each image as a PNG as the workflow does.

    Raises:
        EndpointError: the endpoint fails, or answers with another number of classes than the card's.
    """
    rows = []
    for done, pixels in enumerate(data.pixels, start=1):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        row = classify(buffer.getvalue())
        if len(row) != len(data.classes):
            raise EndpointError(f"the endpoint knows {len(row)} classes, the card {len(data.classes)}")
        rows.append(row)
        progress(done, len(data.pixels))
    return np.array(rows)

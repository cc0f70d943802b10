"""HTTP in place of SageMaker's API: an endpoint that is asked at `URL/invocations`."""

import http
import http.client
import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

from ingest.errors import SconesError

_TIMEOUT_S = 60
_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class EndpointError(SconesError):
    """An endpoint that cannot be reached or answers wrongly, in one sentence."""


class Runtime:
    """`invoke_endpoint` of boto3's client of SageMaker's runtime, over one connection to a container."""

    def __init__(self, url: str, connection: http.client.HTTPConnection) -> None:
        self._url = url
        self._connection = connection
        self._path = urlsplit(url).path.rstrip("/") + "/invocations"

    def invoke_endpoint(self, *, Body: bytes, ContentType: str, Accept: str, **_: str) -> dict[str, Any]:
        """Return the answer to one request, as SageMaker passes it on.

        Raises:
            EndpointError: there is none, or its status is not 200.
        """
        try:
            headers = {"Content-Type": ContentType, "Accept": Accept}
            self._connection.request("POST", self._path, Body, headers)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
            raise EndpointError(f"no answer from {self._url} ({why})") from error
        if response.status != http.HTTPStatus.OK:
            said = body[:200].decode(errors="replace")
            raise EndpointError(f"{self._url} answered {response.status}: {said}")
        return {"Body": io.BytesIO(body), "CustomAttributes": response.getheader(_ATTRIBUTES, "")}


@contextmanager
def over_http(url: str) -> Iterator[Runtime]:
    """Give what asks the endpoint at `url`.

    Raises:
        EndpointError: it is not an HTTP URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EndpointError(f"{url} is not an http or https URL")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(kind(parts.hostname, parts.port, timeout=_TIMEOUT_S)) as connection:
        yield Runtime(url, connection)

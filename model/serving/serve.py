"""The endpoint: SageMaker's container contract over HTTP, on AWS and on a laptop alike.

    python -m model.serving.serve serve                      in a SageMaker container
    python -m model.serving.serve FOLDER PORT [READY_FILE]   elsewhere

FOLDER holds the model. PORT 0 stands for any free port. READY_FILE gets the URL once the model is warm.
In a container, SM_MODEL_DIR (/opt/ml/model) and SAGEMAKER_BIND_TO_PORT (8080) name folder and port.

    GET  /ping                          200 when the model is warm, before that 503
    POST /invocations                   one image or a batch of them → JSON
    POST /endpoints/NAME/invocations    the same as boto3's `sagemaker-runtime` client calls it

An image travels as its bytes (`image/png`, `image/jpeg` or `application/x-image`) and is answered with a
list of k probabilities, in the order of the card's classes: what the built-in algorithm speaks. One or many
travel as NumPy's own file format (`application/x-npy`): uint8, (n, height, width, 3), already prepared by
`ingest.image.prepare_for`; they are answered with a list of n such lists. Each answer names the model's
version in the header `X-Amzn-SageMaker-Custom-Attributes`. Errors are JSON: `{"reason", "detail"}`.

A request whose `Accept` names `application/vnd.scones.scores+json` gets `{"probabilities", "unfamiliarity"}`
in place of each list, if the model tells the unfamiliarity. The answer's Content-Type says which of the two
it is.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

import asyncio
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingest.errors import RejectedImage
from ingest.model_input import PIXELS_TYPE, SCORES_TYPE
from model.files import PROBABILITIES, UNFAMILIARITY, UnusableModel
from model.serving.connections import BoundedProtocol, Refused, listen, read_body
from model.serving.inference import Model, NotPixels, read_npy
from model.serving.loopback import LoopbackOnly

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "application/x-image"})
MAX_BODY_BYTES = 6_291_456
"""Source: BodyBlob in botocore's service model of `sagemaker-runtime`."""
MAX_IN_FLIGHT = 128
"""Requests held at once; further ones are refused with 503 instead of waiting in memory."""
VERSION_HEADER = "X-Amzn-SageMaker-Custom-Attributes"
_NOT_ACCEPTED = re.compile(r"q\s*=\s*0(\.0*)?")
"""The weight by which an `Accept` header excludes a media type. Source: RFC 9110, section 12.4.2."""
_USAGE = "usage: python -m model.serving.serve serve | FOLDER PORT [READY_FILE]\n"
_GRACE_S = 25
"""SageMaker kills a container 30 s after SIGTERM."""
_KEEP_ALIVE_S = 75

logger = logging.getLogger("uvicorn.error")


def custom_attributes(model_version: str) -> str:
    """Return what `VERSION_HEADER`, which boto3 calls `CustomAttributes`, says of a model's version."""
    return f"model_version={model_version}"


def answer(
    model: Model, content_type: str, body: bytes, with_unfamiliarity: bool
) -> list[Any] | dict[str, Any]:
    """Return one image's probabilities, or a list of those of each image of an array.

    With unfamiliarity, each list of probabilities is the entry of an object that has both.

    Raises:
        Refused: the body is not what its content type says.
        RejectedImage: the image is at fault.
    """
    is_array = content_type == PIXELS_TYPE
    try:
        pixels = read_npy(body, model.form) if is_array else model.pixels_of(body)
    except NotPixels as error:
        raise Refused(400, error.reason, str(error)) from error
    answers: list[Any]
    if with_unfamiliarity:
        answers = [{PROBABILITIES: row, UNFAMILIARITY: value} for row, value in model.answers(pixels)]
    else:
        answers = model.probabilities(pixels)
    return answers if is_array else answers[0]


def accepts_scores(accept: str) -> bool:
    """Return whether an `Accept` header names the media type with the unfamiliarity."""
    ranges = (part.split(";") for part in accept.lower().split(","))
    return any(
        name.strip() == SCORES_TYPE and not any(_NOT_ACCEPTED.fullmatch(one.strip()) for one in parameters)
        for name, *parameters in ranges
    )


class Service:
    """Answers requests in a bounded number of threads, and with 503 until the model is warm."""

    def __init__(self, load: Callable[[], Model], workers: int) -> None:
        self._load = load
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="model")
        self._model: Model | None = None
        self._in_flight = 0

    async def warm_up(self) -> None:
        """Load the model in a thread, while `/ping` is answered."""
        self._model = await asyncio.get_running_loop().run_in_executor(self._pool, self._load)

    async def ping(self, request: Request) -> Response:
        """Say whether the model is warm."""
        return Response(status_code=200 if self._model else 503)

    async def invocations(self, request: Request) -> Response:
        """Answer one request for probabilities."""
        self._in_flight += 1
        try:
            return await self._invocations(request)
        except Refused as refused:
            return JSONResponse({"reason": refused.reason, "detail": refused.detail}, refused.status)
        except RejectedImage as rejected:
            return JSONResponse({"reason": rejected.reason, "detail": rejected.detail}, 400)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            logger.exception("the model failed")
            return JSONResponse({"reason": "model_failed", "detail": "see the endpoint's log"}, 500)
        finally:
            self._in_flight -= 1

    async def runtime_invocations(self, request: Request) -> Response:
        """Answer like SageMaker's runtime, which wraps an error of the container."""
        response = await self.invocations(request)
        response.headers["x-Amzn-Invoked-Production-Variant"] = "AllTraffic"
        if response.status_code < 400:
            return response
        said = bytes(response.body).decode()
        wrapped = {
            "Message": f"Received error ({response.status_code}) from the model with message {said}",
            "OriginalStatusCode": response.status_code,
            "OriginalMessage": said,
        }
        return JSONResponse(wrapped, 424, headers={"x-amzn-ErrorType": "ModelError"})

    async def _invocations(self, request: Request) -> Response:
        if self._model is None:
            raise Refused(503, "not_ready", "the model is still loading")
        if self._in_flight > MAX_IN_FLIGHT:
            raise Refused(503, "busy", f"{MAX_IN_FLIGHT} requests are waiting already")
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in IMAGE_TYPES | {PIXELS_TYPE}:
            accepted = ", ".join(sorted(IMAGE_TYPES | {PIXELS_TYPE}))
            raise Refused(415, "unsupported_content_type", f"{content_type!r}; send one of {accepted}")
        body = await read_body(request, MAX_BODY_BYTES)
        loop = asyncio.get_running_loop()
        both = self._model.tells_unfamiliarity and accepts_scores(request.headers.get("accept", ""))
        scores = await loop.run_in_executor(self._pool, answer, self._model, content_type, body, both)
        version = {VERSION_HEADER: custom_attributes(self._model.version)}
        return JSONResponse(scores, headers=version, media_type=SCORES_TYPE if both else None)


def create_app(
    load: Callable[[], Model],
    *,
    workers: int,
    started: Callable[[Exception | None], None],
    prefix: str = "",
) -> Starlette:
    """Return the ASGI application.

    Args:
        load: loads the model.
        workers: threads that run it.
        started: called once, when the model is warm or cannot be loaded.
        prefix: of the paths that ask the model; a secret one lets in only those who know it.
    """
    service = Service(load, workers)

    async def warm_up() -> None:
        try:
            await service.warm_up()
        except UnusableModel as error:
            started(error)
        else:
            started(None)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(warm_up())
            yield

    routes = [
        Route("/ping", service.ping),
        Route(f"{prefix}/invocations", service.invocations, methods=["POST"]),
        Route(f"{prefix}/endpoints/{{name}}/invocations", service.runtime_invocations, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def serve(
    sock: socket.socket, load: Callable[[], Model], *, workers: int, ready_file: Path | None, prefix: str
) -> int:
    """Serve a model on a bound socket until SIGTERM or SIGINT; return an exit status."""
    url = "http://{}:{}".format(*sock.getsockname()[:2])
    failures: list[Exception] = []

    def started(error: Exception | None) -> None:
        if error:
            failures.append(error)
            logger.error("%s", error)
            server.should_exit = True
            return
        logger.info("ready on %s", url)
        if ready_file:
            # Atomically, so that a reader never sees half of it.
            partial = ready_file.with_name(ready_file.name + ".partial")
            partial.write_text(url, encoding="utf-8")
            partial.replace(ready_file)

    app = create_app(load, workers=workers, started=started, prefix=prefix)
    is_on_loopback = ip_address(sock.getsockname()[0]).is_loopback
    config = uvicorn.Config(
        LoopbackOnly(app) if is_on_loopback else app,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[sock])
    return 1 if failures else 0


def main(arguments: list[str], prefix: str = "") -> int:
    """Run the endpoint until SIGTERM or SIGINT; return an exit status.

    `prefix` is what `create_app` takes: the laptop's endpoint has one.
    """
    match arguments:
        case ["serve"]:
            host, port = "0.0.0.0", os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")  # noqa: S104
            folder, ready_file = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model")), None
        case [given, port, *rest] if port.isdecimal() and len(rest) <= 1:
            host, folder = "127.0.0.1", Path(given)
            ready_file = Path(rest[0]) if rest else None
        case _:
            sys.stderr.write(_USAGE)
            return 2
    # uvicorn finishes the requests in flight and then raises the signal again: this makes it a clean exit.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with listen(host, int(port)) as sock:
        return serve(
            sock,
            lambda: Model.load(folder, threads=1),
            workers=os.cpu_count() or 1,
            ready_file=ready_file,
            prefix=prefix,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

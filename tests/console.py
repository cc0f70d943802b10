"""A console without a network: its application, on a made-up system, as its owner's browser sees it."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from infra.console.app import create_app
from infra.console.system import ENGINES, System
from infra.stack import Stack

TOKEN = "a token that nobody guesses"  # noqa: S105
ORIGIN = "http://127.0.0.1:20000"

A_STACK = Stack(
    region="us-east-1",
    account_id="000000000000",
    incoming_bucket="incoming",
    results_bucket="results",
    query_results_bucket="answers",
    state_machine_arn="arn",
    backfill_state_machine_arn="arn",
    results_queue_url="results",
    waiting_images_url="waiting",
    unrecorded_outcomes_url="unrecorded",
    undelivered_events_url="undelivered",
    database="scones",
    table="predictions",
    workgroup="scones",
    notifications_topic_arn="arn",
    endpoint_url="http://127.0.0.1:1",
)


class MadeUp(System):
    """A system whose clients are given, by the names of their services, and whose engine is too."""

    def __init__(self, folder: Path, clients: dict[str, Any], engine: Any = None, stack: Stack = A_STACK):
        super().__init__(stack, folder)
        self._clients |= clients
        if engine:
            self._engines |= dict.fromkeys(ENGINES, engine)


class Client:
    """A browser: it keeps cookies, and shows redirections as they are."""

    def __init__(self, system: System) -> None:
        transport = httpx.ASGITransport(create_app(system, TOKEN))
        self._client = httpx.AsyncClient(transport=transport, base_url=ORIGIN)
        self._loop = asyncio.Runner()
        self.headers = self._client.headers

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._loop.run(self._client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def close(self) -> None:
        self._loop.run(self._client.aclose())
        self._loop.close()


@contextmanager
def a_stranger(system: System) -> Iterator[Client]:
    """Have a browser that was not given the address."""
    with closing(Client(system)) as client:
        yield client


@contextmanager
def a_client(system: System) -> Iterator[Client]:
    """Have the owner's browser, which has opened the address, and says where its requests come from."""
    with a_stranger(system) as client:
        client.get("/", params={"token": TOKEN})
        client.headers["origin"] = ORIGIN
        yield client

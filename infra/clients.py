"""boto3 clients of the embedded AWS, made without the user's environment and files."""

import re
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.configprovider import (
    BOTOCORE_DEFAUT_SESSION_VARIABLES,
    ConfigValueStore,
    ConstantProvider,
)
from botocore.session import Session
from botocore.utils import parse_timestamp

_CLIENTS = 64
"""How many clients are kept."""
_ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")


@lru_cache(_CLIENTS)
def client(
    service: str,
    region: str,
    endpoint_url: str,
    access_key_id: str,
    secret_access_key: str,
    ca_bundle: str | None = None,
    timeout_s: float | None = None,
) -> Any:
    """Return a boto3 client of the embedded AWS, or of the model's endpoint: always the same one.

    Making one takes as long as uploading ten small images, and all threads may use it.

    With a `timeout_s`, a request that takes longer fails, and is not tried again.
    """
    patience: dict[str, Any] = {}
    if timeout_s is not None:
        patience = {
            "connect_timeout": timeout_s,
            "read_timeout": timeout_s,
            "retries": {"total_max_attempts": 1},
        }
    return _session(access_key_id, secret_access_key).client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        # Not None, which stands for what the environment says. Without TLS there is nothing to verify.
        verify=ca_bundle or False,
        config=Config(proxies={}, **patience),
    )


def time_of(said: Any) -> datetime:
    """Return a time of a response as botocore does, in a fraction of the time where it is ISO 8601."""
    if isinstance(said, str) and _ISO_8601.fullmatch(said):
        return datetime.fromisoformat(said)
    parsed: datetime = parse_timestamp(said)
    return parsed


@cache
def _session(access_key_id: str, secret_access_key: str) -> boto3.Session:
    return boto3.Session(access_key_id, secret_access_key, botocore_session=_Isolated())


class _Isolated(Session):  # type: ignore[misc]
    """A session of which each setting is botocore's default."""

    def _register_response_parser_factory(self) -> None:
        super()._register_response_parser_factory()
        self.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=time_of)

    def _register_config_store(self) -> None:
        settings = {name: default for name, (_, _, default, _) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()}
        settings |= {"s3": None, "proxies_config": None}
        store = ConfigValueStore({name: ConstantProvider(value) for name, value in settings.items()})
        self.register_component("config_store", store)

    @property
    def full_config(self) -> dict[str, Any]:
        """What the user's configuration files hold: nothing."""
        return {"profiles": {}}

"""Prices of AWS: one dated file, which users can replace."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ingest.errors import SconesError

PRICES_FILE = Path(__file__).with_name("prices.toml")

ITEMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "eventbridge_event": ("EventBridge", "events"),
        "states_express_request": ("Step Functions", "executions"),
        "states_express_gb_s": ("Step Functions", "GB-s"),
        "states_standard_transition": ("Step Functions", "transitions"),
        "lambda_request": ("Lambda", "invocations"),
        "lambda_arm_gb_s": ("Lambda", "GB-s"),
        "lambda_x86_gb_s": ("Lambda", "GB-s on x86"),
        "s3_get": ("S3", "GET"),
        "s3_put": ("S3", "PUT and LIST"),
        "s3_gb_month": ("S3 storage", "GB-months"),
        "sqs_request": ("SQS", "requests"),
        "logs_gb": ("CloudWatch Logs", "GB"),
        "alarm_month": ("Alarms, metrics, key", "months of alarms"),
        "metric_month": ("Alarms, metrics, key", "of metrics"),
        "dashboard_month": ("Alarms, metrics, key", "of a dashboard"),
        "kms_key_month": ("Alarms, metrics, key", "of a key"),
        "athena_tb": ("Athena", "TB"),
        "endpoint_data_gb": ("Endpoint, data", "GB"),
        "endpoint_serverless_gb_s": ("Endpoint, serverless", "GB-s"),
    }
)
"""Priced item → the service that bills it, and the unit of its quantity."""


class BadPrices(SconesError):
    """The file of prices cannot be used, and why."""


@dataclass(frozen=True)
class Prices:
    """List prices in US dollars."""

    as_of: date
    region: str
    source: str
    usd: Mapping[str, float]
    """By item: see `ITEMS`."""
    usd_per_hosting_hour: Mapping[str, float]
    """By type of instance."""
    usd_per_training_hour: Mapping[str, float]

    def of(self, usage: Mapping[str, float]) -> float:
        """Return the cost of quantities, by item."""
        return math.fsum(self.usd[item] * quantity for item, quantity in usage.items())


@cache
def read_prices(path: Path = PRICES_FILE) -> Prices:
    """Read a file of prices.

    Raises:
        BadPrices: it cannot be read, lacks a price, or has one that nothing uses.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadPrices(f"{path} cannot be read as prices: {error}") from error
    as_of, usd = said.get("as_of"), said.get("usd")
    if type(as_of) is not date:
        raise BadPrices(f"{path}: as_of must be the date of the prices, like as_of = 2026-11-23")
    if not isinstance(usd, dict) or usd.keys() != ITEMS.keys():
        wrong = ", ".join(sorted(set(usd if isinstance(usd, dict) else ()) ^ set(ITEMS)))
        raise BadPrices(f"{path}: [usd] must have each price of {PRICES_FILE} and no other; see to {wrong}")
    return Prices(
        as_of=as_of,
        region=str(said.get("region", "?")),
        source=str(said.get("source", "?")),
        usd=_numbers(path, said, "usd"),
        usd_per_hosting_hour=_numbers(path, said, "usd_per_hosting_hour"),
        usd_per_training_hour=_numbers(path, said, "usd_per_training_hour"),
    )


def _numbers(path: Path, said: Mapping[str, Any], table: str) -> Mapping[str, float]:
    prices = said.get(table, {})
    if not isinstance(prices, dict):
        raise BadPrices(f"{path}: {table} must be a table of prices")
    for name, price in prices.items():
        if type(price) not in (int, float) or not 0 <= price < math.inf:
            raise BadPrices(f"{path}: {table}.{name} must be a price in US dollars, not {price!r}")
    return {str(name): float(price) for name, price in prices.items()}

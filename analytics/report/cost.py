"""Cost of a week's images on AWS, estimated from list prices and measured durations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

_MB_PER_GB = 1024


@dataclass(frozen=True)
class Prices:
    """List prices in US dollars, without free tiers and discounts."""

    as_of: date
    region: str
    eventbridge_event: float
    express_request: float
    express_gb_s: float
    lambda_request: float
    lambda_arm_gb_s: float
    s3_get: float
    s3_put: float
    sqs_request: float
    logs_gb: float
    athena_tb: float
    endpoint_instance: str
    endpoint_hour: float


PRICES = Prices(
    as_of=date(2026, 11, 23),
    region="us-east-1",
    eventbridge_event=1.00e-6,
    express_request=1.00e-6,
    express_gb_s=1.667e-5,
    lambda_request=0.20e-6,
    lambda_arm_gb_s=1.33334e-5,
    s3_get=0.40e-6,
    s3_put=5.00e-6,
    sqs_request=0.40e-6,
    logs_gb=0.50,
    athena_tb=5.00,
    endpoint_instance="ml.m5.large",
    endpoint_hour=0.115,
)
"""List prices. Sources: the services' pricing pages, us-east-1, first tier."""

MEMORY_MB = {"Serialize": 1024, "Classify": 256, "Decide": 256}
"""The template's `MemorySize` of each function that an image passes; a test holds the two together."""
_DECIDE_MS = 5.0
_BETWEEN_STEPS_MS = 100.0
_EXPRESS_GB = 64 / _MB_PER_GB  # billed in steps of 64 MB and 100 ms
_LOG_BYTES_PER_LAMBDA = 1_000
_MESSAGES_PER_SQS_REQUEST = 10
RECORD_GB_S = 0.5
"""Most GB-seconds of the Record Lambda per file."""
_HOURS_A_WEEK = 168
_FILES_A_WEEK = _HOURS_A_WEEK * 60
"""Record gathers outcomes for a minute and writes them as one file."""
ATHENA_LEAST_BYTES = 10_000_000
"""Minimum bytes billed per query. Source: https://aws.amazon.com/athena/pricing/"""


def query_usd(scanned_bytes: int) -> float:
    """Return the list price of a query on Athena."""
    return max(scanned_bytes, ATHENA_LEAST_BYTES) / 1e12 * PRICES.athena_tb


@dataclass(frozen=True)
class CostLine:
    """Cost of one service."""

    service: str
    usd: float
    what: str


@dataclass(frozen=True)
class WeeklyCost:
    """Cost of the week's images, and of the endpoint."""

    images: int
    """Images classified by events."""
    lines: list[CostLine]
    usd: float
    """The sum of the lines."""
    usd_per_million_images: float | None
    """Without Athena, whose cost does not grow with the images."""
    endpoint_usd: float
    """One instance all week; a laptop has none."""
    prices_as_of: date
    region: str
    endpoint_instance: str


def weekly_cost(
    images: int,
    serialize_mean_ms: float,
    classify_mean_ms: float,
    scanned_bytes: Sequence[int],
    prices: Prices = PRICES,
) -> WeeklyCost:
    """Estimate what `images` cost by events, and a report whose queries scanned so many bytes each."""
    billed_ms = {"Serialize": serialize_mean_ms, "Classify": classify_mean_ms, "Decide": _DECIDE_MS}
    gb_s = sum(MEMORY_MB[name] / _MB_PER_GB * ms for name, ms in billed_ms.items()) / 1000
    steps_ms = serialize_mean_ms + classify_mean_ms + _DECIDE_MS + _BETWEEN_STEPS_MS
    express_s = math.ceil(steps_ms / 100) / 10
    express = prices.express_request + express_s * _EXPRESS_GB * prices.express_gb_s
    sqs_requests = 1 + 2 / _MESSAGES_PER_SQS_REQUEST  # one sent; received and deleted ten at a time
    files = min(images, _FILES_A_WEEK)
    logs_gb = (3 * images + files) * _LOG_BYTES_PER_LAMBDA / 1e9
    billed_bytes = sum(max(scanned, ATHENA_LEAST_BYTES) for scanned in scanned_bytes)
    by_image = [
        CostLine("EventBridge", images * prices.eventbridge_event, "one event per image"),
        CostLine("Step Functions Express", images * express, f"one execution of {express_s:.1f} s at 64 MB"),
        CostLine(
            "Lambda",
            images * (3 * prices.lambda_request + gb_s * prices.lambda_arm_gb_s)
            + files * (prices.lambda_request + RECORD_GB_S * prices.lambda_arm_gb_s),
            f"three invocations, {gb_s:.3f} GB-s; one per file, half a GB-s",
        ),
        CostLine("CloudWatch Logs", logs_gb * prices.logs_gb, "about 1 KB per invocation"),
        CostLine("SQS", images * sqs_requests * prices.sqs_request, "one message, batched by ten"),
        CostLine(
            "S3",
            images * prices.s3_get + files * prices.s3_put,
            "one GET per image, one PUT per file: at most one a minute",
        ),
    ]
    athena = CostLine(
        "Athena", billed_bytes / 1e12 * prices.athena_tb, "what this report scanned, 10 MB per query at least"
    )
    of_images = math.fsum(line.usd for line in by_image)
    return WeeklyCost(
        images=images,
        lines=[*by_image, athena],
        usd=of_images + athena.usd,
        usd_per_million_images=of_images / images * 1e6 if images else None,
        endpoint_usd=_HOURS_A_WEEK * prices.endpoint_hour,
        prices_as_of=prices.as_of,
        region=prices.region,
        endpoint_instance=prices.endpoint_instance,
    )

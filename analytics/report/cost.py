"""Cost of images on AWS: what each way uses, as a test counts it in a run, times list prices.

A way is how images come to their outcomes: by events, by a backfill, with the model in the Lambda. One more
is for comparison: the design that Scones began with. A usage is a quantity of each priced item.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType

from analytics.report.prices import ITEMS, Prices, read_prices
from analytics.text import significant

Usage = Mapping[str, float]
"""Priced item (see `ITEMS`) → quantity."""

_MB_PER_GB = 1024
_DAYS_A_MONTH = 365 / 12
_MINUTES_A_DAY = 24 * 60

MEMORY_MB: Mapping[str, int] = MappingProxyType(
    {"Serialize": 1024, "Classify": 256, "Decide": 256, "ClassifyBatch": 1769, "Challenger": 1769}
)
"""The template's `MemorySize` of each function that an image passes; a test holds the two together."""

LOG_BYTES: Mapping[str, int] = MappingProxyType(
    {
        **{"Serialize": 920, "Classify": 350, "Decide": 720},
        **{"ClassifyBatch": 2_430, "Record": 590, "Challenger": 1_040},
    }
)
"""Bytes per invocation in CloudWatch Logs, with the lines of the platform and 26 bytes of overhead a line.
ClassifyBatch has the metrics of 100 images. The traced run holds them."""

_SECONDS_A_STEP_OF_EXPRESS = 0.1
_EXPRESS_GB = 64 / _MB_PER_GB  # billed in steps of 64 MB
_MESSAGES_PER_SQS_REQUEST = 10
RECORD_GB_S = 0.5
"""GB-seconds of Record for a file of 1,000 rows."""
_RECORD_GB_S_OF_A_ROW_ALONE = 0.1
IMAGES_PER_BATCH = 100
"""Images on a line of a backfill's manifest."""
MESSAGES_PER_BATCH = 3
"""Messages with the outcomes of a batch: up to 60 kB in each."""
ROWS_PER_FILE = 1_000
"""Outcomes that Record takes at once, and images that the challenger does."""
_CHALLENGER_WAITS_MINUTES = 5
"""Longest time for which the challenger's queue waits for more images."""
STATES_OF_THE_SEED = 4
"""Transitions of an execution with three tasks: AWS's examples count its start, too."""
SEED_STATE_MAX_BYTES = 195_000
"""Largest original that fits, in base64, into the 262,144 bytes of a state."""
_SEED_GB_S = 0.07
"""Three Lambdas of 512 MB that take 50, 80 and 10 ms."""
_SEED_LOG_BYTES = 3 * 400

ALARMS, METRICS, DASHBOARDS, KMS_KEYS = 24, 11, 1, 1
CHALLENGER_ALARMS, CHALLENGER_METRICS = 1, 2
"""What the template and the Lambdas' metrics have; tests hold the counts."""
_IDLE_POLLS_A_DAY = 5 * 24 * 3600 / 20
"""A queue's event source polls with five requests of 20 s each, also when nothing comes."""
_COMPACT_GB_S_A_DAY = 20.0

ATHENA_LEAST_BYTES = 10_000_000
"""Minimum bytes billed per query. Source: https://aws.amazon.com/athena/pricing/"""


@dataclass(frozen=True)
class Serverless:
    """A serverless endpoint: billed while it answers."""

    memory_mb: int = 1024

    def __str__(self) -> str:
        """Return what it is, for people."""
        return f"serverless, {self.memory_mb / _MB_PER_GB:g} GB"


@dataclass(frozen=True)
class Instances:
    """A real-time endpoint: billed as long as it exists."""

    instance_type: str
    count: float = 1

    def __str__(self) -> str:
        """Return what it is, for people."""
        return f"{self.count:g} × {self.instance_type}"


@dataclass(frozen=True)
class InLambda:
    """No endpoint: Classify has the model itself."""

    def __str__(self) -> str:
        """Return what it is, for people."""
        return "the model in the Lambda"


Endpoint = Serverless | Instances | InLambda
"""Where the model answers."""


@dataclass(frozen=True)
class Load:
    """Images, and how long the steps take. The durations are assumptions where they were not measured."""

    images: int = 1_000_000
    size_bytes: int = 100_000
    """Mean size of an image file."""
    days: float = 30.0
    """Time in which the images come."""
    serialize_ms: float | None = None
    """None: 57 ms, and 30 ms for each MB of the file."""
    classify_ms: float = 60.0
    """Duration of Classify, which waits for the endpoint."""
    decide_ms: float = 5.0
    between_steps_ms: float = 100.0
    """What Step Functions adds to an execution."""
    endpoint_ms: float = 20.0
    """Time for which a serverless endpoint is billed, for an image alone."""
    batch_ms: float = 15.0
    """Time of ClassifyBatch for each image of a batch."""
    batch_endpoint_ms: float = 5.0
    """Time of a serverless endpoint for each image of a batch."""
    model_bytes: int = 12_500
    """Bytes to and from the endpoint for an image: at most its pixels, 64 × 64 × 3, and the scores."""
    model_memory_mb: int = 1024
    """Memory of Classify where it has the model itself."""
    model_ms: float = 8.0
    """Duration of Classify where it has the model itself."""

    @property
    def serialize_mean_ms(self) -> float:
        """Mean duration of Serialize."""
        return 57 + 30 * self.size_bytes / 1e6 if self.serialize_ms is None else self.serialize_ms


def by_events(load: Load) -> Usage:
    """Return what images use that come by events, without the endpoint's own time."""
    data = {"endpoint_data_gb": load.images * load.model_bytes / 1e9}
    return _sum(_by_events(load, MEMORY_MB["Classify"], load.classify_ms), data)


def with_model_in_lambda(load: Load) -> Usage:
    """Return what images use that come by events, where Classify has the model itself."""
    return _by_events(load, load.model_memory_mb, load.model_ms)


def _by_events(load: Load, classify_mb: int, classify_ms: float) -> Usage:
    gb_ms = (
        MEMORY_MB["Serialize"] * load.serialize_mean_ms
        + classify_mb * classify_ms
        + MEMORY_MB["Decide"] * load.decide_ms
    ) / _MB_PER_GB
    steps_s = (load.serialize_mean_ms + classify_ms + load.decide_ms + load.between_steps_ms) / 1000
    billed_s = math.ceil(steps_s / _SECONDS_A_STEP_OF_EXPRESS) * _SECONDS_A_STEP_OF_EXPRESS
    logs = LOG_BYTES["Serialize"] + LOG_BYTES["Classify"] + LOG_BYTES["Decide"]
    minutes = math.ceil(load.days * _MINUTES_A_DAY)
    files = max(math.ceil(load.images / ROWS_PER_FILE), min(load.images, minutes))
    used = {
        "eventbridge_event": 1,
        "states_express_request": 1,
        "states_express_gb_s": billed_s * _EXPRESS_GB,
        "lambda_request": 3,
        "lambda_arm_gb_s": gb_ms / 1000,
        "s3_get": 1,
        "sqs_request": 1 + _received(1),
        "logs_gb": logs / 1e9,
    }
    return _sum(_times(load.images, used), _recorded(load.images, files))


def by_backfill(load: Load) -> Usage:
    """Return what images use that a backfill classifies, without the endpoint's own time."""
    batches = math.ceil(load.images / IMAGES_PER_BATCH)
    batch_s = IMAGES_PER_BATCH * _s_in_a_batch(load)
    of_a_batch = {
        "states_standard_transition": 1,  # the parent starts a child
        "states_express_request": 1,
        "states_express_gb_s": (batch_s + load.between_steps_ms / 1000) * _EXPRESS_GB,
        "lambda_request": 1,
        "lambda_arm_gb_s": batch_s * MEMORY_MB["ClassifyBatch"] / _MB_PER_GB,
        "sqs_request": MESSAGES_PER_BATCH + _received(MESSAGES_PER_BATCH),
        "logs_gb": LOG_BYTES["ClassifyBatch"] / 1e9,
    }
    of_an_image = {"s3_get": 1, "endpoint_data_gb": load.model_bytes / 1e9}
    listed_and_manifest = {"s3_put": math.ceil(load.images / 1_000) + 1, "s3_get": 1}
    files = math.ceil(load.images / ROWS_PER_FILE)
    of_all = _times(batches, of_a_batch), _times(load.images, of_an_image)
    return _sum(*of_all, listed_and_manifest, _recorded(load.images, files))


def by_challenger(load: Load) -> Usage:
    """Return what a challenger uses for images that it sees too, without its endpoint's own time."""
    messages = math.ceil(load.images / IMAGES_PER_BATCH)
    waits = math.ceil(load.days * _MINUTES_A_DAY / _CHALLENGER_WAITS_MINUTES)
    files = max(math.ceil(load.images / ROWS_PER_FILE), min(load.images, waits))
    of_an_image = {
        "lambda_arm_gb_s": _s_in_a_batch(load) * MEMORY_MB["Challenger"] / _MB_PER_GB,
        "s3_get": 1,
        "endpoint_data_gb": load.model_bytes / 1e9,
    }
    of_a_file = {"lambda_request": 1, "s3_put": 1, "logs_gb": LOG_BYTES["Challenger"] / 1e9}
    # A message fills a request, to send and to receive it.
    return _sum(
        _times(load.images, of_an_image),
        _times(files, of_a_file),
        {"sqs_request": messages * (2 + 1 / _MESSAGES_PER_SQS_REQUEST)},
    )


def by_the_seed(load: Load) -> Usage:
    """Return what images use in the design that Scones began with, without the endpoint's own time.

    A Standard workflow carries the original in base64 through three Lambdas, and nothing is recorded.
    """
    used = {
        "eventbridge_event": 1,
        "states_standard_transition": STATES_OF_THE_SEED,
        "lambda_request": 3,
        "lambda_x86_gb_s": _SEED_GB_S,
        "s3_get": 1,
        "logs_gb": _SEED_LOG_BYTES / 1e9,
        "endpoint_data_gb": load.size_bytes / 1e9,
    }
    return _times(load.images, used)


def at_rest(days: float) -> Usage:
    """Return what a stack uses in some days without an image.

    CloudWatch counts a metric only in hours in which it gets a value: this has them in every hour.
    """
    months = days / _DAYS_A_MONTH
    monitoring = {
        "alarm_month": ALARMS * months,
        "metric_month": METRICS * months,
        "dashboard_month": DASHBOARDS * months,
        "kms_key_month": KMS_KEYS * months,
    }
    return _sum(monitoring, at_rest_without_monitoring(days))


def at_rest_without_monitoring(days: float) -> Usage:
    """Return the same of a stack with `Monitoring=None`."""
    return {
        "sqs_request": 2 * _IDLE_POLLS_A_DAY * days,
        "lambda_request": days,
        "lambda_arm_gb_s": _COMPACT_GB_S_A_DAY * days,
    }


def challenger_at_rest(days: float) -> Usage:
    """Return what a challenger adds to a stack in some days without an image."""
    months = days / _DAYS_A_MONTH
    return {
        "alarm_month": CHALLENGER_ALARMS * months,
        "metric_month": CHALLENGER_METRICS * months,
        "sqs_request": _IDLE_POLLS_A_DAY * days,
    }


def queries(scanned_bytes: Iterable[int]) -> Usage:
    """Return what queries use that scanned so many bytes each."""
    return {"athena_tb": sum(max(scanned, ATHENA_LEAST_BYTES) for scanned in scanned_bytes) / 1e12}


def _recorded(images: int, files: int) -> Usage:
    used = {
        "lambda_request": 1,
        "lambda_arm_gb_s": _RECORD_GB_S_OF_A_ROW_ALONE,
        "s3_put": 1,
        "logs_gb": LOG_BYTES["Record"] / 1e9,
    }
    rows = {"lambda_arm_gb_s": (RECORD_GB_S - _RECORD_GB_S_OF_A_ROW_ALONE) / ROWS_PER_FILE}
    return _sum(_times(files, used), _times(images, rows))


def _s_in_a_batch(load: Load) -> float:
    """Return the seconds of a Lambda for each image of a batch, which grow with the file as Serialize's."""
    by_size = replace(load, serialize_ms=None)
    longer = by_size.serialize_mean_ms / replace(by_size, size_bytes=100_000).serialize_mean_ms
    return load.batch_ms * longer / 1000


def _received(messages: int) -> float:
    """Return requests of SQS to receive and to delete messages."""
    return 2 * messages / _MESSAGES_PER_SQS_REQUEST


def _times(number: int, used: Usage) -> Usage:
    return {item: number * quantity for item, quantity in used.items()}


def _sum(*usages: Usage) -> Usage:
    items = dict.fromkeys(item for used in usages for item in used)
    return {item: math.fsum(used.get(item, 0.0) for used in usages) for item in items}


@dataclass(frozen=True)
class CostLine:
    """Cost of one service, and the quantities that it bills."""

    service: str
    usd: float
    what: str


def lines_of(usage: Usage, prices: Prices) -> list[CostLine]:
    """Return a line for each service."""
    by_service: dict[str, list[str]] = {}
    for item in ITEMS:
        if usage.get(item):
            by_service.setdefault(ITEMS[item][0], []).append(item)
    return [
        CostLine(
            service,
            prices.of({item: usage[item] for item in items}),
            ", ".join(f"{_quantity(usage[item])} {ITEMS[item][1]}" for item in items),
        )
        for service, items in by_service.items()
    ]


def _quantity(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else significant(number)


def endpoint_line(
    endpoint: Endpoint | None, images: int, ms_per_image: float, days: float, prices: Prices
) -> CostLine | None:
    """Return the cost of an endpoint's time; None where there is none, or its price is not known."""
    match endpoint:
        case Serverless(memory_mb):
            gb_s = images * ms_per_image / 1000 * memory_mb / _MB_PER_GB
            usd = prices.of({"endpoint_serverless_gb_s": gb_s})
            return CostLine(f"Endpoint, {endpoint}", usd, f"{_quantity(gb_s)} GB-s")
        case Instances(instance_type, count) if instance_type in prices.usd_per_hosting_hour:
            hours = 24 * days * count
            usd = hours * prices.usd_per_hosting_hour[instance_type]
            return CostLine(f"Endpoint, {endpoint}", usd, f"{_quantity(hours)} hours")
    return None


@dataclass(frozen=True)
class WayCost:
    """Cost of a load in one way."""

    name: str
    lines: list[CostLine]
    endpoint: CostLine | None
    """None where none is needed, or its price is not known."""
    usage: Usage
    refused: str = ""
    """Why AWS would refuse it."""

    @property
    def without_endpoint_usd(self) -> float:
        """Cost without the time of the endpoint."""
        return math.fsum(line.usd for line in self.lines)

    @property
    def usd(self) -> float:
        """The whole cost."""
        return self.without_endpoint_usd + (self.endpoint.usd if self.endpoint else 0.0)


@dataclass(frozen=True)
class Costs:
    """Cost of a load in every way, and its inputs."""

    load: Load
    endpoint: Endpoint
    ways: list[WayCost]
    challenger: WayCost
    """A challenger that sees the same images, with what it costs at rest."""
    challenger_at_rest: list[CostLine]
    at_rest: list[CostLine]
    """Of the same days, whatever comes."""
    at_rest_without_monitoring: list[CostLine]
    """Of these, what stays with `Monitoring=None`."""
    storage: CostLine
    """Images that are kept for a month."""
    prices: Prices


_WAYS: tuple[tuple[str, Callable[[Load], Usage], Callable[[Load], float] | None], ...] = (
    ("events", by_events, lambda load: load.endpoint_ms),
    ("backfill", by_backfill, lambda load: load.batch_endpoint_ms),
    ("events, model in the Lambda", with_model_in_lambda, None),
    ("seed's design", by_the_seed, lambda load: load.endpoint_ms),
)
"""Name, usage, and milliseconds of the endpoint for an image."""


def costs(load: Load, endpoint: Endpoint, prices: Prices) -> Costs:
    """Return the cost of a load in every way."""

    def its_time(ms_per_image: float) -> CostLine | None:
        return endpoint_line(endpoint, load.images, ms_per_image, load.days, prices)

    ways = []
    for name, usage_of, endpoint_ms in _WAYS:
        usage = usage_of(load)
        line = its_time(endpoint_ms(load)) if endpoint_ms else None
        too_large = usage_of is by_the_seed and load.size_bytes > SEED_STATE_MAX_BYTES
        refused = (
            f"originals above {SEED_STATE_MAX_BYTES:,} bytes do not fit into a state" if too_large else ""
        )
        ways.append(WayCost(name, lines_of(usage, prices), line, usage, refused))
    rest = challenger_at_rest(load.days)
    seen = _sum(by_challenger(load), rest)
    (storage,) = lines_of({"s3_gb_month": load.images * load.size_bytes / 1e9}, prices)
    return Costs(
        load=load,
        endpoint=endpoint,
        ways=ways,
        challenger=WayCost("challenger", lines_of(seen, prices), its_time(load.batch_endpoint_ms), seen),
        challenger_at_rest=lines_of(rest, prices),
        at_rest=lines_of(at_rest(load.days), prices),
        at_rest_without_monitoring=lines_of(at_rest_without_monitoring(load.days), prices),
        storage=storage,
        prices=prices,
    )


def query_usd(scanned_bytes: int) -> float:
    """Return the list price of a query on Athena."""
    return read_prices().of(queries([scanned_bytes]))


@dataclass(frozen=True)
class WeeklyCost:
    """Cost of the week: images, the endpoint, the report's queries, and what a stack costs at rest."""

    images: int
    """Images classified by events."""
    usd: float
    """The sum of the lines, the endpoint's included."""
    lines: list[CostLine]
    endpoint: str | None
    """Where the model answers, for people; None if that or its price is not known."""
    usd_per_million_images: float | None
    """What grows with the images: without queries, endpoints and what a stack costs at rest."""
    challenger_images: int
    """Images that a challenger saw, too. The time of its endpoint is not among the lines."""
    prices_as_of: date
    region: str


def weekly_cost(
    load: Load,
    scanned_bytes: Sequence[int],
    endpoint: Endpoint | None,
    prices: Prices,
    challenger_images: int = 0,
) -> WeeklyCost:
    """Estimate what a week costs: its images by events, and the queries of a report.

    Args:
        load: the week's images, with durations as they were measured.
        scanned_bytes: what each query scanned.
        endpoint: the one that exists; None where it is not known.
        prices: of which day and region.
        challenger_images: how many of the images a challenger saw, too.
    """
    load = replace(load, days=7.0, model_ms=load.classify_ms)
    has_model = isinstance(endpoint, InLambda)
    of_images = with_model_in_lambda(load) if has_model else by_events(load)
    rest = at_rest(load.days)
    if challenger_images:
        of_images = _sum(of_images, by_challenger(replace(load, images=challenger_images)))
        rest = _sum(rest, challenger_at_rest(load.days))
    line = endpoint_line(endpoint, load.images, load.endpoint_ms, load.days, prices)
    total = _sum(of_images, rest, queries(scanned_bytes))
    lines = [*lines_of(total, prices), *([line] if line else [])]
    return WeeklyCost(
        images=load.images,
        usd=math.fsum(each.usd for each in lines),
        lines=lines,
        endpoint=str(endpoint) if line or has_model else None,
        usd_per_million_images=prices.of(of_images) / load.images * 1e6 if load.images else None,
        challenger_images=challenger_images,
        prices_as_of=prices.as_of,
        region=prices.region,
    )

"""Simulates images on their way through Lambda, Step Functions and SQS to an endpoint of bounded speed.

The state machine, the timeouts, the queue, the breaker and Serialize's look at the queue are the real ones:
`workflow/image.asl.json`, `infra/template.yaml`, `workflow.breaker` and `ingest.waiting`. What AWS does is
modelled:

- Lambda: an account's concurrency, reserved concurrency, cold starts. A refused invocation costs nothing.
- Express: a bucket of StartExecution; billed by request, and by duration in steps of 100 ms at 64 MB.
- SQS and its event source: batches with a window, a maximum concurrency, a visibility timeout.
- The endpoint: one queue, a fixed time per image. It goes on working on requests that were given up, which is
  the worst case. While it is down, a connection attempt takes until its timeout.

Not modelled: Lambda's scaling rate (1,000 containers in 10 s per function, more than is needed here), and
Record, which keeps up with thousands of outcomes per second.
"""

import contextlib
import heapq
import json
import math
import random
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analytics.report.cost import LOG_BYTES, MEMORY_MB, RECORD_GB_S, ROWS_PER_FILE
from analytics.report.prices import read_prices
from infra.installation import PROJECT
from ingest.errors import OthersWait
from ingest.waiting import WaitingQueue
from tests.simulate.suite import Check
from tests.template import resources_of_type, template
from workflow.aws import BATCH_TIMEOUT_S
from workflow.batch import BUSY_PAUSE_S, THREADS
from workflow.breaker import Breaker
from workflow.waiting import first_pauses_s

Process = Generator[float, None, Any]
"""Yields the seconds that it sleeps."""

CONNECT_TIMEOUT_S = 1.0
USD = read_prices().usd
_THROTTLED_S = 1.0
"""Pause of an event source whose invocation was refused."""
_BUSY_LOG_BYTES = 950
"""Of a batch of waiting images that finds no capacity: START, END, REPORT, a line, and a metric."""
_MB_PER_GB = 1024
_PER_REQUEST = 10
"""Messages that one request of SQS carries at most."""


@dataclass(frozen=True)
class Limits:
    """Quotas and durations. Sources: https://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html"""

    concurrency: int = 1_000
    """Concurrent Lambda invocations of the account and region; 10 on some new accounts."""
    serialize_concurrency: int = 0
    """The parameter `SerializeConcurrency`; 0 for none."""
    executions_per_s: float = 6_000
    """StartExecution of Express machines, us-east-1. EventBridge retries what is refused, for a day."""
    classify_overhead_s: float = 0.01
    decide_s: float = 0.005
    between_steps_s: float = 0.025
    cold_start_s: float = 0.6
    decode_gb_s: float = 0.06
    """Of one image, in any Lambda below one core: CPU grows with memory."""


@dataclass
class Endpoint:
    """An endpoint that answers `images_per_s`, and nothing while it is down."""

    images_per_s: float
    down: tuple[float, float] = (math.inf, math.inf)
    """From and until when it is down."""
    takes_batches: bool = False
    requests: int = 0
    free_at_s: float = 0.0
    kind: str = "real-time"
    """The parameter `EndpointKind`."""

    def ask(self, now_s: float, timeout_s: float, images: int = 1) -> tuple[float, bool]:
        """Return how long a request takes, and whether it is answered."""
        self.requests += 1
        if self.down[0] <= now_s < self.down[1]:
            return CONNECT_TIMEOUT_S, False
        self.free_at_s = max(self.free_at_s, now_s) + images / self.images_per_s
        wait_s = self.free_at_s - now_s
        return (wait_s, True) if wait_s <= timeout_s else (timeout_s, False)


@dataclass
class ServerlessEndpoint(Endpoint):
    """A serverless endpoint: refuses what is beyond its concurrency, and starts workers as needed."""

    kind: str = "serverless"
    concurrency: int = 5
    answer_s: float = 0.06
    start_s: float = 8.0
    """Time of a worker's start. Users report seconds up to some tens."""
    idle_s: float = 300.0
    """Time after which an idle worker ends. AWS does not say how long."""
    workers_free_at_s: list[float] = field(default_factory=list)

    def ask(self, now_s: float, timeout_s: float, images: int = 1) -> tuple[float, bool]:
        """Return how long a request takes, and whether it is answered."""
        self.requests += 1
        self.workers_free_at_s = [free for free in self.workers_free_at_s if free > now_s - self.idle_s]
        idle = [free for free in self.workers_free_at_s if free <= now_s]
        if not idle and len(self.workers_free_at_s) == self.concurrency:
            return 0.02, False
        if idle:
            self.workers_free_at_s.remove(max(idle))
        took_s = self.answer_s + (0.0 if idle else self.start_s)
        self.workers_free_at_s.append(now_s + took_s)
        return (took_s, True) if took_s <= timeout_s else (timeout_s, False)


@dataclass
class Result:
    """What became of the images."""

    images: int
    outcomes: Counter[str]
    latencies_s: list[float]
    requests: int
    usd: float
    last_decided_s: float
    most_waiting: int

    @property
    def requests_per_image(self) -> float:
        """Requests to the endpoint per image."""
        return self.requests / self.images

    @property
    def usd_per_million(self) -> float:
        """Cost of a million such images without the endpoint."""
        return self.usd / self.images * 1e6


def machine() -> dict[str, Any]:
    """Return the state machine of one image."""
    found: dict[str, Any] = json.loads((PROJECT / "workflow/image.asl.json").read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class Container:
    """What a Lambda's container remembers."""

    breaker: Breaker
    queue: WaitingQueue


@dataclass
class System:
    """The system between the bucket and the table."""

    endpoint: Endpoint
    limits: Limits = field(default_factory=Limits)
    definition: Mapping[str, Any] = field(default_factory=machine)
    seed: int = 1

    def __post_init__(self) -> None:
        parameters = template()["Parameters"]
        queue = resources_of_type("AWS::Serverless::Function")["ClassifyWaitingFunction"]["Events"]
        source = queue["Images"]["Properties"]
        self.waiting_mb = resources_of_type("AWS::Serverless::Function")["ClassifyWaitingFunction"][
            "MemorySize"
        ]
        self.batch_size: int = source["BatchSize"]
        self.window_s: float = source["MaximumBatchingWindowInSeconds"]
        self.visibility_s: float = parameters["WaitingSeconds"]["Default"]
        self.consumers = parameters["WaitingConcurrency"]["Default"]
        kinds = template()["Mappings"]["EndpointKinds"]
        self.timeout_s = float(kinds[self.endpoint.kind]["TimeoutSeconds"])
        self.now_s = 0.0
        self.random = random.Random(self.seed)
        self.usd = 0.0
        self.running: Counter[str] = Counter()
        self.idle: dict[str, list[Container]] = {
            "Serialize": [],
            "Classify": [],
            "Decide": [],
            "Waiting": [],
        }
        self.visible: deque[tuple[float, int]] = deque()
        """Images that wait and can be taken: when each was uploaded, and how often it was received."""
        self.hidden = 0
        self.consuming = 0
        self.done: list[tuple[float, str]] = []
        self.outcomes: Counter[str] = Counter()
        self.latencies_s: list[float] = []
        self.last_decided_s = 0.0
        self.most_waiting = 0
        self._heap: list[tuple[float, int, Process]] = []
        self._count = 0

    def run(self, uploaded_at_s: Sequence[float]) -> Result:
        """Let images arrive, and run until each has its outcome."""
        started_s = -math.inf
        for at_s in sorted(uploaded_at_s):
            started_s = max(at_s, started_s + 1 / self.limits.executions_per_s)
            self._start(self._execution(at_s), started_s)
        while self._heap:
            self.now_s, _, process = heapq.heappop(self._heap)
            self._go_on(process)
        return Result(
            images=len(uploaded_at_s),
            outcomes=self.outcomes,
            latencies_s=self.latencies_s,
            requests=self.endpoint.requests,
            usd=self.usd,
            last_decided_s=self.last_decided_s,
            most_waiting=self.most_waiting,
        )

    # ── processes ──

    def _start(self, process: Process, at_s: float) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at_s, self._count, process))

    def _go_on(self, process: Process) -> None:
        with contextlib.suppress(StopIteration):
            self._start(process, self.now_s + next(process))

    # ── one image ──

    def _execution(self, uploaded_s: float) -> Process:
        began_s = self.now_s
        self.usd += USD["eventbridge_event"] + USD["states_express_request"]
        steps = {"Serialize": self._read_and_decode, "Classify": self._ask, "Decide": self._decide}
        name, outcome = "Serialize", "decided"
        while name in steps:
            name, failed = yield from self._task(name, steps[name])
            outcome = "failed" if failed else outcome
        self.usd += USD["sqs_request"]
        duration_s = math.ceil((self.now_s - began_s + 4 * self.limits.between_steps_s) * 10) / 10
        self.usd += duration_s * 64 / _MB_PER_GB * USD["states_express_gb_s"]
        if name == "LetWait":
            self._wait(uploaded_s, 0)
        else:
            self.usd += 2 / _PER_REQUEST * USD["sqs_request"]  # Record receives and deletes it
            self._decided(uploaded_s, outcome)

    def _task(
        self, name: str, step: Callable[[Container], Process]
    ) -> Generator[float, None, tuple[str, bool]]:
        """Run a task with its retries; return the next state, and whether the image failed."""
        state = self.definition["States"][name]
        attempts: Counter[int] = Counter()
        while True:
            error = yield from self._lambda(name, step)
            if error is None:
                return state["Next"], False
            number, retrier = next(
                (number, retrier)
                for number, retrier in enumerate(state["Retry"])
                if {error, "States.ALL"} & {*retrier["ErrorEquals"]}
            )
            if attempts[number] < retrier.get("MaxAttempts", 3):
                delay_s = (
                    retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2) ** attempts[number]
                )
                attempts[number] += 1
                yield self.random.uniform(0, min(delay_s, retrier.get("MaxDelaySeconds", math.inf)))
                continue
            for catcher in state["Catch"]:
                if {error, "States.ALL"} & {*catcher["ErrorEquals"]}:
                    return catcher["Next"], catcher["Next"] == "Record"

    def _read_and_decode(self, container: Container) -> Process:
        try:
            container.queue.check()
        except OthersWait as others:
            yield 0.002
            return type(others).__name__
        self.usd += USD["s3_get"]
        yield self.limits.decode_gb_s / MEMORY_MB["Serialize"] * _MB_PER_GB
        return None

    def _ask(self, container: Container) -> Process:
        yield self.limits.classify_overhead_s
        if container.breaker.left_s:
            return "EndpointBusy"
        took_s, answered = self.endpoint.ask(self.now_s, self.timeout_s)
        yield took_s
        container.breaker.answered() if answered else container.breaker.was_busy()
        return None if answered else "EndpointBusy"

    def _decide(self, container: Container) -> Process:
        yield self.limits.decide_s

    def _lambda(self, name: str, step: Callable[[Container], Process]) -> Process:
        limit = self.limits.serialize_concurrency if name == "Serialize" else 0
        if self.running.total() >= self.limits.concurrency or (limit and self.running[name] >= limit):
            return "Lambda.TooManyRequestsException"
        self.running[name] += 1
        container = self.idle[name].pop() if self.idle[name] else None
        if container is None:
            yield self.limits.cold_start_s
            container = self._new_container()
        began_s = self.now_s
        error = yield from step(container)
        self.idle[name].append(container)
        self.running[name] -= 1
        # An error's traceback takes the place of the line of a success.
        self._bill(MEMORY_MB[name], self.now_s - began_s, LOG_BYTES[name])
        return error

    def _new_container(self) -> Container:
        return Container(Breaker(lambda: self.now_s), WaitingQueue(self._count_waiting, lambda: self.now_s))

    def _count_waiting(self) -> int:
        self.usd += USD["sqs_request"]
        return len(self.visible) + self.hidden

    def _bill(self, memory_mb: float, duration_s: float, log_bytes: int) -> None:
        self.usd += USD["lambda_request"] + memory_mb / _MB_PER_GB * duration_s * USD["lambda_arm_gb_s"]
        self.usd += log_bytes / 1e9 * USD["logs_gb"]

    # ── images that wait ──

    def _wait(self, uploaded_s: float, receives: int) -> None:
        self.visible.append((uploaded_s, receives))
        self.most_waiting = max(self.most_waiting, len(self.visible) + self.hidden)
        if self.consuming < self.consumers:
            self.consuming += 1
            self._start(self._consumer(), self.now_s + self.window_s)

    def _later(self, uploaded_s: float, receives: int, delay_s: float) -> Process:
        self.hidden += 1
        yield delay_s
        self.hidden -= 1
        self._wait(uploaded_s, receives)

    def _consumer(self) -> Process:
        while self.visible:
            batch = [self.visible.popleft() for _ in range(min(self.batch_size, len(self.visible)))]
            self.hidden += len(batch)
            requests = math.ceil(len(batch) / _PER_REQUEST)
            self.usd += requests * USD["sqs_request"]
            busy = yield from self._classify_waiting(len(batch))
            self.hidden -= len(batch)
            decided, waiting = batch[: len(batch) - busy], batch[len(batch) - busy :]
            pauses_s = iter(first_pauses_s(sum(receives == 0 for _, receives in waiting)))
            for uploaded_s, _ in decided:
                self.usd += USD["sqs_request"] / _PER_REQUEST
                self._decided(uploaded_s, "decided")
            for uploaded_s, receives in waiting:
                delay_s = next(pauses_s) if receives == 0 else self.visibility_s
                self.usd += USD["sqs_request"] / _PER_REQUEST if receives == 0 else 0
                self._start(self._later(uploaded_s, receives + 1, delay_s), self.now_s)
            if len(self.visible) < self.batch_size:
                yield self.window_s
        self.consuming -= 1
        yield from ()

    def _classify_waiting(self, images: int) -> Generator[float, None, int]:
        """Return how many images of a batch the endpoint had no capacity for."""
        container = self.idle["Waiting"].pop() if self.idle["Waiting"] else self._new_container()
        breaker = container.breaker
        while self.running.total() >= self.limits.concurrency:
            yield _THROTTLED_S  # the event source keeps the batch, and invokes again
        self.running["Waiting"] += 1
        began_s, busy = self.now_s, images
        yield 0.005
        if not breaker.left_s:
            self.usd += images * USD["s3_get"]
            work_s = images * self.limits.decode_gb_s / self.waiting_mb * _MB_PER_GB
            yield work_s * self.random.uniform(0.5, 1.5)  # pictures differ in size
            busy = yield from self._ask_about(images, breaker)
            self.usd += USD["sqs_request"] if busy < images else 0  # outcomes, up to 60 KB in a message
        self.idle["Waiting"].append(container)
        self.running["Waiting"] -= 1
        # Where images are decided, it logs what ClassifyBatch logs: both measure the same of a batch.
        log_bytes = LOG_BYTES["ClassifyBatch"] if busy < images else _BUSY_LOG_BYTES
        self._bill(self.waiting_mb, self.now_s - began_s, log_bytes)
        return busy

    def _ask_about(self, images: int, breaker: Breaker) -> Generator[float, None, int]:
        asked = [images] if self.endpoint.takes_batches else [1] * images
        while asked:
            at_once, asked = asked[:THREADS], asked[THREADS:]
            answers = [self.endpoint.ask(self.now_s, BATCH_TIMEOUT_S, size) for size in at_once]
            yield max(took_s for took_s, _ in answers)
            asked += [size for size, (_, ok) in zip(at_once, answers, strict=True) if not ok]
            if not all(answered for _, answered in answers):
                breaker.was_busy()
                busy = sum(asked)
                return busy if busy == images else (yield from self._ask_one_by_one(busy, breaker))
            breaker.answered()
        return 0

    def _ask_one_by_one(self, images: int, breaker: Breaker) -> Generator[float, None, int]:
        """Ask again about single images that were too many at once; stop at the first that still is."""
        yield BUSY_PAUSE_S
        for number in range(images):
            took_s, answered = self.endpoint.ask(self.now_s, BATCH_TIMEOUT_S)
            yield took_s
            if not answered:
                breaker.was_busy()
                return images - number
            breaker.answered()
        return 0

    def _decided(self, uploaded_s: float, outcome: str) -> None:
        self.outcomes[outcome] += 1
        self.latencies_s.append(self.now_s - uploaded_s)
        self.last_decided_s = self.now_s
        # Its share of a file of Record, which has about 1,000 rows when images come fast.
        file_usd = USD["s3_put"] + USD["lambda_request"] + RECORD_GB_S * USD["lambda_arm_gb_s"]
        file_usd += LOG_BYTES["Record"] / 1e9 * USD["logs_gb"]
        self.usd += file_usd / ROWS_PER_FILE


def before(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the machine as it was without a queue: it waits in the execution, and then the image fails."""
    states = {name: dict(state) for name, state in definition["States"].items()}
    busy = {"IntervalSeconds": 1, "BackoffRate": 2, "MaxDelaySeconds": 8}
    attempts = {
        "Serialize": {"Lambda.TooManyRequestsException": 17},
        "Classify": {"EndpointBusy": 4, "Lambda.TooManyRequestsException": 5},
        "Decide": {"Lambda.TooManyRequestsException": 5},
    }
    for name, of_error in attempts.items():
        retriers = [{**busy, "ErrorEquals": [error], "MaxAttempts": most} for error, most in of_error.items()]
        states[name]["Retry"] = [*retriers, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]
        states[name]["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "Record"}]
    return {**definition, "States": states}


def steady(per_s: int, seconds: int) -> list[float]:
    """Return when images are uploaded that come evenly."""
    return [number / per_s for number in range(per_s * seconds)]


def at_random(per_s: float, seconds: int, seed: int) -> list[float]:
    """Return when images are uploaded that come independently of each other."""
    rng, uploads = random.Random(seed), list[float]()
    at_s = rng.expovariate(per_s)
    while at_s < seconds:
        uploads.append(at_s)
        at_s += rng.expovariate(per_s)
    return uploads


def suite(seed: int, runs: int) -> list[Check]:
    """Return what bursts, outages and the busiest seconds of large days do; `runs` is not used.

    Where nothing else is said, the endpoint answers 50 images a second.
    """
    at_once, hour = [0.0] * 20_000, steady(10, 3_600)
    down, normal = "10 a second for an hour, down for 30 minutes", "10 a second for an hour"

    def run(uploads: Sequence[float], endpoint: Endpoint | None = None, **options: Any) -> Result:
        return System(endpoint or Endpoint(50.0), seed=seed, **options).run(uploads)

    cases = {
        "20,000 at once": (run(at_once), 500),
        "20,000 at once, SerializeConcurrency=4": (run(at_once, limits=Limits(serialize_concurrency=4)), 500),
        "20,000 at once, in batches": (run(at_once, Endpoint(50.0, takes_batches=True)), 500),
        "20,000 at once, account of 10 Lambdas": (run(at_once, limits=Limits(concurrency=10)), 500),
        normal: (run(hour), 3_610),
        down: (run(hour, Endpoint(50.0, down=(600.0, 2_400.0))), 3_700),
        "60 a second for 20 minutes": (run(steady(60, 1_200)), 1_600),
        "200 in an hour, serverless endpoint": (
            run(at_random(200 / 3_600, 3_600, seed), ServerlessEndpoint(math.inf)),
            3_620,
        ),
        "6 a second for an hour, serverless endpoint": (
            run(at_random(6, 3_600, seed), ServerlessEndpoint(math.inf)),
            3_950,
        ),
        "56 a second for 20 minutes, SerializeConcurrency=6, endpoint of 60": (
            run(steady(56, 1_200), Endpoint(60.0), limits=Limits(serialize_concurrency=6)),
            1_202,
        ),
        "560 a second for 2 minutes, endpoint of 600": (run(steady(560, 120), Endpoint(600.0)), 122),
        "5,600 a second for 20 s, account of 3,000 Lambdas, endpoint of 6,000": (
            run(steady(5_600, 20), Endpoint(6_000.0), limits=Limits(concurrency=3_000)),
            90,
        ),
    }
    checks = [
        check
        for what, (result, seconds) in cases.items()
        for check in (
            Check(f"{what}: failed", result.outcomes["failed"], most=0),
            Check(f"{what}: seconds until all are decided", result.last_decided_s, most=seconds),
            Check(f"{what}: requests an image", result.requests_per_image, most=1.2),
            Check(f"{what}: $ a million", result.usd_per_million, most=6.5),
        )
    ]
    dearer = cases[down][0].usd / cases[normal][0].usd
    failed = run(at_once, definition=before(machine())).outcomes["failed"]
    return [
        *checks,
        Check(f"{down}: cost, as a multiple of that without the outage", dearer, most=1.05),
        Check("20,000 at once, without the queue: failed", failed, least=10_000, most=20_000),
    ]

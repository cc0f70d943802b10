"""Bursts and outages of the endpoint, by the model of AWS's limits in `tests/simulate`."""

import math

import pytest

from tests.simulate.bursts import Endpoint, Limits, ServerlessEndpoint, System, before, machine, steady

BURST = [0.0] * 20_000
IMAGES_PER_S = 50.0
NEEDED_S = len(BURST) / IMAGES_PER_S
QUARTER_OF_AN_HOUR = [float(second) for second in range(900)]


def test_a_burst_ends_without_a_failure_in_about_the_time_that_the_endpoint_needs() -> None:
    result = System(Endpoint(IMAGES_PER_S)).run(BURST)
    assert result.outcomes == {"decided": len(BURST)}
    assert NEEDED_S <= result.last_decided_s <= 1.15 * NEEDED_S
    assert result.requests_per_image <= 1.2
    assert result.usd_per_million <= 6.5


def test_without_a_queue_the_burst_would_fail() -> None:
    """The model shows what the queue is for."""
    result = System(Endpoint(IMAGES_PER_S), definition=before(machine())).run(BURST[:5_000])
    assert result.outcomes["failed"] > 2_500


@pytest.mark.parametrize(
    ("endpoint", "limits"),
    [
        (Endpoint(IMAGES_PER_S, takes_batches=True), Limits()),
        (Endpoint(IMAGES_PER_S), Limits(concurrency=10)),
        (Endpoint(IMAGES_PER_S), Limits(serialize_concurrency=4)),
        (Endpoint(5.0), Limits()),
        (ServerlessEndpoint(math.inf), Limits()),
    ],
    ids=["batches", "a new account", "few images at once", "a slow endpoint", "a serverless endpoint"],
)
def test_a_burst_ends_without_a_failure_whatever_bounds_it(endpoint: Endpoint, limits: Limits) -> None:
    result = System(endpoint, limits).run(BURST[:1_500])
    assert result.outcomes == {"decided": 1_500}


def test_an_outage_loses_nothing_counts_images_as_waiting_and_drains_by_itself() -> None:
    down = Endpoint(IMAGES_PER_S, down=(100.0, 700.0))
    result = System(down).run(QUARTER_OF_AN_HOUR)
    assert result.outcomes == {"decided": len(QUARTER_OF_AN_HOUR)}
    assert 550 <= result.most_waiting <= 700
    assert max(result.latencies_s) <= 600 + 300 + 60  # the outage, and what an image waits for its next try
    assert result.requests_per_image <= 1.2


def test_an_hour_with_half_an_hour_of_outage_costs_as_much_as_one_without() -> None:
    uploads = steady(3, 3_600)
    whole = System(Endpoint(IMAGES_PER_S)).run(uploads)
    interrupted = System(Endpoint(IMAGES_PER_S, down=(600.0, 2_400.0))).run(uploads)
    assert interrupted.outcomes == whole.outcomes
    assert interrupted.most_waiting > 5_000
    assert interrupted.usd <= 1.05 * whole.usd


def test_the_queue_never_takes_more_lambdas_than_the_account_has() -> None:
    system = System(Endpoint(IMAGES_PER_S), Limits(concurrency=1))
    counted: list[int] = []
    bill = system._bill

    def billed(memory_mb: float, duration_s: float, log_bytes: int) -> None:
        counted.append(system.running.total())
        bill(memory_mb, duration_s, log_bytes)

    system._bill = billed  # type: ignore[method-assign]
    result = system.run(BURST[:300])
    assert result.outcomes == {"decided": 300}
    assert max(counted) <= 1
    assert system.running["Waiting"] == 0

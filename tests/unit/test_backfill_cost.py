import math

import pytest

from analytics.report.backfill_cost import _LAMBDA_GB, backfill_cost
from analytics.report.cost import PRICES
from tests.template import resources_of_type
from workflow.manifest import BATCH_IMAGES

MILLION = 1_000_000
IMAGE_MS = 20.0
"""An image of up to a megapixel; measured on the laptop, read from a bucket next door."""


def usd(**changes):
    lines = backfill_cost(
        **{"images": MILLION, "image_ms": IMAGE_MS, "batch_images": BATCH_IMAGES, **changes}
    )
    return math.fsum(line.usd for line in lines)


def test_a_million_images_cost_no_more_than_a_dollar_and_a_half():
    assert usd() <= 1.50


def test_half_of_it_is_lambda_and_the_gets():
    lines = {line.service: line.usd for line in backfill_cost(MILLION, IMAGE_MS, BATCH_IMAGES)}
    assert lines["S3"] == pytest.approx(MILLION * PRICES.s3_get + 1000 * PRICES.s3_put)
    assert lines["Step Functions"] == pytest.approx(0.25)
    assert lines["Lambda"] == pytest.approx(0.46, abs=0.02)


def test_batches_are_what_makes_it_cheap():
    assert usd(batch_images=1) > 20 * usd()


def test_it_counts_with_the_memory_that_the_template_gives():
    functions = resources_of_type("AWS::Serverless::Function")
    assert functions["ClassifyBatchFunction"]["MemorySize"] == _LAMBDA_GB * 1024


def test_no_images_cost_nothing():
    assert usd(images=0) == 0

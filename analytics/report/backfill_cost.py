"""What a backfill costs on AWS, estimated from list prices and the template's sizes."""

from analytics.report.cost import PRICES, RECORD_GB_S, CostLine, Prices

STANDARD_TRANSITION = 25e-6
"""Of the state machine around the batches: one for each batch that it starts. Source: Step Functions' pricing
page, us-east-1, first tier, as of `PRICES.as_of`."""
ENDPOINT_DATA_GB = 0.016
"""In and out of an endpoint. Source: SageMaker's pricing page."""

_LAMBDA_GB = 1769 / 1024
_EXPRESS_GB = 64 / 1024
_LOG_BYTES_PER_LAMBDA = 1_000
_ANSWER_BYTES = 60
_MESSAGES_PER_SQS_REQUEST = 10
_ROWS_PER_FILE = 1_000
_VERSIONS_PER_LISTING = 1_000


def backfill_cost(
    images: int,
    image_ms: float,
    batch_images: int,
    image_size_px: int = 32,
    prices: Prices = PRICES,
) -> list[CostLine]:
    """Estimate what `images` cost, without the endpoint's hours.

    Args:
        images: how many.
        image_ms: what one takes in the Lambda: its part of reading, decoding, asking and sending.
        batch_images: in one batch, on average.
        image_size_px: of the model.
        prices: in US dollars.
    """
    batches = -(-images // batch_images)
    batch_s = batch_images * image_ms / 1000
    pixels_gb = images * (3 * image_size_px**2 + _ANSWER_BYTES) / 1e9
    files = -(-images // _ROWS_PER_FILE)
    sqs_requests = 3 * images / _MESSAGES_PER_SQS_REQUEST
    return [
        CostLine("Step Functions", batches * STANDARD_TRANSITION, "one transition per batch"),
        CostLine(
            "Step Functions Express",
            batches * (prices.express_request + batch_s * _EXPRESS_GB * prices.express_gb_s),
            f"one execution of {batch_s:.1f} s at 64 MB per batch",
        ),
        CostLine(
            "Lambda",
            batches * (prices.lambda_request + batch_s * _LAMBDA_GB * prices.lambda_arm_gb_s)
            + files * (prices.lambda_request + RECORD_GB_S * prices.lambda_arm_gb_s),
            f"{batch_s:.1f} s per batch, half a GB-s per file",
        ),
        CostLine("S3", images * prices.s3_get + files * prices.s3_put, "one GET per image, one PUT per file"),
        CostLine("S3 listing", images / _VERSIONS_PER_LISTING * prices.s3_put, "one LIST per 1,000 versions"),
        CostLine("SQS", sqs_requests * prices.sqs_request, "sent, received and deleted ten at a time"),
        CostLine("SageMaker data", pixels_gb * ENDPOINT_DATA_GB, "the small images and their scores"),
        CostLine(
            "CloudWatch Logs",
            (batches + files) * _LOG_BYTES_PER_LAMBDA / 1e9 * prices.logs_gb,
            "about 1 KB per invocation",
        ),
    ]

"""The three Lambdas of the design that Scones grew from: see `tests.bench.seed`."""

import base64
import json
import os
from typing import Any

import boto3

s3 = boto3.client("s3")
runtime = boto3.client("sagemaker-runtime")

THRESHOLD = 0.93


def serialize_image_data(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Read the original, and put it into the state as base64."""
    key, bucket = event["s3_key"], event["s3_bucket"]
    image_data = base64.b64encode(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).decode()
    return {
        "statusCode": 200,
        "body": {"image_data": image_data, "s3_bucket": bucket, "s3_key": key, "inferences": []},
    }


def classify(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Ask the endpoint about the original."""
    body = event["body"]
    response = runtime.invoke_endpoint(
        EndpointName=os.environ["ENDPOINT_NAME"],
        ContentType="image/jpeg",
        Body=base64.b64decode(body["image_data"]),
    )
    body["inferences"] = json.loads(response["Body"].read())
    return {"statusCode": 200, "body": body}


def filter_inferences(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Fail where the model is not sure."""
    if max(event["body"]["inferences"]) < THRESHOLD:
        raise ValueError("THRESHOLD_CONFIDENCE_NOT_MET")
    return {"statusCode": 200, "body": event["body"]}

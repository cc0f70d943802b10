"""Requests of the evaluation to SageMaker."""

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from model.serving.endpoint import CONTENT_TYPE, Classify, EndpointError, scores


def over_sagemaker(endpoint_name: str) -> Classify:
    """Return a function that asks a SageMaker endpoint, with the environment's credentials and region.

    Raises:
        EndpointError: no region is set.
    """
    try:
        client = boto3.client("sagemaker-runtime")
    except BotoCoreError as error:
        raise EndpointError(f"cannot ask the endpoint {endpoint_name}: {error}") from error

    def classify(image: bytes) -> list[float]:
        try:
            answer = client.invoke_endpoint(EndpointName=endpoint_name, ContentType=CONTENT_TYPE, Body=image)
            body = answer["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise EndpointError(f"the endpoint {endpoint_name} failed: {error}") from error
        return scores(body)

    return classify

"""Evaluation's only door to AWS."""

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from model.serving.endpoint import CONTENT_TYPE, Classify, EndpointError, scores


def over_sagemaker(endpoint_name: str) -> Classify:
    """Return what asks a SageMaker endpoint, with the credentials and in the region of the environment.

    Raises:
        EndpointError: there is no region to look for it in.
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

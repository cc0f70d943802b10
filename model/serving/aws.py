"""Requests of the evaluation to SageMaker."""

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from model.serving.endpoint import CONTENT_TYPE, Classify, EndpointError, scores


def over_sagemaker(session: "boto3.Session", endpoint_name: str) -> Classify:
    """Return a function that asks a SageMaker endpoint in the account and region of a session."""
    client = session.client("sagemaker-runtime")

    def classify(image: bytes) -> list[float]:
        try:
            answer = client.invoke_endpoint(EndpointName=endpoint_name, ContentType=CONTENT_TYPE, Body=image)
            body = answer["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise EndpointError(f"the endpoint {endpoint_name} failed: {error}") from error
        return scores(body)

    return classify

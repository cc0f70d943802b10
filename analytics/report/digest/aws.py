"""The digest's clients of AWS: Athena, where its numbers come from, and the topic that it goes to."""

from typing import Any

import boto3

from analytics.athena.client import AthenaClient


class Topic:
    """An SNS topic."""

    def __init__(self, sns: Any, arn: str) -> None:
        self._sns = sns
        self._arn = arn

    @classmethod
    def connect(cls, arn: str) -> "Topic":
        """Return it with a client of its own."""
        return cls(boto3.client("sns"), arn)

    def publish(self, subject: str, text: str) -> None:
        """Send a message to the topic's subscribers."""
        self._sns.publish(TopicArn=self._arn, Subject=subject, Message=text)


def connect_athena(database: str, workgroup: str) -> AthenaClient:
    """Return Athena with a client of its own."""
    return AthenaClient(boto3.client("athena"), database, workgroup)

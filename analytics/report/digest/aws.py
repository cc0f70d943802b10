"""The digest's clients: Athena, the results bucket that gets the page, the mail's topic, and Slack."""

import json
import os
import time
from collections.abc import Sequence
from typing import Any
from urllib.request import Request, urlopen

import boto3
from botocore.config import Config

from analytics.athena.client import Answer, AthenaClient
from analytics.commands import name_stack_on_aws

REPORTS_PREFIX = "reports/"
"""Where the results bucket has the weekly reports: `reports/2026-W47/report.html`."""
LINK_S = 7 * 24 * 3600
"""The longest life of a presigned link. One that a role signed ends with the role's session: within hours.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ShareObjectPreSignedURL.html"""
_SLACK_TIMEOUT_S = 10.0


def name_this_stack() -> None:
    """Let the commands that the digest tells act on the stack that runs it.

    On a laptop they do so as they are, since a system there has no name.
    """
    if "AWS_ENDPOINT_URL" not in os.environ:
        name_stack_on_aws(os.environ["STACK_NAME"])


class DigestAthena:
    """Athena, asked until a deadline."""

    queries_at_once = 10
    """As `analytics.athena.frames.Athena`."""

    def __init__(self, athena: AthenaClient, within_s: float) -> None:
        """Stop statements that are not through `within_s` from now."""
        self._athena = athena
        self._deadline = time.monotonic() + within_s

    def query(self, sql: str, parameters: Sequence[str] = ()) -> Answer:
        """Run one statement.

        Raises:
            analytics.athena.engine.QueryFailed: Athena refused it, it failed, or it was not through in time.
        """
        return self._athena.run(sql, parameters, timeout_s=max(self._deadline - time.monotonic(), 0.0))


class Pages:
    """The weekly reports in the results bucket."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    @classmethod
    def connect(cls, bucket: str) -> "Pages":
        """Return them with a client of their own."""
        return cls(boto3.client("s3", config=Config(signature_version="s3v4")), bucket)

    def put(self, week: str, page: str, numbers: str) -> str:
        """Store a week's page and its numbers; return a link to the page that works without an account."""
        folder = f"{REPORTS_PREFIX}{week}/"
        for name, text, type_ in (
            ("report.json", numbers, "application/json"),
            ("report.html", page, "text/html; charset=utf-8"),
        ):
            self._s3.put_object(Bucket=self._bucket, Key=folder + name, Body=text.encode(), ContentType=type_)
        where = {"Bucket": self._bucket, "Key": f"{folder}report.html"}
        return str(self._s3.generate_presigned_url("get_object", Params=where, ExpiresIn=LINK_S))


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


class Slack:
    """A channel's incoming webhook."""

    def __init__(self, webhook_url: str) -> None:
        """Take the webhook's address; empty for no channel."""
        self._webhook_url = webhook_url

    def post(self, text: str) -> None:
        """Send a message, written as Slack's `mrkdwn`.

        Raises:
            OSError: the webhook could not be reached, or refused the message.
        """
        if not self._webhook_url:
            return
        body = json.dumps({"text": text, "unfurl_links": False}).encode()
        request = Request(self._webhook_url, body, {"Content-Type": "application/json"})  # noqa: S310 - https by the template's pattern
        with urlopen(request, timeout=_SLACK_TIMEOUT_S):  # noqa: S310
            pass


def connect_athena(database: str, workgroup: str) -> AthenaClient:
    """Return Athena with a client of its own."""
    return AthenaClient(boto3.client("athena"), database, workgroup)

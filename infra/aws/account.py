"""The AWS account and region that commands act in: resolved here, for the stack and for SageMaker alike."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import SSOError, TokenRetrievalError

from infra.stack import NotUp
from ingest.errors import SconesError

_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn")
"""Ends of the names of AWS's own servers, those of endpoints in a VPC included."""


class NotAws(SconesError):
    """Requests to AWS would go to another server."""


@dataclass(frozen=True)
class Account:
    """An account of AWS, and a region in it."""

    session: Any
    account_id: str
    caller_arn: str
    """Who acts: a user or a role."""

    @classmethod
    def of(cls, session: "boto3.Session") -> "Account":
        """Ask AWS whose credentials a session has.

        Raises:
            botocore.exceptions.ClientError: AWS does not accept them.
        """
        caller = session.client("sts").get_caller_identity()
        return cls(session, caller["Account"], caller["Arn"])

    @property
    def region(self) -> str:
        """Return the region's name."""
        return str(self.session.region_name)

    def __str__(self) -> str:
        return f"account {self.account_id}, region {self.region}"


def region_name(environment: Mapping[str, str] = os.environ) -> str:
    """Return the region: AWS_REGION, else AWS_DEFAULT_REGION, else the profile's.

    boto3 reads AWS_DEFAULT_REGION alone. All other SDKs of AWS and its CLI v2 read AWS_REGION first.

    Raises:
        NotUp: no region is set.
        NotAws: requests to AWS would go to another server.
    """
    return str(_session(environment).region_name)


def aws_session(environment: Mapping[str, str] = os.environ) -> "boto3.Session":
    """Return a session of the user's own profile, in the region of `region_name`.

    Raises:
        NotUp: it has no region, no credentials, or those of a sign-in that is over.
        NotAws: requests to AWS would go to another server.
    """
    session = _session(environment)
    credentials = session.get_credentials()
    if credentials is None:
        raise NotUp("no AWS credentials are set: choose a profile with AWS_PROFILE, or run aws configure")
    try:
        credentials.get_frozen_credentials()
    except (SSOError, TokenRetrievalError) as error:
        raise NotUp(f"{error}. Sign in with `aws sso login`") from error
    return session


def _session(environment: Mapping[str, str]) -> Any:
    session: Any = boto3.Session(region_name=environment.get("AWS_REGION") or None)
    if not session.region_name:
        raise NotUp("no AWS region is set: export AWS_REGION, or choose a profile with AWS_PROFILE")
    _ensure_aws(session, environment)
    return session


def _ensure_aws(session: "boto3.Session", environment: Mapping[str, str]) -> None:
    """Check that neither the environment nor the profile sends requests elsewhere, as to the laptop's AWS.

    Raises:
        NotAws: one of them does.
    """
    if environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return
    for name, url in environment.items():
        if name.startswith("AWS_ENDPOINT_URL") and url and not _is_aws(url):
            raise NotAws(f"{name} is {url}, which is not AWS: unset it, then run the command again")
    # Making the client reads the profile's endpoint_url and sends nothing.
    url = session.client("sts").meta.endpoint_url
    if not _is_aws(url):
        raise NotAws(
            f"the AWS profile's endpoint_url is {url}, which is not AWS: choose a profile without it"
        )


def _is_aws(url: str) -> bool:
    return (urlsplit(url).hostname or "").endswith(_AWS_HOSTS)

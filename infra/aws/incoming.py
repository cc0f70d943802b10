"""An existing bucket as the incoming one: S3 is told to announce its uploads, and nothing else changes."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from infra.aws.account import Account
from ingest.errors import SconesError


class UnusableBucket(SconesError):
    """A bucket whose uploads the stack would never hear of."""


def ensure_usable(bucket: str, account: Account) -> None:
    """Check that a bucket can be the incoming one of a stack in this account and region.

    Raises:
        UnusableBucket: there is no such bucket, it is another account's, or it is in another region.
    """
    s3 = account.session.client("s3")
    try:
        found = s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account.account_id)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        why = "there is no such bucket" if code == "404" else f"S3 answers {code}"
        raise UnusableBucket(
            f"IncomingBucketName={bucket}: {why}. It must be a bucket of the account "
            f"{account.account_id} that whoever deploys may list."
        ) from error
    region = found["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", account.region)
    if region != account.region:
        raise UnusableBucket(
            f"IncomingBucketName={bucket}: the bucket is in {region}, where S3 announces its uploads, and "
            f"the stack would be in {account.region}. Deploy the stack to {region}."
        )


def announce_uploads(s3: Any, bucket: str, account_id: str, say: Callable[[str], None]) -> None:
    """Let S3 send a bucket's events to EventBridge, beside the notifications that it has.

    CloudFormation cannot do this for a bucket that is not the stack's. S3 replaces the whole configuration at
    once, so that the one that is there is read first and written back.

    Raises:
        botocore.exceptions.ClientError: there is no such bucket in the account, or AWS refused.
    """
    owner = {"Bucket": bucket, "ExpectedBucketOwner": account_id}
    said = s3.get_bucket_notification_configuration(**owner)
    present = {
        name: value for name, value in said.items() if name.endswith("Configurations") or name == _EVENTS
    }
    if _EVENTS in present:
        return
    say(f"Turning on EventBridge notifications of s3://{bucket}; its other notifications stay.")
    # Without this, S3 would test each other target, and refuse everything if one of them is gone.
    s3.put_bucket_notification_configuration(
        **owner,
        NotificationConfiguration={**present, _EVENTS: {}},
        SkipDestinationValidation=True,
    )


_EVENTS = "EventBridgeConfiguration"

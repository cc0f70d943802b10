"""An existing bucket as the incoming one: S3 is told to announce its uploads, and nothing else changes."""

from collections.abc import Callable
from typing import Any


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

"""Stack: where a deployed system is, on the laptop or on AWS."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infra.installation import how
from ingest.errors import SconesError

STACK_NAME = "scones"
REGION = "us-east-1"


class NotUp(SconesError):
    """No system is running here."""


@dataclass(frozen=True)
class Stack:
    """The names by which the parts of a deployed system are reached."""

    region: str
    account_id: str
    incoming_bucket: str
    results_bucket: str
    query_results_bucket: str
    state_machine_arn: str
    backfill_state_machine_arn: str
    results_queue_url: str
    unrecorded_outcomes_url: str
    undelivered_events_url: str
    database: str
    table: str
    workgroup: str
    notifications_topic_arn: str
    endpoint_url: str | None = None
    """Of the embedded AWS; None means AWS itself."""
    model_endpoint_url: str | None = None
    ca_bundle: str | None = None
    """Certificate that the embedded AWS shows, if it speaks TLS."""
    pids: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_outputs(cls, outputs: dict[str, str], **where: Any) -> "Stack":
        """Return the stack that CloudFormation describes by the template's outputs."""
        return cls(
            incoming_bucket=outputs["IncomingBucket"],
            results_bucket=outputs["ResultsBucket"],
            query_results_bucket=outputs["QueryResultsBucket"],
            state_machine_arn=outputs["StateMachineArn"],
            backfill_state_machine_arn=outputs["BackfillStateMachineArn"],
            results_queue_url=outputs["ResultsQueueUrl"],
            unrecorded_outcomes_url=outputs["UnrecordedOutcomesUrl"],
            undelivered_events_url=outputs["UndeliveredEventsUrl"],
            database=outputs["Database"],
            table=outputs["Table"],
            workgroup=outputs["Workgroup"],
            notifications_topic_arn=outputs["NotificationsTopic"],
            **where,
        )

    @classmethod
    def load(cls, path: Path) -> "Stack":
        """Read the stack that `up` left.

        Raises:
            NotUp: there is none.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise NotUp(f"nothing is running here: start it with `{how('up')}`") from error

    def save(self, path: Path) -> None:
        """Write it where `load` finds it, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".tmp")
        beside.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        beside.replace(path)

    def client(self, service: str) -> Any:
        """Return a boto3 client for one of the stack's services."""
        return client(service, self.region, self.endpoint_url, self.ca_bundle)


def client(service: str, region: str, endpoint_url: str | None, ca_bundle: str | None = None) -> Any:
    """Return a boto3 client: of the embedded AWS at that URL, or, without one, of AWS as the user is set up.

    A user's own profile never meets the embedded AWS: the keys that it takes are given here.
    """
    import boto3  # takes most of a second, and `scones down` does without

    if endpoint_url is None:
        return boto3.client(service, region_name=region)
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        verify=ca_bundle,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106
    )


def depth(sqs: Any, url: str) -> int:
    """Return the number of messages in a queue, with those that a consumer holds."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)

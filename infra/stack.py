"""Stack: where a deployed system is, on the laptop or on AWS."""

import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from analytics.commands import STACK_NAME, how
from ingest.errors import SconesError

"""Name of the laptop's stack, and on AWS of the one that is not named."""
STACK_NAME_PATTERN = r"[a-z][a-z0-9-]{0,49}"
"""CloudFormation allows capitals, and Glue writes the names of databases without them."""
REGION = "us-east-1"


class NotUp(SconesError):
    """No system is running here."""


def parameters_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a stack as CloudFormation describes it."""
    return {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", ())}


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
    waiting_images_url: str
    unrecorded_outcomes_url: str
    undelivered_events_url: str
    database: str
    table: str
    workgroup: str
    notifications_topic_arn: str
    key_pattern: str = "*"
    """Keys that are classified, `prefix*suffix`. Other objects of the bucket are none of its images."""
    name: str = STACK_NAME
    endpoint_name: str = "scones"
    endpoint_url: str | None = None
    """URL of the embedded AWS. None stands for AWS itself."""
    model_endpoint_url: str | None = None
    console_url: str | None = None
    """Address of the laptop's console, with its token."""
    ca_bundle: str | None = None
    """Certificate of the embedded AWS, if it uses TLS."""
    access_key_id: str = ""
    """Secret that requests to the embedded AWS are signed with. Other users of the machine do not have it."""
    secret_access_key: str = field(default="", repr=False)
    home: str | None = None
    """Folder of the laptop system's state."""
    pids: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_outputs(cls, outputs: dict[str, str], **where: Any) -> "Stack":
        """Return the stack that CloudFormation describes by the template's outputs.

        Raises:
            NotUp: an output is missing, as in a stack that an older version deployed.
        """
        try:
            return cls._of(outputs, **where)
        except KeyError as error:
            raise NotUp(
                f"the stack has no output {error.args[0]}: another version of Scones deployed it, and "
                f"`{how('deploy')}` brings it up to date"
            ) from error

    @classmethod
    def _of(cls, outputs: Mapping[str, str], **where: Any) -> "Stack":
        return cls(
            incoming_bucket=outputs["IncomingBucket"],
            key_pattern=outputs["KeyPattern"],
            results_bucket=outputs["ResultsBucket"],
            query_results_bucket=outputs["QueryResultsBucket"],
            state_machine_arn=outputs["StateMachineArn"],
            backfill_state_machine_arn=outputs["BackfillStateMachineArn"],
            results_queue_url=outputs["ResultsQueueUrl"],
            waiting_images_url=outputs["WaitingImagesUrl"],
            endpoint_name=outputs["EndpointName"],
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
            NotUp: there is none, or another version of Scones left it.
        """
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotUp(f"nothing is running here: start it with `{how('up')}`") from error
        if set(said) == {"home"}:  # what `up` writes before it starts anything
            raise NotUp(f"it has not come up: `{how('down')}` ends what there is of it")
        needed = {each.name for each in fields(cls) if MISSING is each.default is each.default_factory}
        if not needed <= set(said) <= {each.name for each in fields(cls)}:
            raise NotUp(
                f"another version of Scones started it: `{how('down')}`, then `{how('up')}`. Images are kept"
            )
        return cls(**said)

    def save(self, path: Path) -> None:
        """Write it where `load` finds it, whole or not at all."""
        write_privately(path, json.dumps(asdict(self), indent=2) + "\n")

    def client(self, service: str, timeout_s: float | None = None) -> Any:
        """Return a boto3 client: of the embedded AWS, or of AWS as the user is set up.

        With a `timeout_s`, a request to the embedded AWS that takes longer fails, and is not tried again.
        """
        if self.endpoint_url is None:
            import boto3  # takes most of a second, which `scones --help` does not need

            return boto3.client(service, region_name=self.region)
        return self._laptop_client(service, self.endpoint_url, timeout_s)

    def model_client(self) -> Any:
        """Return a boto3 client of SageMaker's runtime: of the laptop's endpoint, or of AWS."""
        if self.model_endpoint_url is None:
            return self.client("sagemaker-runtime")
        return self._laptop_client("sagemaker-runtime", self.model_endpoint_url)

    def _laptop_client(self, service: str, url: str, timeout_s: float | None = None) -> Any:
        from infra.clients import client

        keys = self.access_key_id, self.secret_access_key
        return client(service, self.region, url, *keys, self.ca_bundle, timeout_s)


def write_privately(file: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    beside.replace(file)

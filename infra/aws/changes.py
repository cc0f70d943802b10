"""Changes of a CloudFormation stack: computed as a change set, shown, then made or thrown away."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from ingest.errors import SconesError

_REASONS = 5
"""Most reasons of a failure that are named. The first ones are the cause, and the others follow from them."""
_PATIENCE = {"Delay": 10, "MaxAttempts": 720}
_CHANGE_SET_PATIENCE = {"Delay": 3, "MaxAttempts": 200}
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


class DeployFailed(SconesError):
    """The stack could not be deployed. The text has the reason, possibly in the words of the AWS CLI."""


@dataclass(frozen=True)
class Change:
    """What happens to one resource of the stack."""

    action: str
    """`Add`, `Modify`, `Remove`, or another word of CloudFormation."""
    resource: str
    """Logical id in the template."""
    type: str
    replacement: str
    """`True`, `False`, `Conditional`; empty where there is nothing to replace."""


@dataclass(frozen=True)
class ChangeSet:
    """Changes that CloudFormation has computed, and that nobody has made yet."""

    cloudformation: Any
    arn: str
    stack_name: str
    is_new: bool
    """Whether the changes create the stack."""
    changes: tuple[Change, ...]

    @classmethod
    def of(cls, cloudformation: Any, arn: str) -> "ChangeSet":
        """Read a change set that is complete."""
        changes: list[Change] = []
        more: dict[str, str] = {}
        while True:
            said = cloudformation.describe_change_set(ChangeSetName=arn, **more)
            changes += [
                _change(each["ResourceChange"]) for each in said["Changes"] if "ResourceChange" in each
            ]
            if not said.get("NextToken"):
                break
            more = {"NextToken": said["NextToken"]}
        name = said["StackName"]
        status = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        return cls(cloudformation, arn, name, status == "REVIEW_IN_PROGRESS", tuple(changes))

    def execute(self) -> None:
        """Make the changes, and wait for them.

        Raises:
            DeployFailed: with the reasons of the first resources that failed. CloudFormation has put back
                what it could.
        """
        self.cloudformation.execute_change_set(ChangeSetName=self.arn)
        waiter = "stack_create_complete" if self.is_new else "stack_update_complete"
        try:
            self.cloudformation.get_waiter(waiter).wait(StackName=self.stack_name, WaiterConfig=_PATIENCE)
        except WaiterError as error:
            raise DeployFailed(why_it_failed(self.cloudformation, self.stack_name)) from error

    def discard(self) -> None:
        """Throw the changes away; a stack that would have been created leaves nothing."""
        self.cloudformation.delete_change_set(ChangeSetName=self.arn)
        if self.is_new:
            self.cloudformation.delete_stack(StackName=self.stack_name)


def change_of_parameters(
    cloudformation: Any, stack: Mapping[str, Any], parameters: Mapping[str, str], name: str
) -> ChangeSet | None:
    """Compute what other values of some parameters change in a stack; return None if nothing.

    Args:
        cloudformation: client.
        stack: CloudFormation's description of the stack. Its template, tags and other parameters stay.
        parameters: the values.
        name: name of the change set.

    Raises:
        DeployFailed: CloudFormation refused them.
    """
    known = [each["ParameterKey"] for each in stack["Parameters"]]
    if unknown := parameters.keys() - set(known):
        raise DeployFailed(f"the stack {stack['StackName']!r} is older than {min(unknown)}: deploy it first")
    arn = cloudformation.create_change_set(
        StackName=stack["StackName"],
        ChangeSetName=name,
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": key, "ParameterValue": parameters[key]}
            if key in parameters
            else {"ParameterKey": key, "UsePreviousValue": True}
            for key in known
        ],
        Tags=stack.get("Tags", []),  # left out, they would be removed
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )["Id"]
    try:
        waiter = cloudformation.get_waiter("change_set_create_complete")
        waiter.wait(ChangeSetName=arn, WaiterConfig=_CHANGE_SET_PATIENCE)
    except WaiterError as error:
        reason = cloudformation.describe_change_set(ChangeSetName=arn).get("StatusReason", str(error))
        cloudformation.delete_change_set(ChangeSetName=arn)
        if any(words in reason for words in _NO_CHANGES):
            return None
        raise DeployFailed(reason) from error
    return ChangeSet.of(cloudformation, arn)


def why_it_failed(cloudformation: Any, stack_name: str) -> str:
    """Return the reasons of the first resources that failed in the latest change of a stack."""
    reasons = list(_failures(cloudformation, stack_name))[::-1]
    lines = [f"the stack {stack_name!r} could not be changed:", *reasons[:_REASONS]]
    return "\n".join(lines if reasons else [f"{lines[0]} CloudFormation gives no reason"])


def _failures(cloudformation: Any, stack_name: str) -> Iterator[str]:
    """Yield why resources failed, the last one first."""
    try:
        pages = list(cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_name))
    except ClientError:
        return
    for event in (event for page in pages for event in page["StackEvents"]):
        status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
        if event["LogicalResourceId"] == stack_name and reason == "User Initiated":
            return
        if status.endswith("_FAILED") and "cancelled" not in reason.lower():
            yield f"  {event['LogicalResourceId']} ({event['ResourceType']}): {reason}"


def _change(said: Mapping[str, Any]) -> Change:
    return Change(
        said["Action"], said["LogicalResourceId"], said["ResourceType"], said.get("Replacement", "")
    )

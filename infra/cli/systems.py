"""Which deployed system a command is about."""

import os
from typing import TYPE_CHECKING, Any

import click

from infra.cli.scratch import temporary_files
from infra.installation import stack_file, state_folder
from infra.stack import STACK_NAME, NotUp, Stack

if TYPE_CHECKING:
    import boto3


def current_stack(on: str | None) -> Stack:
    """Return the system on this machine, or the one on AWS, for the command that runs.

    Raises:
        NotUp: it is not there.
    """
    if on == "aws":
        from infra.aws.deploy import stack_on_aws

        stack = stack_on_aws(aws_session(), STACK_NAME)
    else:
        from infra.laptop.local import current

        stack = current(stack_file())
    keep_temporary_files()
    return stack


def keep_temporary_files() -> None:
    """Keep the temporary files of the command that runs in the state folder, until it ends."""
    if context := click.get_current_context(silent=True):
        context.with_resource(temporary_files(state_folder() / "tmp"))


def aws_session() -> "boto3.Session":
    """Return the user's own AWS session.

    Raises:
        NotUp: it has no region, or no credentials.
    """
    import boto3

    # boto3 reads AWS_DEFAULT_REGION alone, all other SDKs of AWS and its CLI v2 read AWS_REGION first.
    session: Any = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
    if not session.region_name:
        raise NotUp("no AWS region is set: export AWS_REGION, or choose a profile with AWS_PROFILE")
    if session.get_credentials() is None:
        raise NotUp("no AWS credentials are set: choose a profile with AWS_PROFILE, or run aws configure")
    return session

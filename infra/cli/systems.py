"""Which deployed system a command is about."""

from typing import TYPE_CHECKING

import click

from analytics.commands import name_stack_on_aws
from infra.cli.command_line import chosen_stack
from infra.cli.scratch import temporary_files
from infra.cli.terminal import words
from infra.installation import stack_file, state_folder
from infra.stack import Stack

if TYPE_CHECKING:
    import boto3

    from infra.aws.account import Account


def current_stack(on: str | None) -> Stack:
    """Return the system on this machine, or the one on AWS, for the command that runs.

    Of the one on AWS, the account and region are printed.

    Raises:
        NotUp: it is not there.
        NotAws: requests to AWS would go to another server.
    """
    if on == "aws":
        from infra.aws.deploy import stack_on_aws

        name = chosen_stack()
        stack = stack_on_aws(aws_account(name).session, name)
    else:
        from infra.laptop.local import current

        stack = current(stack_file())
    keep_temporary_files()
    return stack


def keep_temporary_files() -> None:
    """Keep the temporary files of the command that runs in the state folder, until it ends."""
    if context := click.get_current_context(silent=True):
        context.with_resource(temporary_files(state_folder() / "tmp"))


def aws_account(stack_name: str | None = None) -> "Account":
    """Return the user's account and region, and print them with the stack: the command acts there."""
    from infra.aws.account import Account

    account = Account.of(aws_session())
    stack = f", stack {stack_name}" if stack_name else ""
    if stack_name:
        name_stack_on_aws(stack_name)
    words.print(f"AWS {account}{stack}", highlight=False, soft_wrap=True)
    return account


def aws_session() -> "boto3.Session":
    """Return the user's own AWS session.

    Raises:
        NotUp: it has no region, or no credentials.
        NotAws: requests to AWS would go to another server.
    """
    from infra.aws.account import aws_session

    return aws_session()

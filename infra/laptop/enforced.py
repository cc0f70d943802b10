"""Enforces IAM on what services do in the name of a role, where ministack enforces it on requests alone.

With AUTH=true, ministack enforces IAM on requests. Its rules, state machines and queue pollers make none:
they reach their targets within its process, whatever their roles allow. Here each first evaluates the
policies of its role, with ministack's own evaluation. When the answer is no, it does as AWS does: the event
is not delivered, the task fails, the queue is not read. Athena reads and writes in the name of the caller,
whose query fails. The log says what was denied.

Three further corrections of the pinned release: a batch of SQS needs no other permission than single
messages; an action on an Athena query is an action on its workgroup; and the end of a TLS connection to a
client that is gone is awaited for 1 s instead of 30 s.
"""

import asyncio.constants
import json
import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlparse

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.services import athena, eventbridge, glue, lambda_svc, sqs, stepfunctions

from analytics.lake.columns import PREFIX, TABLE
from infra.laptop import embedded_athena

logger = logging.getLogger("ministack")

_role_arn: ContextVar[str] = ContextVar("role_arn", default="")


def install() -> None:
    """Install the checks where ministack's services reach their targets."""
    iam_actions.extract_iam_action = _without_batch(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = _of_workgroup(iam_actions.extract_resource_arn)
    asyncio.constants.SSL_SHUTDOWN_TIMEOUT = 1.0
    stepfunctions._run_execution = _in_the_name_of_its_role(stepfunctions._run_execution)
    stepfunctions._invoke_resource = _if_task_is_allowed(stepfunctions._invoke_resource)
    eventbridge._invoke_target = _if_target_is_allowed(eventbridge._invoke_target)
    sqs._receive_messages_for_esm = _if_poller_may(
        ("sqs:ReceiveMessage", "sqs:GetQueueAttributes"), sqs._receive_messages_for_esm, []
    )
    embedded_athena.read_rows = _if_asker_may_read(embedded_athena.read_rows)
    embedded_athena.put = _if_asker_may_write(embedded_athena.put)
    athena._get_query_results = _if_asker_may_fetch(athena._get_query_results)
    sqs._delete_messages_for_esm = _if_poller_may(("sqs:DeleteMessage",), sqs._delete_messages_for_esm, None)


def may(role_arn: str, action: str, resource_arn: str) -> bool:
    """Tell whether a role's policies allow an action on a resource."""
    account_id = get_account_id()
    name = role_arn.rpartition("/")[2]
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account_id}:assumed-role/{name}/service",
        principal_type="AssumedRole",
        principal_account=account_id,
        action=action,
        resource_arn=resource_arn,
        region=get_region(),
    )
    policies = iam_evaluator._gather_role_policies(name, account_id)
    if iam_evaluator.evaluate(context, policies).decision == "Allow":
        return True
    logger.warning("denied: %s may not %s on %s", name, action, resource_arn)
    return False


def _without_batch(extract: Callable[..., str]) -> Callable[..., str]:
    """Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html"""

    def wrapped(*arguments: Any, **options: Any) -> str:
        action = extract(*arguments, **options)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    return wrapped


def _in_the_name_of_its_role(run: Callable[[str], None]) -> Callable[[str], None]:
    def wrapped(execution_arn: str) -> None:
        execution = stepfunctions._executions.get(execution_arn)
        _role_arn.set(stepfunctions._state_machines.get(execution["stateMachineArn"])["roleArn"])
        run(execution_arn)

    return wrapped


def _if_task_is_allowed(invoke: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(resource: str, arguments: Any) -> Any:
        if "lambda:invoke" in resource:
            action, target = "lambda:InvokeFunction", arguments["FunctionName"]
        elif "sqs:sendMessage" in resource:
            action, target = "sqs:SendMessage", _queue_arn(arguments["QueueUrl"])
        elif "s3:headObject" in resource:
            action, target = "s3:GetObject", f"arn:aws:s3:::{arguments['Bucket']}/{arguments['Key']}"
        else:
            raise NotImplementedError(f"infra/laptop/enforced.py has no action for {resource}")
        if not may(_role_arn.get(), action, target):
            raise stepfunctions._ExecutionError("States.Permissions", f"{action} on {target} is denied")
        return invoke(resource, arguments)

    return wrapped


def _if_target_is_allowed(invoke: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(target: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        role_arn = target.get("RoleArn")
        if role_arn and not may(role_arn, "states:StartExecution", target["Arn"]):
            return None
        return invoke(target, *arguments, **options)

    return wrapped


def _if_poller_may(actions: tuple[str, ...], act: Callable[..., Any], otherwise: Any) -> Callable[..., Any]:
    def wrapped(queue_url: str, *arguments: Any) -> Any:
        arn = _queue_arn(queue_url)
        roles = [
            lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], None)[1]["Role"]
            for _, _, mapping in lambda_svc._iter_all_esms()
            if mapping["EventSourceArn"] == arn
        ]
        if all(may(role_arn, action, arn) for role_arn in roles for action in actions):
            return act(queue_url, *arguments)
        return otherwise

    return wrapped


def _of_workgroup(extract: Callable[..., str]) -> Callable[..., str]:
    """Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonathena.html"""

    def wrapped(
        service: str, method: str, path: str, headers: Any, body: bytes, *arguments: Any, **options: Any
    ) -> str:
        if service == "athena" and (
            query := athena._executions.get(json.loads(body).get("QueryExecutionId"))
        ):
            return str(athena._arn_workgroup(query["WorkGroup"]))
        return extract(service, method, path, headers, body, *arguments, **options)

    return wrapped


def _if_asker_may_read(read_rows: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(sql: str, database: str, *arguments: Any) -> Any:
        for action, arn in _reads(database):
            _ensure_asker_may(action, arn)
        return read_rows(sql, database, *arguments)

    return wrapped


def _reads(database: str) -> Iterator[tuple[str, str]]:
    """Yield the actions of Athena on Glue and S3 when it reads the table of results.

    Source: https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
    """
    catalog = f"arn:aws:glue:{get_region()}:{get_account_id()}:"
    for resource in ("catalog", "database/default", f"database/{database}"):
        yield "glue:GetDatabase", catalog + resource
    for resource in ("catalog", f"database/{database}", f"table/{database}/{TABLE}"):
        yield "glue:GetTable", catalog + resource
    table = json.loads(glue._get_table({"DatabaseName": database, "Name": TABLE})[2])["Table"]
    bucket = f"arn:aws:s3:::{urlparse(table['StorageDescriptor']['Location']).netloc}"
    yield "s3:ListBucket", bucket
    yield "s3:GetObject", f"{bucket}/{PREFIX}any.parquet"


def _if_asker_may_write(put: Callable[..., None]) -> Callable[..., None]:
    def wrapped(address: str, data: bytes) -> None:
        arn = _object_arn(address)
        _ensure_asker_may("s3:GetBucketLocation", arn.partition("/")[0])
        _ensure_asker_may("s3:PutObject", arn)
        put(address, data)

    return wrapped


def _if_asker_may_fetch(fetch: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(request: dict[str, Any]) -> Any:
        try:
            _ensure_asker_may("s3:GetObject", _answer_arn(request["QueryExecutionId"]))
        except PermissionError as error:
            return error_response_json("AccessDeniedException", str(error), 400)
        return fetch(request)

    return wrapped


def _answer_arn(query_id: str) -> str:
    return _object_arn(athena._executions.get(query_id)["ResultConfiguration"]["OutputLocation"])


def _object_arn(address: str) -> str:
    return f"arn:aws:s3:::{address.removeprefix('s3://')}"


def _ensure_asker_may(action: str, resource_arn: str) -> None:
    """Check that the caller's role allows an action; the account itself may do everything.

    Raises:
        PermissionError: it does not.
    """
    _, is_role, role = iam_evaluator.caller_arn().partition(":assumed-role/")
    if is_role and not may(role.partition("/")[0], action, resource_arn):
        raise PermissionError(f"AccessDenied: {action} on {resource_arn}")


def _queue_arn(queue_url: str) -> str:
    return f"arn:aws:sqs:{get_region()}:{get_account_id()}:{queue_url.rpartition('/')[2]}"

"""Looks over an AWS account, before and after a deployment: what binds, and what to do about it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from analytics.commands import how
from infra.aws.account import Account
from infra.aws.deploy import DEFAULT_ENDPOINT, described, endpoint_kind
from infra.aws.incoming import UnusableBucket, ensure_usable
from infra.stack import NotUp, parameters_of
from workflow.classifier import IN_LAMBDA

_LAMBDA_CONCURRENCY = 100
"""Concurrent Lambdas below which a burst of images has to wait; new accounts have 10."""

_QUOTAS = (
    ("states", "StartExecution", "starts of executions at once"),
    ("sagemaker", "serverless endpoints", "requests at once in all serverless endpoints"),
)
"""Service, words in a quota's name, and what it bounds."""


class State(StrEnum):
    """How a check came out."""

    GOOD = "good"
    LOOK = "look"
    """Something binds or cannot be seen, and nothing fails because of it now."""
    BAD = "bad"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    what: str
    state: State
    found: str
    advice: str = ""


def examine(account: Account, stack_name: str) -> Iterator[Check]:
    """Yield every check. One that AWS does not let this user make is among them, with AWS's reason."""
    yield Check("account", State.GOOD, f"{account}, as {account.caller_arn}")
    parameters: dict[str, str] = {}
    checks: list[tuple[str, Callable[[], Iterator[Check]]]] = [
        ("Lambda", lambda: _of_lambda(account, parameters)),
        ("quotas", lambda: _of_quotas(account, parameters)),
        ("Lake Formation", lambda: _of_lake_formation(account)),
    ]
    try:
        stack = _stack(account, stack_name)
    except (ClientError, BotoCoreError) as error:
        yield _not_looked_at("stack", error)
    else:
        parameters = parameters_of(stack) if stack else {}
        checks += [
            ("endpoint", lambda: _of_endpoint(account, parameters)),
            ("challenger", lambda: _of_challenger(account, parameters)),
            ("incoming bucket", lambda: _of_bucket(account, parameters)),
        ]
        yield from _of_stack(stack, stack_name)
    for what, checks_of in checks:
        try:
            yield from checks_of()
        except (ClientError, BotoCoreError) as error:
            yield _not_looked_at(what, error)


def _not_looked_at(what: str, error: Exception) -> Check:
    return Check(what, State.LOOK, f"not looked at: {error}", "ask for the right to see it")


def _stack(account: Account, name: str) -> dict[str, Any] | None:
    try:
        return described(account.session, name)
    except NotUp:
        return None


def _of_stack(stack: dict[str, Any] | None, name: str) -> Iterator[Check]:
    if stack is None:
        yield Check("stack", State.GOOD, f"{name} is not deployed yet", f"`{how('deploy')}`")
        return
    status = stack["StackStatus"]
    is_sound = status.endswith("_COMPLETE") and status not in ("ROLLBACK_COMPLETE", "DELETE_COMPLETE")
    advice = "" if is_sound else f"`{how('deploy')}` says why, and what to do"
    yield Check("stack", State.GOOD if is_sound else State.BAD, f"{name} is {status}", advice)
    drift = stack.get("DriftInformation", {}).get("StackDriftStatus", "NOT_CHECKED")
    if drift == "DRIFTED":
        advice = f"`aws cloudformation describe-stack-resource-drifts --stack-name {name}` lists it"
        yield Check("drift", State.LOOK, "resources were changed by hand", advice)
    elif drift == "IN_SYNC":
        yield Check("drift", State.GOOD, "every resource is as the template has it")
    else:
        advice = f"`aws cloudformation detect-stack-drift --stack-name {name}`, then ask again"
        yield Check("drift", State.LOOK, "nobody has looked for changes by hand", advice)
    yield Check(
        "changes", State.GOOD, "what a deployment would change", f"`{how('deploy', PLAN='')}` shows it"
    )


def _of_lambda(account: Account, parameters: dict[str, str]) -> Iterator[Check]:
    limits = account.session.client("lambda").get_account_settings()["AccountLimit"]
    most = limits["ConcurrentExecutions"]
    found = f"{most:,} Lambdas may run at once in this region"
    if most >= _LAMBDA_CONCURRENCY:
        yield Check("Lambda", State.GOOD, found)
    else:
        yield Check(
            "Lambda",
            State.LOOK,
            f"{found}: a burst of images waits, and a reserved concurrency cannot be deployed",
            "ask AWS to raise the quota L-B99A9384 (Lambda, concurrent executions)",
        )
    backfill = int(parameters.get("BackfillConcurrency", "20"))
    if backfill > most:
        advice = f"`{how('deploy', PARAMETERS=f'BackfillConcurrency={most // 2}')}`"
        yield Check("backfill", State.LOOK, f"BackfillConcurrency {backfill} is above that", advice)


def _of_quotas(account: Account, parameters: dict[str, str]) -> Iterator[Check]:
    quotas = account.session.client("service-quotas")
    for service, words, bounds in _QUOTAS:
        if service == "sagemaker" and parameters.get("ModelIn") == IN_LAMBDA:
            continue
        pages = quotas.get_paginator("list_service_quotas").paginate(ServiceCode=service)
        found = [each for page in pages for each in page["Quotas"] if words in each["QuotaName"]]
        for quota in found:
            yield Check(
                f"quota of {service}", State.GOOD, f"{quota['Value']:,.0f} {bounds}: {quota['QuotaName']}"
            )
        if not found:
            yield Check(f"quota of {service}", State.LOOK, f"AWS lists none for {bounds}", "see the console")


def _of_endpoint(account: Account, parameters: dict[str, str]) -> Iterator[Check]:
    if parameters.get("ModelIn") == IN_LAMBDA:
        yield Check(
            "model", State.GOOD, f"the Lambdas have {parameters['ModelVersion']}: no endpoint is asked"
        )
        return
    name = parameters.get("EndpointName", DEFAULT_ENDPOINT)
    try:
        found = account.session.client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if "Could not find" not in error.response["Error"].get("Message", ""):
            raise
        advice = f"`{how('endpoint')}` makes one; until then images wait, or fail and can be redriven"
        yield Check("endpoint", State.BAD, f"there is no endpoint {name} in this region", advice)
        return
    status = found["EndpointStatus"]
    reason = found.get("FailureReason", "")
    state = State.GOOD if status == "InService" else State.BAD
    yield Check("endpoint", state, f"{name} is {status}. {reason}".strip())
    variants = [each["VariantName"] for each in found.get("ProductionVariants", ())]
    watched = parameters.get("VariantName", variants[0] if variants else "")
    kind = parameters.get("EndpointKind")
    if variants and kind and kind != (found_kind := endpoint_kind(found["ProductionVariants"][0])):
        found_said = f"Classify waits as long as for a {kind} endpoint, and this one is {found_kind}"
        yield Check("endpoint kind", State.BAD, found_said, f"`{how('deploy')}` looks it up")
    if variants and watched not in variants:
        found_said = f"the alarms watch the variant {watched}, and the endpoint has {', '.join(variants)}"
        yield Check("variant", State.BAD, found_said, f"`{how('deploy')}` lets them watch the right one")
    if status == "InService" and endpoint_kind(found["ProductionVariants"][0]) == "real-time":
        yield from _of_instances(account, found)


def _of_instances(account: Account, endpoint: dict[str, Any]) -> Iterator[Check]:
    """Check that an endpoint on instances can be updated: SageMaker starts the new ones beside the old ones.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
    """
    (variant, *_) = endpoint["ProductionVariants"]
    sagemaker = account.session.client("sagemaker")
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    type_, running = config["ProductionVariants"][0]["InstanceType"], variant["CurrentInstanceCount"]
    pages = account.session.client("service-quotas").get_paginator("list_service_quotas")
    for quota in (each for page in pages.paginate(ServiceCode="sagemaker") for each in page["Quotas"]):
        if quota["QuotaName"] == f"{type_} for endpoint usage":
            said = f"{running:,} {type_} run, and {quota['Value']:,.0f} may"
            if quota["Value"] >= 2 * running:
                yield Check("instances", State.GOOD, said)
            else:
                advice = f"ask AWS to raise the quota {quota['QuotaName']!r} (SageMaker)"
                yield Check("instances", State.LOOK, f"{said}: an update needs as many again", advice)


def _of_challenger(account: Account, parameters: dict[str, str]) -> Iterator[Check]:
    name = parameters.get("ChallengerEndpointName")
    if not name:
        return
    status = account.session.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointStatus"]
    if status == "InService":
        yield Check("challenger", State.GOOD, f"{name} is InService")
    else:
        advice = f"`{how('deploy', PARAMETERS='ChallengerEndpointName=')}` ends the comparison"
        yield Check("challenger", State.LOOK, f"{name} is {status}: its answers fail", advice)


def _of_lake_formation(account: Account) -> Iterator[Check]:
    settings = account.session.client("lakeformation").get_data_lake_settings()["DataLakeSettings"]
    defaults = settings.get("CreateTableDefaultPermissions", [])
    if any("IAM_ALLOWED_PRINCIPALS" in str(each.get("Principal")) for each in defaults):
        yield Check("Lake Formation", State.GOOD, "tables are governed by IAM alone")
    else:
        yield Check(
            "Lake Formation",
            State.LOOK,
            "new tables need grants of Lake Formation beside IAM",
            "grant SELECT on the database of the stack to whoever asks, and to the role of the digest",
        )


def _of_bucket(account: Account, parameters: dict[str, str]) -> Iterator[Check]:
    name = parameters.get("IncomingBucketName")
    if not name:
        return
    try:
        ensure_usable(name, account)
    except UnusableBucket as error:
        yield Check("incoming bucket", State.BAD, str(error), "deploy with another bucket, or elsewhere")
        return
    s3 = account.session.client("s3")
    if "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=name):
        yield Check("incoming bucket", State.GOOD, f"{name} announces its uploads")
    else:
        advice = f"`{how('deploy')}` turns them on"
        yield Check("incoming bucket", State.BAD, f"{name} has no EventBridge notifications", advice)
    if s3.get_bucket_versioning(Bucket=name).get("Status") != "Enabled":
        said = f"{name} has no versions: an image that is replaced before it is read is not seen"
        yield Check("versions", State.LOOK, said, "turn on versioning of the bucket")

"""`make doctor`: what it finds in accounts of several kinds, and what it advises."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from infra.aws.account import Account
from infra.aws.doctor import Check, State, examine
from infra.cli.main import scones

STACK = {
    "StackName": "scones",
    "StackStatus": "UPDATE_COMPLETE",
    "DriftInformation": {"StackDriftStatus": "IN_SYNC"},
    "Parameters": [
        {"ParameterKey": "EndpointName", "ParameterValue": "mine"},
        {"ParameterKey": "VariantName", "ParameterValue": "AllTraffic"},
        {"ParameterKey": "EndpointKind", "ParameterValue": "real-time"},
        {"ParameterKey": "BackfillConcurrency", "ParameterValue": "20"},
    ],
}


IN_SERVICE = {
    "EndpointStatus": "InService",
    "EndpointConfigName": "one",
    "ProductionVariants": [{"VariantName": "AllTraffic", "CurrentInstanceCount": 2}],
}


def refused(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Ask")


def answers(value: Any) -> Any:
    def answer(**_: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    return answer


def an_account(**changes: Any) -> Account:
    """Return an account in which everything is well, but for the changes."""
    said = {
        "stack": {"Stacks": [STACK]},
        "concurrency": 1000,
        "endpoint": IN_SERVICE,
        "instances": 4.0,
        "lake": [{"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}}],
        "notifications": {"EventBridgeConfiguration": {}},
        "bucket_region": "eu-central-1",
        **changes,
    }
    quotas = [{"QuotaName": "StartExecution bucket size", "Value": 1300.0}]
    quotas += [{"QuotaName": "Maximum total concurrency across all serverless endpoints", "Value": 10.0}]
    quotas += [{"QuotaName": "ml.m5.large for endpoint usage", "Value": said["instances"]}]
    config = {"ProductionVariants": [{"InstanceType": "ml.m5.large"}]}
    limits = {"AccountLimit": {"ConcurrentExecutions": said["concurrency"]}}
    lake = {"DataLakeSettings": {"CreateTableDefaultPermissions": said["lake"]}}
    clients = {
        "cloudformation": SimpleNamespace(describe_stacks=answers(said["stack"])),
        "lambda": SimpleNamespace(get_account_settings=answers(limits)),
        "service-quotas": SimpleNamespace(
            get_paginator=lambda _: SimpleNamespace(paginate=answers([{"Quotas": quotas}]))
        ),
        "sagemaker": SimpleNamespace(
            describe_endpoint=answers(said["endpoint"]), describe_endpoint_config=answers(config)
        ),
        "lakeformation": SimpleNamespace(get_data_lake_settings=answers(lake)),
        "s3": SimpleNamespace(
            get_bucket_notification_configuration=answers(said["notifications"]),
            get_bucket_versioning=answers({}),
            head_bucket=answers(
                {"ResponseMetadata": {"HTTPHeaders": {"x-amz-bucket-region": said["bucket_region"]}}}
            ),
        ),
    }
    session = SimpleNamespace(region_name="eu-central-1", client=clients.__getitem__)
    return Account(session, "123456789012", "arn:aws:iam::123456789012:user/someone")


def found(**changes: Any) -> dict[str, Check]:
    return {check.what: check for check in examine(an_account(**changes), "scones")}


def test_an_account_where_all_is_well_has_nothing_bad() -> None:
    checks = found()
    assert {check.state for check in checks.values()} == {State.GOOD}
    assert "eu-central-1" in checks["account"].found


def test_a_stack_that_may_not_be_seen_ends_no_other_check() -> None:
    checks = found(stack=refused("AccessDenied", "not authorized"))
    assert checks["stack"].state is State.LOOK
    assert "not authorized" in checks["stack"].found
    assert checks["Lake Formation"].state is State.GOOD
    assert "endpoint" not in checks  # its name is the stack's to know


@pytest.mark.parametrize(
    ("changes", "what", "state", "says"),
    [
        ({"stack": refused("ValidationError", "no")}, "stack", State.GOOD, "not deployed yet"),
        (
            {"stack": {"Stacks": [{**STACK, "StackStatus": "ROLLBACK_COMPLETE"}]}},
            "stack",
            State.BAD,
            "ROLLBACK",
        ),
        (
            {"stack": {"Stacks": [{**STACK, "DriftInformation": {}}]}},
            "drift",
            State.LOOK,
            "nobody has looked",
        ),
        ({"concurrency": 10}, "Lambda", State.LOOK, "10 Lambdas may run at once"),
        ({"concurrency": 10}, "backfill", State.LOOK, "BackfillConcurrency 20 is above that"),
        (
            {"endpoint": refused("ValidationException", "Could not find it")},
            "endpoint",
            State.BAD,
            "no endpoint mine",
        ),
        (
            {"endpoint": {"EndpointStatus": "Failed", "FailureReason": "ping"}},
            "endpoint",
            State.BAD,
            "Failed. ping",
        ),
        (
            {
                "endpoint": {
                    **IN_SERVICE,
                    "ProductionVariants": [{"VariantName": "v1", "CurrentInstanceCount": 1}],
                }
            },
            "variant",
            State.BAD,
            "AllTraffic, and the endpoint has v1",
        ),
        (
            {
                "endpoint": {
                    "EndpointStatus": "InService",
                    "ProductionVariants": [
                        {"VariantName": "AllTraffic", "CurrentServerlessConfig": {"MemorySizeInMB": 1024}}
                    ],
                }
            },
            "endpoint kind",
            State.BAD,
            "waits as long as for a real-time endpoint, and this one is serverless",
        ),
        ({"instances": 3.0}, "instances", State.LOOK, "2 ml.m5.large run, and 3 may: an update needs"),
        ({"lake": []}, "Lake Formation", State.LOOK, "grants of Lake Formation"),
        ({"endpoint": refused("AccessDenied", "not you")}, "endpoint", State.LOOK, "not looked at"),
    ],
)
def test_what_is_not_well_is_found(changes: Any, what: str, state: State, says: str) -> None:
    check = found(**changes)[what]
    assert (check.state, says in check.found) == (state, True)
    assert check.advice or "FailureReason" in str(changes)


def test_a_stack_whose_lambdas_have_the_model_needs_no_endpoint() -> None:
    values = {"ModelIn": "Lambda", "ModelVersion": "v1"}
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
    stack = {"Stacks": [{**STACK, "Parameters": parameters}]}
    checks = found(stack=stack, endpoint=refused("ValidationException", "Could not find it"))
    assert checks["model"].found == "the Lambdas have v1: no endpoint is asked"
    assert {"endpoint", "quota of sagemaker"} & checks.keys() == set()
    assert {check.state for check in checks.values()} == {State.GOOD}


def test_the_endpoint_of_a_challenger_is_looked_at_and_nothing_depends_on_it() -> None:
    parameters = [*STACK["Parameters"], {"ParameterKey": "ChallengerEndpointName", "ParameterValue": "two"}]
    stack = {"Stacks": [{**STACK, "Parameters": parameters}]}
    assert found(stack=stack)["challenger"].state is State.GOOD
    check = found(stack=stack, endpoint={**IN_SERVICE, "EndpointStatus": "Updating"})["challenger"]
    assert (check.state, check.found) == (State.LOOK, "two is Updating: its answers fail")


def test_an_existing_bucket_without_notifications_is_found() -> None:
    parameters = [*STACK["Parameters"], {"ParameterKey": "IncomingBucketName", "ParameterValue": "theirs"}]
    stack = {"Stacks": [{**STACK, "Parameters": parameters}]}
    checks = found(stack=stack, notifications={})
    assert checks["incoming bucket"].state is State.BAD
    assert checks["versions"].state is State.LOOK
    assert found(stack=stack)["incoming bucket"].state is State.GOOD
    elsewhere = found(stack=stack, bucket_region="eu-west-1")["incoming bucket"]
    assert (elsewhere.state, "Deploy the stack to eu-west-1" in elsewhere.found) == (State.BAD, True)


def test_the_command_asks_for_attention_where_something_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = an_account(endpoint={"EndpointStatus": "Failed"})
    monkeypatch.setattr("infra.cli.systems.aws_account", lambda _: broken)
    said = CliRunner().invoke(scones, ["doctor"])
    assert said.exit_code == 3
    assert "bad  endpoint: mine is Failed." in said.stdout
    monkeypatch.setattr("infra.cli.systems.aws_account", lambda _: an_account())
    assert CliRunner().invoke(scones, ["doctor", "--json"]).exit_code == 0

"""A challenger on AWS, from its deployment to its promotion and back, and in which order AWS is asked."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws

from infra.aws.account import Account
from infra.aws.challenger import OF_AN_ENDPOINT, settings_of
from infra.aws.deploy import parameters_of_model, plan_deployment
from infra.cli.main import scones
from model.files import CARD_FILE, DEFAULT_MODEL, read_card
from tests.template import template

KINDS = {
    "scones": {"VariantName": "AllTraffic"},
    "scones-2": {"VariantName": "blue", "CurrentServerlessConfig": {"MemorySizeInMB": 1024}},
}
"""Endpoint → its variant. The first is a real-time endpoint."""


class Cloud:
    """CloudFormation with one stack, and SageMaker with two endpoints."""

    def __init__(self) -> None:
        self.parameters: dict[str, str] = {}
        self.asked: list[str] = []
        self._wanted: dict[str, str] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(**request: Any) -> Any:
            self.asked.append(name)
            return getattr(self, f"_{name}")(request)

        return ask

    def client(self, service: str, **_: Any) -> Any:
        return boto3.client("s3", region_name="us-east-1") if service == "s3" else self

    def aws_cli(self, arguments: list[str], _: Mapping[str, str]) -> str:
        """Take the two commands of a deployment."""
        self.asked.append(arguments[1])
        if arguments[1] == "deploy":
            overrides = arguments[arguments.index("--parameter-overrides") + 1 :]
            self._wanted = dict(each.split("=", 1) for each in overrides if not each.startswith("--"))
        return "arn:aws:cloudformation:us-east-1:123456789012:changeSet/one/1"

    def get_waiter(self, name: str) -> Any:
        return SimpleNamespace(wait=lambda **_: self.asked.append(name))

    def _create_change_set(self, request: Mapping[str, Any]) -> dict[str, str]:
        assert {each["ParameterKey"] for each in request["Parameters"]} == self.parameters.keys()
        self._wanted = {
            each["ParameterKey"]: each["ParameterValue"]
            for each in request["Parameters"]
            if "ParameterValue" in each
        }
        return {"Id": "arn:change"}

    def _describe_change_set(self, _: object) -> dict[str, Any]:
        return {"StackName": "scones", "Changes": []}

    def _execute_change_set(self, _: object) -> None:
        self.parameters |= self._wanted

    def _describe_stacks(self, _: object) -> dict[str, Any]:
        listed = [{"ParameterKey": name, "ParameterValue": value} for name, value in self.parameters.items()]
        return {"Stacks": [{"StackName": "scones", "StackStatus": "UPDATE_COMPLETE", "Parameters": listed}]}

    def _describe_endpoint(self, request: Mapping[str, str]) -> dict[str, Any]:
        self.asked[-1] += f" {request['EndpointName']}"
        return {"EndpointStatus": "InService", "ProductionVariants": [KINDS[request["EndpointName"]]]}


def a_challenger(folder: Path) -> Path:
    """Return a model of other thresholds and another version."""
    shutil.copytree(DEFAULT_MODEL, folder)
    card = {**read_card(DEFAULT_MODEL), "model_version": "m2", "threshold": 0.77, "class_thresholds": {}}
    (folder / CARD_FILE).write_text(json.dumps(card), encoding="utf-8")
    return folder


def test_a_challenger_is_deployed_promoted_and_takes_its_place_back(
    fake_aws: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cloud = Cloud()
    defaults = {name: str(each.get("Default", "")) for name, each in template()["Parameters"].items()}
    cloud.parameters = {**defaults, **parameters_of_model(), "EndpointKind": "real-time"}
    session: Any = SimpleNamespace(region_name="us-east-1", client=cloud.client)
    account = Account(session, "123456789012", "arn")
    monkeypatch.setattr("infra.aws.deploy.package.build", lambda *_, **__: tmp_path / "template.yaml")
    monkeypatch.setattr("infra.aws.deploy._aws", cloud.aws_cli)
    monkeypatch.setattr("infra.cli.systems.aws_account", lambda _: account)

    with mock_aws():
        folder = a_challenger(tmp_path / "m2")
        named = {"ChallengerEndpointName": "scones-2"}
        planned = plan_deployment(account, "scones", named, challenger=folder)
        assert planned.changes
        planned.changes.execute()
        deployed = dict(cloud.parameters)
        assert settings_of(deployed) == parameters_of_model(folder)
        assert {name: deployed[name] for name in parameters_of_model()} == parameters_of_model()

        found = []
        for in_use, challenger in (("scones-2", "scones"), ("scones", "scones-2")):
            cloud.asked.clear()
            done = CliRunner().invoke(
                scones, ["promote", "--on=aws", "--yes", "--json"], catch_exceptions=False
            )
            assert json.loads(done.stdout) == {"endpoint": in_use, "challenger": challenger}
            assert cloud.asked == [
                *("describe_stacks", f"describe_endpoint {in_use}"),  # nothing is changed before it is seen
                *("create_change_set", "change_set_create_complete"),
                *("describe_change_set", "describe_stacks"),
                *("execute_change_set", "stack_update_complete", "describe_stacks"),
            ]
            found.append(dict(cloud.parameters))

    promoted, back = found
    assert (promoted["ModelVersion"], promoted["Threshold"]) == ("m2", "0.77")
    assert (promoted["VariantName"], promoted["EndpointKind"]) == ("blue", "serverless")
    assert settings_of(promoted) == {name: deployed[name] for name in OF_AN_ENDPOINT}
    assert {**back, "ChallengerSettings": ""} == {**deployed, "ChallengerSettings": ""}
    assert settings_of(back).items() >= settings_of(deployed).items()

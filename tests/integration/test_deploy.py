"""What a deployment to AWS does besides CloudFormation, and what it gives the template."""

import base64
import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from analytics.questions.queries import views
from infra.aws.deploy import DeployFailed, _make_artifacts_bucket, consistent, parameters_of_model, put_views


@pytest.fixture
def glue(fake_aws: None) -> Any:
    with mock_aws():
        client = boto3.client("glue")
        client.create_database(DatabaseInput={"Name": "scones"})
        yield client


def sql_of(glue: Any, name: str) -> dict[str, Any]:
    text = glue.get_table(DatabaseName="scones", Name=name)["Table"]["ViewOriginalText"]
    definition: dict[str, Any] = json.loads(base64.b64decode(text.split("Presto View: ")[1].split(" ")[0]))
    return definition


def test_the_views_are_there_after_a_deployment(glue: Any) -> None:
    put_views(glue, "scones")
    for name, sql in views().items():
        assert sql_of(glue, name)["originalSql"] == sql
        assert sql_of(glue, name)["schema"] == "scones"


def test_a_second_deployment_replaces_the_views(glue: Any) -> None:
    put_views(glue, "scones")
    stale = {"Name": "outcomes", "TableType": "VIRTUAL_VIEW", "ViewOriginalText": "/* Presto View: bm8= */"}
    glue.update_table(DatabaseName="scones", TableInput=stale)
    put_views(glue, "scones")
    assert sql_of(glue, "outcomes")["originalSql"] == views()["outcomes"]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_the_artifacts_bucket_is_made_once_in_any_region(fake_aws: None, region: str) -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name=region)
        _make_artifacts_bucket(s3, "scones-artifacts", region)
        _make_artifacts_bucket(s3, "scones-artifacts", region)
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["scones-artifacts"]


def test_other_classes_want_thresholds_of_their_own() -> None:
    with pytest.raises(DeployFailed, match="'bicycle' is not one of poppy, tulip"):
        consistent({**parameters_of_model(), "ClassNames": "poppy,tulip"})
    consistent({**parameters_of_model(), "ClassNames": "poppy,tulip", "ClassThresholds": ""})

"""What a deployment to AWS does besides CloudFormation, and what it gives the template."""

import boto3
import pytest
from moto import mock_aws

from infra.aws.deploy import DeployFailed, _make_artifacts_bucket, consistent, parameters_of_model


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

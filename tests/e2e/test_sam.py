"""The SAM CLI deploys what `make package` leaves, as it stands: `make test-sam`."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from infra.aws.deploy import parameters_of_model
from infra.aws.package import build, with_defaults
from infra.installation import PROJECT
from infra.stack import Stack, parameters_of

pytestmark = pytest.mark.skipif(
    shutil.which("sam") is None, reason="needs the SAM CLI: requirements/sam.lock"
)


UNZIPPED_MOST_BYTES = {"hot": 25_000_000, "classify": 25_000_000, "record": 110_000_000, "digest": 5_000_000}
"""Without a model."""


def zips_in(template: Path) -> Path:
    return template.parents[1] / "build" / "lambda"


@pytest.fixture(scope="module")
def for_aws(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the packages with their libraries, which pip downloads."""
    return zips_in(build(tmp_path_factory.mktemp("for-aws"), with_libraries=True))


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    """Return a folder as `make package` leaves it, without the libraries, which the laptop's Lambdas have."""
    template = build(tmp_path / "build" / "aws", with_libraries=False)
    text = with_defaults(template.read_text(encoding="utf-8"), parameters_of_model())
    template.write_text(text, encoding="utf-8")
    shutil.copy(PROJECT / "samconfig.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "most_bytes"), UNZIPPED_MOST_BYTES.items())
def test_a_package_of_aws_is_small(for_aws: Path, name: str, most_bytes: int) -> None:
    with zipfile.ZipFile(for_aws / f"{name}.zip") as archive:
        assert sum(entry.file_size for entry in archive.infolist()) <= most_bytes


def test_a_package_of_aws_is_the_same_when_it_is_made_again(for_aws: Path, tmp_path: Path) -> None:
    again = zips_in(build(tmp_path / "again", with_libraries=True))
    for name in UNZIPPED_MOST_BYTES:
        assert (again / f"{name}.zip").read_bytes() == (for_aws / f"{name}.zip").read_bytes()


def test_the_sam_cli_validates_builds_and_deploys_the_package(stack: Stack, packaged: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(packaged),
        "SAM_CLI_TELEMETRY": "0",
        "AWS_ENDPOINT_URL": str(stack.endpoint_url),
        "AWS_REGION": stack.region,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_ACCESS_KEY_ID": stack.access_key_id,
        "AWS_SECRET_ACCESS_KEY": stack.secret_access_key,
    }
    for command in (["validate", "--lint"], ["build"], ["deploy", "--stack-name", "by-sam"]):
        done = subprocess.run(
            ["sam", *command], cwd=packaged, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    (deployed,) = stack.client("cloudformation").describe_stacks(StackName="by-sam")["Stacks"]
    assert deployed["StackStatus"] == "CREATE_COMPLETE"
    assert parameters_of_model().items() <= parameters_of(deployed).items()
    (machine,) = [o["OutputValue"] for o in deployed["Outputs"] if o["OutputKey"] == "StateMachineArn"]
    assert stack.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["type"] == "EXPRESS"

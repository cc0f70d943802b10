"""Nothing of the user's surroundings reaches the laptop's system: no setting, no file, no proxy."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES

from infra.clients import client
from infra.demo_images import write_images
from infra.installation import PROJECT
from infra.laptop import local
from infra.laptop.environment import environment

NONSENSE = "nonsense://\n%$(false)"
SERVICES = (
    "S3",
    "SQS",
    "CLOUDFORMATION",
    "LAMBDA",
    "SFN",
    "ATHENA",
    "GLUE",
    "SAGEMAKER_RUNTIME",
    "STS",
    "EVENTS",
)
AWS = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CREDENTIAL_FILE",
    "AWS_PAGER",
    "AWS_CLI_FILE_ENCODING",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    *(f"AWS_ENDPOINT_URL_{service}" for service in SERVICES),
    *(
        name
        for _, variables, _, _ in BOTOCORE_DEFAUT_SESSION_VARIABLES.values()
        for name in ([variables] if isinstance(variables, str) else variables or [])
    ),
}
PROXIES = {
    name
    for each in ("http", "https", "all", "no", "ftp")
    for name in (f"{each}_proxy", f"{each}_PROXY".upper())
}
PIP = {
    f"PIP_{name}"
    for name in ("USER", "TARGET", "PREFIX", "ROOT", "INDEX_URL", "REQUIRE_VIRTUALENV", "CONFIG_FILE")
}
PYTHON = {
    f"PYTHON{name}"
    for name in (
        *(
            "STARTUP",
            "PATH",
            "HOME",
            "PLATLIBDIR",
            "CASEOK",
            "IOENCODING",
            "HASHSEED",
            "MALLOC",
            "COERCECLOCALE",
        ),
        *(
            "BREAKPOINT",
            "DEVMODE",
            "PYCACHEPREFIX",
            "WARNDEFAULTENCODING",
            "SAFEPATH",
            "UTF8",
            "UNBUFFERED",
            "VERBOSE",
        ),
        *(
            "WARNINGS",
            "OPTIMIZE",
            "DEBUG",
            "INSPECT",
            "NOUSERSITE",
            "USERBASE",
            "INTMAXSTRDIGITS",
            "TRACEMALLOC",
        ),
        *("FAULTHANDLER", "PROFILEIMPORTTIME", "NODEBUGRANGES", "ASYNCIODEBUG", "LEGACYWINDOWSSTDIO"),
    )
}
"""Source: https://docs.python.org/3/using/cmdline.html#environment-variables"""

HOSTILE = {
    "config": "[default]\nregion = nowhere\nendpoint_url = http://127.0.0.1:9\nca_bundle = /nowhere\n"
    "ignore_configured_endpoint_urls = true\noutput = nonsense\ncli_binary_format = nonsense\n"
    "services = other\ncredential_process = touch {home}/was-run\n"
    "s3 =\n    addressing_style = virtual\n[services other]\ns3 =\n    endpoint_url = http://127.0.0.1:9\n",
    "credentials": "[default]\naws_access_key_id = another\naws_secret_access_key = another\n",
    "cli/alias": "[toplevel]\ncloudformation = !touch {home}/was-run\n",
}
BROKEN = {"config": "[default\nno", "credentials": "no"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    local._end_all(tmp_path / "state" / "home")


def user(folder: Path, files: dict[str, str]) -> dict[str, str]:
    """Return the environment of somebody with these files in their ~/.aws."""
    home = folder / "user"
    for name, text in files.items():
        path = home / ".aws" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(home=home), encoding="utf-8")
    return {"HOME": str(home), "PATH": os.environ["PATH"], "SCONES_HOME": str(folder / "state")}


def make(environment: dict[str, str], *arguments: str) -> str:
    # The environment of the project is there, whatever is newer.
    command = ["make", "--no-print-directory", "-o", ".venv/.ready", *arguments]
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not (PROJECT / ".venv" / ".ready").exists(), reason="needs what `make setup` makes")
@pytest.mark.parametrize("surroundings", ["variables", "files", "a locale of ASCII"])
def test_a_system_goes_up_takes_images_and_answers_in_hostile_surroundings(
    folder: Path, surroundings: str
) -> None:
    environment = user(folder, HOSTILE if surroundings == "files" else BROKEN)
    if surroundings == "variables":
        environment |= dict.fromkeys(sorted(AWS | PROXIES | PIP | PYTHON), NONSENSE)
    if surroundings == "a locale of ASCII":
        environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    images = write_images(folder / "images", 8, seed=3)
    make(environment, "up")
    make(environment, "drop", f"FROM={folder / 'images'}")
    answer = make(environment, "query", "SQL=SELECT count(*) AS images FROM outcomes")
    assert answer.split() == ["images", str(images)]
    assert "Down" in make(environment, "down")
    assert local.processes(folder / "state" / "home") == {}
    assert not (folder / "user" / "was-run").exists()


def test_no_process_runs_what_the_working_folder_has_in_place_of_a_module(tmp_path: Path) -> None:
    """An unpacked archive may have any file; the AWS CLI and pip are started with `-m`."""
    (tmp_path / "random.py").write_text("raise SystemExit('was run')", encoding="utf-8")
    of_a_command = {**os.environ, "PYTHONPATH": ""}  # that of whoever runs the tests may name any folder
    for variables in (of_a_command, environment(tmp_path, {})):
        done = subprocess.run([sys.executable, "-m", "random"], cwd=tmp_path, env=variables, check=False)
        assert done.returncode == 0


def test_a_client_takes_no_setting_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in sorted(AWS | PROXIES):
        monkeypatch.setenv(name, NONSENSE)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", NONSENSE)
    for name, value in user(tmp_path, BROKEN).items():
        monkeypatch.setenv(name, value)
    client_ = client("s3", "us-east-1", "http://127.0.0.1:9", "a key of its own", "secret")
    assert client_.meta.endpoint_url == "http://127.0.0.1:9"
    assert client_.meta.region_name == "us-east-1"
    assert client_._request_signer._credentials.access_key == "a key of its own"
    assert client_.meta.config.retries == {"mode": "legacy"}

"""The system starts, is found, keeps what it holds, and leaves no process behind."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from rich.console import Console

from infra.aws.undeploy import undeploy
from infra.cli.terminal import progress_bar
from infra.installation import PROJECT
from infra.laptop import local
from infra.operations.drop import Dropped, settle
from infra.stack import STACK_NAME, NotUp, Stack
from model.data.drawings import draw
from tests.builders import png_bytes


def processes_of(home: Path) -> list[str]:
    """Return the command lines of all processes that name this home, or run code below it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if int(folder.name) != os.getpid() and (str(home) in command or str(home).encode() in environment):
            found.append(command)
    return found


def wait_until_none(home: Path, within_s: float = 40.0) -> list[str]:
    deadline = time.monotonic() + within_s
    while (left := processes_of(home)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    stack_file = tmp_path / "stack.json"
    if stack_file.exists():
        local.down(stack_file)


needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")


@needs_proc
def test_a_restart_keeps_what_was_there(home: Path, tmp_path: Path) -> None:
    stack_file = tmp_path / "stack.json"
    first = local.up(home, None, stack_file)
    body = png_bytes(draw("bicycle", 64, 64, random.Random(3)))
    version = first.client("s3").put_object(Bucket=first.incoming_bucket, Key="kept.png", Body=body)[
        "VersionId"
    ]
    with progress_bar(Console(quiet=True)) as progress:
        assert settle(first, [Dropped("kept.png", version)], progress, 60).missing == []
    local.down(stack_file)
    assert wait_until_none(home) == []
    with pytest.raises(NotUp):
        Stack.load(stack_file)

    second = local.up(home, None, stack_file)
    assert second.incoming_bucket == first.incoming_bucket
    again = second.client("s3").put_object(Bucket=second.incoming_bucket, Key="new.png", Body=body)[
        "VersionId"
    ]
    dropped = [Dropped("kept.png", version), Dropped("new.png", again)]
    with progress_bar(Console(quiet=True)) as progress:
        settled = settle(second, dropped, progress, 60)
    assert (settled.missing, settled.duplicates, settled.outcomes["failed"]) == ([], 0, 0)
    local.down(stack_file)
    assert wait_until_none(home) == []


@needs_proc
@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_dies_takes_its_system_along(tmp_path: Path, signal_: signal.Signals) -> None:
    home = tmp_path / "home"
    script = (
        "import sys, time; from pathlib import Path; from infra.laptop.local import running\n"
        "with running(Path(sys.argv[1]), Path(sys.argv[2])):\n"
        "    print('up', flush=True); time.sleep(300)\n"
    )
    command = [sys.executable, "-c", script, str(home), str(tmp_path / "stack.json")]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal_)
        process.wait(60)
    assert wait_until_none(home) == []


@needs_proc
def test_interrupted_while_it_starts_it_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    script = (
        "import sys; from pathlib import Path; from infra.laptop.local import up\n"
        "up(Path(sys.argv[1]), None, Path(sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", script, str(home), str(tmp_path / "stack.json")]
    with subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while not (home / "pids").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert wait_until_none(home) == []
    assert not (tmp_path / "stack.json").exists()


def test_what_is_undeployed_leaves_the_images_and_the_results(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = local.up(home, None, tmp_path / "stack.json")
    s3 = stack.client("s3")
    held = {stack.incoming_bucket, stack.results_bucket, stack.query_results_bucket}
    for bucket in held:
        s3.put_object(Bucket=bucket, Key="manifests/a.txt", Body=b"no image")
    with progress_bar(Console(quiet=True)) as progress:
        version = s3.list_object_versions(Bucket=stack.incoming_bucket)["Versions"][0]["VersionId"]
        assert settle(stack, [Dropped("manifests/a.txt", version)], progress, 60).outcomes["rejected"] == 1
    monkeypatch.setenv("AWS_ENDPOINT_URL", str(stack.endpoint_url))
    session = boto3.Session("test", "test", region_name=stack.region)
    assert undeploy(session, STACK_NAME).kept == [stack.incoming_bucket, stack.results_bucket]
    assert {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]} & held == {
        stack.incoming_bucket,
        stack.results_bucket,
    }
    assert s3.get_object(Bucket=stack.incoming_bucket, Key="manifests/a.txt")["VersionId"] == version
    assert s3.list_objects_v2(Bucket=stack.results_bucket, Prefix="predictions/")["KeyCount"] == 1
    assert stack.client("lambda").list_functions()["Functions"] == []
    assert not undeploy(session, STACK_NAME).was_there


def test_a_port_in_use_is_named(home: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(local.CannotStart, match=f"port {port} is not free"):
            local.up(home, port, tmp_path / "stack.json")


def test_a_process_that_cannot_start_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway_port, model_port = local._free_ports(None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", model_port))
        taken.listen()
        monkeypatch.setattr(local, "_free_ports", lambda _: (gateway_port, model_port))
        with pytest.raises(local.CannotStart) as error:
            local.up(tmp_path / "home", None, tmp_path / "stack.json")
    assert "endpoint ended by itself" in str(error.value)
    assert "Address already in use" in str(error.value)


def test_what_is_up_is_not_started_twice(stack: Stack, tmp_path: Path) -> None:
    stack.save(tmp_path / "stack.json")
    with pytest.raises(local.CannotStart, match="up already"):
        local.up(tmp_path / "home", None, tmp_path / "stack.json")

"""The system starts, is found, keeps what it holds, and leaves no process behind."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from rich.console import Console

from analytics.commands import STACK_NAME
from infra.aws.undeploy import undeploy
from infra.cli.terminal import progress_bar
from infra.installation import PROJECT
from infra.laptop import local
from infra.operations.drop import Dropped, settle
from infra.operations.in_flight import resume, wait
from infra.stack import NotUp, Stack
from model.data.drawings import draw
from tests.builders import png_bytes
from tests.waiting import PATIENCE_S, until

UP = (
    "import sys; from pathlib import Path; from infra.laptop.local import up\n"
    "up(Path(sys.argv[1]), None, Path(sys.argv[2]))\n"
)
RUNNING = (
    "import sys, time; from pathlib import Path; from infra.laptop.local import running\n"
    "with running(Path(sys.argv[1]), Path(sys.argv[2])):\n"
    "    print('up', flush=True); time.sleep(3600)\n"
)


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


def wait_until_none(home: Path) -> None:
    until(lambda: not processes_of(home), "the end of every process")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Return a home, of which nothing is left running after the test, however that ends."""
    home = tmp_path / "home"
    yield home
    local._end_all(home)
    (tmp_path / "stack.json").unlink(missing_ok=True)


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a script with the home and a stack file; it ends with the test, however that ends."""
    started = []

    def start(script: str, *, ignored: tuple[signal.Signals, ...] = ()) -> subprocess.Popen[str]:
        def ignore() -> None:
            for each in (signal.SIGINT, signal.SIGHUP):  # ignored where the tests run in the background
                signal.signal(each, signal.SIG_DFL)
            for each in ignored:
                signal.signal(each, signal.SIG_IGN)

        command = [sys.executable, "-c", script, str(home), str(tmp_path / "stack.json")]
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=ignore,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


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
        assert settle(first, [Dropped("kept.png", version)], progress, PATIENCE_S).missing == []
    console_url = local.start_console(first)
    left = first.client("s3").put_object(Bucket=first.incoming_bucket, Key="in flight.png", Body=body)
    os.kill(first.pids["aws"], signal.SIGKILL)
    local.down(stack_file)
    wait_until_none(home)
    with pytest.raises(NotUp):
        Stack.load(stack_file)

    second = local.up(home, None, stack_file)
    assert second.incoming_bucket == first.incoming_bucket
    assert (second.access_key_id, second.secret_access_key) == (first.access_key_id, first.secret_access_key)
    assert second.results_queue_url.startswith(f"{second.endpoint_url}/")
    assert second.console_url == console_url, "an open page goes on"
    assert resume(second) == 1
    again = second.client("s3").put_object(Bucket=second.incoming_bucket, Key="new.png", Body=body)[
        "VersionId"
    ]
    dropped = [
        Dropped("kept.png", version),
        Dropped("new.png", again),
        Dropped("in flight.png", left["VersionId"]),
    ]
    with progress_bar(Console(quiet=True)) as progress:
        settled = settle(second, dropped, progress, PATIENCE_S)
    assert (settled.missing, settled.duplicates, settled.outcomes["failed"]) == ([], 0, 0)
    assert not wait(second)
    local.down(stack_file)
    wait_until_none(home)


@needs_proc
@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_command_that_dies_takes_its_system_along(
    home: Path, start: Callable[..., subprocess.Popen[str]], signal_: signal.Signals
) -> None:
    process = start(RUNNING)
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal_)
    process.wait(PATIENCE_S)
    wait_until_none(home)


@needs_proc
@pytest.mark.parametrize("moment", [{"supervisor"}, {"supervisor", "aws", "endpoint"}])
@pytest.mark.parametrize(
    "signal_",
    [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL],
)
def test_ended_while_it_starts_it_leaves_nothing(
    home: Path,
    tmp_path: Path,
    start: Callable[..., subprocess.Popen[str]],
    signal_: signal.Signals,
    moment: set[str],
) -> None:
    # A script's background jobs are started with SIGINT ignored.
    process = start(UP, ignored=(signal.SIGINT,))
    until(lambda: moment <= set(local.processes(home).values()), "a start")
    process.send_signal(signal_)
    process.wait(PATIENCE_S)
    assert process.returncode != 0
    if signal_ != signal.SIGKILL:  # all is over before the command ends
        assert local.processes(home) == {}
    wait_until_none(home)
    assert not list((home / "tmp").iterdir())
    with pytest.raises(NotUp):
        local.current(tmp_path / "stack.json")
    with pytest.raises(NotUp):
        local.down(tmp_path / "stack.json")


@needs_proc
def test_a_start_goes_on_after_a_hang_up_that_is_ignored(
    home: Path, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start(UP, ignored=(signal.SIGHUP,))  # as with `nohup`
    until(lambda: "aws" in local.processes(home).values(), "a start")
    process.send_signal(signal.SIGHUP)
    assert process.wait(PATIENCE_S) == 0
    assert local.is_up(local.current(tmp_path / "stack.json"))
    local.down(tmp_path / "stack.json")
    wait_until_none(home)


@needs_proc
def test_a_start_is_found_and_ended_by_down(
    home: Path, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start(UP)
    until(lambda: "supervisor" in local.processes(home).values(), "a start")
    with pytest.raises(NotUp, match="has not come up"):
        local.current(tmp_path / "stack.json")
    local.down(tmp_path / "stack.json")
    assert process.wait(PATIENCE_S) == 1
    wait_until_none(home)


@needs_proc
def test_a_second_start_on_the_same_home_is_refused_whatever_its_stack_file(
    home: Path, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start(UP)
    until(lambda: "supervisor" in local.processes(home).values(), "a start")
    scratch = list((home / "tmp").iterdir())
    with pytest.raises(local.CannotStart, match="another system runs on"):
        local.up(home, None, tmp_path / "other.json")
    with pytest.raises(local.CannotStart, match="up already, or starting"):
        local.up(tmp_path / "another home", None, tmp_path / "stack.json")
    assert list((home / "tmp").iterdir()) == scratch
    assert process.wait(PATIENCE_S) == 0
    with pytest.raises(local.CannotStart, match="another system runs on"):
        local.up(home, None, tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()
    local.down(tmp_path / "stack.json")


@needs_proc
@pytest.mark.parametrize("stack_file", ["stack.json", "other.json"])
def test_what_a_killed_supervisor_leaves_ends_before_the_next_start(
    home: Path, tmp_path: Path, stack_file: str
) -> None:
    first = local.up(home, None, tmp_path / "stack.json")
    os.kill(first.pids["supervisor"], signal.SIGKILL)
    until(lambda: "supervisor" not in local.processes(home).values(), "its end")
    second = local.up(home, None, tmp_path / stack_file)
    assert not set(first.pids.values()) & set(second.pids.values())
    assert set(local.processes(home)) == set(second.pids.values())
    local.down(tmp_path / stack_file)
    wait_until_none(home)


@needs_proc
def test_a_system_whose_folder_was_deleted_ends_before_the_next_start(home: Path, tmp_path: Path) -> None:
    first = local.up(home, None, tmp_path / "stack.json")
    shutil.rmtree(home)
    (tmp_path / "stack.json").unlink()
    second = local.up(home, None, tmp_path / "stack.json")
    assert not set(first.pids.values()) & set(second.pids.values())
    assert set(local.processes(home)) == set(second.pids.values())
    local.down(tmp_path / "stack.json")
    wait_until_none(home)


@pytest.mark.parametrize("separator", ["\0", " "])
def test_processes_of_a_home_with_a_similar_name_are_not_its_own(
    monkeypatch: pytest.MonkeyPatch, separator: str
) -> None:
    def command(module: str, home: str) -> str:
        return separator.join(["python", "-m", f"infra.laptop.{module}", home, "1234", ""])

    commands = [
        (1, command("supervisor", "/a/home")),
        (2, command("embedded", "/a/home")),
        (3, command("endpoint", "/a/home2")),
        (4, command("embedded", "/b/a/home")),
        (5, command("elsewhere", "/a/home")),
        (6, command("endpoint", "/a/home 2") if separator == "\0" else ""),  # which `ps` cannot tell
    ]
    monkeypatch.setattr(local, "_commands", lambda: iter(commands))
    assert local.processes(Path("/a/home")) == {1: "supervisor", 2: "aws"}


def test_files_that_an_earlier_start_still_writes_are_not_in_the_way(home: Path, tmp_path: Path) -> None:
    (home / "tmp" / "ministack-lambda-old").mkdir(parents=True)
    (home / "tmp" / "ministack-lambda-old" / "file").write_text("left", encoding="utf-8")
    assert local._new_scratch(home) != local._new_scratch(home)


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
        settled = settle(stack, [Dropped("manifests/a.txt", version)], progress, PATIENCE_S)
    assert settled.outcomes["rejected"] == 1
    monkeypatch.setenv("AWS_ENDPOINT_URL", str(stack.endpoint_url))
    session = boto3.Session(stack.access_key_id, stack.secret_access_key, region_name=stack.region)
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
    assert not (tmp_path / "stack.json").exists()


@pytest.mark.parametrize("port", [0, -1, 65_536, 99_999])
def test_a_number_that_is_no_port_is_named(home: Path, tmp_path: Path, port: int) -> None:
    with pytest.raises(local.CannotStart, match="a port is a number from 1 to 65535"):
        local.up(home, port, tmp_path / "stack.json")


def test_a_process_that_cannot_start_is_named_with_its_reason(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway_port, model_port, other_port = local._free_ports(None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", model_port))
        taken.listen()
        monkeypatch.setattr(local, "_free_ports", lambda _: (gateway_port, model_port, other_port))
        with pytest.raises(local.CannotStart) as error:
            local.up(home, None, tmp_path / "stack.json")
    assert "endpoint ended by itself" in str(error.value)
    assert "Address already in use" in str(error.value)
    assert not (tmp_path / "stack.json").exists()


def test_what_is_up_is_not_started_twice(stack: Stack, tmp_path: Path) -> None:
    stack.save(tmp_path / "stack.json")
    with pytest.raises(local.CannotStart, match="up already"):
        local.up(tmp_path / "home", None, tmp_path / "stack.json")


@needs_proc
def test_what_is_put_through_the_console_is_told_with_its_answer_and_after_its_end_too(stack: Stack) -> None:
    home = Path(stack.home or "")
    url = httpx.URL(local.start_console(stack))
    origin = f"http://127.0.0.1:{url.port}"
    body = png_bytes(draw("bicycle", 64, 64, random.Random(3)))
    with httpx.Client(base_url=origin, headers={"origin": origin}, timeout=PATIENCE_S) as browser:
        assert browser.get("/").status_code == 403
        assert browser.get(url).status_code == 303
        assert "Drop images" in browser.get("/").text
        named = {"key": "of a page/ü.png", "upload": str(uuid.uuid4())}
        put = browser.put("/upload", params=named, content=body)
        assert put.status_code == 200
        assert browser.put("/upload", params={**named, "again": "1"}, content=body).json() == put.json()

        def told() -> dict[str, Any]:
            with browser.stream("GET", "/events") as stream:
                for line in stream.iter_lines():
                    for image in json.loads(line[6:]) if line.startswith("data: [") else ():
                        if image["id"] == put.json()["id"] and "outcome" in image:
                            return dict(image)
            return {}

        first = told()
        assert (first["key"], first["label"]) == ("of a page/ü.png", "bicycle")
        (console,) = (pid for pid, name in local.processes(home).items() if name == "console")
        os.kill(console, signal.SIGKILL)
        assert local.is_up(stack)
        assert local.start_console(stack) == str(url)
        assert {**told(), "at": first["at"]} == first, "S3's clock is not the console's"
        picture = browser.get("/picture", params={"key": first["key"], "version": first["version"]})
        assert picture.headers["content-type"] == "image/jpeg"
    logs = "".join(log.read_text(encoding="utf-8") for log in (home / "logs").iterdir())
    assert url.params["token"] not in logs

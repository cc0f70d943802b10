"""The laptop's AWS: starts the embedded AWS and the endpoint, deploys the template to it, stops both."""

import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.aws import package
from infra.installation import PROJECT, how
from infra.stack import REGION, STACK_NAME, NotUp, Stack, client
from ingest.errors import SconesError
from model.files import DEFAULT_MODEL

ACCOUNT_ID = "000000000000"
"""The embedded AWS's own; any access key that is not itself an account's number belongs to it."""

ARTIFACTS_BUCKET = "scones-artifacts"
_PORTS = range(20_000, 30_000)
"""Below those that the system gives to outgoing connections: one of them could take a port between our look
and our server's start."""

START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 60

_KEEPERS: dict[int, subprocess.Popen[bytes]] = {}
"""Those that this very process started. One that shall not stay ends when its standard input closes, which
this keeps open."""

_MODULES = ("infra.laptop.keeper", "infra.laptop.embedded", "model.serving.serve")


class CannotStart(SconesError):
    """The system cannot be started here; says why, and what to do."""


def up(
    home: Path,
    port: int | None,
    stack_file: Path,
    *,
    model: Path = DEFAULT_MODEL,
    stays: bool = True,
    enforce_iam: bool = False,
) -> Stack:
    """Start the system on what `home` keeps, deploy to it, and write down where it is.

    Args:
        home: folder of its state; what an earlier run left there is there again.
        port: of the embedded AWS; None takes any free one.
        stack_file: where to write the stack.
        model: folder of the model to serve, whose classes and thresholds the stack gets.
        stays: whether it goes on when this process ends.
        enforce_iam: whether each role may do no more than its policies allow, and only over TLS, as on AWS.

    Raises:
        CannotStart: with the reason.
        infra.aws.deploy.DeployFailed: the folder has no model, or the template was refused.
    """
    from infra.aws.deploy import parameters_of_model

    _refuse_if_up(stack_file)
    parameters = parameters_of_model(model)
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    gateway_port, model_port = _free_ports(port)
    options = [*([] if stays else ["--while-stdin-is-open"]), *(["--enforce-iam"] if enforce_iam else [])]
    keeper = _start_keeper(home, gateway_port, model_port, model.resolve(), options)
    try:
        stack = _deployed(home, keeper, gateway_port, model_port, parameters, enforce_iam=enforce_iam)
    except BaseException:
        _end(keeper.pid)
        raise
    stack.save(stack_file)
    return stack


def down(stack_file: Path) -> None:
    """Stop what `up` started; its state stays in its home.

    Raises:
        NotUp: nothing is running here.
    """
    stack = Stack.load(stack_file)
    _end(stack.pids["keeper"])
    for name in ("aws", "endpoint"):  # only there if the keeper was killed
        _end(stack.pids[name])
    stack_file.unlink()


@contextmanager
def running(
    home: Path, stack_file: Path, *, model: Path = DEFAULT_MODEL, enforce_iam: bool = False
) -> Iterator[Stack]:
    """Have the system for the time of a `with`; it ends with this process, however that ends."""
    stack = up(home, None, stack_file, model=model, stays=False, enforce_iam=enforce_iam)
    try:
        yield stack
    finally:
        down(stack_file)


def current(stack_file: Path) -> Stack:
    """Return the stack that `up` left, if it is still running.

    Raises:
        NotUp: nothing is running here.
    """
    stack = Stack.load(stack_file)
    if not is_up(stack):
        raise NotUp(f"it was up, but its processes are gone: `{how('up')}` brings it back")
    return stack


def is_up(stack: Stack) -> bool:
    """Tell whether the processes of the stack are running."""
    return all(_is_ours(pid) for pid in stack.pids.values())


def _refuse_if_up(stack_file: Path) -> None:
    try:
        stack = Stack.load(stack_file)
    except NotUp:
        return
    if is_up(stack):
        raise CannotStart(f"it is up already, at {stack.endpoint_url}: `{how('down')}` stops it")
    down(stack_file)


def _free_ports(gateway_port: int | None) -> tuple[int, int]:
    free = (port for port in random.sample(_PORTS, len(_PORTS)) if port != gateway_port and _is_free(port))
    if gateway_port and not _is_free(gateway_port):
        raise CannotStart(f"port {gateway_port} is not free: choose another with SCONES_PORT, or none")
    return gateway_port or next(free), next(free)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _start_keeper(
    home: Path, gateway_port: int, model_port: int, model: Path, options: list[str]
) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "infra.laptop.keeper",
        str(home),
        str(gateway_port),
        str(model_port),
        str(model),
    ]
    command += options
    (home / "logs").mkdir(exist_ok=True)
    with (home / "logs" / "keeper.log").open("ab") as log:
        keeper = subprocess.Popen(
            command,
            cwd=PROJECT,
            stdin=subprocess.PIPE if "--while-stdin-is-open" in options else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    _KEEPERS[keeper.pid] = keeper
    return keeper


def _deployed(
    home: Path,
    keeper: subprocess.Popen[bytes],
    gateway_port: int,
    model_port: int,
    model_parameters: dict[str, str],
    *,
    enforce_iam: bool,
) -> Stack:
    from infra.aws.deploy import deploy, outputs  # brings boto3, which `scones down` does without

    ca_bundle = str(home / "tmp" / "ministack-tls" / "server.crt") if enforce_iam else None
    endpoint_url = f"{'https' if enforce_iam else 'http'}://127.0.0.1:{gateway_port}"
    model_endpoint_url = f"http://127.0.0.1:{model_port}"
    _wait_for(f"{endpoint_url}/_ministack/health", keeper, home / "logs", ca_bundle)
    _wait_for(f"{model_endpoint_url}/ping", keeper, home / "logs")

    client("s3", REGION, endpoint_url, ca_bundle).create_bucket(Bucket=ARTIFACTS_BUCKET)
    template = package.build(home / "package", with_libraries=False)
    parameters = {
        **model_parameters,
        "ModelEndpointUrl": model_endpoint_url,
        "RecordWindowSeconds": "1",
    }
    environment = {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        **({"AWS_CA_BUNDLE": ca_bundle} if ca_bundle else {}),
    }
    deploy(template, STACK_NAME, ARTIFACTS_BUCKET, parameters, environment)
    pids = {
        name: int(pid)
        for name, pid in map(str.split, (home / "pids").read_text(encoding="utf-8").splitlines())
    }
    os.kill(pids["aws"], signal.SIGUSR1)
    return Stack.from_outputs(
        outputs(client("cloudformation", REGION, endpoint_url, ca_bundle), STACK_NAME),
        region=REGION,
        account_id=ACCOUNT_ID,
        endpoint_url=endpoint_url,
        model_endpoint_url=model_endpoint_url,
        ca_bundle=ca_bundle,
        pids={"keeper": keeper.pid, **pids},
    )


def _wait_for(url: str, keeper: subprocess.Popen[bytes], logs: Path, ca_bundle: str | None = None) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if keeper.poll() is not None:
            raise CannotStart(f"a process ended while it was starting. {_ends_of(logs)}")
        try:
            context = ssl.create_default_context(cafile=ca_bundle) if ca_bundle else None
            with urllib.request.urlopen(url, timeout=2, context=context):  # noqa: S310 (ours, on the loopback)
                return
        except OSError:
            time.sleep(0.1)
    raise CannotStart(f"{url} did not answer within {START_TIMEOUT_S} s. {_ends_of(logs)}")


def _ends_of(logs: Path, lines: int = 5) -> str:
    """Return what the processes said last; the keeper says which of the others ended."""
    ends = {
        log: log.read_text(errors="replace", encoding="utf-8").splitlines()[-lines:]
        for log in sorted(logs.glob("*.log"))
    }
    return "\n".join(f"The end of {log}:\n" + "\n".join(end) for log, end in ends.items() if end)


def _end(pid: int) -> None:
    """Stop one of our processes, politely first; one that is gone, or is somebody else's, is left alone."""
    for signal_, patience_s in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, 5)):
        if not _is_ours(pid):
            break
        os.kill(pid, signal_)
        deadline = time.monotonic() + patience_s
        while _is_ours(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    if keeper := _KEEPERS.pop(pid, None):
        with keeper:  # waits for it, and closes its standard input
            pass


def _is_ours(pid: int) -> bool:
    """Tell whether this process runs and is one that `up` starts: numbers are used again by the system."""
    if pid in _KEEPERS and _KEEPERS[pid].poll() is not None:
        return False
    return any(f"-m {module}" in _command_line(pid) for module in _MODULES)


def _command_line(pid: int) -> str:
    """Return what the process was started with; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        if Path("/proc/self").exists():
            return ""
    ps = subprocess.run(["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False)
    return ps.stdout

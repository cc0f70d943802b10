"""The laptop's AWS: starts the embedded AWS and the endpoint, if any, deploys the template, stops both."""

import fcntl
import http.client
import json
import os
import random
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from analytics.commands import STACK_NAME, how
from infra.aws import package
from infra.console.address import address
from infra.installation import PROJECT
from infra.laptop.environment import Credentials, aws_variables, environment
from infra.laptop.lifeline import STAY
from infra.space import check_space
from infra.stack import REGION, NotUp, Stack, parameters_of, write_privately
from ingest.errors import SconesError
from model.files import DEFAULT_MODEL
from workflow.classifier import IN_ENDPOINT, IN_LAMBDA

ACCOUNT_ID = "000000000000"
"""Account of the embedded AWS: that of every access key that is not itself an account number."""

CHALLENGER = "challenger"
"""Name of the laptop's second endpoint."""

ARTIFACTS_BUCKET = "scones-artifacts"
_PORTS = range(20_000, 30_000)
"""Ports to choose from, below those of outgoing connections: one of these could take a port between the check
and the start of the server."""

START_BYTES = 64_000_000
"""Free disk space that a start needs: the package, the state, and temporary files of the Lambdas."""

OPEN_FILES = 256
"""Open files that the embedded AWS needs at least."""

START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 90
"""Longer than the supervisor waits for its processes."""
_KILL_TIMEOUT_S = 5
_LOCK_TIMEOUT_S = 10
"""A process that has ended holds the lock for a moment longer than it is listed."""

_PROCESSES = {
    "supervisor": "infra.laptop.supervisor",
    "aws": "infra.laptop.embedded",
    "endpoint": "infra.laptop.endpoint",
    "console": "infra.laptop.console",
}
"""Process of a system → the module that it runs, in the order in which they are stopped."""

_CONSOLE_TIMEOUT_S = 60

_supervisors: dict[int, subprocess.Popen[bytes]] = {}
"""Supervisors that this process started. It keeps their standard input open, without which they end."""


class CannotStart(SconesError):
    """The system cannot be started."""


def up(
    home: Path,
    port: int | None,
    stack_file: Path,
    *,
    model: Path = DEFAULT_MODEL,
    model_in: str = IN_ENDPOINT,
    challenger: Path | None = None,
    stays: bool = True,
    enforce_iam: bool = False,
) -> Stack:
    """Start the system on the state in `home`, deploy to it, and write the stack file.

    A signal that ends this process ends the system first; after SIGKILL, the system ends by itself.

    Args:
        home: folder of its state, with what an earlier run left there.
        port: port of the embedded AWS; None means any free one.
        stack_file: file to write the stack to.
        model: folder of the model, which also has the classes and thresholds for the stack.
        model_in: the template's `ModelIn`: without an endpoint, the Lambdas have the model themselves.
        challenger: folder of a second model, which sees the same images and decides nothing. If it was
            promoted, it decides, and the model is the challenger.
        stays: whether the system outlives this process.
        enforce_iam: whether policies of roles are enforced, and TLS is required, as on AWS.

    Raises:
        CannotStart: with the reason.
        infra.space.NotEnoughSpace: the disk is nearly full.
        infra.aws.changes.DeployFailed: the folder has no model, or the template was refused.
    """
    from infra.aws.challenger import settings_for
    from infra.aws.deploy import parameters_of_model

    _refuse_if_up(stack_file)
    _check_open_files()
    # All are given in any case: what an earlier run deployed must not stay.
    parameters = {
        **parameters_of_model(model),
        "ModelIn": model_in,
        "ChallengerEndpointName": "",
        "ChallengerSettings": "{}",
    }
    if challenger:
        settings = settings_for(parameters_of_model(challenger))
        parameters |= {"ChallengerEndpointName": CHALLENGER, "ChallengerSettings": settings}
    home = home.resolve()
    _check_name(home)
    home.mkdir(parents=True, exist_ok=True)
    check_space(home, START_BYTES)
    home.chmod(0o700)  # other users of the machine read neither images nor credentials
    with _locked(home) as lock, _ended_by_signals():
        gateway_port, model_port, challenger_port = _free_ports(port)
        console_port = _console_port(
            Credentials.of(home).console_token, {gateway_port, model_port, challenger_port}
        )
        ports = gateway_port, model_port, console_port, challenger_port
        # Before anything starts: `down` finds it by this.
        write_privately(stack_file, json.dumps({"home": str(home)}) + "\n")
        scratch = _new_scratch(home)
        options = [
            *(["--enforce-iam"] if enforce_iam else []),
            *(["--no-endpoint"] if model_in == IN_LAMBDA else []),
            *([f"--challenger={challenger_port}:{challenger.resolve()}"] if challenger else []),
        ]
        arguments = [home, scratch, lock, *ports[:2], model.resolve(), stack_file.resolve(), *options]
        supervisor = _start_supervisor(home, scratch, lock, arguments)
        try:
            stack = _deployed(home, scratch, supervisor, ports, model, parameters, enforce_iam=enforce_iam)
            stack.save(stack_file)
            if stays:
                _let_stay(supervisor)
        except BaseException:
            _end_all(home)
            shutil.rmtree(scratch, ignore_errors=True)
            stack_file.unlink(missing_ok=True)
            raise
    return stack


def down(stack_file: Path) -> None:
    """Stop the system, even if its start did not finish; its state stays in its home.

    Raises:
        NotUp: nothing is running here.
    """
    try:
        said = json.loads(stack_file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotUp(f"nothing is running here: start it with `{how('up')}`") from error
    is_ended = _end_all(Path(said["home"]))
    stack_file.unlink(missing_ok=True)
    if not is_ended and not _is_whole(said):
        raise NotUp("nothing is running here: `up` ended before the system was up")


@contextmanager
def running(
    home: Path,
    stack_file: Path,
    *,
    model: Path = DEFAULT_MODEL,
    model_in: str = IN_ENDPOINT,
    challenger: Path | None = None,
    enforce_iam: bool = False,
) -> Iterator[Stack]:
    """Run a system for the duration of a `with` block; it ends with this process, however that ends."""
    stack = up(
        home,
        None,
        stack_file,
        model=model,
        model_in=model_in,
        challenger=challenger,
        stays=False,
        enforce_iam=enforce_iam,
    )
    try:
        yield stack
    finally:
        down(stack_file)


def current(stack_file: Path) -> Stack:
    """Return the running stack.

    Raises:
        NotUp: nothing is running here.
    """
    stack = Stack.load(stack_file)
    if not is_up(stack):
        raise NotUp(f"it was up, but its processes are gone: `{how('up')}` brings it back")
    return stack


def is_up(stack: Stack) -> bool:
    """Tell whether the processes of the stack are running."""
    return stack.home is not None and set(processes(Path(stack.home)).values()) >= set(stack.pids)


def start_console(stack: Stack) -> str:
    """Have the console of a running system, and return its address, with the token.

    Raises:
        CannotStart: it did not start. The system is up all the same.
    """
    if stack.console_url is None or stack.home is None:
        raise CannotStart(f"it is up without one: `{how('down')}` and `{how('up')}` bring it")
    port = urlsplit(stack.console_url).port or 0
    before = seen = _consoles(stack.home)
    deadline = time.monotonic() + _CONSOLE_TIMEOUT_S
    while not _is_console(port):
        there = _consoles(stack.home)
        if not (seen - before) <= there or time.monotonic() > deadline:
            logs = Path(stack.home, "logs").glob("console.log")
            raise CannotStart(f"the console did not start. {_ends_of(logs)}")
        if not there:  # once is not enough: the supervisor may take one that is ending for one that runs
            os.kill(stack.pids["supervisor"], signal.SIGUSR1)
        seen = seen | there
        time.sleep(0.1)
    return stack.console_url


def _consoles(home: str) -> set[int]:
    return {pid for pid, name in processes(Path(home)).items() if name == "console"}


def _is_console(port: int) -> bool:
    """Tell whether it is a console that listens on a port; whatever else does must not get the token."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status == 403 and b"scones console" in answer.read(1_000)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def processes(home: Path) -> dict[int, str]:
    """Return the process ids and names of a home's system, found by their command lines."""
    found = {}
    for pid, command in _commands():
        for name, module in _PROCESSES.items():
            arguments = f"\0-m\0{module}\0{home}\0"
            if arguments in command or arguments.replace("\0", " ") in f"{command} ":
                found[pid] = name
    return {pid: name for pid, name in found.items() if not _is_reaped(pid)}


def _refuse_if_up(stack_file: Path) -> None:
    """Check that the system of the stack file is neither up nor starting; stop what is left of it.

    Raises:
        CannotStart: it is.
    """
    if not stack_file.exists():
        return
    said = json.loads(stack_file.read_text(encoding="utf-8"))
    there = set(processes(Path(said["home"])).values())
    if (_is_whole(said) and there >= set(said["pids"])) or ("supervisor" in there and not _is_whole(said)):
        raise CannotStart(f"a system is up already, or starting, on {said['home']}: `{how('down')}` stops it")
    with suppress(NotUp):
        down(stack_file)


def _check_name(home: Path) -> None:
    """Check that every process and DuckDB read the home's path alike.

    Raises:
        CannotStart: it has bytes that are not UTF-8, or a backslash.
    """
    if "\\" in str(home) or str(home).encode(errors="replace") != os.fsencode(home):
        raise CannotStart(
            f"{home}: a path with a backslash, or with bytes that are not UTF-8, is not supported. Set "
            "SCONES_HOME to another folder."
        )


def _check_open_files() -> None:
    """Check the hard limit of open files; the supervisor raises the soft one.

    Raises:
        CannotStart: it is too low.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES:
        raise CannotStart(
            f"{OPEN_FILES} open files are needed, and the hard limit is {hard}: raise it with `ulimit -Hn`"
        )


def _is_whole(said: dict[str, Any]) -> bool:
    """Tell whether the start of a stack file's system finished; until then, it names the home alone."""
    return set(said) != {"home"}


@contextmanager
def _locked(home: Path) -> Iterator[int]:
    """Hold the lock on a home. Processes started meanwhile inherit it: it is free when all have ended.

    Raises:
        CannotStart: another system is on this home.
    """
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_TIMEOUT_S
        while not _take(lock):
            left = processes(home)
            if "supervisor" in left.values() or time.monotonic() > deadline:
                pids = f" (process {', '.join(map(str, left))})" if left else ""
                raise CannotStart(f"another system runs on {home}, or is being started or stopped{pids}")
            if _end_all(home):  # what a killed supervisor left
                deadline = time.monotonic() + _LOCK_TIMEOUT_S
            time.sleep(0.05)
        _end_all(home)  # a system whose folder was deleted, lock included
        yield lock
    finally:
        os.close(lock)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Turn the signals that end a process into exceptions, so that the system is ended first.

    SIGINT counts even where the shell has it ignored, as in a script's background jobs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: Any) -> None:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    handled = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` has it
        handled.append(signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _new_scratch(home: Path) -> Path:
    """Return a new folder for temporary files. A worker of an earlier start may still write into its own."""
    shutil.rmtree(home / "tmp", ignore_errors=True)
    (home / "tmp").mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(dir=home / "tmp"))


def _free_ports(gateway_port: int | None) -> tuple[int, int, int]:
    """Return the ports of the embedded AWS, of the endpoint and of a challenger's endpoint."""
    if gateway_port is not None and not 0 < gateway_port < 65_536:
        raise CannotStart(f"SCONES_PORT is {gateway_port}: a port is a number from 1 to 65535")
    free = (port for port in random.sample(_PORTS, len(_PORTS)) if port != gateway_port and _is_free(port))
    if gateway_port and not _is_free(gateway_port):
        raise CannotStart(f"port {gateway_port} is not free: choose another with SCONES_PORT, or none")
    return gateway_port or next(free), next(free), next(free)


def _console_port(token: str, others: set[int]) -> int:
    """Return a port for the console: the same after each start if it is free. An open page then goes on."""
    usual = _PORTS[int(token[:8], 16) % len(_PORTS)]
    choice = [usual, *random.sample(_PORTS, len(_PORTS))]
    return next(port for port in choice if port not in others and _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _start_supervisor(
    home: Path, scratch: Path, lock: int, arguments: list[object]
) -> subprocess.Popen[bytes]:
    (home / "logs").mkdir(exist_ok=True)
    with (home / "logs" / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", _PROCESSES["supervisor"], *map(str, arguments)],
            cwd=PROJECT,
            env=environment(scratch, {}),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            # Ctrl-C in the terminal is for the command in the foreground, which then ends this process.
            start_new_session=True,
            pass_fds=(lock,),
        )
    _supervisors[supervisor.pid] = supervisor
    return supervisor


def _let_stay(supervisor: subprocess.Popen[bytes]) -> None:
    # Where a user's settings show warnings, Popen would say at the end of this process that it goes on.
    warnings.filterwarnings("ignore", r"subprocess \d+ is still running", ResourceWarning)
    if supervisor.stdin:
        supervisor.stdin.write(STAY)
        supervisor.stdin.close()


def _deployed(
    home: Path,
    scratch: Path,
    supervisor: subprocess.Popen[bytes],
    ports: tuple[int, int, int, int],
    model: Path,
    parameters: dict[str, str],
    *,
    enforce_iam: bool,
) -> Stack:
    # They import boto3, which takes most of a second.
    from botocore.exceptions import ClientError

    from infra.aws.challenger import ensure_fits, without_shared_classes
    from infra.aws.deploy import (
        DEFAULT_ENDPOINT,
        deploy,
        model_inside,
        outputs,
        policy_of,
        stored_classes,
    )
    from infra.aws.promote import as_promoted
    from infra.clients import client
    from ingest.aws import read_object

    ca_bundle = str(scratch / "ministack-tls" / "server.crt") if enforce_iam else None
    endpoint_url = f"{'https' if enforce_iam else 'http'}://127.0.0.1:{ports[0]}"
    _wait_for(f"{endpoint_url}/_ministack/health", supervisor, home / "logs", ca_bundle)
    credentials = Credentials.of(home)
    inside, model_endpoint_url = model_inside(parameters, model), ""
    if not inside:
        model_url = f"http://127.0.0.1:{ports[1]}"
        _wait_for(f"{model_url}/ping", supervisor, home / "logs")
        model_endpoint_url = model_url + credentials.model_path
    where = (REGION, endpoint_url, credentials.access_key_id, credentials.secret_access_key, ca_bundle)
    s3 = client("s3", *where)
    s3.create_bucket(Bucket=ARTIFACTS_BUCKET)
    template = package.build(home / "package", with_libraries=False, model=inside)
    challenger_url = f"http://127.0.0.1:{ports[3]}"
    if parameters["ChallengerEndpointName"]:
        _wait_for(f"{challenger_url}/ping", supervisor, home / "logs")
    policy = policy_of(parameters, s3)
    parameters = {
        **parameters,
        "EndpointName": DEFAULT_ENDPOINT,
        **stored_classes(policy, s3, ARTIFACTS_BUCKET, REGION, STACK_NAME),
        "ChallengerSettings": without_shared_classes(parameters["ChallengerSettings"], policy),
        "ModelEndpointUrl": model_endpoint_url,
        "ChallengerModelEndpointUrl": challenger_url + credentials.model_path,
        "EndpointKind": "real-time",
        "RecordWindowSeconds": "1",
        "WaitingSeconds": "45",
    }
    ensure_fits(parameters)
    cloudformation, before = client("cloudformation", *where), {}
    with suppress(ClientError):  # a first start
        before = parameters_of(cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0])
    parameters = as_promoted(before, parameters, partial(read_object, s3=s3))
    deploy(template, STACK_NAME, ARTIFACTS_BUCKET, parameters, environment(scratch, aws_variables(*where)))
    pids = {name: pid for pid, name in processes(home).items()}
    os.kill(pids["aws"], signal.SIGUSR1)
    return Stack.from_outputs(
        outputs(cloudformation, STACK_NAME),
        region=REGION,
        account_id=ACCOUNT_ID,
        endpoint_url=endpoint_url,
        model_endpoint_url=parameters["ModelEndpointUrl"] or None,
        console_url=address(ports[2], credentials.console_token),
        ca_bundle=ca_bundle,
        access_key_id=credentials.access_key_id,
        secret_access_key=credentials.secret_access_key,
        home=str(home),
        pids=pids,
    )


def _wait_for(
    url: str, supervisor: subprocess.Popen[bytes], logs: Path, ca_bundle: str | None = None
) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if supervisor.poll() is not None:
            raise CannotStart(f"a process ended while it was starting. {_ends_of(logs.glob('*.log'))}")
        try:
            context = ssl.create_default_context(cafile=ca_bundle) if ca_bundle else None
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            )
            with opener.open(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise CannotStart(f"{url} did not answer within {START_TIMEOUT_S} s. {_ends_of(logs.glob('*.log'))}")


def _ends_of(logs: Iterable[Path], lines: int = 5) -> str:
    """Return the last lines of logs; the supervisor's names the process that ended."""
    ends = {
        log: log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:] for log in sorted(logs)
    }
    return "\n".join(f"The end of {log}:\n" + "\n".join(end) for log, end in ends.items() if end)


def _end_all(home: Path) -> bool:
    """Stop the processes of a home's system; return whether there were any."""
    found = processes(home)
    for name in _PROCESSES:  # after a supervisor that was killed, its processes may still run
        for pid in [pid for pid, each in found.items() if each == name]:
            _end(home, pid)
    return bool(found)


def _end(home: Path, pid: int) -> None:
    """Stop one process: with SIGTERM, and after STOP_TIMEOUT_S with SIGKILL."""
    for signal_, patience_s in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, _KILL_TIMEOUT_S)):
        if pid not in processes(home):
            break
        # SIGKILL goes to the group, which includes the workers of the embedded AWS.
        with suppress(ProcessLookupError):
            os.kill(pid, signal_) if signal_ is signal.SIGTERM else os.killpg(pid, signal_)
        deadline = time.monotonic() + patience_s
        while pid in processes(home) and time.monotonic() < deadline:
            time.sleep(0.05)
    if supervisor := _supervisors.pop(pid, None):
        if supervisor.stdin:
            supervisor.stdin.close()
        supervisor.wait()


def _is_reaped(pid: int) -> bool:
    return pid in _supervisors and _supervisors[pid].poll() is not None


def _commands() -> Iterator[tuple[int, str]]:
    """Yield the id and command line of every process of this machine; /proc ends each argument with NUL."""
    if Path("/proc/self").exists():
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                yield int(folder.name), (folder / "cmdline").read_bytes().decode(errors="replace")
        return
    listed = subprocess.run(
        ["ps", "-axww", "-o", "pid=,command="],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
    )
    for line in listed.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        yield int(pid), command

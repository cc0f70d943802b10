"""Runs the embedded AWS and the endpoints, if any, and ends all when it ends, however that comes about.

    python -m infra.laptop.supervisor HOME SCRATCH LOCK GATEWAY_PORT MODEL_PORT MODEL_FOLDER STACK_FILE
        [OPTION…]

OPTION is --enforce-iam, --no-endpoint where the Lambdas have the model themselves, or
--challenger=PORT:FOLDER.

Started by `infra.laptop.local`, as the one process that `down` has to stop. Standard input is its lifeline:
whoever starts a system takes it along, whatever ends them, until they say that it stays. Each of the
processes has such a lifeline to the supervisor. LOCK is the descriptor of the lock on HOME; whatever of the
system is alive holds it.

Upon SIGUSR1 it runs the console, too, unless that is running. The system goes on without it.
"""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from infra.laptop.environment import Credentials, environment
from infra.laptop.lifeline import at_end_of_input
from infra.stack import REGION
from infra.stored import objects_folder

OPEN_FILES = 4_096
"""Soft limit of open files for the system. A user's own may be 64, and each request and Lambda takes some."""

GRACE_S = 30
"""The embedded AWS saves its state when it is stopped, which takes longer the more it holds."""


def main(arguments: list[str]) -> int:
    """Run until SIGTERM, SIGINT, SIGHUP, the end of a process but the console, or the end of the lifeline."""
    home, scratch, lock, gateway_port, model_port, model_folder, stack_file, *options = arguments
    called, ended, console_wanted = threading.Event(), threading.Event(), threading.Event()

    def call(what: threading.Event) -> None:
        what.set()
        called.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: call(ended))
    signal.signal(signal.SIGUSR1, lambda *_: call(console_wanted))
    at_end_of_input(lambda: call(ended))
    allow_open_files(OPEN_FILES)
    enforce_iam = "--enforce-iam" in options
    commands: dict[str, tuple[list[str], dict[str, str]]] = {
        "aws": (["infra.laptop.embedded", home], _aws_variables(Path(home), gateway_port, enforce_iam)),
    }
    if "--no-endpoint" not in options:
        commands["endpoint"] = (["infra.laptop.endpoint", home, model_folder, model_port], {})
    for option in options:
        name, _, value = option.partition("=")
        if name == "--challenger":
            port, _, folder = value.partition(":")
            commands["challenger"] = (["infra.laptop.endpoint", home, folder, port], {})
    processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(name: str, command: list[str], variables: dict[str, str]) -> None:
        with Path(home, "logs", f"{name}.log").open("ab") as log:
            processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=environment(Path(scratch), variables),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(int(lock),),
            )

    try:
        for name, (command, variables) in commands.items():
            start(name, command, variables)
        while not ended.is_set():
            called.wait(0.5)
            called.clear()
            for name, process in [*processes.items()]:
                if process.poll() is not None:
                    sys.stderr.write(f"{name} ended by itself with status {process.returncode}\n")
                    if name in commands and name != "challenger":  # on which no outcome depends
                        return 1
                    del processes[name]
            if console_wanted.is_set():
                console_wanted.clear()
                if "console" not in processes:
                    start(
                        "console", ["infra.laptop.console", home, stack_file], _console_variables(stack_file)
                    )
        return 0
    finally:
        _stop(list(processes.values()))
        shutil.rmtree(scratch, ignore_errors=True)


def allow_open_files(wanted: int) -> None:
    """Raise the soft limit of open files of this process and those that it starts, as far as is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _aws_variables(home: Path, port: str, enforce_iam: bool) -> dict[str, str]:
    credentials = Credentials.of(home)
    return {
        # TLS, which the bucket policies require; ministack creates a certificate below TMPDIR.
        **({"AUTH": "true", "USE_SSL": "1"} if enforce_iam else {}),
        "GATEWAY_PORT": port,
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "STATE_DIR": f"{home}/state",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(objects_folder(home)),
        "LOG_LEVEL": "WARNING",
        # The waits of the state machine are made for AWS, and too long for a laptop.
        "SFN_WAIT_SCALE": "0.2",
        # Servers for MQTT and SFTP, which would listen on every interface.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
    }


def _console_variables(stack_file: str) -> dict[str, str]:
    """Return what names the folder of all that commands write, which has the stack file, too."""
    return {"SCONES_HOME": str(Path(stack_file).parent)}


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + GRACE_S
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # The workers of the embedded AWS share its session; those that outlived it are ended here.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

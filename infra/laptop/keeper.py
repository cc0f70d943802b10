r"""Keeps the embedded AWS and the endpoint running, and ends both when it ends, however that comes about.

Started by `infra.laptop.local`, as the one process that `down` has to stop:

    python -m infra.laptop.keeper HOME GATEWAY_PORT MODEL_PORT MODEL_FOLDER \
        [--while-stdin-is-open] [--enforce-iam]
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

GRACE_S = 30
"""The embedded AWS writes its state down when it is asked to stop; that takes longer, the more it holds."""


def main(arguments: list[str]) -> int:
    """Run until SIGTERM, SIGINT, the end of either process, or, if so told, the end of standard input."""
    home, gateway_port, model_port, model_folder, *options = arguments
    # Its own group: a Ctrl-C in the terminal is for the command in the foreground, which then ends us.
    os.setpgid(0, 0)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    if "--while-stdin-is-open" in options:
        threading.Thread(target=_set_at_end_of_input, args=(ended,), daemon=True).start()

    scratch = Path(home) / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    processes = {
        "aws": _start(
            home,
            "aws",
            [sys.executable, "-m", "infra.laptop.embedded"],
            _aws_environment(home, gateway_port, enforce_iam="--enforce-iam" in options),
        ),
        "endpoint": _start(
            home,
            "endpoint",
            [sys.executable, "-m", "model.serving.serve", model_folder, model_port],
            {},
        ),
    }
    (Path(home) / "pids").write_text(
        "".join(f"{name} {p.pid}\n" for name, p in processes.items()), encoding="utf-8"
    )
    try:
        while not ended.wait(0.5):
            for name, process in processes.items():
                if process.poll() is not None:
                    sys.stderr.write(f"{name} ended by itself with status {process.returncode}\n")
                    return 1
        return 0
    finally:
        _stop(list(processes.values()))
        shutil.rmtree(scratch, ignore_errors=True)


def _set_at_end_of_input(ended: threading.Event) -> None:
    # Unbuffered: a thread that waits inside Python's own buffer cannot be left behind at the end.
    while os.read(0, 1024):
        pass
    ended.set()


def _aws_environment(home: str, port: str, *, enforce_iam: bool) -> dict[str, str]:
    # With TLS, as the bucket policies demand; ministack makes itself a certificate below TMPDIR.
    enforcing = {"AUTH": "true", "USE_SSL": "1"} if enforce_iam else {}
    return {
        **enforcing,
        "GATEWAY_PORT": port,
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_REGION": "us-east-1",
        "PERSIST_STATE": "1",
        "STATE_DIR": f"{home}/state",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": f"{home}/s3",
        # Its Lambdas unpack their code here; with the folder, what they leave behind goes.
        "TMPDIR": f"{home}/tmp",  # noqa: S108
        "LOG_LEVEL": "WARNING",
        # The state machine's waits are made for AWS; nobody waits for a laptop that long.
        "SFN_WAIT_SCALE": "0.2",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def _start(home: str, name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    logs = Path(home) / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with (logs / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            command,
            env={**clean, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # The workers of the embedded AWS share its session; those that outlived it end here.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

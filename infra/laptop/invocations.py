"""Invokes Lambdas with a fraction of the work that ministack has with it.

ministack starts two threads for every invocation, and a third reads the handler's log line by line. After the
answer, the caller looks every millisecond whether more was logged, and holds its turn meanwhile. Here the
caller itself writes to the worker and reads its answer, which has the log in it: what a handler prints goes
into memory, and reaches standard error only where a worker is ended because its time is up.
"""

import json
import os
import select
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import stepfunctions

from infra.laptop.scheduling import on_all_cores, run_without_interrupting

_END_BY_THEMSELVES = ("arn:aws:states:::lambda:invoke", "arn:aws:states:::sqs:sendMessage")
"""Resources of tasks that need no thread of their own."""
_READ_BYTES = 1 << 20
_ANSWER = b'{"status": '
"""What every answer of the worker begins with."""

# Of ministack's worker script: the text, and what takes its place.
_TO_STANDARD_ERROR = "sys.stdout = sys.stderr\n"
_TO_MEMORY = """sys.stdout = sys.stderr = log = _Log()
    signal.signal(signal.SIGTERM, log.end)
"""
_RAISED = 'json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()})'
_RETURNED = (
    'json.dumps({"status": "ok", "log": log.taken(), "result": {"__raised__": {'
    '"errorType": type(e).__name__, "errorMessage": str(e), '
    '"stackTrace": traceback.format_tb(e.__traceback__)}}})'
)
_ANSWERED = 'json.dumps({"status": "ok", "result": result})'
_ANSWERED_WITH_LOG = 'json.dumps({"status": "ok", "log": log.taken(), "result": result})'

_LOG = '''
import io, os, signal, sys

class _Log(io.StringIO):
    """What was printed since it was last taken. It stays the same object, which loggers keep."""

    def taken(self):
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text

    def fileno(self):
        return 2

    def end(self, *_):
        os.write(2, self.getvalue().encode())
        os._exit(143)
'''


def lean(worker_script: str) -> str:
    """Return ministack's worker script, changed: it answers with the log, and survives errors of the handler.

    Raises:
        RuntimeError: this release has another script.
    """
    for text, other in (
        (_TO_STANDARD_ERROR, _TO_MEMORY),
        (_RAISED, _RETURNED),
        (_ANSWERED, _ANSWERED_WITH_LOG),
    ):
        if worker_script.count(text) != 1:
            raise RuntimeError(
                "this release of ministack has another Lambda worker: see infra/laptop/invocations.py"
            )
        worker_script = worker_script.replace(text, other)
    return _LOG + worker_script


class LeanWorker(lambda_runtime.Worker):  # type: ignore[misc]
    """A worker of ministack whose caller waits for the pipe, and for nothing else."""

    _proc: subprocess.Popen[str] | None

    def _spawn(self) -> None:
        with on_all_cores():
            super()._spawn()
        for pipe in _pipes(self._proc):
            os.set_blocking(pipe, False)
        if self._proc:
            run_without_interrupting(self._proc.pid)

    def invoke(
        self,
        event: Any,
        request_id: str,
        *,
        trace_id: str | None = None,
        depth: Any = None,
        durable: dict[str, Any] | None = None,
        invoked_function_arn: str | None = None,
    ) -> dict[str, Any]:
        """Run one invocation, as `Worker.invoke` does."""
        timeout_s = self.config.get("Timeout", 30)
        envelope = {
            "event": event,
            "ctx": {
                "request_id": request_id,
                "invoked_function_arn": invoked_function_arn or self.config.get("FunctionArn", ""),
                "timeout_ms": int(float(timeout_s) * 1000),
                "trace_id": trace_id,
                "depth": depth,
                "durable": durable or {},
            },
        }
        message, deadline = json.dumps(envelope).encode() + b"\n", time.monotonic() + timeout_s
        with self._lock:
            is_cold = self._proc is None
            try:
                if not is_cold:
                    is_cold = not self._took(message, deadline)
                if is_cold:  # or it ended since its last invocation
                    self._spawn()
                    self._cold = False
                    self._write(message, deadline)
                response: dict[str, Any] = json.loads(self._answer(deadline))
            except (TimeoutError, OSError) as error:
                process, self._proc = self._proc, None
                if process:  # which could be started
                    lambda_runtime._signal(process)
                    lambda_runtime._collect(process, time.monotonic() + lambda_runtime._REAP_GRACE)
                if self._stderr_thread:  # it still reads what the worker wrote as it ended
                    self._stderr_thread.join(lambda_runtime._REAP_GRACE)
                is_late = isinstance(error, TimeoutError)
                why = f"Task timed out after {timeout_s}.00 seconds" if is_late else "Worker process died"
                response = {"status": "error", "error": why}
            printed = [self._drain_stderr(), response.get("log", "").rstrip("\n")]
            return {**response, "cold_start": is_cold, "log": "\n".join(filter(None, printed))}

    def _took(self, message: bytes, deadline: float) -> bool:
        """Write a line to the worker; tell whether it is still there to read it."""
        try:
            self._write(message, deadline)
        except BrokenPipeError:
            return False
        return True

    def _write(self, message: bytes, deadline: float) -> None:
        """Write a line to the worker.

        Raises:
            TimeoutError: it did not read it by then.
            OSError: it has ended.
        """
        stdin, _ = _pipes(self._proc)
        left = memoryview(message)
        while left:
            try:
                left = left[os.write(stdin, left) :]
            except BlockingIOError:  # what it has not read yet fills the pipe
                _wait_for(stdin, select.POLLOUT, deadline)

    def _answer(self, deadline: float) -> bytes:
        """Return the line that the worker answers.

        Raises:
            TimeoutError: it did not by then.
            OSError: it has ended.
        """
        _, stdout = _pipes(self._proc)
        chunks: list[bytes] = []
        while True:
            _wait_for(stdout, select.POLLIN, deadline)
            chunks.append(os.read(stdout, _READ_BYTES))
            if not chunks[-1]:
                raise BrokenPipeError("the worker has ended")
            if b"\n" in chunks[-1]:
                *lines, rest = b"".join(chunks).split(b"\n")
                chunks = [rest]
                # A library that writes to the descriptor itself may have been first.
                for line in lines:
                    if line.startswith(_ANSWER):
                        return line


def _pipes(process: Any) -> tuple[int, int]:
    return process.stdin.fileno(), process.stdout.fileno()


def _wait_for(descriptor: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0, deadline - time.monotonic()) * 1000):
        raise TimeoutError


def bounded(tasks_at_once: int, timeout_scale: float) -> Callable[[str, Any, float], Any]:
    """Return ministack's run of a task within a time, with a bound on concurrent tasks: others wait.

    Each Lambda has a bound of its own, as each concurrent invocation of it is a process, and all other tasks
    have one together. So the steps of an image do not wait for each other's turns.

    ministack starts a thread for each task. What ends by itself runs in the caller's: a Lambda, whose worker
    is ended when its own time is up, and a message for a queue. A result that comes too late does not count.
    """
    turns: defaultdict[str | None, SimpleQueue[None]] = defaultdict(partial(_turns, tasks_at_once))
    making = threading.Lock()  # two threads would make two queues for one Lambda
    run_in_a_thread = stepfunctions._invoke_resource_with_timeout

    def wrapped(resource: str, arguments: Any, timeout_s: float) -> Any:
        within_s = timeout_s * timeout_scale
        function = arguments.get("FunctionName") if isinstance(arguments, dict) else None
        with making:
            turn = turns[function]
        turn.get()
        try:
            if not resource.startswith(_END_BY_THEMSELVES):
                return run_in_a_thread(resource, arguments, within_s)
            started = time.monotonic()
            try:
                return stepfunctions._invoke_resource(resource, arguments)
            finally:
                if time.monotonic() - started > within_s:
                    why = f"Task timed out after {timeout_s} seconds"
                    raise stepfunctions._ExecutionError("States.Timeout", why) from None
        finally:
            turn.put(None)

    return wrapped


def _turns(count: int) -> "SimpleQueue[None]":
    """Return a semaphore: `get` takes a turn, `put` gives it back. `threading.Semaphore` is in Python."""
    turns: SimpleQueue[None] = SimpleQueue()
    for _ in range(count):
        turns.put(None)
    return turns

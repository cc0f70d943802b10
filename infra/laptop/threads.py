"""Threads that are used again, in place of the two that ministack starts for each image.

Who starts a thread waits until it runs. In the embedded AWS, that is the loop that answers all requests, and
both threads have to wait for the interpreter.
"""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any

from ministack.services import s3, stepfunctions

from infra.laptop.changed import changed

KEPT = 512
"""How many threads wait for a task at most; others end. In a burst, each execution that waits has one."""

_Task = tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]

_OF_THREADS = {"threading.Thread(": "_Reused("}
"""Text of ministack's functions that start a thread for each image, and what takes its place."""


def install() -> None:
    """Let events of S3 and executions run in threads that are used again."""
    stepfunctions._start_execution = changed(stepfunctions._start_execution, _OF_THREADS, _Reused=Reused)
    s3._fire_s3_event_async = changed(s3._fire_s3_event_async, _OF_THREADS, _Reused=Reused)


class Reused:
    """A `threading.Thread` that nobody joins and that ends with the process, as far as its maker can tell."""

    _lock = threading.Lock()
    _waiting = 0
    _tasks: SimpleQueue[_Task] = SimpleQueue()

    def __init__(
        self,
        *,
        target: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        daemon: bool,
    ) -> None:
        self._task: _Task = (target, args, kwargs or {})
        self._daemon = daemon

    def start(self) -> None:
        """Run the task in a thread that waits for one, or in a new one."""
        with Reused._lock:
            if is_there := Reused._waiting > 0:
                Reused._waiting -= 1
        if is_there:
            Reused._tasks.put(self._task)
        else:
            threading.Thread(target=Reused._run, args=(self._task,), daemon=self._daemon).start()

    @staticmethod
    def _run(task: _Task) -> None:
        while True:
            target, args, kwargs = task
            try:
                target(*args, **kwargs)
            except Exception:  # it would end a thread of its own, which says so
                threading.excepthook(threading.ExceptHookArgs([*sys.exc_info(), threading.current_thread()]))
            del task, target, args, kwargs  # what they hold is free meanwhile
            with Reused._lock:
                if Reused._waiting == KEPT:
                    return
                Reused._waiting += 1
            task = Reused._tasks.get()

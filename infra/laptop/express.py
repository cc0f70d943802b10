"""Express workflows as AWS has them, where ministack treats every workflow as a Standard one.

- Their executions have no history, and send no status events to EventBridge. ministack keeps both, for good.
  What each state gets and returns is not written as JSON for a history either.
- `KEPT` executions that have ended stay known; AWS lists none.

And for workflows of both types:

- An expression that only names a value (`$states.input.body`) is looked up instead of evaluated, as is
  whether there is such a value, or whether it is a given text. Most expressions are of these kinds.
- An execution begins at once. ministack lets it wait for 0.15 s.
- A definition is parsed once, and copied for each execution.
- `under_way` has the executions that run. Each message wakes the poller of queues. While executions are under
  way, it pauses for longer when it found nothing to do, and it looks again at once when none is.

Sources: https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html
https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
"""

import json
import marshal
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ministack.services import lambda_svc, stepfunctions

from infra.laptop.changed import changed

KEPT = 1_000
"""How many ended executions of Express workflows can still be asked for."""

under_way: dict[str, bool] = {}
"""ARNs of the executions that this process has started, and that have not ended: whether each is Express."""
_at_rest = threading.Event()
"""Whether there are none."""
_at_rest.set()
_POLLER_PAUSE_S = 0.1
_OF_POLLER = {"time.sleep(_ESM_IDLE_WAKE_GAP_SECONDS)": f"_at_rest.wait({_POLLER_PAUSE_S})"}
"""Text of ministack's `_poll_loop`, and what takes its place."""

_OF_EXECUTIONS = {
    "    time.sleep(0.15)\n": "",
    'json.loads(sm["definition"])': '_definition_of(sm["definition"])',
    '"input": json.dumps(current_input),': '"input": _shown(execution, current_input),',
    '"output": json.dumps(current_input),': '"output": _shown(execution, current_input),',
}
_OF_TASKS = {'"output": json.dumps(task_result),': '"output": _shown(execution, task_result),'}
"""Texts of ministack's `_run_execution` and `_execute_task`, and what takes their place."""
_DEFINITIONS = 64
_EXPRESSIONS = 1_024

_SIMPLE = re.compile(
    r"(?P<exists>\$exists\()?\$(?P<path>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)(?(exists)\)|( = '(?P<text>\w*)')?)"
)
"""A path, whether there is something at it, or whether that is a text."""
_NOTHING, _LIST = object(), object()


def install() -> None:
    """Install the differences."""
    stepfunctions._run_execution = lean_execution()
    stepfunctions._execute_task = changed(stepfunctions._execute_task, _OF_TASKS, _shown=_shown)
    stepfunctions._add_event = without_history(stepfunctions._add_event)
    lambda_svc._poll_loop = changed(lambda_svc._poll_loop, _OF_POLLER, _at_rest=_at_rest)
    emit = without_events(stepfunctions._emit_execution_status_event)
    stepfunctions._emit_execution_status_event = keeping_under_way(emit)
    stepfunctions._evaluate_jsonata = looked_up(stepfunctions._evaluate_jsonata)


def lean_execution() -> Callable[[str], None]:
    """Return ministack's run of an execution, which begins at once and writes no JSON that nobody keeps."""
    return changed(stepfunctions._run_execution, _OF_EXECUTIONS, _definition_of=_definition_of, _shown=_shown)


def _shown(execution: dict[str, Any], value: Any) -> str:
    """Return what the history shows of a state's input or output, if there is a history."""
    return "" if _is_express(execution) else json.dumps(value)


def _definition_of(text: str) -> Any:
    """Return what `json.loads` does, in a third of the time."""
    return marshal.loads(_parsed(text))  # noqa: S302


@lru_cache(_DEFINITIONS)
def _parsed(text: str) -> bytes:
    return marshal.dumps(json.loads(text))


def keeping_under_way(emit: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """Return ministack's sender of status events, extended to keep `under_way`.

    When nothing is under way any more, the poller of queues looks again: windows end then.
    """

    def wrapped(execution: dict[str, Any]) -> None:
        if execution["status"] == "RUNNING":
            _at_rest.clear()
            under_way[execution["executionArn"]] = _is_of_express(execution)
        else:
            under_way.pop(execution["executionArn"], None)
            if not under_way:
                lambda_svc._esm_wake.set()
                _at_rest.set()
        emit(execution)

    return wrapped


def _is_express(execution: dict[str, Any]) -> bool:
    """Tell whether an execution is of an Express workflow: asked some fifty times for each."""
    known = under_way.get(execution["executionArn"])
    return _is_of_express(execution) if known is None else known


def _is_of_express(execution: dict[str, Any]) -> bool:
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
    return bool(machine) and machine.get("type") == "EXPRESS"


def _is_over(execution: dict[str, Any]) -> bool:
    return execution["status"] != "RUNNING" and _is_express(execution)


def without_history(add_event: Callable[..., Any]) -> Callable[..., None]:
    """Return ministack's writer of history, restricted to Standard workflows."""

    def wrapped(execution: dict[str, Any], *event: Any) -> None:
        if not _is_express(execution):
            add_event(execution, *event)

    return wrapped


def without_events(emit: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """Return ministack's sender of status events, restricted to Standard workflows.

    It is called at the start and at the end of an execution. Of Express ones, the oldest that ended is then
    forgotten.
    """
    ended: deque[str] = deque()

    def wrapped(execution: dict[str, Any]) -> None:
        if not _is_express(execution):
            emit(execution)
        elif _is_over(execution):
            execution["events"].clear()
            if not ended:  # those of an earlier start of the system
                ended.extend(arn for arn, each in stepfunctions._executions.items() if _is_over(each))
            else:
                ended.append(execution["executionArn"])
            while len(ended) > KEPT:
                stepfunctions._executions.pop(ended.popleft(), None)

    return wrapped


def looked_up(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """Return ministack's evaluation of JSONata, with a shortcut for paths to single values.

    A list anywhere on the path has rules of its own in JSONata, and what is not there is an error: both are
    left to the evaluation.
    """

    def wrapped(
        expression: str,
        raw_input: Any,
        ctx: dict[str, Any] | None = None,
        result: Any = None,
        error_output: Any = None,
    ) -> Any:
        if simple := _simple(expression):
            states = {"input": raw_input, "result": result, "errorOutput": error_output}
            states["context"] = ctx or {}
            value = _value_at(simple.path, states, states["context"].get("variables", {}))
            is_clear = value is not _LIST
            if simple.asks_whether_there:
                if is_clear and value is not None:
                    return value is not _NOTHING
            elif simple.text is not None:
                if isinstance(value, str):
                    return value == simple.text
            elif is_clear and value is not _NOTHING:
                return value
        return evaluate(expression, raw_input, ctx, result, error_output)

    return wrapped


@dataclass(frozen=True)
class _Simple:
    """An expression that is looked up."""

    path: tuple[str, ...]
    asks_whether_there: bool
    text: str | None
    """The value is compared with it."""


@lru_cache(_EXPRESSIONS)
def _simple(expression: str) -> _Simple | None:
    found = _SIMPLE.fullmatch(expression)
    return found and _Simple(tuple(found["path"].split(".")), bool(found["exists"]), found["text"])


def _value_at(path: tuple[str, ...], states: dict[str, Any], variables: dict[str, Any]) -> Any:
    """Return what is at a path: perhaps `_NOTHING`, or `_LIST` where there is a list on it."""
    first, *others = path
    value: Any = states if first == "states" else variables.get(first, _NOTHING)
    for name in others:
        if isinstance(value, list):
            return _LIST
        if not isinstance(value, dict) or name not in value:
            return _NOTHING
        value = value[name]
    return _LIST if isinstance(value, list) else value

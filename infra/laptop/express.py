"""Express workflows as AWS has them, where ministack treats every workflow as a Standard one.

- Their executions have no history, and send no status events to EventBridge. ministack keeps both, for good.
- `KEPT` executions that have ended stay known; AWS lists none.

And for workflows of both types:

- An expression that only names a value (`$states.input.body`) is looked up instead of evaluated. Most
  expressions are of this kind.
- An execution begins at once. ministack lets it wait for 0.15 s.
- `under_way` has the executions that run.

Sources: https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html
https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
"""

import inspect
import re
from collections import deque
from collections.abc import Callable
from typing import Any

from ministack.services import lambda_svc, stepfunctions

KEPT = 1_000
"""How many ended executions of Express workflows can still be asked for."""

under_way: set[str] = set()
"""ARNs of the executions that this process has started, and that have not ended."""

_WAIT = "    time.sleep(0.15)\n"
"""How an execution begins in ministack."""

_PATH = re.compile(r"\$[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def install() -> None:
    """Install the differences."""
    stepfunctions._run_execution = without(stepfunctions._run_execution, _WAIT)
    stepfunctions._add_event = without_history(stepfunctions._add_event)
    emit = without_events(stepfunctions._emit_execution_status_event)
    stepfunctions._emit_execution_status_event = keeping_under_way(emit)
    stepfunctions._evaluate_jsonata = looked_up(stepfunctions._evaluate_jsonata)


def without(function: Callable[..., Any], text: str) -> Callable[..., Any]:
    """Return a function of ministack without a part of its source.

    Raises:
        RuntimeError: this release has another source.
    """
    source = inspect.getsource(function)
    if text not in source:
        raise RuntimeError(
            f"this release of ministack has another {function.__name__}: see infra/laptop/express.py"
        )
    made: dict[str, Any] = {}
    code = compile(source.replace(text, ""), function.__code__.co_filename, "exec")
    exec(code, function.__globals__, made)  # noqa: S102
    shorter: Callable[..., Any] = made[function.__name__]
    return shorter


def keeping_under_way(emit: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """Return ministack's sender of status events, extended to keep `under_way`.

    When nothing is under way any more, the poller of queues looks again: windows end then.
    """

    def wrapped(execution: dict[str, Any]) -> None:
        if execution["status"] == "RUNNING":
            under_way.add(execution["executionArn"])
        else:
            under_way.discard(execution["executionArn"])
            if not under_way:
                lambda_svc._esm_wake.set()
        emit(execution)

    return wrapped


def _is_express(execution: dict[str, Any]) -> bool:
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
        if _PATH.fullmatch(expression):
            first, *names = expression[1:].split(".")
            states = {
                "input": raw_input,
                "result": result,
                "errorOutput": error_output,
                "context": ctx or {},
            }
            value: Any = {**(ctx or {}).get("variables", {}), "states": states}
            for name in (first, *names):
                if not isinstance(value, dict) or name not in value:
                    break
                value = value[name]
            else:
                if not isinstance(value, list):
                    return value
        return evaluate(expression, raw_input, ctx, result, error_output)

    return wrapped

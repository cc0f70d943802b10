"""Functions of ministack with other texts in their source: for what no replaced function would do."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any


def changed(function: Callable[..., Any], texts: Mapping[str, str], **names: Any) -> Callable[..., Any]:
    """Return a function with other texts in its source, which may use `names`.

    Raises:
        RuntimeError: this release of ministack has another source.
    """
    source = inspect.getsource(function)
    for text, other in texts.items():
        if text not in source:
            raise RuntimeError(f"this release of ministack has another {function.__name__}: see infra/laptop")
        source = source.replace(text, other)
    made: dict[str, Any] = {}
    function.__globals__.update(names)
    exec(compile(source, function.__code__.co_filename, "exec"), function.__globals__, made)  # noqa: S102
    other_function: Callable[..., Any] = made[function.__name__]
    return other_function

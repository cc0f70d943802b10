"""How commands are typed where Scones runs, for all who tell people what to do."""

from pathlib import Path

STACK_NAME = "scones"
"""Of the stack on AWS, unless another one is named."""

_ARGUMENTS = ("FROM", "KEY", "PARAMETERS", "PREFIX", "SQL")
"""Values that `scones` takes without an option's name."""
_OPTIONS = {"ENDPOINT_NAME": "--name"}
"""Options of `scones` that are not named as for make."""

ABOUT_A_SYSTEM = frozenset(
    {
        *("audit", "backfill", "certify", "compact", "console", "drop", "import-capture", "label", "learn"),
        *("promote", "query", "redrive", "rejected", "report", "review", "smoke", "traffic", "why"),
    }
)
"""Commands about the system on this machine, or with `--on aws` and `--stack` about one on AWS."""
ABOUT_A_STACK = ABOUT_A_SYSTEM | {"deploy", "doctor", "endpoint", "endpoint-rollback", "undeploy"}
"""Commands with `--stack`."""

_stacks_on_aws: list[str] = []
"""The one that this process is about, if it is about one."""


def name_stack_on_aws(stack_name: str) -> None:
    """Let the commands that are told from now on name a stack on AWS."""
    _stacks_on_aws[:] = [stack_name]


def is_checkout() -> bool:
    """Tell whether this runs from a checkout, where people type `make`: not from a wheel, nor in a Lambda."""
    return Path(__file__).parents[1].joinpath("scones.py").exists()


def how(command: str, **values: str) -> str:
    """Return how a command is typed here: `make drop FROM=folder` in a checkout, else `scones drop folder`.

    Args:
        command: its name.
        values: by their names for make; an empty one is a flag.
    """
    for stack_name in _stacks_on_aws:
        values |= {"ON": "aws"} if command in ABOUT_A_SYSTEM else {}
        values |= {"STACK": stack_name} if command in ABOUT_A_STACK and stack_name != STACK_NAME else {}
    if is_checkout():
        return " ".join(["make", command, *(f"{name}={value or 1}" for name, value in values.items())])
    typed = ["scones", command]
    for name, value in values.items():
        option = _OPTIONS.get(name, f"--{name.lower().replace('_', '-')}")
        typed += [*([] if name in _ARGUMENTS else [option]), *([value] if value else [])]
    return " ".join(typed)

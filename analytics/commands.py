"""How commands are typed where Scones runs, for all who tell people what to do."""

from pathlib import Path

_ARGUMENTS = ("FROM", "KEY", "PARAMETERS", "PREFIX", "SQL")
"""Values that `scones` takes without an option's name."""
_OPTIONS = {"ENDPOINT_NAME": "--name"}
"""Options of `scones` that are not named as for make."""


def is_checkout() -> bool:
    """Tell whether this runs from a checkout, where people type `make`: not from a wheel, nor in a Lambda."""
    return Path(__file__).parents[1].joinpath("scones.py").exists()


def how(command: str, **values: str) -> str:
    """Return how a command is typed here: `make drop FROM=folder` in a checkout, else `scones drop folder`.

    Args:
        command: its name.
        values: by their names for make; an empty one is a flag.
    """
    if is_checkout():
        return " ".join(["make", command, *(f"{name}={value or 1}" for name, value in values.items())])
    typed = ["scones", command]
    for name, value in values.items():
        option = _OPTIONS.get(name, f"--{name.lower().replace('_', '-')}")
        typed += [*([] if name in _ARGUMENTS else [option]), *([value] if value else [])]
    return " ".join(typed)

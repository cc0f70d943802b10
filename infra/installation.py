"""Where Scones is installed, where its commands write to, and how they are typed there."""

import errno
import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
"""The folder of the five packages: of a checkout, or `scones` in site-packages."""

_ARGUMENTS = ("FROM", "KEY", "PARAMETERS", "PREFIX", "SQL")
"""Values that `scones` takes without an option's name."""
_OPTIONS = {"ENDPOINT_NAME": "--name"}
"""Options of `scones` that are not named as for make."""


def is_checkout() -> bool:
    """Tell whether this runs from a checkout, where people type `make`, and not from an installed wheel."""
    return (PROJECT / "scones.py").exists()


def state_folder() -> Path:
    """Return the folder of all that commands write: SCONES_HOME, else `build/` in a checkout.

    An installed Scones writes to the platform's folder for the data of a user's programs.
    """
    given = os.environ.get("SCONES_HOME")
    if given:
        return typed_path(given).absolute()
    if is_checkout():
        return PROJECT / "build"
    from platformdirs import user_data_path

    return user_data_path("scones", appauthor=False)


def typed_path(typed: str) -> Path:
    """Return the path that was typed, with the home folder for `~`.

    Raises:
        FileNotFoundError: nobody has such a home folder.
    """
    try:
        return Path(typed).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(errno.ENOENT, "there is no such home folder", typed) from error


def stack_file() -> Path:
    """Return the file that says where the system on this machine is."""
    return state_folder() / "stack.json"


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


def version() -> str:
    """Return the version of what is installed, or of the checkout."""
    if is_checkout():
        import tomllib

        described = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
        return str(described["project"]["version"])
    from importlib.metadata import version as installed_version

    return installed_version("scones")

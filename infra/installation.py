"""Where Scones is installed, and where its commands write to."""

import errno
import os
from pathlib import Path

from analytics.commands import is_checkout

PROJECT = Path(__file__).resolve().parents[1]
"""The folder of the five packages: of a checkout, or `scones` in site-packages."""


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


def version() -> str:
    """Return the version of what is installed, or of the checkout."""
    if is_checkout():
        import tomllib

        described = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
        return str(described["project"]["version"])
    from importlib.metadata import version as installed_version

    return installed_version("scones")

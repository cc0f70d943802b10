"""The `scones` command, and the folders that it consists of.

In a wheel this file is `scones/__init__.py`, with the five folders beside it: a user's site-packages gets one
name, `scones`, and none called `model` or `infra`. Here or there, the folders beside this file are the ones
that are imported: see docs/decisions/0067-one-name-in-site-packages.md.
"""

import gc
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120 - pathlib takes 10 ms to import
PATHS = (HERE, os.path.join(HERE, "analytics", "localathena"))  # noqa: PTH118
"""What Python has to search for the folders, and for the local Athena, which is a distribution of its own."""


def put_on_path() -> None:
    """Let this process, and those that it starts, import the folders before anything of the same name."""
    sys.path[:0] = [path for path in PATHS if path not in sys.path]
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", *PATHS)]
    os.environ["PYTHONPATH"] = os.pathsep.join([*PATHS, *given])
    # `python -m` would search the working folder first, and run what an unpacked archive has as random.py.
    os.environ["PYTHONSAFEPATH"] = "1"


def open_streams() -> None:
    """Open those standard streams that were closed, as by `>&-`: a file of ours would get their numbers."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w", encoding="utf-8"))


def take_utf8() -> None:
    """Start again in Python's UTF-8 mode where the locale has another encoding of paths.

    The system's processes are in that mode. The same path would be another text for them.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:replace")  # what the terminal shows
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606


def forget_impossible_sizes() -> None:
    """Remove a size of the terminal that is not a size, as some jobs set it: 0 columns show nothing."""
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "1")
        if size.strip("0123456789") or not size.strip("0"):
            del os.environ[name]


def main() -> None:
    """Run a command."""
    open_streams()
    take_utf8()
    forget_impossible_sizes()
    # A command makes many objects while it is loaded, and all of them stay: looking for garbage takes .1 s.
    gc.set_threshold(100_000)
    # Whatever the user's own setting is, nobody else may write what this process and its children make.
    os.umask(os.umask(0o077) | 0o022)
    try:
        put_on_path()
        from infra.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)
    finally:
        # Python looks through all objects as it ends, three times: that takes .15 s, and changes nothing.
        gc.freeze()


if __name__ == "__main__":
    main()

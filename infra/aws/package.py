"""Builds the packages of the Lambdas: the code of Scones, and on AWS the libraries that the runtime lacks."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from infra.installation import PROJECT
from ingest.errors import SconesError

TEMPLATE = PROJECT / "infra" / "template.yaml"

LAYOUT: dict[str, tuple[str, ...]] = {
    "hot": ("ingest", "workflow"),
    "record": ("ingest", "workflow", "analytics/lake"),
    "digest": (
        "ingest",
        "workflow",
        "analytics/athena",
        "analytics/questions",
        "analytics/report",
        "analytics/text.py",
    ),
}
"""Package, as the template's `CodeUri` names it → the folders and files of Scones in it."""

LIBRARIES: dict[str, tuple[str, ...]] = {
    "hot": ("aws-lambda-powertools", "pillow"),
    "record": ("aws-lambda-powertools", "pyarrow"),
    "digest": ("aws-lambda-powertools",),
}
"""Package → the libraries that it needs on AWS. boto3 is part of Lambda's runtime."""

_FOR_LAMBDA = ("--platform", "manylinux_2_28_aarch64", "--python-version", "3.13", "--only-binary", ":all:")


def build(into: Path, *, with_libraries: bool) -> Path:
    """Fill `into` with the template and everything that its paths name; return the path of the template.

    On the laptop, the Lambdas run in the virtual environment, which has the libraries.

    Raises:
        subprocess.CalledProcessError: pip could not download a library.
    """
    shutil.rmtree(into, ignore_errors=True)
    for definition in (PROJECT / "workflow").glob("*.asl.json"):
        _copy(definition, into)
    for package, parts in LAYOUT.items():
        target = into / "build" / "lambda" / package
        for source in sources(parts):
            _copy(source, target)
        if with_libraries:
            _install(LIBRARIES[package], target)
    return _copy(TEMPLATE, into)


def sources(parts: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files of a package, with those that make its folders importable."""
    for part in parts:
        path = PROJECT / part
        files = [path] if path.is_file() else [*path.rglob("*.py"), *path.rglob("*.sql")]
        around = [parent / "__init__.py" for parent in path.parents if PROJECT in parent.parents]
        yield from sorted({*files, *around})


def _copy(source: Path, into: Path) -> Path:
    target = into / source.relative_to(PROJECT)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
    return target


def _install(libraries: tuple[str, ...], target: Path) -> None:
    # Use the versions that the tests run with.
    constraints = target.parent / "constraints.txt"
    lock = (PROJECT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line.split(" ")[0] for line in lock if "==" in line and not line.startswith((" ", "#"))]
    constraints.write_text("\n".join(pins) + "\n", encoding="utf-8")
    if importlib.util.find_spec("pip") is None:
        raise SconesError("packing the Lambdas' libraries needs pip in this environment: uvx --with pip …")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(target)]
    command += [*_FOR_LAMBDA, "--constraint", str(constraints), *libraries]
    subprocess.run(command, env={**os.environ, "PIP_USER": "0"}, check=True)

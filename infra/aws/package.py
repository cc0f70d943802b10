"""Builds the packages of the Lambdas: the code of Scones, and on AWS the libraries that the runtime lacks.

The same sources make the same zip files, byte for byte, so that a deployment updates only what has changed.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.installation import PROJECT
from ingest.errors import SconesError
from model.files import CARD_FILE, DEFAULT_MODEL, MODEL_FILE, UnusableModel

TEMPLATE = PROJECT / "infra" / "template.yaml"

LAYOUT: dict[str, tuple[str, ...]] = {
    "hot": ("ingest", "workflow"),
    "classify": ("ingest", "workflow", "model/files.py", "model/serving/inference.py"),
    "record": ("ingest", "workflow", "analytics/lake"),
    "challenger": (
        *("ingest", "workflow", "analytics/lake", "analytics/challenger"),
        *("model/files.py", "model/serving/inference.py"),
    ),
    "digest": (
        "ingest",
        "workflow",
        "analytics/athena",
        "analytics/questions",
        "analytics/report",
        "analytics/review/certificate.py",
        "analytics/review/duel.py",
        "analytics/review/estimates.py",
        "analytics/review/measured.py",
        "analytics/review/sample.py",
        "analytics/review/words.py",
        "analytics/lake/label_source.py",
        *("analytics/commands.py", "analytics/html.py", "analytics/text.py", "analytics/theme.css"),
    ),
}
"""Package, as the template's `CodeUri` names it → the folders and files of Scones in it."""

LIBRARIES: dict[str, tuple[str, ...]] = {
    "hot": ("aws-lambda-powertools", "pillow"),
    "classify": ("aws-lambda-powertools", "pillow"),
    "record": ("aws-lambda-powertools", "pyarrow"),
    "challenger": ("aws-lambda-powertools", "pillow", "pyarrow"),
    "digest": ("aws-lambda-powertools", "jinja2"),
}
"""Package → the libraries that it needs on AWS. boto3 is part of Lambda's runtime."""

WITH_MODEL = "classify"
"""Package that has the model where no endpoint has it."""
LIBRARIES_OF_A_MODEL = ("numpy", "onnxruntime")

UNZIPPED_MAX_BYTES = 250 * 1024 * 1024
"""Limit of a package. Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

UNUSED = (
    *("pyarrow/libarrow_flight*", "pyarrow/libarrow_python_flight*", "pyarrow/_flight*"),  # 30 MB
    *("pyarrow/libarrow_s3*", "pyarrow/_s3fs*"),  # 16 MB; boto3 reads and writes
    *("pyarrow/libarrow_python*.so", "pyarrow/*.so.*.*.*"),  # copies of what `.so.2600` holds
    *("pyarrow/include/**/*", "pyarrow/src/**/*", "pyarrow/tests/**/*"),
    *("pyarrow/**/*.pxd", "pyarrow/**/*.pxi", "pyarrow/**/*.pyx", "pyarrow/**/*.pyi", "pyarrow/**/*.h"),
    "aws_lambda_powertools/event_handler/**/*",  # 2 MB, of which a web page is most
    *(
        "PIL/_imagingft*",
        "PIL/_imagingcms*",
        "PIL/_imagingtk*",
        "PIL/_imagingmorph*",
    ),
    *("pillow.libs/libfreetype*", "pillow.libs/libharfbuzz*", "pillow.libs/libbrotli*"),  # 4 MB, for texts
    *("pillow.libs/libpng*", "pillow.libs/liblcms*"),  # Pillow reads PNG itself
    "numpy/**/tests/**/*",
    "onnxruntime/tools/**/*",
    "*/tests/**/*",
    "bin/*",
)
"""Files of libraries that no Lambda needs: a smaller package starts sooner, and fits into Lambda's 250 MB."""

_PACKED = ("*.py", "*.sql", "*.toml", "*.j2")

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can name."""

_FOR_LAMBDA = ("--platform", "manylinux_2_28_aarch64", "--python-version", "3.13", "--only-binary", ":all:")


def build(into: Path, *, with_libraries: bool, model: Path | None = None) -> Path:
    """Fill `into` with the template and everything that its paths name; return the path of the template.

    Args:
        into: folder, which is emptied.
        with_libraries: for AWS. On the laptop, the Lambdas run in the virtual environment, which has them.
        model: folder of the model that the Lambdas have themselves; None where an endpoint has it.

    Raises:
        subprocess.CalledProcessError: pip could not download a library.
        UnusableModel: the folder has no model, or one that is too large for a Lambda.
    """
    shutil.rmtree(into, ignore_errors=True)
    for definition in (PROJECT / "workflow").glob("*.asl.json"):
        _copy(definition, into)
    for package, parts in LAYOUT.items():
        target = into / "build" / "lambda" / package
        for source in sources(parts):
            _copy(source, target)
        inside = model if package == WITH_MODEL else None
        if with_libraries:
            _install((*LIBRARIES[package], *(LIBRARIES_OF_A_MODEL if inside else ())), target)
        if inside:
            _add_model(inside, target)
        _zip(target)
    return _copy(TEMPLATE, into)


def build_for_sam(into: Path, parameters: Mapping[str, str], model: Path | None = None) -> Path:
    """Fill `into` as `build` does for AWS, for tools that deploy a template as it stands: the SAM CLI.

    Args:
        into: folder, which is emptied.
        parameters: become defaults of the template, so that a stack can be created without more.
        model: as `build` takes it.
    """
    template = build(into, with_libraries=True, model=model)
    template.write_text(with_defaults(template.read_text(encoding="utf-8"), parameters), encoding="utf-8")
    return template


def with_defaults(template: str, parameters: Mapping[str, str]) -> str:
    """Return a template's text in which parameters have these defaults.

    Raises:
        ValueError: the template lacks one of them.
    """
    for name, value in parameters.items():
        found = re.search(rf"^  {name}:\n((?:    .*\n)+)", template, re.M)
        if not found:
            raise ValueError(f"the template has no parameter {name!r}")
        lines = [line for line in found[1].splitlines() if not line.startswith("    Default:")]
        lines.append(f"    Default: {json.dumps(value, ensure_ascii=False)}")
        template = template[: found.start(1)] + "\n".join(lines) + "\n" + template[found.end(1) :]
    return template


def sources(parts: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files of a package, with those that make its folders importable."""
    for part in parts:
        path = PROJECT / part
        files = [path] if path.is_file() else [each for kind in _PACKED for each in path.rglob(kind)]
        around = [parent / "__init__.py" for parent in path.parents if PROJECT in parent.parents]
        yield from sorted({*files, *around})


def _add_model(model: Path, target: Path) -> None:
    inside = target / DEFAULT_MODEL.relative_to(PROJECT)
    inside.mkdir(parents=True)
    for name in (MODEL_FILE, CARD_FILE):
        try:
            shutil.copy2(model / name, inside / name)
        except OSError as error:
            raise UnusableModel(f"no usable model in {model}: {name}: {error.strerror}") from error
    unzipped_bytes = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    if unzipped_bytes > UNZIPPED_MAX_BYTES:
        raise UnusableModel(
            f"the model in {model} makes a package of {unzipped_bytes / 2**20:,.0f} MB, of at most "
            f"{UNZIPPED_MAX_BYTES / 2**20:,.0f} MB: serve it from an endpoint, with ModelIn=Endpoint"
        )


def _zip(folder: Path) -> None:
    """Put a folder into a zip file beside it, and delete the folder."""
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o755 << 16  # Lambda's own user reads it
            archive.writestr(entry, file.read_bytes())
    shutil.rmtree(folder)


def _copy(source: Path, into: Path) -> Path:
    target = into / source.relative_to(PROJECT)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
    return target


def _install(libraries: tuple[str, ...], target: Path) -> None:
    # Use the versions that the tests run with.
    constraints = target.parent / "constraints.txt"
    lock = (PROJECT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line.removesuffix(" \\") for line in lock if "==" in line and not line.startswith((" ", "#"))]
    constraints.write_text("\n".join(pins) + "\n", encoding="utf-8")
    if importlib.util.find_spec("pip") is None:
        raise SconesError("packing the Lambdas' libraries needs pip in this environment: uvx --with pip …")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(target)]
    command += [*_FOR_LAMBDA, "--constraint", str(constraints), *libraries]
    subprocess.run(command, env={**os.environ, "PIP_USER": "0"}, check=True)
    for pattern in UNUSED:
        for file in target.glob(pattern):
            if file.is_file():
                file.unlink()

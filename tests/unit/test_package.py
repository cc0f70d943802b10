"""The packages of the Lambdas: the same bytes each time, and nothing left out that is imported."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.aws import package
from infra.installation import PROJECT
from tests.bench.cold_starts import imported
from tests.template import resources_of_type

FUNCTIONS = resources_of_type("AWS::Serverless::Function").values()
HANDLERS = sorted(function["Handler"].rpartition(".")[0] for function in FUNCTIONS)
_IMPORT_ALL = """
import importlib, io, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
from PIL import Image
from ingest.formats import READABLE
for format_ in READABLE:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, format_)
    Image.open(file).load()
for module in list(sys.modules.values()):
    print(getattr(module, "__file__", None))
print(open("/proc/self/maps").read())
"""


def a_folder(folder: Path, names: list[str], at: float) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
        path.chmod(0o600 if at else 0o644)
        os.utime(path, (at, at))
    package._zip(folder)
    return folder.with_suffix(".zip")


def test_the_same_files_make_the_same_bytes_whenever_and_by_whomever_they_were_written(tmp_path):
    names = ["a.py", "b/c.py", "b/a.py"]
    one = a_folder(tmp_path / "one", names, 0.0)
    two = a_folder(tmp_path / "two", names[::-1], 1.8e9)
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert archive.namelist() == sorted(names)


def test_the_same_sources_make_the_same_packages(tmp_path):
    one, two = (package.build(tmp_path / name, with_libraries=False).parents[1] for name in ("one", "two"))
    zips = sorted(path.relative_to(one) for path in one.rglob("*.zip"))
    assert {path.stem for path in zips} == set(package.LAYOUT)
    for path in zips:
        assert (one / path).read_bytes() == (two / path).read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="reads which libraries are loaded from /proc")
def test_what_a_package_leaves_out_is_never_loaded():
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, *HANDLERS],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    (site,) = {Path(name).parents[1] for name in done.stdout.splitlines() if name.endswith("/PIL/Image.py")}
    loaded = {word for line in done.stdout.splitlines() for word in line.split()[-1:]}
    assert str(site / "aws_lambda_powertools" / "logging" / "logger.py") in loaded
    left_out = {str(path) for pattern in package.UNUSED for path in site.glob(pattern)}
    # pyarrow loads what is there, and does without the rest.
    assert {name for name in loaded & left_out if "/pyarrow/" not in name} == set()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
def test_the_largest_lambda_that_an_image_passes_is_imported_into_60_mb():
    assert imported("workflow.classify_batch", rounds=1).peak_mb <= 60

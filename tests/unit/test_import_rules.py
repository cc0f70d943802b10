import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from infra.aws.package import LAYOUT, sources
from infra.installation import PROJECT
from tests.template import resources_of_type

PACKAGES = ("ingest", "model", "workflow", "analytics", "infra")
MAY_IMPORT: dict[str, set[str]] = {
    "ingest": set(),
    "workflow": {"ingest", "model/files", "model/serving"},
    "model/files": {"ingest"},
    "model/data": {"ingest"},
    "model/calibrate": {"ingest"},
    "model/serving": {"ingest", "model/data", "model/files"},
    "model/training": {
        "ingest",
        "model/calibrate",
        "model/data",
        "model/files",
        "model/serving",
        "model/unfamiliarity",
    },
    "model/unfamiliarity": {"model/calibrate"},
    "analytics/localathena": set(),
    "analytics/athena": {"ingest", "analytics/lake", "analytics/localathena"},
    "analytics/lake": {"ingest", "workflow"},
    "analytics/questions": {"ingest", "workflow", "analytics/lake"},
    "analytics/text": set(),
    "analytics/commands": set(),
    "analytics/html": {"analytics/commands"},
    "analytics/capture": {"ingest", "workflow"},
    "analytics/challenger": {"ingest", "workflow", "analytics/lake"},
    "analytics/reconciliation": {
        "ingest",
        "workflow",
        "analytics/athena",
        "analytics/lake",
        "analytics/questions",
    },
    "analytics/report": {
        "analytics/commands",
        "ingest",
        "workflow",
        "analytics/athena",
        "analytics/html",
        "analytics/questions",
        "analytics/review",
        "analytics/text",
    },
    "analytics/review": {
        "ingest",
        "workflow",
        "analytics/athena",
        "analytics/lake",
        "analytics/questions",
        "analytics/html",
        "analytics/text",
    },
    "infra/installation": {"analytics/commands"},
    "infra/clients": set(),
    "infra/space": {"ingest"},
    "infra/stored": set(),
    "infra/stack": {"ingest", "analytics/commands", "infra/clients"},
    "infra/aws": {
        "analytics/challenger",
        "analytics/commands",
        "ingest",
        "model/files",
        "model/serving",
        "workflow",
        "analytics/lake",
        "analytics/questions",
        "analytics/text",
        "infra/installation",
        "infra/stack",
    },
    "infra/laptop": {
        "analytics/commands",
        "infra/space",
        "ingest",
        "model/files",
        "analytics/lake",
        "analytics/localathena",
        "analytics/questions",
        "infra/aws",
        "infra/clients",
        "infra/console",
        "infra/installation",
        "infra/stack",
        "infra/stored",
        "model/serving",
        "workflow",
    },
    "infra/operations": {
        "analytics/commands",
        "infra/space",
        "ingest",
        "model/calibrate",
        "model/data",
        "model/files",
        "model/serving",
        "model/training",
        "workflow",
        "analytics/athena",
        "analytics/capture",
        "analytics/lake",
        "analytics/questions",
        "analytics/reconciliation",
        "analytics/report",
        "analytics/review",
        "analytics/text",
        "infra/installation",
        "infra/stack",
        "infra/stored",
    },
    "infra/console": {
        "analytics/commands",
        "ingest",
        "model/serving",
        "workflow",
        "analytics/athena",
        "analytics/lake",
        "analytics/questions",
        "analytics/report",
        "analytics/review",
        "analytics/text",
        "infra/installation",
        "infra/operations",
        "infra/space",
        "infra/stack",
    },
    "infra/demo_images": {"model/data"},
    "infra/cli": {
        "analytics/commands",
        "ingest",
        "workflow",
        "model/data",
        "model/files",
        "model/serving",
        "model/training",
        "analytics/lake",
        "analytics/questions",
        "analytics/reconciliation",
        "analytics/report",
        "analytics/review",
        "analytics/text",
        "infra/aws",
        "infra/console",
        "infra/demo_images",
        "infra/laptop",
        "infra/operations",
        "infra/installation",
        "infra/stack",
    },
    "scones": {"infra/cli"},
}
"""Room → the rooms that it imports. A room is a folder of the second level, or a file beside such folders;
ingest and workflow are one room each. The table has every arrow that is in the code, and no other."""

PACKAGES_MAY_IMPORT = {
    "ingest": set(),
    "model": {"ingest"},
    "workflow": {"ingest", "model"},
    "analytics": {"ingest", "workflow"},
    "infra": {"ingest", "model", "workflow", "analytics"},
    "scones": {"infra"},
}
LOCAL_ATHENA = Path("analytics", "localathena")
AWS_LIBRARIES = {"boto3", "botocore", "s3transfer"}
HEAVY = ("pandas", "pyarrow", "numpy", "sagemaker", "onnxruntime", "duckdb", "aws_xray_sdk", "torch")

SOURCES = sorted(
    path.relative_to(PROJECT)
    for package in PACKAGES
    for path in (PROJECT / package).rglob("*.py")
    if "tests" not in path.relative_to(PROJECT).parts
)
MODULES = [*(path for path in SOURCES if path.name != "__init__.py"), Path("scones.py")]
FUNCTIONS = resources_of_type("AWS::Serverless::Function")
HANDLERS = sorted(function["Handler"].rpartition(".")[0] for function in FUNCTIONS.values())
LIGHT = sorted(
    function["Handler"].rpartition(".")[0]
    for function in FUNCTIONS.values()
    if Path(function["CodeUri"]).stem in ("hot", "classify", "digest")
)


def parsed(path: Path) -> ast.Module:
    return ast.parse((PROJECT / path).read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    """Return the names of the modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            module = node.module or ""
            is_package = (PROJECT / Path(*module.split("."))).is_dir()
            names |= {f"{module}.{alias.name}" for alias in node.names} if is_package else {module}
    return names


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def room(path: Path) -> str:
    """Return the room of a file, or of a module's path without its ending."""
    parts = path.with_suffix("").parts
    return parts[0] if parts[0] in ("ingest", "workflow", "scones") else "/".join(parts[:2])


def rooms_imported(path: Path) -> set[str]:
    """Return the rooms other than its own that a file imports."""
    rooms = {room(Path(*name.split("."))) for name in imported(path) if name.partition(".")[0] in PACKAGES}
    if "localathena" in tops(imported(path)):
        rooms.add("analytics/localathena")
    return rooms - {room(path)}


def test_all_rooms_have_a_rule():
    assert {room(path) for path in MODULES} == MAY_IMPORT.keys()
    assert len(SOURCES) > 30


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_room_imports_what_its_rule_says(name):
    found = set().union(*(rooms_imported(path) for path in MODULES if room(path) == name))
    assert found - MAY_IMPORT[name] == set(), f"{name} must not import it"
    assert MAY_IMPORT[name] - found == set(), f"{name} no longer imports it: remove it from the table"


def test_there_is_no_circle_between_rooms():
    assert {*TopologicalSorter(MAY_IMPORT).static_order()} == MAY_IMPORT.keys()


def test_imports_between_folders_go_one_way():
    for name, others in MAY_IMPORT.items():
        package = name.partition("/")[0]
        assert {other.partition("/")[0] for other in others} <= PACKAGES_MAY_IMPORT[package] | {package}


def test_only_the_edge_of_workflow_knows_the_model():
    """The steps know `workflow.classifier`, and not who stands behind it."""
    importers = [path for path in SOURCES if path.parts[0] == "workflow" and "model" in tops(imported(path))]
    assert importers == [Path("workflow", "aws.py")]


def test_no_handler_imports_a_handler():
    for module in HANDLERS:
        assert imported(Path(*module.split(".")).with_suffix(".py")) & {*HANDLERS} == set(), module


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parts[0] != "infra"], ids=str)
def test_only_the_edges_know_aws(path):
    others = ("ingest/session.py", "model/serving/sagemaker.py")
    is_edge = path.name == "aws.py" or path.as_posix() in others
    assert is_edge or not tops(imported(path)) & AWS_LIBRARIES


def test_the_local_athena_imports_nothing_of_scones():
    files = [path for path in SOURCES if LOCAL_ATHENA in path.parents]
    assert len(files) > 10
    for path in files:
        assert not tops(imported(path)) & {*PACKAGES, "tests", "scones"}, path


def test_only_analytics_and_infra_import_the_local_athena():
    importers = [path for path in SOURCES if "localathena" in tops(imported(path))]
    assert {path.parts[0] for path in importers} <= {"analytics", "infra"}


@pytest.mark.parametrize("package", LAYOUT)
def test_no_lambda_gets_the_local_athena(package):
    assert not [path for path in sources(LAYOUT[package]) if "localathena" in path.parts]


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_no_source_imports_a_test(path):
    assert "tests" not in tops(imported(path))


@pytest.mark.parametrize("module", LIGHT)
def test_a_lambda_of_a_light_package_imports_nothing_heavy(module):
    code = f"import {module}, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=True)
    modules = json.loads(done.stdout)
    assert module in modules
    assert {name.partition(".")[0] for name in modules} & set(HEAVY) == set()


@pytest.mark.parametrize("module", ["workflow.classify", "workflow.decide"])
def test_a_lambda_that_decodes_nothing_imports_no_decoder(module):
    code = f"import {module}, sys; sys.exit('PIL' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


@pytest.mark.parametrize("module", HANDLERS)
def test_no_lambda_traces(module):
    names = {
        alias.name
        for node in ast.walk(parsed(Path(*module.split(".")).with_suffix(".py")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert "Tracer" not in names


@pytest.mark.parametrize("module", HANDLERS)
def test_a_handler_has_no_branches(module):
    (handler,) = [
        node
        for node in parsed(Path(*module.split(".")).with_suffix(".py")).body
        if isinstance(node, ast.FunctionDef) and node.name == "lambda_handler"
    ]
    branches = (ast.If, ast.IfExp, ast.Try, ast.While, ast.Match)
    assert [ast.unparse(node) for node in ast.walk(handler) if isinstance(node, branches)] == []
    assert len(handler.body) < 20


@pytest.mark.parametrize("module", HANDLERS)
def test_a_handler_reads_no_environment_as_it_is_imported(module):
    for node in parsed(Path(*module.split(".")).with_suffix(".py")).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert "environ" not in ast.unparse(node)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_a_package_has_every_module_that_its_handler_imports(function):
    """A Lambda has only the files of its package."""
    present = {*sources(LAYOUT[Path(function["CodeUri"]).stem])}
    left, seen = {function["Handler"].rpartition(".")[0]}, set()
    while left:
        module = left.pop()
        seen.add(module)
        path = Path(*module.split(".")).with_suffix(".py")
        assert PROJECT / path in present
        left |= {name for name in imported(path) if name.partition(".")[0] in PACKAGES} - seen

"""The documents hold: links lead somewhere, and commands exist with their options."""

import math
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from analytics.report.cost import (
    Load,
    Serverless,
    at_rest,
    at_rest_without_monitoring,
    by_challenger,
    challenger_at_rest,
    costs,
)
from analytics.report.prices import read_prices
from infra.cli.command_line import Argument, Option
from infra.cli.main import scones
from infra.installation import PROJECT
from ingest.errors import REJECT_REASONS
from ingest.stats import exact_lower_bound
from model.files import DEFAULT_MODEL, read_card
from workflow.outcome import Outcome

DOCUMENTS = sorted(
    path.relative_to(PROJECT)
    for path in (*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"), *PROJECT.glob("analytics/*/*.md"))
)
COMMANDS_IN = [path for path in DOCUMENTS if "decisions" not in path.parts]
DECISIONS = sorted((PROJECT / "docs" / "decisions").glob("0*.md"))


def text_of(path: Path) -> str:
    return (PROJECT / path).read_text(encoding="utf-8")


def links_of(path: Path) -> list[str]:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text_of(path), flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def anchors_of(path: Path) -> set[str]:
    """Return GitHub's anchors of the headings."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", text_of(path), flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_every_link_leads_to_a_file_and_a_heading_of_it(path):
    for link in links_of(path):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        file = (PROJECT / path.parent / target).resolve() if target else PROJECT / path
        assert file.exists(), f"{path} links to {link}"
        assert not anchor or anchor in anchors_of(file.relative_to(PROJECT)), f"{path} links to {link}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_every_path_in_backticks_exists(path):
    folders = "ingest|workflow|analytics|model|infra|tests|docs|requirements"
    for name in re.findall(rf"`((?:{folders})/[\w./-]*)`", text_of(path)):
        assert (PROJECT / name).exists(), f"{path} names {name}"


def command_lines() -> list[tuple[str, str]]:
    """Return the commands of all code blocks and of text in backticks, each with its document."""
    lines = []
    for path in COMMANDS_IN:
        blocks = re.findall(r"```sh\n(.*?)```", text_of(path), flags=re.DOTALL)
        spans = re.findall(r"`((?:make|scones) [^`\n]+)`", text_of(path))
        for line in [*"\n".join(blocks).splitlines(), *spans]:
            for part in re.sub(r"\s#.*", "", line).split("&&"):
                if part.strip().startswith(("make", "scones")):
                    lines.append((str(path), part.strip()))
    return lines


def command_of(name: str) -> click.Command:
    assert name in scones.commands, f"there is no command {name}"
    return scones.commands[name]


def check_options(command: click.Command, words: list[str]) -> None:
    options = {text for each in command.get_params(click.Context(command)) for text in each.opts}
    given = {word.partition("=")[0] for word in words[: [*words, "--"].index("--")] if word.startswith("-")}
    assert given <= options, f"{command.name} has no {given - options}"


@pytest.mark.parametrize(("document", "line"), command_lines())
def test_every_command_exists_with_its_options(document, line):
    program, *words = shlex.split(line)
    if program == "scones":
        if words[0] not in ("--help", "--version"):
            check_options(command_of(words[0]), words[1:])
        return
    targets = [word for word in words if "=" not in word]
    variables = {word.partition("=")[0] for word in words if "=" in word} - {"PYTHON"}
    done = subprocess.run(
        ["make", "--dry-run", *targets], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for target in targets if variables else ():
        if target in ("torture", "bench", "simulate"):
            known = "SEED IMAGES SCENARIO SUITE RUNS QUICK FLAT KEEP ROWS"
            assert variables <= {*known.split()}
        else:
            command = command_of("endpoint" if target == "endpoint-plan" else target)
            names = {each.make_name for each in command.params if isinstance(each, Option | Argument)}
            assert variables <= names, f"make {target} has no {variables - names}"


def test_the_costs_in_the_documents_are_those_of_the_model():
    found = costs(Load(), Serverless(), read_prices())
    ways = {way.name: way for way in found.ways}
    by_events = f"{ways['events'].without_endpoint_usd:.2f}"
    in_lambda = f"{ways['events, model in the Lambda'].without_endpoint_usd:.2f}"
    for usd in (by_events, in_lambda):
        assert f"${usd} per million images" in text_of(Path("README.md"))
    operations = text_of(Path("docs/operations.md"))
    services: dict[str, float] = {line.service: line.usd for line in ways["events"].lines}
    parts = f"CloudWatch Logs {services['CloudWatch Logs']:.2f}, Lambda {services['Lambda']:.2f}"
    assert f"| {by_events}, of which {parts} |" in operations
    assert f"| one million images by events, with the model in the Lambda | {in_lambda} |" in operations
    assert f"| one million images by a backfill | {ways['backfill'].without_endpoint_usd:.2f} |" in operations
    challenger = f"{found.prices.of(by_challenger(Load())):.2f} for a million images"
    rest = f"{found.prices.of(challenger_at_rest(365 / 12)):.2f} a month at rest"
    assert f"| a challenger, without its endpoint | {challenger}, and {rest} |" in operations
    serverless = ways["events"].endpoint
    assert serverless
    assert f"0 while it is idle, {serverless.usd:.2f} for a million images" in operations
    assert f"{found.prices.usd_per_hosting_hour['ml.m5.large'] * 24 * 7:.2f} a week" in operations
    assert f"about {found.prices.of(at_rest(365 / 12)):.0f} a month" in operations
    least = f"{found.prices.of(at_rest_without_monitoring(365 / 12)):.2f}"
    assert f"| {least} a month, plus storage |" in operations
    assert f"a stack at rest costs ${least}" in text_of(Path("README.md"))


def test_the_index_of_decisions_has_each_with_its_title():
    index = text_of(Path("docs/decisions/README.md"))
    for path in DECISIONS:
        title = path.read_text(encoding="utf-8").partition("\n")[0]
        found = re.fullmatch(r"# (\d+)\. (.+)", title)
        assert found, f"{path.name} begins with {title!r}"
        assert path.name.startswith(f"{int(found[1]):04}-")
        assert f"| {found[1]} | [{found[2]}]({path.name}) |" in index


def test_the_readme_has_the_figures_of_the_default_models_card():
    card = read_card(DEFAULT_MODEL)
    figures, foreign = card["out_of_fold"], card["foreign"]
    low, high = figures["accuracy_interval_95"]
    known = foreign["known"]
    readme = " ".join(text_of(Path("README.md")).split())
    assert f"{figures['accuracy']:.1%} of the photos right".replace("%", " %") in readme
    assert f"(95 % interval: {100 * low:.1f} to {100 * high:.1f})" in readme
    assert f"it accepts {known['accepted'] / known['images']:.0%} of them".replace("%", " %") in readme
    right = known["accepted"] - known["errors"]
    assert f"a precision of {right / known['accepted']:.1%}".replace("%", " %") in readme
    low = exact_lower_bound(right, known["accepted"])
    assert f"(at least {math.floor(1000 * low) / 10:.1f} %, 95 % sure)" in readme
    assert f"that it was not taught, it accepts {foreign['accepted']:.1%}".replace("%", " %") in readme


def test_the_readme_names_every_outcome_and_every_reason_to_reject():
    readme = text_of(Path("README.md"))
    assert [word for word in (*Outcome, *REJECT_REASONS) if f"`{word}`" not in readme] == []


def test_ci_pins_its_actions_and_may_only_read():
    text = text_of(Path(".github/workflows/ci.yml"))
    uses = re.findall(r"uses: (.+)", text)
    assert uses
    assert [each for each in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert [job for job, each in workflow["jobs"].items() if "permissions" in each] == []


def test_ci_runs_every_python_that_the_package_supports():
    matrix = yaml.safe_load(text_of(Path(".github/workflows/ci.yml")))["jobs"]["test"]["strategy"]["matrix"]
    supported = re.findall(r"Python :: (3\.\d+)", text_of(Path("pyproject.toml")))
    assert matrix["python"] == supported


def test_a_readme_is_short():
    assert len(text_of(Path("README.md")).splitlines()) <= 200

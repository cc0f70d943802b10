"""The console's frame: who may use it, and what each response says."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from threading import Event
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from starlette.routing import Route

from infra.cli.main import scones
from infra.console.access import HEADERS, READING
from infra.console.pages import PAGES
from infra.console.system import OF_PAGES, OF_QUESTIONS
from infra.installation import PROJECT
from tests.console import ORIGIN, TOKEN, MadeUp, a_client, a_stranger

HEAVY = {"PIL", "boto3", "duckdb", "numpy", "onnxruntime", "pandas", "pyarrow", "sqlglot"}


@pytest.fixture
def system(tmp_path):
    return MadeUp(tmp_path, {})


@pytest.fixture
def stranger(system):
    with a_stranger(system) as client:
        yield client


@pytest.fixture
def owner(system):
    with a_client(system) as client:
        yield client


def routes(system):
    found = [route for module in PAGES for route in module.routes(system)]
    assert all(isinstance(route, Route) for route in found), (
        "only plain routes, whose methods can be looked at"
    )
    return found


def test_the_address_s_token_becomes_a_cookie_that_no_script_reads(stranger):
    first = stranger.get("/", params={"token": TOKEN})
    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(first.headers["set-cookie"].split("; "))
    assert stranger.get("/").status_code == 200


@pytest.mark.parametrize("path", ["/", "/assets/console.css", "/nothing", "/?token=", "/?token=wrong"])
def test_without_the_token_there_is_nothing(stranger, path):
    answer = stranger.get(path)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("cookie", ["", "wrong", TOKEN[:-1], TOKEN + "x", "\xff"])
def test_another_cookie_is_not_the_token(stranger, cookie):
    assert (
        stranger.get("/", headers={"cookie": f"scones-console-20000={cookie}".encode("latin-1")}).status_code
        == 403
    )


@pytest.mark.parametrize("host", ["evil.example", "evil.example:20000", "127.0.0.1", "127.0.0.1:20001"])
def test_another_host_is_refused_whatever_it_has(owner, host):
    assert owner.get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:20001"},
        {"origin": "https://127.0.0.1:20000"},
        {"origin": "null"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", ["/", f"/?token={TOKEN}"])
def test_requests_of_other_pages_are_refused(owner, headers, path):
    assert owner.get(path, headers=headers).status_code == 403


def test_what_changes_something_says_where_it_comes_from(owner):
    del owner.headers["origin"]
    assert owner.get("/").status_code == 200
    assert owner.post("/").status_code == 403
    assert owner.post("/", headers={"origin": ORIGIN}).status_code == 405


def test_no_route_that_reads_takes_another_method_too(system):
    for route in routes(system):
        assert route.methods <= READING or not route.methods & READING, route.path


@pytest.mark.parametrize("path", ["/", "/assets/console.css", "/nothing"])
def test_every_response_has_the_headers(owner, stranger, path):
    for client in (owner, stranger):
        headers = client.get(path).headers
        assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "'unsafe" not in HEADERS["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/assets/app.py", "/assets/..%2Fapp.py", "/assets/frame.html.j2", "/assets/"]
)
def test_assets_are_styles_and_scripts_alone(owner, path):
    assert owner.get(path).status_code == 404


def test_what_is_not_there_is_said_in_the_form_that_was_asked_for(owner):
    assert owner.get("/nothing").json() == {"detail": "GET /nothing"}
    page = owner.get("/%3Cb%3E%E2%80%AE", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert "<b>" not in page.text
    assert "\u202e" not in page.text


def test_a_console_that_nobody_looks_at_has_loaded_little():
    code = f"import infra.console.serve, sys; print(*({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=True)
    assert done.stdout.split() == []


def test_one_image_s_story_loads_what_it_needs_when_it_needs_it(tmp_path):
    code = (
        "import pathlib, sys, infra.operations.answers\n"
        "from infra.operations.answers import LocalEngine, views\n"
        "engine = LocalEngine(pathlib.Path(sys.argv[1]), views())\n"
        "engine.load()\n"
        "print({'botocore', 'numpy', 'onnxruntime', 'pyarrow', 'sqlglot'} & sys.modules.keys())\n"
        "import infra.operations.why, infra.operations.story\n"
        "print(engine.records('SELECT count(*) AS n FROM outcomes'))\n"
        "print({'numpy', 'onnxruntime', 'pandas', 'pyarrow'} & sys.modules.keys())"
    )
    command = [sys.executable, "-c", code, tmp_path]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True)
    assert done.stdout.splitlines() == [b"set()", b"[{'n': 0}]", b"set()"]


@pytest.mark.parametrize(
    ("at_once", "other", "is_free"), [(1, OF_PAGES, True), (1, OF_QUESTIONS, False), (10, OF_QUESTIONS, True)]
)
def test_a_long_question_of_a_person_holds_up_no_page(tmp_path, at_once, other, is_free):
    system = MadeUp(tmp_path, {}, SimpleNamespace(queries_at_once=at_once))

    def use():
        with system.engine(other):
            return True

    with ThreadPoolExecutor(1) as pool:
        with system.engine(OF_QUESTIONS):
            use_of_other = pool.submit(use)
            done, _ = wait([use_of_other], timeout=5 if is_free else 0.1)
            assert bool(done) == is_free
        assert use_of_other.result(5)


def test_a_question_that_is_being_answered_does_not_hold_up_the_end(tmp_path):
    system, ended = MadeUp(tmp_path, {}), Event()
    system._open.callback(ended.set)  # as the engine ends its process, and with it the statement
    question = system._threads.submit(ended.wait, 5)
    system.close()
    assert question.result(10)


def test_on_aws_the_console_is_served_with_a_new_token_each_time(monkeypatch):
    served = []
    sock = SimpleNamespace(getsockname=lambda: ("127.0.0.1", 20001))
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: f"the stack on {on}")
    monkeypatch.setattr("model.serving.connections.listen", lambda host, port: nullcontext(sock))
    monkeypatch.setattr("infra.console.serve.serve", lambda *arguments: served.append(arguments))
    for _ in range(2):
        said = CliRunner().invoke(scones, ["console", "--on", "aws"]).stdout
        assert said == f"http://127.0.0.1:20001/?token={served[-1][2]}\n"
    assert [stack for _, stack, _, _ in served] == ["the stack on aws"] * 2
    assert len({token for _, _, token, _ in served}) == 2
    assert all(len(token) >= 40 for _, _, token, _ in served)

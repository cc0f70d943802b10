"""Only the owner of a running system talks to it: no web page, no other user, no other machine."""

import http.client
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from infra.clients import client
from infra.laptop import local
from infra.stack import Stack
from tests.builders import png_bytes
from tests.chromium import CHROMIUM, browsing

FUNCTION = json.dumps(
    {"FunctionName": "evil", "Role": "arn:aws:iam::000000000000:role/r", "Code": {"ZipFile": ""}}
)


def port_of(url: str | None) -> int:
    port = urlsplit(str(url)).port
    assert port
    return port


def post(port: int, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send what a browser or a stranger sends."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(
            "POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def functions(stack: Stack) -> list[str]:
    return [each["FunctionName"] for each in stack.client("lambda").list_functions()["Functions"]]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example", "Content-Type": "text/plain"},
        {"Sec_Fetch_Site": "cross-site", "Content-Type": "text/plain"},
        {"Host": "evil.example:{port}"},
        {"Host": "evil.example"},
        {},
        {
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20261129/us-east-1/lambda/aws4_request, "
            "SignedHeaders=host;x-amz-date, Signature=0",
            "X_Amz_Date": "20261129T000000Z",
        },
    ],
)
def test_a_function_is_not_created_for_pages_and_strangers(stack: Stack, headers: dict[str, str]) -> None:
    port = port_of(stack.endpoint_url)
    headers = {name: value.format(port=port) for name, value in headers.items()}
    status, answered, body = post(port, "/2015-03-31/functions", FUNCTION.encode(), **headers)
    assert status == 403
    assert b"." in body
    assert not [name for name in answered if name.startswith("access-control")]
    assert "evil" not in functions(stack)


@pytest.mark.parametrize(
    "headers", [{"Origin": "null"}, {"Host": "evil.example"}, {"Sec_Fetch_Site": "same-site"}]
)
def test_the_model_s_endpoint_does_not_answer_pages(stack: Stack, headers: dict[str, str]) -> None:
    port = port_of(stack.model_endpoint_url)
    path = urlsplit(str(stack.model_endpoint_url)).path + "/invocations"
    status, answered, _ = post(port, path, png_bytes(), Content_Type="image/png", **headers)
    assert status == 403
    assert not [name for name in answered if name.startswith("access-control")]
    assert post(port, path, png_bytes(), Content_Type="image/png")[0] == 200


@pytest.mark.parametrize("path", ["", "/" + 64 * "0"])
def test_the_model_s_endpoint_answers_only_at_the_address_that_stack_json_holds(
    stack: Stack, path: str
) -> None:
    port = port_of(stack.model_endpoint_url)
    for route in ("/invocations", "/endpoints/scones/invocations"):
        assert post(port, path + route, png_bytes(), Content_Type="image/png")[0] == 404


@pytest.mark.parametrize(
    "service", ["s3", "sqs", "cloudformation", "lambda", "stepfunctions", "athena", "sns", "iam"]
)
def test_another_secret_is_refused_with_a_sentence_and_the_right_one_is_not(
    stack: Stack, service: str
) -> None:
    calls = {
        "s3": "list_buckets",
        "sqs": "list_queues",
        "cloudformation": "list_stacks",
        "lambda": "list_functions",
        "stepfunctions": "list_state_machines",
        "athena": "list_work_groups",
        "sns": "list_topics",
        "iam": "list_roles",
    }
    getattr(stack.client(service), calls[service])()
    for key, secret in (("test", "test"), (stack.access_key_id, "wrong"), ("000000000000", "test")):
        other = client(service, stack.region, str(stack.endpoint_url), key, secret)
        with pytest.raises(ClientError, match="secret_access_key of stack"):
            getattr(other, calls[service])()


def aws(stack: Stack, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run the AWS CLI as README says."""
    variables = {
        "AWS_ENDPOINT_URL": str(stack.endpoint_url),
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_ACCESS_KEY_ID": stack.access_key_id,
        "AWS_SECRET_ACCESS_KEY": stack.secret_access_key,
    }
    return subprocess.run(
        [sys.executable, "-m", "awscli", *arguments],
        env={**os.environ, **variables, **changed},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_aws_cli_works_with_the_keys_of_the_stack_file_and_not_without(stack: Stack) -> None:
    listing = ("s3", "ls", f"s3://{stack.incoming_bucket}")
    assert aws(stack, *listing).returncode == 0
    refused = aws(stack, *listing, AWS_SECRET_ACCESS_KEY="wrong")
    assert refused.returncode != 0
    assert "secret_access_key of stack.json" in refused.stderr


def test_presigned_urls_read_and_write(stack: Stack) -> None:
    s3 = stack.client("s3")
    where = {"Bucket": stack.query_results_bucket, "Key": "a key/with ümlauts & more.txt"}
    assert asked("PUT", s3.generate_presigned_url("put_object", Params=where), b"text")[0] == 200
    url = s3.generate_presigned_url("get_object", Params=where)
    assert asked("GET", url) == (200, b"text")
    assert asked("GET", url.replace("Signature=", "Signature=0"))[0] == 403
    done = aws(stack, "s3", "presign", f"s3://{stack.query_results_bucket}/a key/with ümlauts & more.txt")
    assert asked("GET", done.stdout.strip()) == (200, b"text")


def asked(method: str, url: str, body: bytes | None = None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_large_and_streamed_uploads_pass(stack: Stack, tmp_path: Path) -> None:
    s3 = stack.client("s3")
    body = os.urandom(17 << 20)
    (tmp_path / "large").write_bytes(body)
    s3.upload_file(str(tmp_path / "large"), stack.query_results_bucket, "large")  # in parts
    with (tmp_path / "large").open("rb") as stream:
        s3.put_object(Bucket=stack.query_results_bucket, Key="streamed", Body=stream)
    for key in ("large", "streamed"):
        assert s3.get_object(Bucket=stack.query_results_bucket, Key=key)["Body"].read() == body


def test_only_its_owner_reads_the_stack_file_and_the_home(
    tmp_path_factory: pytest.TempPathFactory, stack: Stack
) -> None:
    home = Path(str(stack.home))
    for path in (home.parent / "stack.json", home / "credentials.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    said = json.loads((home.parent / "stack.json").read_text(encoding="utf-8"))
    assert (said["access_key_id"], said["secret_access_key"]) == (
        stack.access_key_id,
        stack.secret_access_key,
    )
    assert stack.secret_access_key not in repr(stack)


def test_no_command_line_shows_the_secret(stack: Stack) -> None:
    commands = [command for _, command in local._commands()]
    assert commands
    assert not [command for command in commands if stack.secret_access_key in command]


# ── sockets ────────────────────────────────────────────────────────────────────────────────────────────────


def listening(inodes: set[str]) -> list[str]:
    """Return the local addresses of the sockets among these that take connections or datagrams."""
    found = []
    for kind, states in (("tcp", {"0A"}), ("tcp6", {"0A"}), ("udp", {"07"}), ("udp6", {"07"})):
        for line in Path("/proc/net", kind).read_text(encoding="utf-8").splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and fields[3] in states:
                found.append(f"{kind} {fields[1]}")
    return found


def inodes_of(pids: set[int]) -> set[str]:
    found = set()
    for pid in pids:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(file)  # noqa: PTH115 - no file
            except OSError:
                continue
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def tree_of(roots: set[int]) -> set[int]:
    """Return these processes and all that they started."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(
                (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
            )
        except OSError:
            continue
    tree = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return tree


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads the table of sockets in /proc")
def test_every_listening_socket_is_on_the_loopback(stack: Stack) -> None:
    stack.client("s3").put_object(Bucket=stack.incoming_bucket, Key="a.png", Body=png_bytes())
    pids = tree_of(set(stack.pids.values()))
    assert len(pids) >= 3
    found = listening(inodes_of(pids))
    assert len(found) >= 2
    loopback = ("tcp 0100007F:", "tcp6 00000000000000000000000001000000:")
    assert [each for each in found if not each.startswith(loopback)] == []


# ── a real browser ─────────────────────────────────────────────────────────────────────────────────────────

PAGE = """<!DOCTYPE html><title>trying</title><script>
const body = JSON.stringify({FunctionName: "evil", Runtime: "python3.11", Handler: "a.b",
  Role: "arn:aws:iam::000000000000:role/r", Code: {ZipFile: ""}});
const url = location.hash.slice(1);
const create = (more) => fetch(url + "/2015-03-31/functions", {method: "POST", body, ...more});
const tries = [
  () => create({mode: "no-cors"}),
  () => create({headers: {"Content-Type": "text/plain"}}),
  () => create({headers: {"Content-Type": "application/json"}}),
  () => fetch(url + "/_ministack/health"),
  () => fetch(url + "/"),
];
(async () => {
  const read = [];
  for (const each of tries) {
    try {
      const answer = await each();
      read.push(answer.type + " " + answer.status + " " + (await answer.text()));
    } catch (error) { read.push("refused"); }
  }
  document.body.textContent = JSON.stringify(read);
  document.title = "done";
})();
</script><body></body>"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Serve the page from another origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_page_in_a_browser_creates_nothing_and_reads_nothing(stack: Stack, elsewhere: str) -> None:
    before = functions(stack)
    with browsing() as page:
        page.open_url(f"{elsewhere}#{stack.endpoint_url}")
        page.wait_until("document.title == 'done'")
        read = json.loads(page.text("body"))
    assert read[0] == "opaque 0 "
    assert read[1:] == ["refused"] * 4
    assert functions(stack) == before

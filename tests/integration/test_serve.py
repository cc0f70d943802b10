import io
import json
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import boto3
import httpx
import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from PIL import Image

from ingest.model_input import PIXELS_TYPE, ModelInput
from model.data.drawings import draw
from model.files import UnusableModel
from model.serving.inference import Model
from model.serving.serve import MAX_BODY_BYTES, VERSION_HEADER, main
from model.training.onnx_file import Graph
from tests.serving import in_thread
from tests.waiting import PATIENCE_S, until

ROOT = Path(__file__).parents[2]
RED, GREEN, BLUE = (220, 10, 10), (10, 220, 10), (10, 10, 220)


def write_colour_model(folder, *, classes=("red", "green", "blue"), size_px=32, tells_unfamiliarity=False):
    """A network that tells an image's most frequent colour. The darker a colour, the less familiar."""
    graph = Graph("colours")
    pixels = graph.node("Cast", ["images"], to=1)
    means = graph.node("ReduceMean", [pixels], axes=[1, 2], keepdims=0)
    logits = graph.node("Mul", [means, graph.constant(np.float32(0.05).reshape(1))])
    graph.node("Softmax", [logits], "probabilities", axis=1)
    outputs: dict[str, tuple[str, list[int | str]]] = {"probabilities": ("float32", ["n", 3])}
    if tells_unfamiliarity:
        brightest = graph.node("ReduceMax", [means], axes=[1], keepdims=0)
        lit = graph.node("Div", [brightest, graph.constant(np.array(255, np.float32))])
        graph.node("Sub", [graph.constant(np.array(1, np.float32)), lit], "unfamiliarity")
        outputs["unfamiliarity"] = ("float32", ["n"])
    network = graph.to_bytes({"images": ("uint8", ["n", size_px, size_px, 3])}, outputs, {})
    (folder / "model.onnx").write_bytes(network)
    card = {"classes": list(classes), "image_size_px": size_px, "model_version": "colours-1"}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


STARTED: list[subprocess.Popen[str]] = []
"""Endpoints in processes of their own. They end with the test that started them, also if that fails."""


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    before = len(STARTED)
    yield
    while len(STARTED) > before:
        process = STARTED.pop()
        process.kill()
        process.communicate()


def start(weights, tmp_path):
    ready_file = tmp_path / "ready"
    command = [sys.executable, "-m", "model.serving.serve", str(weights), "0", str(ready_file)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    STARTED.append(process)
    assert process.stderr
    until(lambda: ready_file.exists() or process.poll() is not None, "a ready endpoint")
    assert process.poll() is None, process.stderr.read()
    return process, ready_file.read_text(encoding="utf-8")


def wait_until_warm(client):
    until(lambda: client.get("/ping").status_code == 200, "a warm model")


def stop(process):
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=PATIENCE_S)
    return log


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("endpoint")
    process, url = start(write_colour_model(folder), folder)
    with httpx.Client(base_url=url) as client:
        yield client
    stop(process)


@pytest.fixture
def runtime(endpoint):
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=str(endpoint.base_url),
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


def encoded(colour, format_="PNG", size_px=32):
    buffer = io.BytesIO()
    Image.new("RGB", (size_px, size_px), colour).save(buffer, format_)
    return buffer.getvalue()


def npy(images):
    buffer = io.BytesIO()
    np.save(buffer, images)
    return buffer.getvalue()


def flat(*colours):
    return np.stack([np.full((32, 32, 3), colour, np.uint8) for colour in colours])


def send(endpoint, body, content_type):
    return endpoint.post("/invocations", content=body, headers={"Content-Type": content_type})


def test_ping_is_200_once_the_model_is_warm(endpoint):
    assert endpoint.get("/ping").status_code == 200


@pytest.mark.parametrize(
    ("format_", "content_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("PNG", "application/x-image"), ("PNG", "IMAGE/PNG; q=1")],
)
def test_one_image_is_answered_with_one_probability_per_class(endpoint, format_, content_type):
    response = send(endpoint, encoded(GREEN, format_), content_type)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    scores = response.json()
    assert len(scores) == 3
    assert scores[1] == max(scores) > 0.99
    assert sum(scores) == pytest.approx(1)


def test_an_image_of_another_size_is_shrunk_to_the_models(endpoint):
    assert send(endpoint, encoded(BLUE, "JPEG", 700), "image/jpeg").json()[2] > 0.99


def test_a_batch_is_answered_with_a_list_for_each_image_in_order(endpoint):
    colours = [RED, BLUE, GREEN] * 30  # more than one run of the network
    answers = send(endpoint, npy(flat(*colours)), "application/x-npy").json()
    assert [scores.index(max(scores)) for scores in answers] == [0, 2, 1] * 30


def test_an_image_scores_the_same_alone_and_in_a_batch(endpoint):
    alone = send(endpoint, encoded((90, 100, 110)), "image/png").json()
    batch = send(endpoint, npy(flat(RED, (90, 100, 110))), "application/x-npy").json()
    assert batch[1] == pytest.approx(alone, abs=1e-6)


def test_the_pixels_of_one_image_are_a_batch_of_one(endpoint):
    form = ModelInput(32, 32, content_type=PIXELS_TYPE)
    file = form.file_of(Image.new("RGB", (32, 32), RED))
    (answered,) = send(endpoint, file, PIXELS_TYPE).json()
    assert answered == pytest.approx(send(endpoint, encoded(RED), "image/png").json(), abs=1e-6)


def test_an_empty_batch_is_answered_with_an_empty_list(endpoint):
    assert send(endpoint, npy(np.zeros((0, 32, 32, 3), np.uint8)), "application/x-npy").json() == []


def test_a_batch_needs_only_the_standard_library_to_write(endpoint):
    pixels = [Image.new("RGB", (32, 32), colour).tobytes() for colour in (RED, GREEN)]
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(pixels)}, 32, 32, 3), }}".encode()
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    body = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"".join(pixels)
    assert body == npy(flat(RED, GREEN))
    assert len(send(endpoint, body, "application/x-npy").json()) == 2


BOTH = "application/vnd.scones.scores+json"


@pytest.fixture(scope="module")
def two_outputs(tmp_path_factory):
    folder = write_colour_model(tmp_path_factory.mktemp("two"), tells_unfamiliarity=True)
    model = Model.load(folder, threads=1)
    with in_thread(lambda: model) as client:
        wait_until_warm(client)
        yield client


def ask(client, body, content_type, accept):
    return client.post("/invocations", content=body, headers={"Content-Type": content_type, "Accept": accept})


@pytest.mark.parametrize("accept", [BOTH, f"application/json;q=0.5, {BOTH.upper()} ; q=0.9"])
def test_unfamiliarity_travels_beside_the_probabilities_where_it_is_asked_for(two_outputs, accept):
    response = ask(two_outputs, encoded((51, 0, 0)), "image/png", accept)
    assert response.headers["Content-Type"] == BOTH
    assert response.json()["unfamiliarity"] == pytest.approx(0.8)
    assert sum(response.json()["probabilities"]) == pytest.approx(1)
    batch = ask(two_outputs, npy(flat(*[RED, (0, 51, 0)] * 40)), "application/x-npy", accept).json()
    assert [round(one["unfamiliarity"], 2) for one in batch] == [0.14, 0.8] * 40
    assert [np.argmax(one["probabilities"]) for one in batch] == [0, 1] * 40


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", f"{BOTH};q=0", f"{BOTH}s"])
def test_other_requests_get_the_plain_list(two_outputs, accept):
    response = ask(two_outputs, encoded(GREEN), "image/png", accept)
    assert response.headers["Content-Type"] == "application/json"
    assert len(response.json()) == 3
    assert len(ask(two_outputs, npy(flat(RED)), "application/x-npy", accept).json()[0]) == 3


def test_a_model_without_unfamiliarity_answers_with_the_plain_list(endpoint):
    response = ask(endpoint, encoded(GREEN), "image/png", BOTH)
    assert response.headers["Content-Type"] == "application/json"
    assert len(response.json()) == 3


def test_every_answer_names_the_models_version(endpoint):
    assert send(endpoint, encoded(RED), "image/png").headers[VERSION_HEADER] == "model_version=colours-1"


def test_boto3_finds_scores_and_version_where_sagemaker_puts_them(runtime):
    response = runtime.invoke_endpoint(EndpointName="any", Body=encoded(RED), ContentType="image/png")
    assert json.loads(response["Body"].read())[0] > 0.99
    assert response["CustomAttributes"] == "model_version=colours-1"
    assert response["InvokedProductionVariant"] == "AllTraffic"
    assert response["ContentType"] == "application/json"


def test_boto3_sees_a_models_error_as_sagemakers_model_error(runtime):
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(EndpointName="any", Body=b"GIF", ContentType="image/gif")
    response = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == 415
    assert json.loads(response["OriginalMessage"])["reason"] == "unsupported_content_type"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        (encoded(RED), "image/gif", 415, "unsupported_content_type"),
        (encoded(RED), "", 415, "unsupported_content_type"),
        (b"", "image/png", 400, "empty"),
        (b"hello, world", "image/png", 400, "not_an_image"),
        (encoded(RED)[:50], "image/png", 400, "corrupt"),
        (bytes(MAX_BODY_BYTES + 1), "image/png", 413, "body_too_large"),
        (b"", "application/x-npy", 400, "corrupt"),
        (encoded(RED), "application/x-npy", 400, "corrupt"),
        (npy(flat(RED))[:-1], "application/x-npy", 400, "corrupt"),
        (npy(flat(RED)) + b"\0", "application/x-npy", 400, "corrupt"),
        (npy(flat(RED).astype(np.float32)), "application/x-npy", 400, "wrong_shape"),
        (npy(np.asfortranarray(flat(RED))), "application/x-npy", 400, "wrong_shape"),
        (npy(flat(RED)[0]), "application/x-npy", 400, "wrong_shape"),
        (npy(flat(RED)).replace(b"(1, 32", b"(-1,32"), "application/x-npy", 400, "corrupt"),
        (npy(flat(RED)).replace(b"(1, 32, 32", b"(10**9, 32"), "application/x-npy", 400, "corrupt"),
        (
            npy(flat(RED)).replace(b"(1, 32, 32, 3), }   ", b"(True, 32, 32, 3), }"),
            "application/x-npy",
            400,
            "corrupt",
        ),
        (
            npy(flat(RED)).replace(b"(1, 32, 32, 3), }" + b" " * 12, b"(1000000000000, 32, 32, 3), }"),
            "application/x-npy",
            400,
            "corrupt",
        ),
    ],
)
def test_bad_input_is_refused_with_a_reason(endpoint, body, content_type, status, reason):
    response = send(endpoint, body, content_type)
    assert (response.status_code, response.json()["reason"]) == (status, reason)
    assert response.json()["detail"] or reason == "empty"
    assert endpoint.get("/ping").status_code == 200


def test_a_body_without_a_declared_length_is_bounded_too(endpoint):
    chunks = (bytes(1_000_000) for _ in range(7))
    response = endpoint.post("/invocations", content=chunks, headers={"Content-Type": "image/png"})
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("path", "content_type", "length", "status"),
    [
        ("/invocations", "image/png", MAX_BODY_BYTES + 1, 413),
        ("/invocations", "text/plain", 1_000, 415),
        ("/another/invocations", "image/png", 1_000, 404),  # as without the secret path of a laptop's system
    ],
)
def test_a_request_is_refused_before_its_body_comes(endpoint, path, content_type, length, status):
    host = f"127.0.0.1:{endpoint.base_url.port}"
    lines = [f"Host: {host}", f"Content-Type: {content_type}", f"Content-Length: {length}"]
    with socket.create_connection(("127.0.0.1", endpoint.base_url.port), timeout=10) as sock:
        sock.sendall("\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode())
        assert sock.recv(4096).startswith(f"HTTP/1.1 {status}".encode())


def test_a_client_that_stops_sending_frees_its_slot(tmp_path, monkeypatch):
    monkeypatch.setattr("model.serving.connections.BODY_TIMEOUT_S", 0.2)
    model = Model.load(write_colour_model(tmp_path), threads=1)
    with in_thread(lambda: model) as client:
        wait_until_warm(client)
        monkeypatch.setattr("model.serving.serve.MAX_IN_FLIGHT", 1)
        address = ("127.0.0.1", client.base_url.port)
        with socket.create_connection(address, timeout=PATIENCE_S) as sock:
            head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 999"
            sock.sendall(head + b"\r\n\r\nhalf of it")
            assert sock.recv(4096).startswith(b"HTTP/1.1 408")
            assert send(client, encoded(RED), "image/png").status_code == 200


def send_byte_by_byte(sock, timeout_s):
    give_up_at = time.monotonic() + timeout_s
    while time.monotonic() < give_up_at:
        time.sleep(0.05)
        sock.sendall(b"a")


@pytest.mark.parametrize(
    "start_of_request",
    [
        b"",
        b"GET /ping HTTP/1.1\r\nHost: x\r\nX-A: ",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 99999\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\nGET /ping HTTP/1.1\r\nHost: ",
    ],
    ids=["nothing", "a head", "the body of a refused request", "the head of a second request"],
)
def test_a_client_that_sends_a_byte_now_and_then_loses_its_connection(monkeypatch, start_of_request):
    monkeypatch.setattr("model.serving.connections.REQUEST_TIMEOUT_S", 0.5)
    with in_thread(lambda: None) as client:
        with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=10) as sock:
            sock.sendall(start_of_request)
            with pytest.raises(ConnectionError):
                send_byte_by_byte(sock, timeout_s=20)
        assert client.get("/ping").status_code == 503


def test_a_pickle_in_a_batch_is_never_loaded(endpoint):
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert send(endpoint, buffer.getvalue(), "application/x-npy").json()["reason"] == "wrong_shape"


def test_requests_side_by_side_get_their_own_answers(endpoint):
    colours = [RED, GREEN, BLUE] * 40
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda colour: send(endpoint, encoded(colour), "image/png").json(), colours))
    assert [scores.index(max(scores)) for scores in answers] == [0, 1, 2] * 40


def test_an_answer_does_not_wait_for_nagle(endpoint):
    body = encoded(RED)
    elapsed_s = []
    for _ in range(20):
        started = time.perf_counter()
        send(endpoint, body, "image/png")
        elapsed_s.append(time.perf_counter() - started)
    assert min(elapsed_s) < 0.03


def test_sigterm_lets_a_request_in_flight_finish(tmp_path):
    process, url = start(write_colour_model(tmp_path), tmp_path)
    address = url.removeprefix("http://").split(":")
    body = encoded(RED)
    with socket.create_connection((address[0], int(address[1]))) as sock:
        lines = [f"Host: {':'.join(address)}", "Content-Type: image/png", f"Content-Length: {len(body)}"]
        head = "\r\n".join(["POST /invocations HTTP/1.1", *lines])
        sock.sendall(head.encode() + b"\r\n\r\n" + body[:10])
        time.sleep(1)  # so that the request is in flight on a busy machine, too
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert process.poll() is None
        sock.sendall(body[10:])
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def copied_by_dockerfile():
    """Sources and destination of each COPY."""
    lines = (ROOT / "model/Dockerfile").read_text(encoding="utf-8").splitlines()
    return [line.split()[1:] for line in lines if line.startswith("COPY ")]


def test_the_containers_files_start_as_sagemaker_starts_them(tmp_path, monkeypatch):
    for *sources, destination in copied_by_dockerfile():
        for source in sources:
            to = tmp_path / "opt" / (destination + Path(source).name if len(sources) > 1 else destination)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, to)
    assert (tmp_path / "opt/model/requirements.txt").exists()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", str(port))
    monkeypatch.setenv("SM_MODEL_DIR", str(write_colour_model(tmp_path)))
    for name in ("PYTHONPATH", "PYTHONSAFEPATH"):  # a container has none of the tests' own
        monkeypatch.delenv(name, raising=False)
    process = subprocess.Popen(
        [sys.executable, "-m", "model.serving.serve", "serve"],
        cwd=tmp_path / "opt",
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr
        assert any(f"ready on http://0.0.0.0:{port}" in line for line in process.stderr)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            assert client.get("/ping", headers={"Host": "whatever", "Origin": "any"}).status_code == 200
            assert send(client, encoded(BLUE), "image/png").json()[2] > 0.99
    finally:
        stop(process)


def test_the_containers_packages_are_the_locks_with_all_that_they_need():
    def pinned(path):
        text = (ROOT / path).read_text(encoding="utf-8")
        return {
            block.split("==")[0]: set(re.findall(r"sha256:[0-9a-f]{64}", block))
            for block in re.split(r"\n(?=[a-z0-9])", text)
            if "python_full_version < '3.12'" not in block.partition("\n")[0]
        }

    container, lock = pinned("model/requirements.txt"), pinned("requirements.lock")
    assert all(hashes == lock[name] for name, hashes in container.items())
    assert {"onnxruntime", "numpy", "pillow", "starlette", "uvicorn"} <= set(container)
    for name in container:
        for needed in metadata.requires(name) or []:
            if ";" not in needed:
                assert re.split(r"[^\w-]", needed)[0].replace("_", "-").lower() in container


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "model.onnx").unlink(), "model.onnx"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"no network"), "InvalidProtobuf"),
        (lambda folder: (folder / "card.json").write_text("{}", encoding="utf-8"), "classes"),
        (lambda folder: write_colour_model(folder, classes=("red", "green")), "3 scores"),
    ],
)
def test_a_damaged_model_is_named_in_one_sentence(tmp_path, spoil, said):
    write_colour_model(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UnusableModel, match=said) as caught:
        Model.load(tmp_path, threads=1)
    assert f"no usable model in {tmp_path}" in str(caught.value)


def test_without_a_usable_model_the_process_ends_with_an_error(tmp_path):
    command = [sys.executable, "-m", "model.serving.serve", str(tmp_path), "0"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 1
    assert f"no usable model in {tmp_path}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [[], ["folder"], ["folder", "port"], ["a", "1", "b", "c"]])
def test_other_arguments_are_answered_with_the_usage(arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -m model.serving.serve")


def test_ping_and_invocations_are_503_until_the_model_is_warm(tmp_path):
    may_load = threading.Event()
    told: list[Exception | None] = []

    def load():
        assert may_load.wait(PATIENCE_S)
        return Model.load(write_colour_model(tmp_path), threads=1)

    with in_thread(load, told.append) as client:
        assert client.get("/ping").status_code == 503
        response = send(client, encoded(RED), "image/png")
        assert (response.status_code, response.json()["reason"]) == (503, "not_ready")
        may_load.set()
        wait_until_warm(client)
        assert send(client, encoded(RED), "image/png").status_code == 200
    assert told == [None]


def test_requests_beyond_the_limit_are_refused_as_busy(tmp_path, monkeypatch):
    monkeypatch.setattr("model.serving.serve.MAX_IN_FLIGHT", 0)
    model = Model.load(write_colour_model(tmp_path), threads=1)
    with in_thread(lambda: model) as client:
        wait_until_warm(client)
        response = send(client, encoded(RED), "image/png")
    assert (response.status_code, response.json()["reason"]) == (503, "busy")


def test_an_error_of_the_network_is_a_500_without_details(tmp_path, monkeypatch):
    model = Model.load(write_colour_model(tmp_path), threads=1)

    def broken(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(Model, "probabilities", broken)
    with in_thread(lambda: model) as client:
        wait_until_warm(client)
        response = send(client, encoded(RED), "image/png")
    assert (response.status_code, response.json()["reason"]) == (500, "model_failed")
    assert "secret" not in response.text


def test_the_default_model_fits_its_card_and_tells_drawings_apart():
    model = Model.load(ROOT / "model/weights", threads=1)
    for label in model.classes:
        drawings = [draw(label, 32, 32, random.Random(seed)) for seed in range(20)]
        scores = np.array(model.probabilities(np.stack([np.asarray(drawing) for drawing in drawings])))
        assert scores.sum(axis=1) == pytest.approx(np.ones(20), abs=1e-3)
        right = scores.argmax(axis=1) == model.classes.index(label)
        assert right.mean() >= 0.9


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}],
)
def test_on_the_loopback_pages_of_other_sites_are_refused(tmp_path, headers):
    process, url = start(write_colour_model(tmp_path), tmp_path)
    try:
        with httpx.Client(base_url=url) as client:
            assert client.get("/ping").status_code == 200
            for answer in (
                client.get("/ping", headers=headers),
                client.post("/invocations", headers=headers),
            ):
                assert answer.status_code == 403
                assert answer.text.endswith(".\n")
    finally:
        stop(process)

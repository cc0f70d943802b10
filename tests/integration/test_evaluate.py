import json
import threading
import xml.etree.ElementTree as ET
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from infra.demo_images import write_images
from ingest.errors import SconesError
from model.data.drawings import LABELS
from model.data.drawn import drawn, unrelated_drawn, write_archive
from model.data.unrelated import KINDS
from model.files import DEFAULT_MODEL, read_card
from model.serving.endpoint import EndpointError, ask, over_http
from model.serving.inference import Model
from model.training.evaluate import evaluate

CLASSES = ("bicycle", "motorcycle")


class Endpoint:
    """Answers `/invocations` with whatever `answer` makes of the request's body: a status and a body."""

    def __init__(self, answer):
        self.types: list[tuple[str, str | None, bytes]] = []
        self.answer = answer
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.types.append((self.path, self.headers["Content-Type"], body[:4]))
                status, answer = outer.answer(body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def serve():
    endpoints = []

    def start(answer):
        endpoints.append(Endpoint(answer))
        return endpoints[-1]

    yield start
    for endpoint in endpoints:
        endpoint.close()


def quiet(done, total):
    pass


def test_images_go_to_the_endpoint_as_png_and_come_back_as_probabilities(serve):
    endpoint = serve(lambda body: (200, b"[0.25, 0.75]"))
    with over_http(endpoint.url + "/") as classify:
        scores = ask(classify, drawn(CLASSES, 2, "evaluate"), quiet)
    assert scores.tolist() == [[0.25, 0.75]] * 4
    assert endpoint.types == [("/invocations", "image/png", b"\x89PNG")] * 4


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (503, b"warming up", "answered 503: warming up"),
        (200, b"<html>", "not a list of numbers"),
        (200, b'{"error": 1}', "not a list of numbers"),
        (200, b"[0.2, 0.3, 0.5]", "knows 3 classes, the card 2"),
    ],
)
def test_an_endpoint_that_answers_otherwise_is_one_clear_sentence(serve, status, body, sentence):
    with (
        over_http(serve(lambda _: (status, body)).url) as classify,
        pytest.raises(EndpointError, match=sentence),
    ):
        ask(classify, drawn(CLASSES, 1, "evaluate"), quiet)


def test_an_endpoint_out_of_reach_is_one_clear_sentence():
    with (
        over_http("http://127.0.0.1:9") as classify,
        pytest.raises(EndpointError, match=r"no answer from http://127\.0\.0\.1:9"),
    ):
        classify(b"")
    with pytest.raises(EndpointError, match="not an http or https URL"), over_http("localhost:8080"):
        pass


@contextmanager
def steps(label):
    yield quiet


def test_an_evaluation_has_the_figures_and_draws_the_diagrams(tmp_path):
    write_archive(tmp_path / "drawn.tar.gz", LABELS, each=2)
    evaluation = evaluate(tmp_path / "drawn.tar.gz", part="train", steps=steps)
    evaluation.write(tmp_path / "out")
    assert read_card(DEFAULT_MODEL)["model_version"] in evaluation.text()
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert figures["images"] == 10
    assert f"accuracy           {figures['accuracy']:.4f} on 10 images" in evaluation.text()
    for name in ("reliability.svg", "risk_coverage.svg"):
        assert ET.parse(tmp_path / "out" / name).getroot().tag.endswith("svg")  # noqa: S314 - just written


def test_an_endpoint_is_measured_instead_of_the_file(tmp_path, serve):
    write_archive(tmp_path / "drawn.tar.gz", LABELS, each=2)
    url = serve(lambda body: (200, b"[0.6, 0.1, 0.1, 0.1, 0.1]")).url
    evaluation = evaluate(tmp_path / "drawn.tar.gz", endpoint_url=url, steps=steps)
    assert evaluation.part == "test"
    assert evaluation.figures["recall"] == {name: float(name == "bicycle") for name in LABELS}


def test_unusable_data_and_models_are_one_sentence(tmp_path):
    with pytest.raises(SconesError) as caught:
        evaluate(tmp_path / "none.tar.gz", steps=steps)
    assert str(caught.value) == f"there is no file {tmp_path / 'none.tar.gz'}"
    with pytest.raises(SconesError, match="no usable model in"):
        evaluate(tmp_path / "none.tar.gz", model=tmp_path, steps=steps)


def test_the_default_model_knows_the_demos_drawings():
    model = Model.load(DEFAULT_MODEL, threads=1)
    data = drawn(model.classes, 20, "evaluate")
    answers = model.answers(data.pixels)
    right = [row.index(max(row)) == label for (row, _), label in zip(answers, data.labels, strict=True)]
    assert sum(right) >= 95
    assert sum(value <= 0.95 for _, value in answers if value is not None) >= 90


def test_the_default_model_finds_drawings_of_other_things_unfamiliar():
    others = unrelated_drawn(KINDS, 5, "evaluate")
    answers = Model.load(DEFAULT_MODEL, threads=1).answers(others.pixels)
    assert sum(value > 0.95 for _, value in answers if value is not None) >= 0.9 * len(answers)


def test_the_images_of_the_demo_can_be_evaluated_in_place(tmp_path):
    write_images(tmp_path, 60, seed=1)
    measured = evaluate(tmp_path, steps=lambda _: nullcontext(quiet))
    assert min(measured.data.counts().values()) >= 5
    assert "folders that are not of a class, not read: broken/, names/, other/" in measured.text()
    assert measured.figures["accuracy"] > 0.9


def test_validation_images_beside_training_images_are_measured(tmp_path):
    write_images(tmp_path / "train", 30, seed=1)
    write_images(tmp_path / "val", 40, seed=2)
    measured = evaluate(tmp_path, steps=lambda _: nullcontext(quiet))
    assert measured.part == "test"
    assert "the test images are those of val/" in measured.text()
    assert len(measured.data.labels) == 26

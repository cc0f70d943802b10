import io
import json
import math
import re
import threading
import xml.etree.ElementTree as ET
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import boto3
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from infra.cli import systems
from infra.cli.command_line import parameters_in
from infra.cli.main import scones
from infra.demo_images import write_images
from ingest.errors import SconesError
from ingest.image import prepare_for
from ingest.model_input import ModelInput
from model.data.drawings import LABELS
from model.data.drawn import drawn, unrelated_drawn, write_archive
from model.data.unrelated import KINDS
from model.files import DEFAULT_MODEL, read_card
from model.serving.endpoint import EndpointError, Runtime
from model.serving.inference import Model
from model.training.evaluate import ModelFile, evaluate
from workflow.policy import Policy

CLASSES = ("bicycle", "motorcycle")
DEFAULT = ModelFile.of(DEFAULT_MODEL)


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


@contextmanager
def steps(label):
    yield quiet


def measure(url, data, *parameters):
    """Return the figures of `scones evaluate` of an endpoint."""
    out = data.parent / "out"
    done = CliRunner().invoke(
        scones,
        ["evaluate", "--data", str(data), "--endpoint-url", url, "--out", str(out), "--json", *parameters],
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def refusal_of(url, data, *parameters):
    done = CliRunner().invoke(scones, ["evaluate", "--data", str(data), "--endpoint-url", url, *parameters])
    assert isinstance(done.exception, SconesError)
    return str(done.exception)


@pytest.fixture
def photos(tmp_path):
    """Return a folder of three pictures of two classes, half of them with an odd shape."""
    for name, colour in (("red, round", (250, 0, 0)), ("blue", (0, 0, 250))):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(3):
            size = (300, 200 + number)
            Image.new("RGB", size, colour).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def colours(body):
    """Answer as Hugging Face does, by what the image shows."""
    image = Image.open(io.BytesIO(body))
    red, _, blue = np.asarray(image.convert("RGB"))[image.height // 2, image.width // 2].tolist()
    first, other = ("red, round", "blue") if red > blue else ("blue", "red, round")
    return 200, json.dumps([{"label": first, "score": 0.8}, {"label": other, "score": 0.2}]).encode()


@pytest.mark.parametrize(
    ("parameters", "size", "format_"),
    [
        (["ImageSizePx=224", "ResizeMode=crop", "JpegQuality=90"], (224, 224), "JPEG"),
        (["ImageSizePx=320x240", "ResizeMode=pad"], (320, 240), "PNG"),
        (["ImageSizePx=32", "EndpointContentType=application/x-image"], (32, 32), "PNG"),
    ],
)
def test_an_endpoint_of_any_size_is_sent_what_the_workflow_sends(photos, serve, parameters, size, format_):
    seen = []

    def answer(body):
        image = Image.open(io.BytesIO(body))
        seen.append((image.size, image.format, body))
        return colours(body)

    endpoint = serve(answer)
    figures = measure(endpoint.url, photos, 'ClassNames=blue,"red, round"', *parameters)
    assert figures["accuracy"] == 1
    assert {(pixels, kind) for pixels, kind, _ in seen} == {(size, format_)}
    form = ModelInput.from_mapping(dict(each.split("=") for each in parameters))
    assert {type_ for _, type_, _ in endpoint.types} == {form.content_type}
    files = sorted((photos / "blue").iterdir()) + sorted((photos / "red, round").iterdir())
    sent = [form.file_of(prepare_for(form, file.read_bytes()).pixels) for file in files]
    assert [body for _, _, body in seen] == sent


@pytest.mark.parametrize(
    ("answer", "parameters"),
    [
        (b"[0.8, 0.2]", []),
        (b"0.8,0.2", []),
        (b'"red, round",blue\n0.2,0.8', []),
        (b'{"predictions": [[0.8, 0.2]]}', []),
        (b'{"predictions": [[1.386294, 0.0]]}', ["EndpointScores=logits"]),
        (b'{"predictions": [[0.2]]}', ["EndpointScores=sigmoid"]),
        (b'{"probabilities": [0.2, 0.8], "labels": ["red, round", "blue"]}', []),
        (b'[{"label": "blue", "score": 0.8}]', []),
    ],
)
def test_an_endpoint_of_each_kind_is_read_as_the_workflow_reads_it(photos, serve, answer, parameters):
    figures = measure(
        serve(lambda _: (200, answer)).url,
        photos,
        "ClassNames=@" + names_file(photos),
        "ImageSizePx=8",
        *parameters,
    )
    assert figures["recall"] == {"blue": 1, "red, round": 0}
    assert figures["log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.2)) / 2, abs=1e-4)


def names_file(photos):
    file = photos.parent / "names.txt"
    file.write_text("blue\nred, round\n", encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (503, b"warming up", "answered 503: warming up"),
        (200, b"<html>", "EndpointFault: endpoint http://.*: neither JSON nor JSON Lines nor CSV"),
        (200, b'{"error": 1}', 'UnclearAnswer: .*EndpointAccept.* begins: {"error": 1}'),
        (200, b"[0.2, 0.3, 0.5]", "InvalidScores: expected 2 probabilities, one per class of ClassNames"),
        (200, b'[{"label": "green", "score": 1}]', "UnknownLabel: the endpoint names 'green'"),
    ],
)
def test_an_endpoint_that_answers_otherwise_is_one_clear_sentence(photos, serve, status, body, sentence):
    said = refusal_of(
        serve(lambda _: (status, body)).url, photos, 'ClassNames=blue,"red, round"', "ImageSizePx=8"
    )
    assert re.search(sentence.replace("endpoint http://.*: neither", "endpoint http://.* neither"), said)


def test_an_endpoint_out_of_reach_is_one_clear_sentence(photos):
    given = photos, 'ClassNames=blue,"red, round"', "ImageSizePx=8"
    assert "no answer from http://127.0.0.1:9" in refusal_of("http://127.0.0.1:9", *given)
    assert "not an http or https URL" in refusal_of("localhost:8080", *given)


def test_an_error_that_says_nothing_is_named():
    def request(*_):
        raise TimeoutError

    connection: Any = SimpleNamespace(request=request)
    with pytest.raises(EndpointError, match=r"no answer from http://here \(TimeoutError\)"):
        Runtime("http://here", connection).invoke_endpoint(Body=b"", ContentType="", Accept="")


def calibrated(monkeypatch, serve, answer, *arguments):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", serve(answer).url)
    account = SimpleNamespace(session=boto3.Session(region_name="us-east-1"))
    monkeypatch.setattr(systems, "aws_account", lambda *_: account)
    return CliRunner().invoke(scones, ["endpoint-calibrate", "--name", "mine", *arguments])


def test_an_endpoint_that_names_its_classes_is_calibrated_at_its_size(monkeypatch, fake_aws, tmp_path, serve):
    write_archive(tmp_path / "drawn.tar.gz", CLASSES, each=20)
    sizes = set()

    def answer(body):
        image = Image.open(io.BytesIO(body))
        sizes.add((image.size, image.format))
        share = float(np.asarray(image).mean()) / 255
        return 200, json.dumps(
            [{"label": "motorcycle", "score": share}, {"label": "bicycle", "score": 1 - share}]
        ).encode()

    given = ["ImageSizePx=48x40", "JpegQuality=80"]
    done = calibrated(
        monkeypatch,
        serve,
        answer,
        "--data",
        str(tmp_path / "drawn.tar.gz"),
        "--classes",
        ",".join(CLASSES),
        *given,
    )
    assert done.exit_code == 0, done.output
    assert sizes == {((48, 40), "JPEG")}
    parameters = parameters_in(done.stdout.splitlines())
    assert parameters["ImageSizePx"] == "48x40"
    assert Policy.from_mapping(parameters).classes == CLASSES
    assert parameters["Temperature"] != "1"


def test_a_temperature_is_not_fitted_to_the_most_probable_classes_alone(
    monkeypatch, fake_aws, tmp_path, serve
):
    write_archive(tmp_path / "drawn.tar.gz", CLASSES, each=5)
    top = b'[{"label": "bicycle", "score": 0.8}]'
    data = ["--data", str(tmp_path / "drawn.tar.gz"), "--classes", ",".join(CLASSES)]
    done = calibrated(monkeypatch, serve, lambda _: (200, top), *data)
    assert "mine gives 1 of 2 classes, and a temperature needs all" in str(done.exception)


def test_an_evaluation_has_the_figures_and_draws_the_diagrams(tmp_path):
    write_archive(tmp_path / "drawn.tar.gz", LABELS, each=2)
    evaluation = evaluate(tmp_path / "drawn.tar.gz", DEFAULT, part="train", steps=steps)
    evaluation.write(tmp_path / "out")
    assert read_card(DEFAULT_MODEL)["model_version"] in evaluation.text()
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert figures["images"] == 10
    assert f"accuracy           {figures['accuracy']:.4f} on 10 images" in evaluation.text()
    for name in ("reliability.svg", "risk_coverage.svg"):
        assert ET.parse(tmp_path / "out" / name).getroot().tag.endswith("svg")  # noqa: S314 - just written


def test_an_endpoint_is_measured_instead_of_the_file(tmp_path, serve):
    write_archive(tmp_path / "drawn.tar.gz", LABELS, each=2)
    endpoint = serve(lambda body: (200, b"[0.6, 0.1, 0.1, 0.1, 0.1]"))
    figures = measure(endpoint.url + "/", tmp_path / "drawn.tar.gz")
    assert figures["recall"] == {name: float(name == "bicycle") for name in LABELS}
    assert endpoint.types == [("/invocations", "image/png", b"\x89PNG")] * figures["images"]


def test_unusable_data_and_models_are_one_sentence(tmp_path):
    with pytest.raises(SconesError) as caught:
        evaluate(tmp_path / "none.tar.gz", DEFAULT, steps=steps)
    assert str(caught.value) == f"there is no file {tmp_path / 'none.tar.gz'}"
    with pytest.raises(SconesError, match="no usable model in"):
        ModelFile.of(tmp_path)


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
    measured = evaluate(tmp_path, DEFAULT, steps=lambda _: nullcontext(quiet))
    assert min(measured.data.counts().values()) >= 5
    assert "folders that are not of a class, not read: broken/, names/, other/" in measured.text()
    assert measured.figures["accuracy"] > 0.9


def test_validation_images_beside_training_images_are_measured(tmp_path):
    write_images(tmp_path / "train", 30, seed=1)
    write_images(tmp_path / "val", 40, seed=2)
    measured = evaluate(tmp_path, DEFAULT, steps=lambda _: nullcontext(quiet))
    assert measured.part == "test"
    assert "the test images are those of val/" in measured.text()
    assert len(measured.data.labels) == 26

"""`scones check-endpoint`: three images to an endpoint over HTTP, and what a stack would understand."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from infra.cli import systems
from infra.cli.command_line import ATTENTION
from infra.cli.main import scones
from infra.demo_images import three_drawings
from infra.operations.check_endpoint import CannotCheck, Settings, check_endpoint
from tests.builders import png_bytes
from workflow.answers import Scores
from workflow.classifier import Answer

HUGGING_FACE = [{"label": "motorcycle", "score": 0.9}, {"label": "bicycle", "score": 0.1}]
PARAMETERS = ("ClassNames=bicycle,motorcycle", "ImageSizePx=224", "JpegQuality=90")


@pytest.fixture
def endpoint(monkeypatch, fake_aws):
    """Return what an endpoint of SageMaker answers and what it was asked; it takes images, not arrays."""
    told: dict[str, Any] = {"answer": HUGGING_FACE, "takes": ("image/png", "image/jpeg"), "asked": []}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told["asked"].append((self.path, self.headers["Content-Type"], body))
            is_taken = self.headers["Content-Type"] in told["takes"]
            answer = json.dumps(told["answer"] if is_taken else {"Message": "415"}).encode()
            self.send_response(200 if is_taken else 424)
            if not is_taken:
                self.send_header("x-amzn-ErrorType", "ModelError")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"http://127.0.0.1:{server.server_port}")
        account = type("Account", (), {"session": boto3.Session(region_name="us-east-1")})
        monkeypatch.setattr(systems, "aws_account", lambda *_: account)
        yield told
        server.shutdown()
        thread.join()


def check(*arguments):
    return CliRunner().invoke(scones, ["check-endpoint", "--name", "mine", *arguments])


def test_an_endpoint_that_is_understood_is_ready(endpoint):
    done = check(*PARAMETERS, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["is_ready"], found["takes_batches"], len(found["images"])) == (True, False, 3)
    image = found["images"][0]
    assert (image["label"], image["confidence"], image["classes"], image["named"]) == (
        "motorcycle",
        0.9,
        2,
        True,
    )
    assert image["probability_sum"] == pytest.approx(1)
    assert image["milliseconds"] > 0
    assert {(path, type_, body[:2]) for path, type_, body in endpoint["asked"]} == {
        ("/endpoints/mine/invocations", "image/jpeg", b"\xff\xd8")
    }


def test_an_endpoint_that_takes_batches_is_asked_for_one(endpoint):
    endpoint["takes"] = ("image/png", "application/x-npy")
    endpoint["answer"] = [0.1, 0.9]
    assert "Batches: not taken" in check("ClassNames=a,b", "ImageSizePx=32").output
    assert endpoint["asked"][-1][1] == "application/x-npy"


def test_classes_with_commas_are_checked_as_they_are_named(endpoint, tmp_path):
    endpoint["answer"] = [{"label": "tabby, tabby cat", "score": 0.9}, {"label": "dog", "score": 0.1}]
    (tmp_path / "names.txt").write_text("dog\ntabby, tabby cat\n", encoding="utf-8")
    for names in ('dog,"tabby, tabby cat"', f"@{tmp_path / 'names.txt'}"):
        done = check(f"ClassNames={names}", "ImageSizePx=32", "--json")
        assert {image["label"] for image in json.loads(done.stdout)["images"]} == {"tabby, tabby cat"}


def test_a_batch_that_aws_refuses_leaves_the_answers_to_single_images() -> None:
    class Refusing:
        def classify(self, *_: Any) -> Answer:
            return Answer(Scores([0.1, 0.9]), "m")

        def classify_batch(self, *_: Any) -> list[Answer]:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "InvokeEndpoint")

    settings = Settings.of({"ClassNames": "a,b", "ImageSizePx": "32"})
    endpoint: Any = Refusing()
    checked = check_endpoint(endpoint, settings, three_drawings())
    assert (checked.is_ready, checked.takes_batches, len(checked.images)) == (True, False, 3)


@pytest.mark.parametrize(
    ("answer", "parameters", "says"),
    [
        (
            HUGGING_FACE,
            ("ClassNames=poppy,tulip", "ImageSizePx=32"),
            "UnknownLabel: the endpoint names 'motorcycle'",
        ),
        ({"logits": [1, 2]}, ("ClassNames=a,b", "ImageSizePx=32"), "set EndpointScores=logits"),
        ([0.1, 0.2, 0.7], ("ClassNames=a,b", "ImageSizePx=32"), "expected 2 probabilities, one per class"),
        (
            HUGGING_FACE,
            ("ClassNames=bicycle,motorcycle", "ImageSizePx=32", "ModelVersion=m2"),
            "WrongModel: the policy is for model 'm2', and 'mine/' answered",
        ),
    ],
)
def test_an_endpoint_that_is_not_understood_asks_for_attention_in_one_sentence(
    endpoint, answer, parameters, says
):
    endpoint["answer"] = answer
    done = check(*parameters)
    assert done.exit_code == ATTENTION
    assert done.output.count(says) == 1
    assert "Not ready" in done.output


def test_images_of_a_folder_are_sent(endpoint, tmp_path):
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(png_bytes())
    assert check("ClassNames=bicycle,motorcycle", "ImageSizePx=32", "--from", str(tmp_path)).exit_code == 0
    assert len(endpoint["asked"]) == 4  # and one batch


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "PARAMETERS needs both, as in"),
        ({"ClassNames": "a,b"}, "PARAMETERS needs both, as in"),
        ({"ClassNames": "a,b", "ImageSizePx": "4"}, "PARAMETERS: image_size_px must be"),
    ],
)
def test_parameters_that_do_not_suffice_are_refused(parameters, says):
    with pytest.raises(CannotCheck, match=says):
        Settings.of(parameters)


def test_the_drawings_are_the_same_every_time():
    assert three_drawings() == three_drawings()

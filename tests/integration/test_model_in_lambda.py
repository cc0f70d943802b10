"""A model in the Lambda answers as it does behind an endpoint: the same image, the same row."""

import base64
import io
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest

from analytics.lake.schema import row_from_message
from infra.aws.deploy import parameters_of_model
from ingest.image import prepare_for
from ingest.model_input import PIXELS_TYPE, ModelInput
from model.data.drawings import draw
from model.files import DEFAULT_MODEL
from model.serving.inference import Model
from tests.builders import FakeContext, a_picture, an_event, jpeg_bytes, noise, png_bytes
from tests.serving import in_thread
from tests.waiting import until
from workflow import classify, decide
from workflow.answers import Scores
from workflow.aws import BATCH_TIMEOUT_S, connect_classifier
from workflow.batch import Steps
from workflow.classifier import NO_ENDPOINT, Answer, ModelInLambda
from workflow.errors import EndpointFault
from workflow.policy import Policy

PARAMETERS = parameters_of_model()
FORM = ModelInput.from_mapping(PARAMETERS)
Rows = list[dict[str, Any]]


def drawn(label: str) -> bytes:
    buffer = io.BytesIO()
    draw(label, 120, 90, random.Random(label)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


IMAGES = {
    "bicycle.jpg": drawn("bicycle"),
    "tulip.jpg": drawn("tulip"),
    "gray.png": png_bytes(a_picture().convert("L")),
    "noise.jpg": jpeg_bytes(noise(200, 100)),
}


@pytest.fixture(scope="module")
def endpoint(fake_aws: None) -> Iterator[httpx.Client]:
    with in_thread(lambda: Model.load(DEFAULT_MODEL, threads=1)) as client:
        until(lambda: client.get("/ping").status_code == 200, "a warm model")
        yield client


@pytest.fixture
def rows_of(endpoint: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Rows]]:
    """Return what makes the rows of all images with the model in an endpoint or in the Lambda."""

    def rows_of(model_in: str) -> Rows:
        variables = {
            **PARAMETERS,
            "MODEL_IN": model_in,
            "ENDPOINT_NAME": "scones",
            "ENDPOINT_ACCEPT": PARAMETERS["EndpointAccept"],
            "ENDPOINT_SCORES": PARAMETERS["EndpointScores"],
            "ENDPOINT_TIMEOUT_S": "25",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": str(endpoint.base_url),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        classify.endpoint.cache_clear()
        decide.policy.cache_clear()
        return [*map(one_by_one, IMAGES), *in_a_batch(variables)]

    yield rows_of
    classify.endpoint.cache_clear()
    decide.policy.cache_clear()


def one_by_one(name: str) -> dict[str, Any]:
    """Return the row of an image that goes through the Lambdas of the state machine."""
    image = prepare_for(FORM, IMAGES[name])
    file = base64.b64encode(FORM.file_of(image.pixels)).decode()
    request = {"body": file, "key": None, "content_type": FORM.content_type, "execution_arn": "one"}
    scores = classify.lambda_handler(request, FakeContext())
    decided = decide.lambda_handler({**scores, "execution_arn": "one"}, FakeContext())
    origin = {"event": an_event(name), "decided_at": "2026-11-23T10:00:00Z", "execution_arn": "one"}
    return row_from_message({**origin, "image": {**image.facts(), "serialize_ms": 1.0}, **decided})


def in_a_batch(environment: Mapping[str, str]) -> Rows:
    """Return the rows of all images as a batch."""
    steps = Steps(
        read=lambda upload: IMAGES[upload.key],
        form=FORM,
        endpoint=connect_classifier(environment, BATCH_TIMEOUT_S),
        policy=Policy.from_mapping(environment),
    )
    return [row_from_message(message) for message in steps.run([an_event(name) for name in IMAGES], "one")]


OWN = ("endpoint", "classify_ms", "serialize_ms", "decided_at")
"""Columns in which the rows differ."""


@pytest.mark.parametrize("form", [FORM, ModelInput.from_mapping({**PARAMETERS, "EndpointContentType": ""})])
def test_the_same_image_makes_the_same_row(
    rows_of: Callable[[str], Rows], monkeypatch: pytest.MonkeyPatch, form: ModelInput
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "FORM", form)
    of_endpoint, of_lambda = rows_of("Endpoint"), rows_of("Lambda")
    assert {row["endpoint"] for row in of_endpoint} == {"scones"}
    assert {row["endpoint"] for row in of_lambda} == {NO_ENDPOINT}
    assert all(row["unfamiliarity"] is not None for row in of_lambda)
    for row in (*of_endpoint, *of_lambda):
        for name in OWN:
            del row[name]
    assert of_lambda == of_endpoint


@pytest.mark.parametrize(("memory_mb", "threads"), [(512, 1), (3_600, 2), (10_240, 5)])
def test_the_model_computes_in_as_many_threads_as_the_lambda_has_cores(
    monkeypatch: pytest.MonkeyPatch, memory_mb: int, threads: int
) -> None:
    loaded: dict[str, Any] = {}
    monkeypatch.setattr(Model, "load", lambda folder, **options: loaded.update(options))
    connect_classifier({"MODEL_IN": "Lambda", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb)}, 1)
    assert loaded["threads"] == threads


class Scorer:
    version = "m1"

    def score_file(self, file: bytes) -> Any:
        raise AssertionError("not in a batch")

    score_npy = score_file

    def score_pixels(self, images: Any, size_px: tuple[int, int]) -> Any:
        assert (images, size_px) == ([b"one", b"two"], (1, 1))
        return [([0.1, 0.9], 0.2), ([0.8, 0.2], None)]


def test_a_batch_is_scored_at_once() -> None:
    """Where that fails, each image is scored on its own: the rows would be the same, but late."""
    assert ModelInLambda(Scorer()).classify_batch([b"one", b"two"], (1, 1)) == [
        Answer(Scores([0.1, 0.9], unfamiliarity=0.2), "m1"),
        Answer(Scores([0.8, 0.2]), "m1"),
    ]


class Broken:
    version = "m1"

    def score_file(self, file: bytes) -> Any:
        raise RuntimeError("out of order")

    score_npy = score_file

    def score_pixels(self, images: Any, size_px: tuple[int, int]) -> Any:
        raise RuntimeError("out of order")


def test_a_model_that_fails_is_a_fault_as_one_behind_an_endpoint() -> None:
    broken = ModelInLambda(Broken())
    for content_type in ("image/png", PIXELS_TYPE):
        with pytest.raises(EndpointFault, match="the model in the Lambda failed: RuntimeError: out of order"):
            broken.classify(b"", content_type)
    with pytest.raises(EndpointFault, match="out of order"):
        broken.classify_batch([b""], (32, 32))


def test_pixels_of_another_size_than_the_model_s_are_refused_and_not_read_askew() -> None:
    model = Model.load(DEFAULT_MODEL, threads=1, warm_up_images=1)
    width_px, height_px = model.form.size_px
    with pytest.raises(ValueError, match="the model takes"):
        model.score_pixels([bytes(width_px * height_px * 3)], (width_px * 2, height_px // 2))

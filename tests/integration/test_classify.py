import base64
import io
import json
import socket
import threading
import time
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from unittest.mock import Mock

import boto3
import numpy as np
import pytest
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config
from botocore.exceptions import ClientError

from ingest.model_input import SCORES_TYPE
from model.serving.serve import VERSION_HEADER, custom_attributes
from tests.builders import FakeContext, image_net_names, png_bytes
from workflow import classify, decide
from workflow.answers import Scores
from workflow.aws import ANSWER_MAX_BYTES, Endpoint, Runtime, connect_classifier
from workflow.breaker import FIRST_PAUSE_S
from workflow.errors import EndpointBusy, EndpointFault, UnclearAnswer
from workflow.policy import INFERENCE_ID_PREFIX, Policy
from workflow.policy import decide as to_decision

# Powertools says so of a Lambda that raises before it has measured anything.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")


ENVIRONMENT = {
    "MODEL_IN": "Endpoint",
    "ENDPOINT_NAME": "scones",
    "ENDPOINT_ACCEPT": "application/json",
    "ENDPOINT_SCORES": "probabilities",
}


class Server:
    """SageMaker's runtime on the loopback: answers what it is told to, and keeps what it was asked."""

    def __init__(self, url):
        self.url = url
        self.begin()

    def begin(self):
        self.status, self.body = 200, b"[0.25, 0.75]"
        self.headers: dict[str, str] = {}
        self.pause_s = 0.0
        self.cut_bytes = 0
        self.asked: list[tuple[str, dict[str, str], bytes]] = []

    def answer(self, body, status=200, **headers):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def fail(self, code, status, **more):
        self.answer({"Message": f"about {code}", **more}, status, x_amzn_ErrorType=code)


@pytest.fixture(scope="module")
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.asked.append((self.path, dict(self.headers), body))
            time.sleep(told.pause_s)
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body[: len(told.body) - told.cut_bytes])

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        told = Server(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield told
        server.shutdown()
        thread.join()


@pytest.fixture
def runtime(server):
    server.begin()
    return server


def endpoint_at(url, read_timeout_s=10.0, accept="application/json", scores_are="probabilities"):
    config = Config(connect_timeout=1, read_timeout=read_timeout_s, retries={"total_max_attempts": 1})
    client = boto3.client("sagemaker-runtime", endpoint_url=url, config=config)
    return Endpoint(Runtime(client), "scones", accept, scores_are)


@pytest.fixture(scope="module")
def client(server, fake_aws):
    return endpoint_at(server.url)._runtime


@pytest.fixture
def endpoint(client):
    return Endpoint(client, "scones")


def ask(endpoint):
    return endpoint.classify(b"an image", "image/png")


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_image_is_sent_as_it_is_and_the_scores_come_back(runtime, endpoint):
    assert ask(endpoint).scores == Scores([0.25, 0.75])
    ((path, headers, body),) = runtime.asked
    assert path == "/endpoints/scones/invocations"
    assert body == b"an image"
    assert (headers["Content-Type"], headers["Accept"]) == ("image/png", "application/json")


def test_each_request_has_the_prefix_that_tells_it_in_the_endpoint_s_data_capture(runtime, endpoint):
    """Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html"""
    ask(endpoint)
    ask(endpoint)
    ids = [headers["X-Amzn-SageMaker-Inference-Id"] for _, headers, _ in runtime.asked]
    assert len(set(ids)) == 2
    assert all(each.startswith(INFERENCE_ID_PREFIX) and len(each) <= 64 for each in ids)


def test_the_model_version_is_the_one_that_the_container_names(runtime, endpoint):
    runtime.answer([1, 0], **{VERSION_HEADER: custom_attributes("resnet9-2026=11")})
    assert ask(endpoint).model_version == "resnet9-2026=11"


@pytest.mark.parametrize("attributes", ["", "model_version=", "model_version", "another=1"])
def test_another_container_s_version_is_its_endpoint_and_variant(runtime, endpoint, attributes):
    runtime.answer([1, 0], **{VERSION_HEADER: attributes, "x-Amzn-Invoked-Production-Variant": "AllTraffic"})
    assert ask(endpoint).model_version == "scones/AllTraffic"


@pytest.mark.parametrize(
    ("body", "scores"),
    [
        (b"[NaN, 1.0]", [None, 1.0]),
        (b"[Infinity, -Infinity]", [None, None]),
        (b"[1e999, -1e999, 0.5]", [None, None, 0.5]),
        (b"[0.5, null]", [0.5, None]),
    ],
)
def test_what_json_and_step_functions_cannot_carry_becomes_null(runtime, endpoint, body, scores):
    runtime.answer(body)
    answer = ask(endpoint).scores.values
    assert answer == scores
    json.dumps(answer, allow_nan=False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[0.5",
        b"<html>",
        b"\xff\xfe",
        b"null",
        b'"[0.5]"',
        b"[" * 10_000,
        b"[" + b"9" * 9_999 + b"]",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_an_answer_that_is_no_text_of_scores_is_a_fault(runtime, endpoint, body):
    runtime.answer(body)
    with pytest.raises(EndpointFault, match=r"endpoint scones answered with neither JSON"):
        ask(endpoint)


def test_an_answer_that_is_too_long_is_a_fault(runtime, endpoint):
    runtime.answer([0.5] * (ANSWER_MAX_BYTES // 4))
    with pytest.raises(EndpointFault, match="more than 80,000 bytes"):
        ask(endpoint)


def test_the_named_scores_of_1000_classes_are_not_too_long(runtime, endpoint):
    runtime.answer([{"label": name, "score": 0.0012345678901234567} for name in image_net_names(1_000)])
    assert len(ask(endpoint).scores.values) == 1_000


# ── each kind of endpoint, as its documents say ──


KINDS = {
    "built-in": ("[0.25, 0.75]", None),
    "Scones": ('{"probabilities": [0.25, 0.75], "unfamiliarity": 0.97}', None),
    "TensorFlow Serving": ('{"predictions": [[0.25, 0.75]]}', None),
    "TensorFlow Serving, logits": ('{"predictions": [[-1.5, -0.4013877]]}', "logits"),
    "Hugging Face": (
        '[{"score": 0.75, "label": "motorcycle"}, {"score": 0.25, "label": "bicycle"}]',
        None,
    ),
    "Hugging Face, the most probable": ('[{"score": 0.75, "label": "motorcycle"}]', None),
    "JumpStart, verbose": (
        '{"probabilities": [0.75, 0.25], "labels": ["motorcycle", "bicycle"], "predicted_label": "x"}',
        None,
    ),
    "JSON Lines": ('{"prediction": [0.25, 0.75]}\n', None),
    "CSV": ("0.25,0.75\n", None),
    "CSV with names": ("motorcycle,bicycle\n0.75,0.25\n", None),
    "Keras, a sigmoid": ('{"predictions": [[0.75]]}', "sigmoid"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_endpoint_of_each_kind_is_understood(runtime, kind):
    body, scores_are = KINDS[kind]
    runtime.answer(body.encode())
    endpoint = endpoint_at(runtime.url, scores_are=scores_are or "probabilities")
    policy = Policy(("bicycle", "motorcycle"), 0.7, {}, scores_are=scores_are or "probabilities")
    decided = to_decision(ask(endpoint).scores, policy)
    assert decided.label == "motorcycle"
    assert decided.confidence == pytest.approx(0.75, abs=1e-6)
    assert decided.outcome == ("needs_review" if kind == "Scones" else "accepted")


def test_the_endpoint_is_asked_for_the_content_type_that_its_parameter_names(runtime, endpoint):
    ask(endpoint_at(runtime.url, accept=SCORES_TYPE))
    assert runtime.asked[0][1]["Accept"] == SCORES_TYPE


def test_an_answer_with_two_meanings_names_the_endpoint_the_parameter_and_the_answer(runtime, endpoint):
    runtime.answer(b'{"scores": [0.1, 0.9], "predictions": [0.2, 0.8]}')
    says = r"endpoint scones: .* scores and predictions.* set EndpointAccept .* begins: {\"scores\": \[0.1"
    with pytest.raises(UnclearAnswer, match=says):
        ask(endpoint)


# ── errors ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_batch_is_sent_as_one_array_of_pixels(runtime, endpoint):
    runtime.answer([[0.5, 0.5]] * 2)
    answers = endpoint.classify_batch([bytes(range(12)), bytes(range(12, 24))], (2, 2))
    assert [answer.scores for answer in answers] == [Scores([0.5, 0.5])] * 2
    ((_, headers, body),) = runtime.asked
    pixels = np.load(io.BytesIO(body), allow_pickle=False)
    assert headers["Content-Type"] == "application/x-npy"
    assert (pixels == np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)).all()
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("answers", [[[0.5, 0.5]], [[0.5, 0.5]] * 3])
def test_a_batch_that_is_not_answered_image_by_image_is_unclear(runtime, endpoint, answers):
    runtime.answer(answers)
    with pytest.raises(UnclearAnswer, match=f"{len(answers)} answers to 2 images"):
        endpoint.classify_batch([bytes(12)] * 2, (2, 2))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 400),
        ("TooManyRequestsException", 429),
        ("ServiceUnavailable", 503),
        ("InternalFailure", 500),
        ("InternalDependencyException", 530),
        ("ModelNotReadyException", 429),
    ],
)
def test_an_endpoint_without_capacity_is_busy(runtime, endpoint, code, status):
    runtime.fail(code, status)
    with pytest.raises(EndpointBusy, match=f"endpoint scones: {code}: about {code}"):
        ask(endpoint)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_gateway_s_error_page_is_busy_whatever_it_is_called(runtime, endpoint, status):
    runtime.answer(b"<!DOCTYPE html><html><body>Bad Gateway</body></html>", status, Content_Type="text/html")
    with pytest.raises(EndpointBusy, match=f"endpoint scones: {status}"):
        ask(endpoint)


@pytest.mark.parametrize("status", [429, 503])
def test_a_model_that_asks_for_a_later_retry_is_busy(runtime, endpoint, status):
    runtime.fail("ModelError", 424, OriginalStatusCode=status)
    with pytest.raises(EndpointBusy):
        ask(endpoint)


@pytest.mark.parametrize("status", [400, 415, 500])
def test_a_model_that_answers_with_an_error_is_at_fault(runtime, endpoint, status):
    runtime.fail("ModelError", 424, OriginalStatusCode=status)
    with pytest.raises(EndpointFault, match="ModelError"):
        ask(endpoint)


def test_an_endpoint_that_refuses_the_request_is_at_fault(runtime, endpoint):
    runtime.fail("ValidationError", 400)
    with pytest.raises(EndpointFault, match="ValidationError"):
        ask(endpoint)


@pytest.mark.parametrize(("code", "status"), [("AccessDeniedException", 403), ("ExpiredTokenException", 400)])
def test_any_other_error_keeps_its_name(runtime, endpoint, code, status):
    runtime.fail(code, status)
    with pytest.raises(ClientError, match=code):
        ask(endpoint)


def test_a_long_message_is_cut(runtime, endpoint):
    runtime.answer({"Message": "x" * 5_000}, 424, x_amzn_ErrorType="ModelError")
    with pytest.raises(EndpointFault) as caught:
        ask(endpoint)
    assert len(str(caught.value)) < 400


def test_an_endpoint_that_is_out_of_reach_is_busy():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(EndpointBusy, match="endpoint scones"):
        ask(endpoint_at(f"http://127.0.0.1:{port}"))


def test_an_endpoint_that_does_not_answer_in_time_is_busy(runtime):
    runtime.pause_s = 0.3
    with pytest.raises(EndpointBusy, match="endpoint scones"):
        ask(endpoint_at(runtime.url, read_timeout_s=0.1))


def test_an_endpoint_that_breaks_off_is_busy_or_at_fault(runtime, endpoint):
    runtime.cut_bytes = 5
    with pytest.raises((EndpointBusy, EndpointFault)):
        ask(endpoint)


def sent_by(client, runtime):
    """Return URL, headers, body, and the signature's scope of the request that a runtime sends."""
    sent = []

    def answer(request, **_):
        headers = {
            name.lower(): str(value).removeprefix("b").strip("'") for name, value in request.headers.items()
        }
        scope = headers["authorization"].partition(", ")[0].partition("/")[2]
        names = "content-type", "accept", "x-amzn-sagemaker-inference-id", "content-length"
        sent.append((request.method, request.url, [headers[name] for name in names], request.body, scope))
        return AWSResponse(request.url, 200, HeadersDict({}), io.BytesIO(b"[]"))

    client.meta.events.register_first("before-send.sagemaker-runtime.InvokeEndpoint", answer)
    runtime.invoke_endpoint(
        EndpointName="scones", Body=b"image", ContentType="image/png", Accept="a/b", InferenceId="i-1"
    )
    client.meta.events.unregister("before-send.sagemaker-runtime.InvokeEndpoint", answer)
    return sent


@pytest.mark.parametrize(
    "where",
    [
        {"region_name": "eu-central-1"},
        {"region_name": "cn-north-1"},
        {"region_name": "us-east-1", "config": Config(use_fips_endpoint=True)},
        {"region_name": "us-east-1", "endpoint_url": "http://127.0.0.1:1/secret"},
    ],
)
def test_the_request_is_the_one_that_the_client_would_send(fake_aws, where):
    client = boto3.client("sagemaker-runtime", **where)
    assert sent_by(client, Runtime(client)) == sent_by(client, client)


def test_the_client_asks_where_botocore_does_not_have_what_a_lean_request_needs(runtime, client):
    other = SimpleNamespace(
        generate_presigned_url=client.client.generate_presigned_url,
        invoke_endpoint=client.client.invoke_endpoint,
    )
    assert ask(Endpoint(Runtime(other), "scones")).scores == Scores([0.25, 0.75])
    assert len(runtime.asked) == 1
    assert sent_by(client.client, Runtime(other)) == sent_by(client.client, client.client)


@pytest.mark.usefixtures("runtime")
def test_the_client_s_own_way_is_not_taken_where_botocore_has_what_a_lean_request_needs(client, monkeypatch):
    monkeypatch.setattr(client.client, "invoke_endpoint", None)
    assert ask(Endpoint(Runtime(client.client), "scones")).scores == Scores([0.25, 0.75])


def test_an_endpoint_of_the_environment_is_asked_and_read_as_it_says(runtime, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", runtime.url)
    said = {"ENDPOINT_NAME": "theirs", "ENDPOINT_ACCEPT": "text/csv", "ENDPOINT_SCORES": "sigmoid"}
    runtime.answer(b"0.25")
    assert ask(connect_classifier(ENVIRONMENT | said, 4)).scores == Scores([0.25])
    ((path, headers, _),) = runtime.asked
    assert (path, headers["Accept"]) == ("/endpoints/theirs/invocations", "text/csv")


def test_nothing_is_asked_twice(runtime, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", runtime.url)
    runtime.fail("ThrottlingException", 400)
    with pytest.raises(EndpointBusy):
        ask(Endpoint.connect("scones", "application/json", "probabilities", 4))
    assert len(runtime.asked) == 1


def test_an_endpoint_that_was_busy_is_left_alone_for_a_while(runtime, endpoint, monkeypatch):
    runtime.fail("ThrottlingException", 400)
    for _ in range(3):
        with pytest.raises(EndpointBusy):
            ask(endpoint)
    assert (len(runtime.asked), endpoint.is_left_alone) == (1, True)
    runtime.begin()
    monkeypatch.setattr(endpoint._breaker, "_clock", lambda: time.monotonic() + FIRST_PAUSE_S)
    assert ask(endpoint).scores
    assert not endpoint.is_left_alone


@pytest.mark.parametrize("error", ["ModelError", None])
def test_an_answer_ends_the_pauses_that_double_be_it_a_model_s_error(runtime, endpoint, monkeypatch, error):
    for later_s, code in enumerate(("ThrottlingException", error, "ThrottlingException")):
        now_s = 1_000 + later_s * FIRST_PAUSE_S
        monkeypatch.setattr(endpoint._breaker, "_clock", lambda now_s=now_s: now_s)
        runtime.begin()
        if code:
            runtime.fail(code, 424 if code == "ModelError" else 400)
        with pytest.raises((EndpointBusy, EndpointFault)) if code else nullcontext():
            ask(endpoint)
    assert endpoint._breaker.left_s == FIRST_PAUSE_S


def test_of_an_answer_no_more_is_read_than_shows_that_it_is_too_long():
    asked = []

    def read(most_bytes):
        asked.append(most_bytes)
        return b"[0.25, 0.75]"

    body = SimpleNamespace(read=read, close=Mock())
    assert ask(Endpoint(SimpleNamespace(invoke_endpoint=lambda **_: {"Body": body}), "scones")).scores
    assert asked == [ANSWER_MAX_BYTES + 1]
    body.close.assert_called_once()


def test_a_model_s_error_is_an_answer_and_the_next_image_is_asked_about(runtime, endpoint):
    runtime.fail("ModelError", 424, OriginalStatusCode=500)
    for _ in range(2):
        with pytest.raises(EndpointFault):
            ask(endpoint)
    assert len(runtime.asked) == 2


# ── the Lambdas ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def fresh_client():
    classify.endpoint.cache_clear()
    yield
    classify.endpoint.cache_clear()


@pytest.fixture
def classify_request(runtime, monkeypatch, fresh_client):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ENDPOINT_TIMEOUT_S", "4")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", runtime.url)
    return {
        "body": base64.b64encode(png_bytes()).decode(),
        "key": None,
        "content_type": "image/png",
        "execution_arn": "arn:aws:states:us-east-1:111122223333:express:scones-image:one:two",
    }


@pytest.fixture
def policy(monkeypatch):
    parameters = {
        "ClassNames": "bicycle,motorcycle",
        "Threshold": "0.7",
        "ClassThresholds": "",
        "Temperature": "1",
    }
    for name, value in parameters.items():
        monkeypatch.setenv(name, value)
    decide.policy.cache_clear()
    yield
    decide.policy.cache_clear()


def test_the_lambda_sends_the_picture_and_returns_the_scores(runtime, classify_request):
    payload = classify.lambda_handler(classify_request, FakeContext())
    assert runtime.asked[0][2] == png_bytes()
    assert payload.keys() == {"scores", "model_version", "endpoint", "classify_ms"}
    assert (payload["scores"]["values"], payload["endpoint"]) == ([0.25, 0.75], "scones")
    assert 0 < payload["classify_ms"] < 60_000  # a span of time, not a time of the clock


@pytest.mark.usefixtures("policy")
def test_the_next_lambda_takes_what_this_one_returns(classify_request):
    scores = classify.lambda_handler(classify_request, FakeContext())
    decided = decide.lambda_handler({**scores, "execution_arn": "one"}, FakeContext())
    assert decided == {
        "outcome": "accepted",
        "prediction": {
            "label": "motorcycle",
            "confidence": 0.75,
            "threshold": 0.7,
            "probabilities": {"bicycle": 0.25, "motorcycle": 0.75},
            "other_probability": None,
            "unfamiliarity": None,
            "reason": None,
            "detail": None,
            "model_version": scores["model_version"],
            "endpoint": "scones",
            "classify_ms": scores["classify_ms"],
        },
    }
    assert json.loads(json.dumps(decided)) == decided


@pytest.fixture
def all_lines():
    for step in (classify, decide):
        step.logger.setLevel("DEBUG")
    yield
    for step in (classify, decide):
        step.logger.setLevel("INFO")


@pytest.mark.usefixtures("all_lines")
def test_its_lines_hold_no_picture_and_no_scores(runtime, classify_request, lines_of):
    runtime.answer([0.123456, 0.876544])
    read = lines_of(classify)
    classify.lambda_handler(classify_request, FakeContext())
    text, (log,) = read()
    assert log["correlation_id"] == classify_request["execution_arn"]
    assert log["classify_ms"] > 0
    assert classify_request["body"][:40] not in text
    assert "0.123456" not in text


@pytest.mark.usefixtures("policy", "all_lines")
def test_a_decision_s_lines_hold_its_label_and_no_other_scores(lines_of):
    read = lines_of(decide)
    request = {
        "scores": {"values": [0.123456, 0.876544]},
        "model_version": "m1",
        "endpoint": "e",
        "classify_ms": 1.0,
    }
    decide.lambda_handler({**request, "execution_arn": "one"}, FakeContext())
    text, (log, metrics) = read()
    assert (log["outcome"], log["label"], log["correlation_id"]) == ("accepted", "motorcycle", "one")
    assert metrics["Outcome_accepted"] == [1]
    assert "0.123456" not in text

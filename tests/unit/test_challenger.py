"""The challenger: what it is asked, what becomes of its answers, and how it takes the model's place."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from analytics.challenger import handler
from analytics.challenger.shadow import ATTEMPTS, RESERVE_S, Shadowed, shadow, with_settings
from analytics.lake import record as record_lambda
from analytics.lake.aws import ChallengerImages
from analytics.lake.batch import sort_out
from analytics.lake.schema import CHALLENGER_SCHEMA
from infra.aws.challenger import (
    OF_AN_ENDPOINT,
    ensure_fits,
    ensure_possible,
    settings_for,
    without_shared_classes,
)
from infra.aws.changes import DeployFailed
from infra.aws.deploy import parameters_of_model
from infra.aws.promote import NothingToPromote, as_promoted, exchanged, promotion, seen
from ingest.model_input import PIXELS_TYPE, ModelInput
from ingest.upload import Upload
from tests.builders import FakeContext, a_message, an_event, an_sqs_event, png_bytes
from tests.template import template
from workflow.answers import Scores
from workflow.batch import Steps
from workflow.classifier import Answer
from workflow.errors import EndpointBusy, EndpointFault
from workflow.manifest import BATCH_IMAGES, batches
from workflow.policy import Policy

POLICY = Policy(("bicycle", "motorcycle"), 0.9, {})
PLENTY_S = 300.0


class Endpoint:
    """Answers like a SageMaker endpoint that takes single images, or raises."""

    name = "challenger"
    is_left_alone = is_half_open = False

    def __init__(self, answer: Callable[[], Answer]) -> None:
        self._answer = answer

    def classify_batch(self, images: Any, size_px: Any) -> list[Answer]:
        raise EndpointFault("no batches")

    def classify(self, image: bytes, content_type: str) -> Answer:
        return self._answer()


def steps(answer: Callable[[], Answer] | None = None, read: Callable[[Upload], bytes] | None = None) -> Steps:
    says = answer or (lambda: Answer(Scores([0.2, 0.8]), "m2"))
    return Steps(read or (lambda upload: png_bytes()), ModelInput.square(8), Endpoint(says), POLICY)


def busy() -> Answer:
    raise EndpointBusy("throttled")


def records(*keys: str, received: int = 1) -> list[dict[str, Any]]:
    """Return one SQS record for each key, received so many times."""
    lines = [next(batches([Upload.from_event(an_event(key))])) for key in keys]
    event = an_sqs_event(*lines)
    for record in event["Records"]:
        record["attributes"]["ApproximateReceiveCount"] = str(received)
    found: list[dict[str, Any]] = event["Records"]
    return found


def outcomes(shadowed: Shadowed) -> list[tuple[str, str, str | None]]:
    return [(row["key"], row["outcome"], row["reason"]) for row in shadowed.rows]


# ── what is sent ───────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_model_classified_is_shown_to_the_challenger_and_nothing_else() -> None:
    messages = [
        a_message(outcome, an_event(f"{outcome}.png"))
        for outcome in ("accepted", "needs_review", "rejected", "failed")
    ]
    imported = a_message(event=an_event("captured", bucket="data-capture"))
    shown = list(sort_out(an_sqs_event(*messages, imported)["Records"]).classified)
    assert sorted(upload.key for upload in shown) == ["accepted.png", "needs_review.png"]
    assert {upload.upload_id for upload in shown} == {
        Upload.from_event(an_event(key)).upload_id for key in ("accepted.png", "needs_review.png")
    }


def test_what_was_shown_is_the_same_upload_on_the_other_side() -> None:
    """So that its row has the same id and day as the outcome."""
    message = a_message(event=an_event("a+b é.png", version_id=None))
    (upload,) = sort_out(an_sqs_event(message)["Records"]).classified
    (row,) = shadow(steps(), an_sqs_event(next(batches([upload])))["Records"], lambda: PLENTY_S).rows
    original = Upload.from_event(message["event"])
    assert upload.uploaded_at == original.uploaded_at  # UTC, wherever this runs
    assert (row["upload_id"], row["key"]) == (original.upload_id, original.key)
    assert row["uploaded_at"] == original.uploaded_at.replace(tzinfo=None)


def test_record_shows_the_challenger_an_image_once_its_row_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    bucket = SimpleNamespace(write=lambda path, table: done.append("written"))
    images = SimpleNamespace(show=lambda uploads: done.extend(upload.key for upload in uploads))
    monkeypatch.setattr(record_lambda, "results_bucket", lambda: bucket)
    monkeypatch.setattr(record_lambda, "challenger_images", lambda: images)
    record_lambda.lambda_handler(an_sqs_event(a_message(event=an_event("a.png"))), FakeContext())
    assert done == ["written", "a.png"]


@pytest.mark.parametrize(("why", "counted"), [("no room", True), (None, False)])
def test_record_counts_the_batches_that_the_challenger_was_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], why: str | None, counted: bool
) -> None:
    monkeypatch.setattr(
        record_lambda, "results_bucket", lambda: SimpleNamespace(write=lambda path, table: None)
    )
    monkeypatch.setattr(record_lambda, "challenger_images", lambda: SimpleNamespace(show=lambda _: why))
    answer = record_lambda.lambda_handler(an_sqs_event(a_message(event=an_event("a.png"))), FakeContext())
    assert answer == {"batchItemFailures": []}
    assert ('"NotShownToChallenger":[1.0]' in capsys.readouterr().out) is counted


def test_a_thousand_images_are_few_messages() -> None:
    sent_to: list[str] = []
    images = ChallengerImages.connect("url")
    images._sqs = SimpleNamespace(send_message=lambda QueueUrl, MessageBody: sent_to.append(QueueUrl))
    uploads = [Upload.from_event(an_event(f"{number}.png")) for number in range(1000)]
    assert images.show(uploads) is None
    assert sent_to == ["url"] * (1000 // BATCH_IMAGES)


def test_a_queue_that_takes_nothing_is_told_and_raises_nothing() -> None:
    def refuse(**message: Any) -> None:
        raise ClientError({"Error": {"Code": "QueueDoesNotExist", "Message": "no room"}}, "SendMessage")

    said = ChallengerImages(SimpleNamespace(send_message=refuse), "url").show([Upload.from_event(an_event())])
    assert said is not None
    assert "no room" in said


def test_without_a_challenger_nothing_is_looked_at() -> None:
    def uploads() -> Any:
        raise AssertionError("no upload is needed")
        yield

    assert ChallengerImages.connect("").show(uploads()) is None


# ── what becomes of it ─────────────────────────────────────────────────────────────────────────────────────


def test_each_image_has_the_challenger_s_own_answer() -> None:
    shadowed = shadow(steps(), records("a.png", "b.png"), lambda: PLENTY_S)
    assert shadowed.later_ids == []
    assert shadowed.failures == 0
    (path,) = shadowed.files
    assert path.startswith("challenger/dt=2026-11-16/")
    (table,) = shadowed.files.values()
    assert table.schema == CHALLENGER_SCHEMA
    for row in table.to_pylist():
        assert (row["label"], row["confidence"], row["outcome"]) == ("motorcycle", 0.8, "needs_review")
        assert (row["model_version"], row["endpoint"]) == ("m2", "challenger")


def test_an_invocation_that_is_repeated_overwrites_its_file() -> None:
    first, again = (shadow(steps(), records("a.png", "b.png"), lambda: PLENTY_S) for _ in range(2))
    assert first.files.keys() == again.files.keys()
    assert first.files.keys() != shadow(steps(), records("a.png"), lambda: PLENTY_S).files.keys()


def test_a_busy_challenger_is_asked_again_later_and_at_last_its_images_have_failed() -> None:
    for received in range(1, ATTEMPTS):
        shadowed = shadow(steps(busy), records("a.png", received=received), lambda: PLENTY_S)
        assert (shadowed.rows, shadowed.later_ids) == ([], ["message-0"])
    shadowed = shadow(steps(busy), records("a.png", received=ATTEMPTS), lambda: PLENTY_S)
    assert outcomes(shadowed) == [("a.png", "failed", "EndpointBusy")]
    assert shadowed.rows[0]["endpoint"] == "challenger"
    assert (shadowed.failures, shadowed.later_ids) == (1, [])


def test_a_message_that_ended_the_lambda_each_time_is_given_up_without_a_further_try() -> None:
    def read(upload: Upload) -> bytes:
        raise AssertionError("it would end the Lambda again")

    shadowed = shadow(steps(read=read), records("a.png", received=ATTEMPTS + 1), lambda: PLENTY_S)
    assert outcomes(shadowed) == [("a.png", "failed", "GivenUp")]


def test_an_image_that_is_gone_or_answered_wrongly_costs_only_its_own_answer() -> None:
    answers = iter([Answer(Scores([0.1]), "m2"), Answer(Scores([0.1, 0.9]), "m2")])
    shadowed = shadow(
        steps(lambda: next(answers), lambda upload: b"" if upload.key == "b.png" else png_bytes()),
        records("a.png", "b.png", "c.png"),
        lambda: PLENTY_S,
    )
    assert outcomes(shadowed) == [
        ("a.png", "failed", "InvalidScores"),
        ("b.png", "rejected", "empty"),
        ("c.png", "accepted", None),
    ]
    assert shadowed.failures == 2


def test_what_no_time_is_left_for_is_tried_again() -> None:
    left = iter([PLENTY_S, RESERVE_S - 1])
    shadowed = shadow(steps(), records("a.png", "b.png"), lambda: next(left))
    assert [row["key"] for row in shadowed.rows] == ["a.png"]
    assert shadowed.later_ids == ["message-1"]


def test_the_lambda_writes_the_answers_and_hands_back_what_is_for_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: dict[str, Any] = {}
    monkeypatch.setattr(handler, "steps", steps)
    monkeypatch.setattr(handler, "results_bucket", lambda: SimpleNamespace(write=written.__setitem__))
    monkeypatch.setattr(FakeContext, "get_remaining_time_in_millis", lambda self: int(PLENTY_S * 1000))
    event = {"Records": records("a.png")}
    assert handler.lambda_handler(event, FakeContext()) == {"batchItemFailures": []}
    assert len(written) == 1
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert (line["Answers"], line["Failures"]) == ([1.0], [0.0])


# ── its settings, and the exchange ─────────────────────────────────────────────────────────────────────────

OWN = {"ClassNames": "cat,dog", "Threshold": "0.8", "ClassThresholds": "", "ModelVersion": "cats-1"}


def parameters(**changes: str) -> dict[str, str]:
    """Return all parameters of a stack with a challenger."""
    defaults = {name: str(each.get("Default", "")) for name, each in template()["Parameters"].items()}
    ours = {"ChallengerEndpointName": "scones-2", "ChallengerSettings": settings_for(OWN)}
    return {**defaults, **parameters_of_model(), **ours, **changes}


def test_the_challenger_reads_its_own_settings_and_else_those_of_the_model_in_use() -> None:
    in_use = {**parameters(), "ENDPOINT_ACCEPT": "application/json", "ENDPOINT_SCORES": "probabilities"}
    read = with_settings(in_use, settings_for({**OWN, "EndpointScores": "logits"}))
    assert Policy.from_mapping(read).classes == ("cat", "dog")
    assert read["ImageSizePx"] == in_use["ImageSizePx"]
    assert read["ENDPOINT_SCORES"] == "logits"
    assert with_settings(in_use, "{}")["ModelVersion"] == ""  # and not that of the model in use


@pytest.mark.parametrize(
    ("in_use", "own", "theirs"),
    [
        (PIXELS_TYPE, {}, ""),
        (PIXELS_TYPE, {"EndpointContentType": PIXELS_TYPE}, PIXELS_TYPE),
        ("application/x-image", {}, "application/x-image"),
        ("", {"EndpointContentType": "application/x-image"}, "application/x-image"),
    ],
)
def test_pixels_are_sent_to_a_challenger_that_says_that_it_takes_them(
    in_use: str, own: dict[str, str], theirs: str
) -> None:
    stack = parameters(EndpointContentType=in_use, ChallengerSettings=settings_for({**OWN, **own}))
    assert with_settings(stack, stack["ChallengerSettings"])["EndpointContentType"] == theirs
    assert exchanged(stack)["EndpointContentType"] == theirs


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ChallengerEndpointName": "scones"}, "is the endpoint in use"),
        ({"ChallengerSettings": "{oven"}, "is not JSON"),
        ({"ChallengerSettings": '{"Threshold": 0.9}'}, "object of texts"),
        ({"ChallengerSettings": '["Threshold"]'}, "object of texts"),
        ({"ChallengerSettings": '{"Oven": "hot"}'}, "'Oven', which is none of"),
        ({"ChallengerSettings": '{"ClassNames": "cat,dog"}'}, "is not one of cat,dog"),
        ({"ChallengerSettings": '{"ImageSizePx": "9000"}'}, "image_size_px"),
    ],
)
def test_a_challenger_that_cannot_work_is_refused(changes: dict[str, str], said: str) -> None:
    in_use = {"ClassThresholds": "bicycle=0.9"}  # of classes that another challenger does not have
    with pytest.raises(DeployFailed, match=said):
        ensure_possible(parameters(**in_use, **changes))


def test_a_promotion_exchanges_all_that_belongs_to_an_endpoint() -> None:
    present = parameters(ModelEndpointUrl="http://a", ChallengerModelEndpointUrl="http://b")
    after = exchanged(present)
    assert (after["EndpointName"], after["ChallengerEndpointName"]) == ("scones-2", "scones")
    assert (after["ModelEndpointUrl"], after["ChallengerModelEndpointUrl"]) == ("http://b", "http://a")
    assert Policy.from_mapping(after) == Policy.from_mapping(OWN)
    assert json.loads(after["ChallengerSettings"]) == {name: present[name] for name in OF_AN_ENDPOINT}


@pytest.mark.parametrize(
    "changes", [{"ModelVersion": ""}, {"ChallengerSettings": settings_for({**OWN, "ModelVersion": ""})}]
)
def test_models_of_other_classes_that_cannot_be_told_apart_are_not_exchanged(changes: dict[str, str]) -> None:
    """While the functions change one after the other, an answer may meet the other policy."""
    with pytest.raises(NothingToPromote, match=r"deploy .*ModelVersion first"):
        exchanged(parameters(**changes))
    same = settings_for({"Threshold": "0.8"})
    assert exchanged(parameters(ModelVersion="", ChallengerSettings=same))["Threshold"] == "0.8"


def test_a_challenger_whose_lambda_could_not_read_its_classes_is_refused() -> None:
    file = f"artifacts/policies/scones/{'a' * 64}.json"
    settings = settings_for({**OWN, "ClassNames": "", "ClassesFile": file})
    with pytest.raises(DeployFailed, match=f"would be in {file}"):
        ensure_fits(parameters(ChallengerSettings=settings))
    ensure_fits(parameters(ChallengerSettings=settings, ClassesFile=file))
    ensure_fits(parameters(ChallengerSettings=settings, ChallengerEndpointName=""))


def test_a_challenger_of_the_same_many_classes_takes_those_of_the_file() -> None:
    classes = tuple(f"class number {number:04}" for number in range(1_000))
    in_use = Policy(classes, 0.9, {classes[0]: 0.8}, model_version="m1")
    name, content = in_use.classes_file() or ("", b"")
    in_a_file = {
        **in_use.to_parameters(),
        **{"ClassNames": "", "ClassThresholds": "", "ClassesFile": f"artifacts/{name}"},
    }
    for thresholds in (in_use.class_thresholds, {classes[1]: 0.7}):
        challenger = Policy(classes, 0.8, thresholds, model_version="m2")
        settings = without_shared_classes(settings_for(challenger.to_parameters()), in_use)
        stack = parameters(**in_a_file, ChallengerSettings=settings)
        ensure_fits(stack)
        assert Policy.from_mapping(with_settings(stack, settings), lambda _: content) == challenger
        promoted = {**stack, **exchanged(stack, lambda _: content)}
        assert Policy.from_mapping(promoted, lambda _: content) == challenger
    for other in (Policy(classes, 0.8, {}), Policy(classes[::-1], 0.8, in_use.class_thresholds)):
        settings = settings_for(other.to_parameters())
        assert without_shared_classes(settings, in_use) == settings
    few = Policy(("a", "b"), 0.9, {}, model_version="m2")
    assert without_shared_classes(settings_for(few.to_parameters()), few) == settings_for(few.to_parameters())


def test_a_model_whose_classes_are_too_long_for_a_challenger_is_not_exchanged() -> None:
    long = Policy(tuple(f"class number {number:03}" for number in range(150)), 0.9, {}, model_version="m1")
    other = settings_for({**OWN, "ClassesFile": ""})
    with pytest.raises(DeployFailed, match="of at most 3,200"):
        exchanged(parameters(**long.to_parameters(), ChallengerSettings=settings_for({"Threshold": "0.8"})))
    name, content = Policy(tuple(map(str, range(2_000))), 0.9, {}).classes_file() or ("", b"")
    in_a_file = {"ClassNames": "", "ClassThresholds": "", "ClassesFile": f"artifacts/{name}"}
    with pytest.raises(DeployFailed, match=f"would be in artifacts/{name}"):
        exchanged(parameters(**in_a_file, ChallengerSettings=other), lambda _: content)


def test_the_next_start_on_a_laptop_knows_what_was_promoted() -> None:
    given = parameters(ModelIn="Endpoint", ModelVersion="m1", ChallengerSettings=settings_for(OWN))
    promoted = {**given, **exchanged(given)}
    assert as_promoted({}, given) == given
    assert as_promoted(given, given) == given
    assert as_promoted(promoted, given) == promoted
    assert as_promoted({**promoted, **exchanged(promoted)}, given) == given
    for others in (
        {"ModelVersion": "m3"},
        {"ChallengerSettings": settings_for({**OWN, "ModelVersion": "m3"})},
        {"ChallengerEndpointName": ""},
        {"ModelIn": "Lambda"},
        {"ModelVersion": OWN["ModelVersion"], "ChallengerSettings": promoted["ChallengerSettings"]},
    ):
        assert as_promoted(promoted, {**given, **others}) == {**given, **others}


def test_a_second_promotion_is_the_way_back() -> None:
    present = parameters()
    back = {**present, **exchanged({**present, **exchanged(present)})}
    assert {**back, "ChallengerSettings": ""} == {**present, "ChallengerSettings": ""}
    own = json.loads(back["ChallengerSettings"])
    assert {name: own[name] for name in OWN} == OWN


def test_without_a_challenger_there_is_nothing_to_promote() -> None:
    with pytest.raises(NothingToPromote, match="there is no challenger"):
        exchanged(parameters(ChallengerEndpointName=""))
    with pytest.raises(NothingToPromote, match="ModelIn=Lambda"):
        exchanged(parameters(ModelIn="Lambda"))


def test_the_alarms_and_the_patience_follow_the_endpoint() -> None:
    variant = {"VariantName": "blue", "CurrentServerlessConfig": {"MemorySizeInMB": 1024}}
    sagemaker = SimpleNamespace(
        describe_endpoint=lambda EndpointName: {
            "EndpointStatus": "InService",
            "ProductionVariants": [variant],
        }
    )
    assert seen(sagemaker, "scones-2") == {"VariantName": "blue", "EndpointKind": "serverless"}
    del variant["CurrentServerlessConfig"]
    assert seen(sagemaker, "scones-2")["EndpointKind"] == "real-time"
    sagemaker.describe_endpoint = lambda EndpointName: {"EndpointStatus": "Updating"}
    with pytest.raises(NothingToPromote, match="is Updating, not InService"):
        seen(sagemaker, "scones-2")


def test_a_stack_that_is_older_than_challengers_has_none() -> None:
    present = {name: value for name, value in parameters().items() if not name.startswith("Challenger")}
    listed = [{"ParameterKey": name, "ParameterValue": value} for name, value in present.items()]
    with pytest.raises(NothingToPromote):
        promotion(lambda _: None, {"StackName": "scones", "Parameters": listed}, {}, datetime.now(UTC))


def test_without_a_challenger_the_template_makes_nothing_of_it() -> None:
    resources = template()["Resources"]
    conditions = {"HasChallenger", "HasMonitoringAndChallenger"}
    of_it = {name for name, each in resources.items() if each.get("Condition") in conditions}
    assert of_it == {
        *("ChallengerImages", "ChallengerFunction", "ChallengerLogs", "ChallengerRole", "ChallengerErrors"),
    }
    without = {name for name in resources if name.startswith("Challenger")} - of_it
    assert {resources[name]["Type"] for name in without} == {
        *("AWS::Glue::Table", "AWS::Athena::NamedQuery"),  # what an earlier one said stays readable
    }

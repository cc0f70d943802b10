"""With IAM enforced: the chain passes, stops at each action taken away, and no role reaches beyond its work.

Requests are checked by the embedded AWS, and what its services do by `infra.laptop.enforced`, with the same
evaluation of policies. Some actions do nothing here, and are held by `tests/unit/test_roles.py` alone: those
on logs, which the embedded AWS writes without asking; those on the key of the notification topic, which its
SNS does not use; `sagemaker:InvokeEndpoint`, as the endpoint is another process; `s3:ListBucket` where it
only turns S3's 403 for what is not there into a 404; and what a Distributed Map does with its manifest and
its children.
"""

import base64
import io
import json
import os
import shutil
import signal
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from analytics.commands import STACK_NAME
from analytics.lake.columns import CHALLENGER_TABLE, PREFIX, TABLE
from analytics.lake.order import generation_of
from analytics.lake.schema import to_table
from infra.cli.main import scones
from infra.laptop.local import down, processes, running, up
from infra.stack import Stack
from ingest.aws import MODEL_INPUTS_PREFIX
from ingest.upload import Upload
from ingest.waiting import depth
from model.files import CARD_FILE, DEFAULT_MODEL, read_card
from tests.builders import an_event, an_sqs_event, noise, png_bytes
from tests.builders_table import a_rejected_row, a_row
from tests.template import resources_of_type, template
from tests.waiting import until
from workflow.manifest import batches
from workflow.outcome import Outcome

MONDAY = {"time": "2026-11-23T06:00:00Z"}
"""What the schedule sends the digest."""

LONG_AGO = "2026-11-03T12:00:00Z"
"""A time before the weeks of the digest."""

DOES_NOTHING_HERE = {
    ("ChallengerRole", "sagemaker:InvokeEndpoint"),
    ("ChallengerRole", "s3:ListBucket"),
    ("ClassifyRole", "sagemaker:InvokeEndpoint"),
    ("ClassifyBatchRole", "sagemaker:InvokeEndpoint"),
    ("ClassifyWaitingRole", "sagemaker:InvokeEndpoint"),
    ("ImageStateMachineRole", "s3:ListBucket"),
    ("SerializeRole", "s3:ListBucket"),
    ("SerializeRole", "sqs:GetQueueAttributes"),  # only a container of half a minute counts
    ("ClassifyBatchRole", "s3:ListBucket"),
    ("ClassifyWaitingRole", "s3:ListBucket"),
    (
        "DigestRole",
        "s3:ListBucketMultipartUploads",
    ),  # answers in parts, which the embedded AWS does not write
    ("DigestRole", "s3:ListMultipartUploadParts"),
    ("DigestRole", "s3:AbortMultipartUpload"),
    ("DigestRole", "kms:Decrypt"),
    ("DigestRole", "kms:GenerateDataKey"),
}


class System:
    """A stack whose IAM is enforced, and ways to see what happens in it."""

    def __init__(self, stack: Stack, home: Path) -> None:
        self.stack = stack
        self._log = home / "logs" / "aws.log"
        self._clients: dict[str, Any] = {}
        self._ended: dict[str, dict[str, Any]] = {}
        self._dropped = 0

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.stack.client(service)
        return self._clients[service]

    @cached_property
    def physical_ids(self) -> dict[str, str]:
        paginator = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in paginator.paginate(StackName=STACK_NAME)
            for resource in page["StackResourceSummaries"]
        }

    def log(self) -> str:
        return self._log.read_text(errors="replace", encoding="utf-8")

    def drop(self) -> dict[str, Any]:
        """Put an image into the bucket; return the event that names it."""
        self._dropped += 1
        key = f"image-{self._dropped}.png"
        answer = self.client("s3").put_object(Bucket=self.stack.incoming_bucket, Key=key, Body=png_bytes())
        return an_event(key, answer["VersionId"], bucket=self.stack.incoming_bucket)

    def let_wait(self) -> Callable[[], list[dict[str, Any]]]:
        """Let an image wait for the endpoint; return what reads the rows that come of it."""
        event = {**self.drop(), "time": LONG_AGO}
        sent = self.client("sqs").send_message(
            QueueUrl=self.stack.waiting_images_url, MessageBody=json.dumps(event)
        )
        # Its own event makes a row as well, of an execution.
        return lambda: [row for row in self.rows_of(event) if row["execution_arn"] == sent["MessageId"]]

    def start_by_hand(self) -> dict[str, Any]:
        """Start an execution about an object, as a person does; return it once it has ended."""
        where = self.drop()["detail"]
        names = {"image_data": "", "s3_bucket": where["bucket"]["name"], "s3_key": where["object"]["key"]}
        states = self.client("stepfunctions")
        arn = states.start_execution(stateMachineArn=self.stack.state_machine_arn, input=json.dumps(names))[
            "executionArn"
        ]

        def ended() -> dict[str, Any] | None:
            described: dict[str, Any] = states.describe_execution(executionArn=arn)
            return None if described["status"] == "RUNNING" else described

        execution: dict[str, Any] = until(ended, "an end")
        return execution

    def execution_of(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Return the execution about an image once it has ended."""
        states = self.client("stepfunctions")
        listed = states.list_executions(stateMachineArn=self.stack.state_machine_arn, maxResults=1000)
        for arn in [each["executionArn"] for each in listed["executions"] if each["status"] != "RUNNING"]:
            if arn not in self._ended:
                self._ended[arn] = states.describe_execution(executionArn=arn)
        key = event["detail"]["object"]["key"]
        ended = self._ended.values()
        return next((each for each in ended if f'"{key}"' in each["input"]), None)

    def rows_of(self, event: dict[str, Any], table: str = TABLE) -> list[dict[str, Any]]:
        """Return the rows about an image."""
        s3, bucket = self.client("s3"), self.stack.results_bucket
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{table}/").get("Contents", ())
        bodies = [
            s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            for item in listed
            if item["Key"].endswith(".parquet")
        ]
        rows = [row for body in bodies for row in parquet.read_table(io.BytesIO(body)).to_pylist()]
        return [row for row in rows if row["key"] == event["detail"]["object"]["key"]]

    def invoke(self, function: str, payload: dict[str, Any]) -> str | None:
        """Run a Lambda; return what it raised."""
        answer = self.client("lambda").invoke(
            FunctionName=self.physical_ids[function], Payload=json.dumps(payload)
        )
        body: str = answer["Payload"].read().decode()
        return body if answer.get("FunctionError") else None

    def logged(self, function: str, payload: dict[str, Any]) -> str:
        """Run a Lambda; return the end of its log."""
        answer = self.client("lambda").invoke(
            FunctionName=self.physical_ids[function], Payload=json.dumps(payload), LogType="Tail"
        )
        return base64.b64decode(answer["LogResult"]).decode()

    @contextmanager
    def without(self, role: str, action: str, resource: str = "") -> Iterator[None]:
        """Take an action away from a role, on resources of that logical id or on all."""
        iam, name = self.client("iam"), self.physical_ids[role]
        (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        target = self.physical_ids[resource].rpartition("/")[2] if resource else ""  # a queue's is its URL
        left = []
        for statement in document["Statement"]:
            actions, resources = as_list(statement["Action"]), as_list(statement["Resource"])
            if action in actions:
                left.append({**statement, "Action": [a for a in actions if a != action] or ["none:None"]})
                if kept := [arn for arn in resources if target and target not in arn]:
                    left.append({**statement, "Action": action, "Resource": kept})
            else:
                left.append(statement)
        assert left != document["Statement"], f"{role} has no {action}"

        def put(statements: list[dict[str, Any]]) -> None:
            changed = json.dumps({**document, "Statement": statements})
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=changed)

        put(left)
        try:
            yield
        finally:
            put(document["Statement"])


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("enforced")
    challenger = folder / "challenger"
    shutil.copytree(DEFAULT_MODEL, challenger)
    said = {**read_card(DEFAULT_MODEL), "model_version": "challenger-1"}
    (challenger / CARD_FILE).write_text(json.dumps(said), encoding="utf-8")
    with running(folder / "home", folder / "stack.json", challenger=challenger, enforce_iam=True) as stack:
        yield System(stack, folder / "home")


def test_the_chain_passes(system: System) -> None:
    event = system.drop()
    (row,) = until(lambda: system.rows_of(event), "a row")
    assert row["outcome"] in ("accepted", "needs_review")
    (answer,) = until(lambda: system.rows_of(event, CHALLENGER_TABLE), "the challenger's answer")
    assert (answer["endpoint"], answer["label"]) == ("challenger", row["label"])
    assert system.start_by_hand()["status"] == "SUCCEEDED"
    assert "denied" not in system.log()


def inbox(system: System, name: str) -> Callable[[], list[dict[str, Any]]]:
    """Subscribe a queue to the topic; return what reads the next few notifications from it."""
    sqs, topic_arn = system.client("sqs"), system.stack.notifications_topic_arn
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**allowed, "Resource": arn}]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    system.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)

    def read() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ())
        return [json.loads(message["Body"]) for message in messages]

    return read


# ── each action taken away ─────────────────────────────────────────────────────────────────────────────────


def the_image_fails(system: System, role: str, action: str) -> None:
    """It ends as failed, because of a denial."""
    event = system.drop()
    execution = until(lambda: system.execution_of(event), "an end")
    assert execution["status"] == "FAILED"
    assert "AccessDenied" in execution["cause"] or execution["error"] == "States.Permissions"


def it_is_not_found_by_hand(system: System, role: str, action: str) -> None:
    execution = system.start_by_hand()
    assert execution["error"] == "NoSuchUpload"
    assert f"States.Permissions: {action} on" in execution["cause"]


def it_cannot_wait(system: System, role: str, action: str) -> None:
    before = len(system.log())
    nowhere = "http://127.0.0.1:1"  # an endpoint that is down
    with a_variable(system, "ClassifyFunction", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", nowhere):
        system.drop()
        until(lambda: denial(system, role, action) in system.log()[before:], "a denied message")


def it_never_starts(system: System, role: str, action: str) -> None:
    before = len(system.log())
    event = system.drop()
    until(lambda: denial(system, role, action) in system.log()[before:], "a denied event")
    assert system.execution_of(event) is None


def it_is_not_recorded(system: System, role: str, action: str) -> None:
    before = len(system.log())
    event = system.drop()
    until(lambda: denial(system, role, action) in system.log()[before:], "a denied poll")
    assert system.rows_of(event) == []


def it_cannot_be_written(system: System, role: str, action: str) -> None:
    before = len(system.log())
    event = system.drop()
    until(lambda: "AccessDenied" in system.log()[before:], "a failure of Record")
    assert system.rows_of(event) == []


def it_is_recorded_again_and_again(system: System, role: str, action: str) -> None:
    before = len(system.log())
    event = system.drop()
    # Messages of earlier images are denied as well: the row may come later.
    assert len(until(lambda: system.rows_of(event), "a row")) == 1
    until(lambda: denial(system, role, action) in system.log()[before:], "a denied deletion")
    assert messages(system, system.stack.results_queue_url, "NotVisible") > 0


def messages(system: System, queue_url: str, which: str = "") -> int:
    """Return the number of messages in a queue that a consumer may take, or that one holds."""
    name = f"ApproximateNumberOfMessages{which}"
    queue = system.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=[name])
    return int(queue["Attributes"][name])


def it_is_not_set_aside(system: System, role: str, action: str) -> None:
    """A message that is not an outcome is left to SQS."""
    payload = json.dumps(an_sqs_event("not an outcome"))
    answer = system.client("lambda").invoke(
        FunctionName=system.physical_ids["RecordFunction"], Payload=payload
    )
    assert json.loads(answer["Payload"].read()) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert depth(system.client("sqs"), system.stack.unrecorded_outcomes_url) == 0


def put_rows(system: System, name: str, rows: list[dict[str, Any]]) -> None:
    """Write rows as a file of the table, of a day and a name."""
    body = io.BytesIO()
    parquet.write_table(to_table(rows), body)
    path = f"{PREFIX}dt={name}.parquet"
    system.client("s3").put_object(Bucket=system.stack.results_bucket, Key=path, Body=body.getvalue())


def put_a_day_in_two_files(system: System) -> None:
    for number in range(2):
        put_rows(system, f"2026-11-16/{number:064}", [a_row(number)])


def a_day_is_not_compacted(system: System, role: str, action: str) -> None:
    put_a_day_in_two_files(system)
    # The first run writes, the second deletes what the first one has merged.
    raised = system.invoke("CompactFunction", {}) or system.invoke("CompactFunction", {})
    assert raised
    assert "AccessDenied" in raised


def the_batch_s_image_fails(system: System, role: str, action: str) -> None:
    event = system.drop()
    system.invoke("ClassifyBatchFunction", {"events": [event], "execution_arn": "a batch"})

    def failures() -> list[dict[str, Any]]:  # beside the row that came by the event
        return [row for row in system.rows_of(event) if row["outcome"] == "failed"]

    (row,) = until(failures, "a row")
    assert "AccessDenied" in row["detail"]


def the_batch_fails(system: System, role: str, action: str) -> None:
    raised = system.invoke("ClassifyBatchFunction", {"events": [system.drop()], "execution_arn": "a batch"})
    assert raised
    assert "AccessDenied" in raised


def it_goes_on_waiting(system: System, role: str, action: str) -> None:
    recorded = system.let_wait()
    before = len(system.log())
    until(lambda: denial(system, role, action) in system.log()[before:], "a denied poll")
    assert messages(system, system.stack.waiting_images_url) > 0
    assert recorded() == []


def it_is_decided_again_and_again(system: System, role: str, action: str) -> None:
    before = len(system.log())
    recorded = system.let_wait()
    until(lambda: denial(system, role, action) in system.log()[before:], "a denied deletion")
    assert messages(system, system.stack.waiting_images_url, "NotVisible") > 0
    until(recorded, "a row")


def the_waiting_image_fails(system: System, role: str, action: str) -> None:
    recorded = system.let_wait()
    (row,) = until(recorded, "a row")
    assert row["outcome"] == "failed"
    assert "AccessDenied" in row["detail"]


def no_outcome_is_sent(system: System, role: str, action: str) -> None:
    raised = system.invoke("ClassifyWaitingFunction", an_sqs_event(system.drop()))
    assert raised
    assert "AccessDenied" in raised


def it_is_not_shown_again_soon(system: System, role: str, action: str) -> None:
    logged = system.logged("ClassifyWaitingFunction", an_sqs_event("no event: it goes on waiting"))
    assert "AccessDenied" in logged
    assert "not shown again soon" in logged


def a_line(system: System) -> dict[str, Any]:
    """Return an SQS event that asks the challenger about an image."""
    return an_sqs_event(next(batches([Upload.from_event(system.drop())])))


def the_challenger_is_not_shown_it(system: System, role: str, action: str) -> None:
    """The row is written all the same."""
    event = system.drop()
    until(lambda: system.rows_of(event), "a row")
    logs = system.client("logs"), system.physical_ids["RecordLogs"]

    def denials() -> list[str]:
        messages = [each["message"] for each in logs[0].filter_log_events(logGroupName=logs[1])["events"]]
        return [said for said in messages if "challenger" in said and "AccessDenied" in said]

    until(denials, "a denied message")
    assert system.rows_of(event, CHALLENGER_TABLE) == []


def the_challenger_is_not_asked(system: System, role: str, action: str) -> None:
    before = len(system.log())
    event = system.drop()
    until(lambda: denial(system, role, action) in system.log()[before:], "a denied poll")
    assert until(lambda: system.rows_of(event), "a row")
    assert system.rows_of(event, CHALLENGER_TABLE) == []


def the_challenger_is_asked_again_and_again(system: System, role: str, action: str) -> None:
    before = len(system.log())
    event = system.drop()
    until(lambda: denial(system, role, action) in system.log()[before:], "a denied deletion")
    until(lambda: system.rows_of(event, CHALLENGER_TABLE), "an answer")


def the_challenger_fails(system: System, role: str, action: str) -> None:
    """Its row says so; that of the image does not."""
    event = system.drop()
    (answer,) = until(lambda: system.rows_of(event, CHALLENGER_TABLE), "an answer")
    assert answer["outcome"] == "failed"
    assert "AccessDenied" in answer["detail"]
    assert [row["outcome"] for row in system.rows_of(event)] != ["failed"]


def the_answer_is_not_written(system: System, role: str, action: str) -> None:
    raised = system.invoke("ChallengerFunction", a_line(system))
    assert raised
    assert "AccessDenied" in raised


def no_digest_is_sent(system: System, role: str, action: str) -> None:
    raised = system.invoke("DigestFunction", MONDAY)
    assert raised
    assert "AccessDenied" in raised or "AuthorizationError" in raised


def its_query_is_not_stopped(system: System, role: str, action: str) -> None:
    function = {"FunctionName": system.physical_ids["DigestFunction"]}
    # Eight times as much on the laptop, and too little for a query.
    system.client("lambda").update_function_configuration(**function, Timeout=1)
    try:
        no_digest_is_sent(system, role, action)
    finally:
        system.client("lambda").update_function_configuration(**function, Timeout=300)


def denial(system: System, role: str, action: str) -> str:
    return f"denied: {system.physical_ids[role]} may not {action} on"


@contextmanager
def a_variable(system: System, function: str, name: str, value: str) -> Iterator[None]:
    """Give a variable of a Lambda's environment another value for a while."""
    lambdas, function_name = system.client("lambda"), system.physical_ids[function]
    variables = lambdas.get_function_configuration(FunctionName=function_name)["Environment"]["Variables"]

    def put(changed: str) -> None:
        environment = {"Variables": {**variables, name: changed}}
        lambdas.update_function_configuration(FunctionName=function_name, Environment=environment)

    put(value)
    try:
        yield
    finally:
        put(variables[name])


@contextmanager
def a_large_image(system: System) -> Iterator[dict[str, Any]]:
    """Let the model want large images for a while; give the event of one."""
    with (
        a_variable(system, "SerializeFunction", "ImageSizePx", "1024"),
        a_variable(system, "SerializeFunction", "EndpointContentType", ""),
    ):
        answer = system.client("s3").put_object(
            Bucket=system.stack.incoming_bucket, Key="large.png", Body=png_bytes(noise(400, 400))
        )
        yield an_event("large.png", answer["VersionId"], bucket=system.stack.incoming_bucket)


def a_large_image_is_not_kept(system: System, role: str, action: str) -> None:
    with a_large_image(system) as event:
        raised = system.invoke("SerializeFunction", {"event": event, "execution_arn": "one"})
    assert raised
    assert "AccessDenied" in raised


def a_large_image_is_not_read(system: System, role: str, action: str) -> None:
    key = "model-inputs/large"
    system.client("s3").put_object(Bucket=system.stack.results_bucket, Key=key, Body=png_bytes())
    request = {"body": None, "key": key, "content_type": "image/png", "execution_arn": "one"}
    raised = system.invoke("ClassifyFunction", request)
    assert raised
    assert "AccessDenied" in raised


CASES: list[tuple[str, str, str, Callable[[System, str, str], None]]] = [
    ("ImageUploadedRole", "states:StartExecution", "", it_never_starts),
    ("ImageStateMachineRole", "lambda:InvokeFunction", "SerializeFunction", the_image_fails),
    ("ImageStateMachineRole", "lambda:InvokeFunction", "ClassifyFunction", the_image_fails),
    ("ImageStateMachineRole", "lambda:InvokeFunction", "DecideFunction", the_image_fails),
    ("ImageStateMachineRole", "sqs:SendMessage", "ResultsQueue", the_image_fails),
    ("ImageStateMachineRole", "sqs:SendMessage", "WaitingImages", it_cannot_wait),
    ("ImageStateMachineRole", "s3:GetObject", "", it_is_not_found_by_hand),
    ("SerializeRole", "s3:GetObjectVersion", "", the_image_fails),
    ("SerializeRole", "s3:PutObject", "", a_large_image_is_not_kept),
    ("ClassifyRole", "s3:GetObject", "", a_large_image_is_not_read),
    ("RecordRole", "sqs:ReceiveMessage", "", it_is_not_recorded),
    ("RecordRole", "sqs:GetQueueAttributes", "", it_is_not_recorded),
    ("RecordRole", "sqs:DeleteMessage", "", it_is_recorded_again_and_again),
    ("RecordRole", "sqs:SendMessage", "UnrecordedOutcomes", it_is_not_set_aside),
    ("RecordRole", "sqs:SendMessage", "ChallengerImages", the_challenger_is_not_shown_it),
    ("ChallengerRole", "sqs:ReceiveMessage", "", the_challenger_is_not_asked),
    ("ChallengerRole", "sqs:GetQueueAttributes", "", the_challenger_is_not_asked),
    ("ChallengerRole", "sqs:DeleteMessage", "", the_challenger_is_asked_again_and_again),
    ("ChallengerRole", "s3:GetObjectVersion", "", the_challenger_fails),
    ("ChallengerRole", "s3:PutObject", "", the_answer_is_not_written),
    ("CompactRole", "s3:ListBucket", "", a_day_is_not_compacted),
    ("CompactRole", "s3:GetObject", "", a_day_is_not_compacted),
    ("CompactRole", "s3:PutObject", "", a_day_is_not_compacted),
    ("CompactRole", "s3:DeleteObject", "", a_day_is_not_compacted),
    ("ClassifyBatchRole", "s3:GetObjectVersion", "", the_batch_s_image_fails),
    ("ClassifyBatchRole", "sqs:SendMessage", "", the_batch_fails),
    ("ClassifyWaitingRole", "s3:GetObjectVersion", "", the_waiting_image_fails),
    ("ClassifyWaitingRole", "sqs:ReceiveMessage", "", it_goes_on_waiting),
    ("ClassifyWaitingRole", "sqs:GetQueueAttributes", "", it_goes_on_waiting),
    ("ClassifyWaitingRole", "sqs:DeleteMessage", "", it_is_decided_again_and_again),
    ("ClassifyWaitingRole", "sqs:ChangeMessageVisibility", "", it_is_not_shown_again_soon),
    ("ClassifyWaitingRole", "sqs:SendMessage", "", no_outcome_is_sent),
    ("DigestRole", "athena:StartQueryExecution", "", no_digest_is_sent),
    ("DigestRole", "athena:GetQueryExecution", "", no_digest_is_sent),
    ("DigestRole", "athena:GetQueryResults", "", no_digest_is_sent),
    ("DigestRole", "athena:StopQueryExecution", "", its_query_is_not_stopped),
    ("DigestRole", "glue:GetDatabase", "", no_digest_is_sent),
    ("DigestRole", "glue:GetTable", "", no_digest_is_sent),
    ("DigestRole", "s3:ListBucket", "ResultsBucket", no_digest_is_sent),
    ("DigestRole", "s3:GetObject", "ResultsBucket", no_digest_is_sent),
    ("DigestRole", "s3:GetObject", "QueryResultsBucket", no_digest_is_sent),
    ("DigestRole", "s3:GetBucketLocation", "", no_digest_is_sent),
    ("DigestRole", "s3:PutObject", "", no_digest_is_sent),
    ("DigestRole", "sns:Publish", "", no_digest_is_sent),
    ("RecordRole", "s3:PutObject", "", it_cannot_be_written),  # last: Record then pauses
]


def test_a_large_image_goes_through_s3(system: System) -> None:
    with a_large_image(system) as event:
        assert system.invoke("SerializeFunction", {"event": event, "execution_arn": "one"}) is None
    key = f"{MODEL_INPUTS_PREFIX}{Upload.from_event(event).upload_id}"
    request = {"body": None, "key": key, "content_type": "image/png", "execution_arn": "one"}
    assert system.invoke("ClassifyFunction", request) is None


@pytest.mark.parametrize(("role", "action", "resource", "then"), CASES)
def test_without(
    system: System, role: str, action: str, resource: str, then: Callable[[System, str, str], None]
) -> None:
    with system.without(role, action, resource):
        then(system, role, action)


def test_every_action_of_a_lambda_and_of_the_hot_path_is_taken_away_once() -> None:
    tried = {(role, action) for role, action, _, _ in CASES}
    there = {
        (name, action)
        for name, role in resources_of_type("AWS::IAM::Role").items()
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
        if name != "BackfillStateMachineRole" and not action.startswith("logs:")
    }
    assert there - DOES_NOTHING_HERE == tried


def test_with_all_of_them_back_the_chain_passes_again(system: System) -> None:
    event = system.drop()
    until(lambda: system.rows_of(event), "a row")
    put_a_day_in_two_files(system)
    assert system.invoke("CompactFunction", {}) is None
    assert system.invoke("CompactFunction", {}) is None  # deletes what the first one has merged
    listed = system.client("s3").list_objects_v2(
        Bucket=system.stack.results_bucket, Prefix=f"{PREFIX}dt=2026-11-16/"
    )
    assert [generation_of(item["Key"]) is not None for item in listed["Contents"]] == [True]


def test_the_digest_is_sent(system: System) -> None:
    sunday: dict[str, Any] = {"uploaded_at": datetime.fromisoformat("2026-11-22T23:59")}
    week = [
        *(a_row(number, confidence=0.95 + number / 1000, **sunday) for number in range(10, 16)),
        *(a_row(number, outcome="needs_review", confidence=0.6, **sunday) for number in range(16, 19)),
        a_rejected_row(19, **sunday),
    ]
    later = a_row(20, uploaded_at=datetime.fromisoformat("2026-11-23"))
    put_rows(system, "2026-11-22/ten", [*week, week[0]])
    put_rows(system, "2026-11-23/one", [later])
    read = inbox(system, "digests")
    assert system.invoke("DigestFunction", MONDAY) is None
    (digest,) = until(read, "a digest")
    assert digest["Subject"].startswith("Scones 2026-W47: ")

    s3, bucket = system.client("s3"), system.stack.results_bucket
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=PREFIX)["Contents"]
    keys = [each["Key"] for each in listed if "dt=2026-11-16" <= each["Key"].split("/")[1] <= "dt=2026-11-22"]
    bodies = [io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]
    rows = pd.concat(map(pd.read_parquet, bodies)).drop_duplicates("upload_id")
    counts = rows["outcome"].value_counts()
    precision = rows["confidence"][rows["outcome"] == "accepted"].mean()
    text = digest["Message"].replace("\u00a0", " ")
    for line in (
        f"- {len(rows)} images",
        *(
            f"{counts.get(outcome, 0) / len(rows):.1%} {outcome.heading.lower()}".replace("%", " %")
            for outcome in Outcome  # with the failures of the cases above
        ),
        f"by the model's own estimate: {precision:.1%}".replace("%", " %"),
        f"{counts['needs_review']} images get a person's decision",
    ):
        assert line in text
    folder = "reports/2026-W47/"
    page, numbers = (
        s3.get_object(Bucket=bucket, Key=folder + name)["Body"].read().decode()
        for name in ("report.html", "report.json")
    )
    assert json.loads(numbers)["summary"]["tally"]["images"] == len(rows)
    assert json.loads(numbers)["unanswered"] == {}
    link, unverified = text.rpartition("Report: ")[2].strip(), ssl._create_unverified_context()  # noqa: S323
    with urlopen(link, context=unverified) as linked:  # noqa: S310 - without credentials
        assert linked.read().decode() == page


# ── what no role needs ─────────────────────────────────────────────────────────────────────────────────────


def tries(
    system: System, event: dict[str, Any], as_role: Callable[[str], Any]
) -> dict[str, Callable[[], Any]]:
    """Return one call for each thing that might be done in the system, as a role."""
    stack, s3, sqs = system.stack, as_role("s3"), as_role("sqs")
    key, version = event["detail"]["object"]["key"], event["detail"]["object"]["version-id"]
    rows = f"{PREFIX}dt=2026-11-17/tried.txt"

    def put(bucket: str, path: str) -> Callable[[], Any]:
        return lambda: s3.put_object(Bucket=bucket, Key=path, Body=b"")

    def delete(bucket: str, path: str) -> Callable[[], Any]:
        return lambda: s3.delete_object(Bucket=bucket, Key=path)

    return {
        "read an upload": lambda: s3.get_object(Bucket=stack.incoming_bucket, Key=key, VersionId=version),
        "list uploads": lambda: s3.list_objects_v2(Bucket=stack.incoming_bucket),
        "upload": put(stack.incoming_bucket, "tried.png"),
        "delete an upload": delete(stack.incoming_bucket, "tried.png"),
        "read rows": lambda: s3.get_object(Bucket=stack.results_bucket, Key=rows),
        "list rows": lambda: s3.list_objects_v2(Bucket=stack.results_bucket),
        "write rows": put(stack.results_bucket, rows),
        "delete rows": delete(stack.results_bucket, rows),
        "write the challenger's answers": put(stack.results_bucket, f"{CHALLENGER_TABLE}/tried.txt"),
        "show the challenger an image": lambda: sqs.send_message(
            QueueUrl=system.physical_ids["ChallengerImages"], MessageBody='{"events": []}'
        ),
        "take an image of the challenger": lambda: sqs.receive_message(
            QueueUrl=system.physical_ids["ChallengerImages"], VisibilityTimeout=0
        ),
        "write a manifest": put(stack.results_bucket, "manifests/tried.jsonl"),
        "delete a manifest": delete(stack.results_bucket, "manifests/tried.jsonl"),
        "write answers": put(stack.query_results_bucket, "tried.csv"),
        "send an outcome": lambda: sqs.send_message(QueueUrl=stack.results_queue_url, MessageBody="tried"),
        "take an outcome": lambda: sqs.receive_message(QueueUrl=stack.results_queue_url, VisibilityTimeout=0),
        "let an image wait": lambda: sqs.send_message(QueueUrl=stack.waiting_images_url, MessageBody="tried"),
        "count waiting images": lambda: depth(sqs, stack.waiting_images_url),
        "take a waiting image": lambda: sqs.receive_message(
            QueueUrl=stack.waiting_images_url, VisibilityTimeout=0
        ),
        "send a dead letter": lambda: sqs.send_message(
            QueueUrl=stack.unrecorded_outcomes_url, MessageBody="tried"
        ),
        "take a dead letter": lambda: sqs.receive_message(
            QueueUrl=stack.unrecorded_outcomes_url, VisibilityTimeout=0
        ),
        "start an execution": lambda: as_role("stepfunctions").start_execution(
            stateMachineArn=stack.state_machine_arn, input=json.dumps(event)
        ),
        "invoke Decide": lambda: as_role("lambda").invoke(
            FunctionName=system.physical_ids["DecideFunction"], InvocationType="DryRun"
        ),
        "ask Athena": lambda: as_role("athena").start_query_execution(
            QueryString="SELECT 1", WorkGroup=stack.workgroup
        ),
        "notify": lambda: as_role("sns").publish(TopicArn=stack.notifications_topic_arn, Message="tried"),
        "give itself more": lambda: as_role("iam").put_role_policy(
            RoleName=system.physical_ids["SerializeRole"], PolicyName="more", PolicyDocument="{}"
        ),
    }


MAY = {
    "SerializeRole": {"read an upload", "list uploads", "count waiting images"},
    "ClassifyRole": set[str](),
    "DecideRole": set[str](),
    "ClassifyBatchRole": {"read an upload", "list uploads", "send an outcome"},
    "ChallengerRole": {
        *("read an upload", "list uploads", "take an image of the challenger"),
        "write the challenger's answers",
    },
    "RecordRole": {"write rows", "take an outcome", "send a dead letter", "show the challenger an image"},
    "CompactRole": {"read rows", "list rows", "write rows", "delete rows"},
    "DigestRole": {"ask Athena", "read rows", "list rows", "write answers", "notify"},
    "ImageUploadedRole": {"start an execution"},
    "ClassifyWaitingRole": {
        *("read an upload", "list uploads", "count waiting images", "take a waiting image"),
        "send an outcome",
    },
    "ImageStateMachineRole": {"invoke Decide", "send an outcome", "let an image wait", "list uploads"},
    "BackfillStateMachineRole": {"send an outcome", "let an image wait"},
}
"""Role → all that it may do; of a manifest, no more than that its machine reads it."""


def clients_of(system: System, role: str) -> Callable[[str], Any]:
    arn = f"arn:aws:iam::{system.stack.account_id}:role/{system.physical_ids[role]}"
    # A role is trusted to a service alone, which acts for this account. Here, the test takes it.
    trust = {"Effect": "Allow", "Principal": {"AWS": system.stack.account_id}, "Action": "sts:AssumeRole"}
    system.client("iam").update_assume_role_policy(
        RoleName=system.physical_ids[role],
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    given = system.client("sts").assume_role(RoleArn=arn, RoleSessionName="tried")["Credentials"]

    def client(service: str) -> Any:
        return boto3.client(
            service,
            region_name=system.stack.region,
            endpoint_url=system.stack.endpoint_url,
            verify=system.stack.ca_bundle,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    return client


def is_denied(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return "AccessDenied" in code or code == "AuthorizationError"
    return False


@pytest.mark.parametrize("role", resources_of_type("AWS::IAM::Role"))
def test_a_role_may_do_its_work_and_nothing_else(system: System, role: str) -> None:
    calls = tries(system, system.drop(), clients_of(system, role))
    assert {what for what, call in calls.items() if not is_denied(call)} == MAY[role]


def test_nothing_is_read_without_tls(system: System) -> None:
    event = system.drop()["detail"]["object"]
    s3 = clients_of(system, "SerializeRole")("s3")
    which = {"Bucket": system.stack.incoming_bucket, "Key": event["key"], "VersionId": event["version-id"]}
    assert not is_denied(lambda: s3.get_object(**which))

    def without_tls(request: Any, **_: Any) -> None:
        request.headers["X-Forwarded-Proto"] = "http"  # as a proxy says that ends TLS

    s3.meta.events.register("before-send.s3", without_tls)
    assert is_denied(lambda: s3.get_object(**which))


# ── alarms ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_alarm_fires_and_its_message_arrives(system: System) -> None:
    cloudwatch = system.client("cloudwatch")
    read = inbox(system, "alarms")

    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    conditions = [
        each.get("Condition")
        for each in template()["Resources"].values()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    ]
    there = ("HasMonitoring", "HasMonitoringAndEndpoint", "HasMonitoringAndChallenger")
    assert len(alarms) == sum(each in there for each in conditions)
    for alarm in alarms:
        value = alarm["Threshold"] + 1
        datum = {"MetricName": alarm["MetricName"], "Dimensions": alarm["Dimensions"], "Value": value}
        cloudwatch.put_metric_data(Namespace=alarm["Namespace"], MetricData=[datum])
        (now,) = cloudwatch.describe_alarms(AlarmNames=[alarm["AlarmName"]])["MetricAlarms"]
        assert now["StateValue"] == "ALARM", alarm["AlarmName"]

    told: set[str] = set()

    def all_told() -> bool:
        told.update(json.loads(message["Message"])["AlarmName"] for message in read())
        return told == {alarm["AlarmName"] for alarm in alarms}

    until(all_told, "a message of every alarm")


def test_the_challenger_takes_the_model_s_place_and_gives_it_back(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Last, as everything else knows one endpoint by its name."""
    monkeypatch.setenv("SCONES_HOME", str(tmp_path))
    system.stack.save(tmp_path / "stack.json")
    for in_use, other, version in (
        ("challenger", "scones", "challenger-1"),
        ("scones", "challenger", read_card(DEFAULT_MODEL)["model_version"]),
    ):
        done = CliRunner().invoke(scones, ["promote", "--yes", "--json"], catch_exceptions=False)
        assert json.loads(done.stdout) == {"endpoint": in_use, "challenger": other}
        assert Stack.load(tmp_path / "stack.json").endpoint_name == in_use
        event = system.drop()
        (row,) = until(partial(system.rows_of, event), "a row")
        assert (row["endpoint"], row["model_version"]) == (in_use, version)
        (answer,) = until(partial(system.rows_of, event, CHALLENGER_TABLE), "an answer")
        assert answer["endpoint"] == other


def test_an_image_has_its_outcome_when_the_challenger_s_endpoint_is_gone(system: System) -> None:
    """The system goes on without it."""
    home = Path(system.stack.home or "")
    folder = f"\0{(home.parent / 'challenger').resolve()}\0"
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8") for pid in processes(home)}
    (pid,) = [pid for pid, command in commands.items() if folder in command]
    os.kill(pid, signal.SIGKILL)
    log = home / "logs" / "supervisor.log"
    until(lambda: "challenger ended by itself" in log.read_text(encoding="utf-8"), "its end")
    event = system.drop()
    (row,) = until(lambda: system.rows_of(event), "a row")
    assert row["outcome"] in ("accepted", "needs_review")


def test_a_promotion_outlasts_the_system(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Last of all, as the system is started anew."""
    monkeypatch.setenv("SCONES_HOME", str(tmp_path))
    system.stack.save(tmp_path / "stack.json")
    CliRunner().invoke(scones, ["promote", "--yes"], catch_exceptions=False)
    home = Path(system.stack.home or "")
    stack_file, folder = home.parent / "stack.json", home.parent / "challenger"
    down(stack_file)
    anew = System(up(home, None, stack_file, challenger=folder, stays=False, enforce_iam=True), home)
    assert anew.stack.endpoint_name == "challenger"
    event = anew.drop()  # under the key of an earlier image
    version_id = event["detail"]["object"]["version-id"]
    (row,) = until(lambda: [r for r in anew.rows_of(event) if r["version_id"] == version_id], "a row")
    assert (row["endpoint"], row["model_version"]) == ("challenger", "challenger-1")

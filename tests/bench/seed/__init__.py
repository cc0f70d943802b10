"""The design that Scones grew from, on the same embedded AWS.

A Standard workflow carries the original in base64 through three Lambdas, and nothing is recorded. Real Step
Functions refuses a state above 262,144 bytes; the embedded AWS does not.
"""

import io
import json
import time
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

from infra.operations.drop import UPLOADS_AT_ONCE, pause_factor
from infra.stack import Stack

BUCKET = "seed-images"
FUNCTIONS = ("serialize_image_data", "classify", "filter_inferences")
PATIENCE_S = 60.0
POLL_S = 0.2
LEAST_SUCCEEDED = 0.5
"""Least share of executions that succeed. The others are of images that the model is not sure of."""

_HERE = Path(__file__).parent


class SeedDesign:
    """The deployed design."""

    def __init__(self, stack: Stack) -> None:
        """Deploy it next to a stack, whose endpoint it asks."""
        self._stack = stack
        role = f"arn:aws:iam::{stack.account_id}:role/seed"
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as file:
            file.write(_HERE / "lambdas.py", "lambdas.py")
        variables = {
            "ENDPOINT_NAME": stack.endpoint_name,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": str(stack.model_endpoint_url),
        }
        arns = {
            name: stack.client("lambda").create_function(
                FunctionName=f"seed-{name}",
                Runtime="python3.11",
                Role=role,
                Handler=f"lambdas.{name}",
                Code={"ZipFile": code.getvalue()},
                Timeout=15,
                Environment={"Variables": variables},
            )["FunctionArn"]
            for name in FUNCTIONS
        }
        machine = Template((_HERE / "machine.asl.json").read_text(encoding="utf-8")).safe_substitute(arns)
        self._machine_arn = stack.client("stepfunctions").create_state_machine(
            name="seed", definition=machine, roleArn=role, type="STANDARD"
        )["stateMachineArn"]
        self._start_on_uploads(role)
        self._started = 0

    def _start_on_uploads(self, role: str) -> None:
        s3, events = self._stack.client("s3"), self._stack.client("events")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        pattern = {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": [BUCKET]}},
        }
        events.put_rule(Name="seed", EventPattern=json.dumps(pattern))
        event_to_input = {
            "InputPathsMap": {"bucket": "$.detail.bucket.name", "key": "$.detail.object.key"},
            "InputTemplate": '{"image_data": "", "s3_bucket": <bucket>, "s3_key": <key>}',
        }
        target = {"Id": "seed", "Arn": self._machine_arn, "RoleArn": role, "InputTransformer": event_to_input}
        events.put_targets(Rule="seed", Targets=[target])

    def carry(self, files: Mapping[str, Path]) -> float:
        """Drop files and wait until each execution has ended; return the seconds until the last one had.

        The end is by Step Functions' clock, however seldom it is asked. The event path's drop has to find its
        rows by itself.

        Raises:
            RuntimeError: some have not ended within `PATIENCE_S` after the drop, or too many failed.
        """
        s3 = self._stack.client("s3")
        began_at = datetime.now(UTC)

        def put(item: tuple[str, Path]) -> None:
            key, path = item
            with path.open("rb") as body:
                s3.put_object(Bucket=BUCKET, Key=key, Body=body)

        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            list(pool.map(put, files.items()))
        self._started += len(files)
        began = time.monotonic()
        while running := len(self._executions("RUNNING")) or self._started - len(self._executions()):
            elapsed_s = time.monotonic() - began
            if elapsed_s > PATIENCE_S:
                raise RuntimeError(f"{running} executions of the seed's design have not ended")
            time.sleep(POLL_S * pause_factor(1 - running / len(files), elapsed_s / POLL_S))
        ended = self._executions()
        succeeded = sum(each["status"] == "SUCCEEDED" for each in ended)
        if succeeded < LEAST_SUCCEEDED * self._started:
            raise RuntimeError(f"{succeeded} of {self._started} executions of the seed's design succeeded")
        return float((max(each["stopDate"] for each in ended) - began_at).total_seconds())

    def _executions(self, status: str | None = None) -> list[dict[str, Any]]:
        """Return the executions, all or those of one status: the running ones are few."""
        of_status = {"statusFilter": status} if status else {}
        pages = self._stack.client("stepfunctions").get_paginator("list_executions")
        return [
            each
            for page in pages.paginate(stateMachineArn=self._machine_arn, **of_status)
            for each in page["executions"]
        ]

"""Each action of each role is there because a line of code needs it; one more or one less fails here.

What a role may do on which resource, and why, is one table. `tests/e2e/test_least_privilege.py` takes the
actions away on a running system and sees what stops.
"""

import re
from dataclasses import dataclass
from typing import Any

import pytest
import sqlglot
from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from sqlglot import exp

from analytics.lake.columns import TABLES
from analytics.questions.queries import console_query, saved_queries, views
from infra.installation import PROJECT
from tests.template import resources_of_type

DOCS = "https://docs.aws.amazon.com/"
LAMBDA_LOGS = DOCS + "lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html"
STATES_LOGS = DOCS + "step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy"
STATES_MAP = DOCS + "step-functions/latest/dg/iam-policies-eg-dist-map.html"
LAMBDA_SQS = DOCS + "lambda/latest/dg/services-sqs-configure.html#events-sqs-permissions"
ATHENA_S3 = DOCS + "athena/latest/ug/s3-permissions.html"
"""Athena reads the table and writes its answer, in parts if need be, with the permissions of who asks."""
ATHENA_GLUE = DOCS + "athena/latest/ug/fine-grained-access-to-glue-resources.html"
"""On a table, and on what it is in. Projected partitions are not looked up."""
ATHENA_GLUE_DEFAULT = ATHENA_GLUE + "#full-access-to-default-db-per-region"
"""Athena looks the database `default` up, whichever it is asked about."""
SNS_KEY = DOCS + "sns/latest/dg/sns-key-management.html"
LISTED_IS_404 = DOCS + "AmazonS3/latest/API/API_GetObject.html"
"""Without `s3:ListBucket`, S3 answers 403 for an object that is not there."""


@dataclass(frozen=True)
class Needs:
    """Actions on a resource, and what asks for them: a file and what stands in it, or AWS's documentation."""

    actions: tuple[str, ...]
    resource: str
    """As the template has it: the logical ids in it, and what follows them."""
    why: str | tuple[str, str]


LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")
DELIVERY = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)
READS_A_VERSION = Needs(
    ("s3:GetObjectVersion",),
    "arn:${AWS::Partition}:s3:::${IncomingBucket}/*",
    ("ingest/aws.py", '"VersionId": upload.version_id'),
)
TELLS_GONE = Needs(("s3:ListBucket",), "arn:${AWS::Partition}:s3:::${IncomingBucket}", LISTED_IS_404)
MODEL_INPUTS = "${ResultsBucket.Arn}/model-inputs/*"
INVOKES_ENDPOINT = Needs(
    ("sagemaker:InvokeEndpoint",),
    "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/${InLowerCase}",
    ("workflow/aws.py", ".invoke_endpoint("),
)


def invokes(function: str, machine: str) -> Needs:
    return Needs(
        ("lambda:InvokeFunction",), f"{function}.Arn", (f"workflow/{machine}.asl.json", f"${{{function}Arn}}")
    )


def sends(file: str, text: str) -> Needs:
    return Needs(("sqs:SendMessage",), "ResultsQueue.Arn", (file, text))


def lets_wait(machine: str) -> Needs:
    why = (f"workflow/{machine}.asl.json", '"QueueUrl": "${WaitingImagesUrl}"')
    return Needs(("sqs:SendMessage",), "WaitingImages.Arn", why)


def logs(stem: str) -> Needs:
    return Needs(LOGS, f"{stem}Logs.Arn", LAMBDA_LOGS)


def athena(action: str, call: str) -> Needs:
    workgroup = "arn:${AWS::Partition}:athena:${AWS::Region}:${AWS::AccountId}:workgroup/${Workgroup}"
    return Needs((f"athena:{action}",), workgroup, ("analytics/athena/client.py", call))


GLUE = "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}:"
BACKFILL = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:%s:${AWS::StackName}-backfill%s"

NEEDS: dict[str, list[Needs]] = {
    "ImageUploadedRole": [
        Needs(
            ("states:StartExecution",),
            "ImageStateMachine",
            ("infra/template.yaml", "Id: image-state-machine"),
        )
    ],
    "ImageStateMachineRole": [
        invokes("SerializeFunction", "image"),
        invokes("ClassifyFunction", "image"),
        invokes("DecideFunction", "image"),
        sends("workflow/image.asl.json", "arn:aws:states:::sqs:sendMessage"),
        lets_wait("image"),
        Needs(
            ("s3:GetObject",),
            "arn:${AWS::Partition}:s3:::${IncomingBucket}/*",
            ("workflow/image.asl.json", "arn:aws:states:::aws-sdk:s3:headObject"),
        ),
        TELLS_GONE,
        Needs(DELIVERY, "*", STATES_LOGS),
    ],
    "SerializeRole": [
        READS_A_VERSION,
        TELLS_GONE,
        Needs(("s3:PutObject",), MODEL_INPUTS, ("ingest/aws.py", ".put_object(")),
        Needs(
            ("sqs:GetQueueAttributes",), "WaitingImages.Arn", ("ingest/waiting.py", ".get_queue_attributes(")
        ),
        logs("Serialize"),
    ],
    "ClassifyRole": [
        INVOKES_ENDPOINT,
        Needs(("s3:GetObject",), MODEL_INPUTS, ("ingest/aws.py", "Bucket=self._bucket, Key=key)")),
        logs("Classify"),
    ],
    "DecideRole": [logs("Decide")],
    "RecordRole": [
        Needs(
            ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
            "ResultsQueue.Arn",
            LAMBDA_SQS,
        ),
        Needs(("sqs:SendMessage",), "UnrecordedOutcomes.Arn", ("analytics/lake/aws.py", ".send_message(")),
        Needs(("sqs:SendMessage",), "ChallengerImages.Arn", ("analytics/lake/aws.py", ".send_message(")),
        Needs(
            ("s3:PutObject",), "${ResultsBucket.Arn}/predictions/*", ("analytics/lake/aws.py", ".put_object(")
        ),
        logs("Record"),
    ],
    "ChallengerRole": [
        Needs(
            ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
            "ChallengerImages.Arn",
            LAMBDA_SQS,
        ),
        READS_A_VERSION,
        TELLS_GONE,
        INVOKES_ENDPOINT,
        Needs(
            ("s3:PutObject",), "${ResultsBucket.Arn}/challenger/*", ("analytics/lake/aws.py", ".put_object(")
        ),
        logs("Challenger"),
    ],
    "CompactRole": [
        Needs(("s3:ListBucket",), "ResultsBucket.Arn", ("analytics/lake/aws.py", '"list_objects_v2"')),
        Needs(
            ("s3:GetObject",), "${ResultsBucket.Arn}/predictions/*", ("analytics/lake/aws.py", ".get_object(")
        ),
        Needs(
            ("s3:PutObject",), "${ResultsBucket.Arn}/predictions/*", ("analytics/lake/aws.py", ".put_object(")
        ),
        Needs(
            ("s3:DeleteObject",),
            "${ResultsBucket.Arn}/predictions/*",
            ("analytics/lake/aws.py", ".delete_objects("),
        ),
        logs("Compact"),
    ],
    "DigestRole": [
        athena("StartQueryExecution", ".start_query_execution("),
        athena("GetQueryExecution", ".get_query_execution("),
        athena("GetQueryResults", '"get_query_results"'),
        athena("StopQueryExecution", ".stop_query_execution("),
        *(
            Needs(("glue:GetDatabase", "glue:GetTable"), GLUE + resource, ATHENA_GLUE)
            for resource in ("catalog", "database/${Database}", "table/${Database}/*")
        ),
        Needs(("glue:GetDatabase",), GLUE + "database/default", ATHENA_GLUE_DEFAULT),
        Needs(("s3:ListBucket",), "ResultsBucket.Arn", ATHENA_S3),
        *(
            Needs(("s3:GetObject",), f"${{ResultsBucket.Arn}}/{table}/*", ATHENA_S3)
            for table in ("predictions", "labels", "challenger")
        ),
        Needs(
            ("s3:GetObject",),
            "${ResultsBucket.Arn}/reports/*",
            ("analytics/report/digest/aws.py", '.generate_presigned_url("get_object"'),
        ),
        Needs(
            ("s3:PutObject",),
            "${ResultsBucket.Arn}/reports/*",
            ("analytics/report/digest/aws.py", ".put_object("),
        ),
        Needs(
            ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"),
            "QueryResultsBucket.Arn",
            ATHENA_S3,
        ),
        Needs(
            ("s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"),
            "${QueryResultsBucket.Arn}/*",
            ATHENA_S3,
        ),
        Needs(("sns:Publish",), "Notifications", ("analytics/report/digest/aws.py", ".publish(")),
        Needs(("kms:Decrypt", "kms:GenerateDataKey"), "NotificationsKey.Arn", SNS_KEY),
        logs("Digest"),
    ],
    "ClassifyBatchRole": [
        READS_A_VERSION,
        TELLS_GONE,
        INVOKES_ENDPOINT,
        sends("workflow/aws.py", ".send_message_batch("),
        logs("ClassifyBatch"),
    ],
    "ClassifyWaitingRole": [
        READS_A_VERSION,
        TELLS_GONE,
        INVOKES_ENDPOINT,
        Needs(
            ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
            "WaitingImages.Arn",
            LAMBDA_SQS,
        ),
        Needs(
            ("sqs:ChangeMessageVisibility",),
            "WaitingImages.Arn",
            ("workflow/aws.py", ".change_message_visibility_batch("),
        ),
        sends("workflow/aws.py", ".send_message_batch("),
        logs("ClassifyWaiting"),
    ],
    "BackfillStateMachineRole": [
        invokes("ClassifyBatchFunction", "backfill"),
        sends("workflow/backfill.asl.json", "arn:aws:states:::sqs:sendMessage"),
        lets_wait("backfill"),
        Needs(
            ("s3:GetObject",),
            "${ResultsBucket.Arn}/manifests/*",
            ("workflow/backfill.asl.json", "arn:aws:states:::s3:getObject"),
        ),
        Needs(("states:StartExecution",), BACKFILL % ("stateMachine", ""), STATES_MAP),
        Needs(
            ("states:DescribeExecution", "states:StopExecution"), BACKFILL % ("execution", ":*"), STATES_MAP
        ),
        Needs(DELIVERY, "*", STATES_LOGS),
    ],
}

ROLES = resources_of_type("AWS::IAM::Role")
TRUSTED = {
    "ImageUploadedRole": "events.amazonaws.com",
    "ImageStateMachineRole": "states.amazonaws.com",
    "BackfillStateMachineRole": "states.amazonaws.com",
}
"""Others are Lambdas'."""


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def written(resource: Any) -> str:
    """Return a resource as the table writes it."""
    if isinstance(resource, dict):
        ((function, value),) = resource.items()
        if function == "Fn::Sub" and isinstance(value, list):  # with values of its own
            return str(value[0])
        return ".".join(value) if function == "Fn::GetAtt" else str(value)
    return str(resource)


def granted(role: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (action, resource), each as often as it is granted."""
    statements = [
        statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]
    ]
    # A Deny, a Condition or a NotAction would make less of what is granted, or more.
    assert all(statement.keys() - {"Sid"} == {"Effect", "Action", "Resource"} for statement in statements)
    assert {statement["Effect"] for statement in statements} == {"Allow"}
    return sorted(
        (action, written(resource))
        for statement in statements
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    )


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_the_actions_that_are_needed_and_no_other(role: str) -> None:
    assert granted(ROLES[role]) == sorted(
        (action, needs.resource) for needs in NEEDS[role] for action in needs.actions
    )


@pytest.mark.parametrize("role", ROLES)
def test_those_that_decide_may_read_the_file_of_many_classes_and_nothing_beside_it(role: str) -> None:
    with_file = granted(resources_of_type("AWS::IAM::Role", HasClassesFile=True)[role])
    decides = role in ("DecideRole", "ClassifyBatchRole", "ClassifyWaitingRole", "ChallengerRole")
    of_file = [("s3:GetObject", "arn:${AWS::Partition}:s3:::${ClassesFile}")] if decides else []
    assert with_file == sorted(granted(ROLES[role]) + of_file)


def test_without_an_endpoint_no_role_may_do_anything_in_sagemaker() -> None:
    """The other actions stay as they are."""
    for name, role in resources_of_type("AWS::IAM::Role", HasEndpoint=False).items():
        if name == "ChallengerRole":  # whose endpoint is another one
            continue
        kept = [each for each in granted(ROLES[name]) if not each[0].startswith("sagemaker:")]
        assert granted(role) == kept, name


def test_every_role_is_in_the_table() -> None:
    assert NEEDS.keys() == ROLES.keys()


@pytest.mark.parametrize("role", NEEDS)
def test_the_code_that_needs_an_action_is_there(role: str) -> None:
    for needs in NEEDS[role]:
        if isinstance(needs.why, tuple):
            file, text = needs.why
            assert text in (PROJECT / file).read_text(encoding="utf-8")
        else:
            assert needs.why.startswith(DOCS)


def tables_behind(sql: str) -> set[str]:
    """Return the tables that a query reads, through views."""
    names = {table.name for table in sqlglot.parse_one(sql, read="athena").find_all(exp.Table)}
    through = [tables_behind(views()[name]) for name in names & views().keys()]
    return set().union(names & TABLES.keys(), *through)


def test_the_digest_may_read_the_tables_of_its_queries_and_its_own_pages() -> None:
    read = {
        resource
        for action, resource in granted(ROLES["DigestRole"])
        if (action, "Query" in resource) == ("s3:GetObject", False)
    }
    tables = set().union(*(tables_behind(console_query(name)) for name in saved_queries()))
    assert read == {f"${{ResultsBucket.Arn}}/{folder}/*" for folder in (*tables, "reports")}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_trusted_to_one_service_on_behalf_of_this_account(role: str) -> None:
    """Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html"""
    (statement,) = ROLES[role]["AssumeRolePolicyDocument"]["Statement"]
    condition = {"Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}}
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": TRUSTED.get(role, "lambda.amazonaws.com")},
        "Action": "sts:AssumeRole",
        **(condition if role in TRUSTED else {}),
    }
    assert ROLES[role].keys() - {"ManagedPolicyArns"} == {"AssumeRolePolicyDocument", "Policies"}
    assert not ROLES[role].get("ManagedPolicyArns")  # nothing attached


@pytest.mark.parametrize("role", ROLES)
def test_an_option_attaches_its_policy_and_the_boundary_bounds_every_role(role: str) -> None:
    options = ("HasPermissionsBoundary", "HasTracing", "HasVpc", "HasKmsKey")
    bounded = resources_of_type("AWS::IAM::Role", **dict.fromkeys(options, True))[role]
    assert bounded["PermissionsBoundary"] == {"Ref": "PermissionsBoundary"}
    is_lambda = (
        bounded["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"] == "lambda.amazonaws.com"
    )
    attached = str(bounded.get("ManagedPolicyArns", ""))
    assert ("AWSLambdaVPCAccessExecutionRole" in attached) == is_lambda
    is_of_events = role == "ImageUploadedRole"  # it starts executions alone
    assert ("AWSXRayDaemonWriteAccess" in attached) == ("'UseOfKey'" in attached) == (not is_of_events)


def test_no_function_gets_a_role_or_a_policy_from_sam() -> None:
    for function in resources_of_type("AWS::Serverless::Function").values():
        assert "Role" in function
        assert "Policies" not in function


@pytest.mark.parametrize("name", resources_of_type("AWS::S3::BucketPolicy"))
@pytest.mark.parametrize(("secure", "decision"), [(False, "Deny"), (True, "ImplicitDeny")])
@pytest.mark.parametrize("path", ["", "/any/key"])
def test_a_bucket_refuses_what_comes_without_tls(name: str, secure: bool, decision: str, path: str) -> None:
    policy = resources_of_type("AWS::S3::BucketPolicy")[name]["PolicyDocument"]
    bucket = "arn:aws:s3:::the-bucket"
    (statement,) = policy["Statement"]
    resources = [re.sub(r"^(\$\{)?\w+\.Arn\}?", bucket, written(each)) for each in statement["Resource"]]
    context = EvalContext(
        principal_arn="arn:aws:sts::111122223333:assumed-role/any/one",
        principal_type="AssumedRole",
        principal_account="111122223333",
        action="s3:GetObject" if path else "s3:ListBucket",
        resource_arn=bucket + path,
        region="us-east-1",
        secure_transport=secure,
    )
    resolved = {**policy, "Statement": [{**statement, "Resource": resources}]}
    assert evaluate_resource_policy(resolved, context).decision == decision

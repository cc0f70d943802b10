import importlib
import inspect
import json
import re
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from awscli.customizations.cloudformation import yamlhelper  # type: ignore[import-untyped]
from cfnlint.api import ManualArgs, lint_file
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from analytics.lake.aws import ChallengerImages, ResultsBucket
from analytics.lake.columns import TABLES
from analytics.report.cost import MEMORY_MB
from infra.aws import package
from infra.aws.deploy import parameters_of_model
from infra.aws.package import LAYOUT, TEMPLATE, build, with_defaults
from infra.installation import PROJECT
from infra.stack import Stack
from ingest.aws import MODEL_INPUTS_PREFIX, IncomingBucket, ModelInputs
from ingest.model_input import ModelInput
from model.files import DEFAULT_MODEL, UnusableModel
from tests.template import function_timeout_s, resources_of_type, template
from workflow.aws import BATCH_TIMEOUT_S, Endpoint, ResultsQueue, WaitingImages, connect_classifier
from workflow.batch import Steps
from workflow.policy import Policy

PARAMETERS = template()["Parameters"]
FUNCTIONS = resources_of_type("AWS::Serverless::Function")
BUCKETS = resources_of_type("AWS::S3::Bucket")
QUEUES = resources_of_type("AWS::SQS::Queue")


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements() -> list[tuple[str, dict[str, Any]]]:
    """Return every statement of every role, with the role's name."""
    return [
        (name, statement)
        for name, role in resources_of_type("AWS::IAM::Role").items()
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


# ── as CloudFormation sees it ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_cfn_lint_finds_nothing():
    assert [str(match) for match in lint_file(TEMPLATE, config=ManualArgs(regions=["us-east-1"]))] == []


def test_sam_transforms_it(monkeypatch):
    class NoManagedPolicies:
        def load(self):
            return {}

    sam = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    for resource in sam["Resources"].values():
        for uri in {"CodeUri", "DefinitionUri"} & resource["Properties"].keys():
            resource["Properties"][uri] = "s3://artifacts/packaged"
    resources = transform(sam, {}, NoManagedPolicies())["Resources"].values()
    types = [resource["Type"] for resource in resources]
    assert types.count("AWS::Lambda::Function") == len(FUNCTIONS)
    assert "AWS::Lambda::EventSourceMapping" in types
    assert not [type_ for type_ in types if "Serverless" in type_]


def test_no_bucket_queue_or_function_has_a_fixed_name():
    # Two stacks in one account would fight over it.
    named = {
        name
        for name, resource in template()["Resources"].items()
        if any(
            isinstance(resource["Properties"].get(f), str)
            for f in ("BucketName", "FunctionName", "QueueName")
        )
    }
    assert named == set()


# ── parameters ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_has_a_description_and_a_range(name):
    parameter = PARAMETERS[name]
    assert parameter["Description"].endswith(".")
    ranges = ({"AllowedValues"}, {"AllowedPattern"}, {"MinValue", "MaxValue"})
    assert any(limits <= parameter.keys() for limits in ranges)


def test_what_the_model_s_card_says_has_no_default_and_everything_else_has_one():
    optional = {"ModelVersion", "EndpointAccept", "EndpointScores", "ResizeMode", "Temperature"}
    optional |= {"UnfamiliarityThreshold", "ClassesFile", "JpegQuality", "EndpointContentType"}
    needed = {name for name in PARAMETERS if "Default" not in PARAMETERS[name]}
    assert needed == parameters_of_model().keys() - optional


@pytest.mark.parametrize("name", [name for name in PARAMETERS if "Default" in PARAMETERS[name]])
def test_a_default_is_within_its_range(name):
    parameter = PARAMETERS[name]
    default = parameter["Default"]
    assert default in parameter.get("AllowedValues", [default])
    assert re.fullmatch(parameter.get("AllowedPattern", ".*"), str(default))
    if "MinValue" in parameter:
        assert parameter["MinValue"] <= default <= parameter["MaxValue"]


def test_what_the_model_s_card_says_is_allowed():
    for name, value in parameters_of_model().items():
        parameter = PARAMETERS[name]
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value)
        if "MinValue" in parameter:
            assert parameter["MinValue"] <= float(value) <= parameter["MaxValue"]


@pytest.mark.parametrize("thresholds", ["", "bicycle=0.9", "a=0,b=1,c=1.0", "willow_tree=0.5,x y=0.123"])
def test_thresholds_of_classes_are_allowed(thresholds):
    assert re.fullmatch(PARAMETERS["ClassThresholds"]["AllowedPattern"], thresholds)


@pytest.mark.parametrize(
    "thresholds", ["bicycle", "bicycle=1.5", "bicycle=0.9,", "=0.5", "a=.5", "a=0.5;b=0.5"]
)
def test_other_texts_are_not_allowed_as_thresholds(thresholds):
    assert not re.fullmatch(PARAMETERS["ClassThresholds"]["AllowedPattern"], thresholds)


def test_every_parameter_is_used():
    text = TEMPLATE.read_text(encoding="utf-8")
    for name in PARAMETERS:
        assert re.search(rf"!Ref {name}\b|\$\{{{name}}}", text), name


# ── functions ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_handler_exists(name):
    module, _, handler = FUNCTIONS[name]["Handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), handler))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gets_each_variable_that_its_modules_read(name):
    given = set(FUNCTIONS[name]["Environment"]["Variables"])
    module = FUNCTIONS[name]["Handler"].rpartition(".")[0]
    source = (PROJECT / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
    if re.search(r"Steps\.connect\(.*os\.environ", source):
        source += inspect.getsource(Steps.connect).replace("said", "os.environ")
    if "connect_classifier(os.environ" in source:
        source += inspect.getsource(connect_classifier).replace("said", "os.environ")
    read = set(re.findall(r'environ\["(\w+)"]', source)) - {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE"}
    for value in (Policy, ModelInput):
        if f"{value.__name__}.from_mapping(os.environ" in source:
            read |= names_read_by(value) & PARAMETERS.keys()
    assert given - {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"} == read


def names_read_by(value: type[Policy | ModelInput]) -> set[str]:
    """Return the names that a value is read from: those of the template, and those of a card."""

    class Names(dict[str, str]):
        def __contains__(self, name: object) -> bool:
            read.add(str(name))
            return super().__contains__(name)

        def get(self, name: str, default: Any = None) -> Any:
            read.add(name)
            return super().get(name, default)

    read: set[str] = set()
    said = Names(parameters_of_model())
    if value is Policy:
        Policy.from_mapping(said, read=lambda _: b"")
    value.from_mapping(said)
    return read


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_a_role_and_logs_of_its_own(name):
    stem = name.removesuffix("Function")
    assert FUNCTIONS[name]["Role"] == {"Fn::GetAtt": [f"{stem}Role", "Arn"]}
    assert FUNCTIONS[name]["LoggingConfig"]["LogGroup"] == {"Ref": f"{stem}Logs"}


@pytest.mark.parametrize("name", MEMORY_MB)
def test_the_cost_is_estimated_with_the_memory_that_a_function_has(name):
    assert FUNCTIONS[f"{name}Function"]["MemorySize"] == MEMORY_MB[name]


def test_logs_are_not_kept_forever():
    for logs in resources_of_type("AWS::Logs::LogGroup").values():
        assert logs["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_the_build_has_what_the_template_names(tmp_path):
    built = build(tmp_path, with_libraries=False)
    for machine in resources_of_type("AWS::Serverless::StateMachine").values():
        assert json.loads((built.parent / machine["DefinitionUri"]).read_text(encoding="utf-8"))
    for function in FUNCTIONS.values():
        module = function["Handler"].rpartition(".")[0]
        packed = (built.parent / function["CodeUri"]).resolve()
        with zipfile.ZipFile(packed) as archive:
            names = archive.namelist()
        assert f"{module.replace('.', '/')}.py" in names
        assert packed.stem in LAYOUT
        assert not [name for name in names if name.endswith(".pyc")]


def packed_files(model: Path | None, into: Path) -> dict[str, set[str]]:
    """Return package → the files in it."""
    folder = build(into, with_libraries=False, model=model).parents[1] / "build" / "lambda"
    return {path.stem: {*zipfile.ZipFile(path).namelist()} for path in folder.glob("*.zip")}


def test_a_model_in_the_lambda_is_in_the_package_of_those_that_classify(tmp_path):
    without, with_model = packed_files(None, tmp_path / "a"), packed_files(DEFAULT_MODEL, tmp_path / "b")
    assert with_model.pop("classify") - without.pop("classify") == {
        "model/weights/model.onnx",
        "model/weights/card.json",
    }
    assert with_model == without
    packages = {name: Path(each["CodeUri"]).stem for name, each in FUNCTIONS.items()}
    classify = {name for name, package in packages.items() if package == "classify"}
    assert classify == {"ClassifyFunction", "ClassifyBatchFunction", "ClassifyWaitingFunction"}


def test_a_model_that_is_too_large_for_a_lambda_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(package, "UNZIPPED_MAX_BYTES", 900_000)
    with pytest.raises(UnusableModel, match="of at most 1 MB: serve it from an endpoint"):
        build(tmp_path, with_libraries=False, model=DEFAULT_MODEL)


def test_a_folder_without_a_model_is_not_packed(tmp_path):
    with pytest.raises(UnusableModel, match=r"model\.onnx: No such file"):
        build(tmp_path / "built", with_libraries=False, model=tmp_path)


def test_the_same_sources_make_the_same_packages(tmp_path):
    first, second = (build(tmp_path / name, with_libraries=False).parents[1] for name in ("a", "b"))
    packages = [path.relative_to(first) for path in first.rglob("*.zip")]
    assert {path.stem for path in packages} == set(LAYOUT)
    for path in packages:
        assert (first / path).read_bytes() == (second / path).read_bytes()


def test_a_packaged_template_has_the_model_s_policy_as_its_defaults():
    wanted = parameters_of_model()
    changed = yaml_parse(with_defaults(TEMPLATE.read_text(encoding="utf-8"), wanted))
    for name, parameter in changed["Parameters"].items():
        if name in wanted:
            assert parameter["Default"] == wanted[name]
            assert {**parameter, "Default": None} == {**PARAMETERS[name], "Default": None}
        else:
            assert parameter == PARAMETERS[name]
    assert changed["Resources"] == template()["Resources"]
    with pytest.raises(ValueError, match="no parameter 'Oven'"):
        with_defaults(TEMPLATE.read_text(encoding="utf-8"), {"Oven": "hot"})


PATIENCE_S = {
    kind: float(values["TimeoutSeconds"]) for kind, values in template()["Mappings"]["EndpointKinds"].items()
}
"""Kind of endpoint → seconds that Classify waits for its answer."""


def endpoint(read_timeout_s):
    """Return a client of the endpoint, as the Lambdas have it."""
    return Endpoint.connect("scones", "application/json", "probabilities", read_timeout_s)._runtime.client


def test_a_serverless_endpoint_gets_the_time_to_start():
    assert PATIENCE_S.keys() == set(PARAMETERS["EndpointKind"]["AllowedValues"])
    assert PATIENCE_S["serverless"] >= 20 > PATIENCE_S["real-time"]


@pytest.mark.parametrize(
    ("connect", "handler"),
    [
        (lambda: IncomingBucket.connect()._s3, "ingest.serialize.lambda_handler"),
        (
            lambda: endpoint(PATIENCE_S["serverless"]),
            "workflow.classify.lambda_handler",
        ),
        (lambda: endpoint(BATCH_TIMEOUT_S), "workflow.classify_batch.lambda_handler"),
        (lambda: endpoint(BATCH_TIMEOUT_S), "workflow.classify_waiting.lambda_handler"),
        (lambda: ResultsBucket.connect("results")._s3, "analytics.lake.record.lambda_handler"),
        (lambda: ChallengerImages.connect("url")._sqs, "analytics.lake.record.lambda_handler"),
        (lambda: ModelInputs.connect("results")._s3, "ingest.serialize.lambda_handler"),
        (lambda: ResultsQueue.connect("url")._sqs, "workflow.classify_batch.lambda_handler"),
        (lambda: WaitingImages.connect("url")._sqs, "workflow.classify_waiting.lambda_handler"),
    ],
    ids=[
        "serialize",
        "classify",
        "classify batch",
        "classify waiting",
        "record",
        "challenger",
        "large images",
        "results",
        "waiting images",
    ],
)
def test_a_client_times_out_before_its_lambda_does(connect, handler):
    config = connect().meta.config
    attempt_s = config.connect_timeout + config.read_timeout
    assert config.retries["total_max_attempts"] * attempt_s < function_timeout_s(handler)


@pytest.mark.parametrize("timeout_s", PATIENCE_S.values())
def test_the_endpoint_s_client_times_out_before_the_state_machine_does(timeout_s):
    config = endpoint(timeout_s).meta.config
    machine = json.loads((PROJECT / "workflow" / "image.asl.json").read_text(encoding="utf-8"))
    assert config.retries["total_max_attempts"] == 1  # the image waits instead
    assert config.connect_timeout + config.read_timeout < machine["States"]["Classify"]["TimeoutSeconds"]


# ── queues ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_batch_stays_invisible_until_its_lambda_has_timed_out():
    """Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
    longest_window_s = PARAMETERS["RecordWindowSeconds"]["MaxValue"]
    visibility_s = QUEUES["ResultsQueue"]["VisibilityTimeout"]
    assert visibility_s >= 6 * FUNCTIONS["RecordFunction"]["Timeout"] + longest_window_s


def test_waiting_images_stay_invisible_while_their_lambda_runs():
    """Lambda refuses a queue whose timeout is shorter than the function's. A batch is gathered before it."""
    assert QUEUES["WaitingImages"]["VisibilityTimeout"] == {"Ref": "WaitingSeconds"}
    function = FUNCTIONS["ClassifyWaitingFunction"]
    window_s = function["Events"]["Images"]["Properties"]["MaximumBatchingWindowInSeconds"]
    assert PARAMETERS["WaitingSeconds"]["MinValue"] > function["Timeout"] + window_s
    assert PARAMETERS["WaitingSeconds"]["Default"] >= 6 * function["Timeout"] + window_s


def test_waiting_images_are_the_same_messages_as_undelivered_events():
    """So a redrive of the dead-letter queue classifies both."""
    target = QUEUES["WaitingImages"]["RedrivePolicy"]["deadLetterTargetArn"]
    assert target == {"Fn::GetAtt": ["UndeliveredEvents", "Arn"]}
    machine = json.loads((PROJECT / "workflow" / "image.asl.json").read_text(encoding="utf-8"))
    assert machine["States"]["LetWait"]["Arguments"]["MessageBody"] == "{% $event %}"


def test_large_batches_have_a_window():
    """Lambda refuses more than 10 messages a batch without one."""
    source = FUNCTIONS["RecordFunction"]["Events"]["Outcomes"]["Properties"]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["MaximumBatchingWindowInSeconds"] == {"Ref": "RecordWindowSeconds"}
    assert source["BatchSize"] <= 10 or PARAMETERS["RecordWindowSeconds"]["MinValue"] >= 1


def test_what_cannot_be_delivered_is_kept():
    assert QUEUES["ResultsQueue"]["RedrivePolicy"]["maxReceiveCount"] <= 10
    (rule,) = resources_of_type("AWS::Events::Rule").values()
    assert all("DeadLetterConfig" in target for target in rule["Targets"])
    for queue in QUEUES.values():
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert queue["SqsManagedSseEnabled"] is True


# ── outputs ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stack_is_read_from_the_outputs_and_leaves_none_out():
    read = []

    class Outputs(dict[str, str]):
        def __missing__(self, name):
            read.append(name)
            return name

    stack = Stack.from_outputs(Outputs(), region="us-east-1", account_id="111122223333")
    assert set(read) == set(template()["Outputs"])
    known_otherwise = {
        "region",
        "account_id",
        "endpoint_url",
        "model_endpoint_url",
        "console_url",
        "ca_bundle",
        "name",
        "pids",
        "home",
        "access_key_id",
        "secret_access_key",
    }
    assert {getattr(stack, field.name) for field in fields(Stack) if field.name not in known_otherwise} == {
        *read
    }


def test_every_output_is_described():
    assert all(output["Description"].endswith(".") for output in template()["Outputs"].values())


# ── security ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["scones", "My-Endpoint-2", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"])
def test_a_role_may_ask_the_endpoint_by_the_arn_that_sagemaker_gives_it(name):
    """It has no capitals, and IAM compares exactly: https://github.com/philschmid/cdk-samples/issues/2."""

    def value_of(expression):
        if isinstance(expression, str):
            return expression
        ((function, argument),) = expression.items()
        if function == "Ref":
            assert argument in ("EndpointName", "ChallengerEndpointName")
            return name
        between, parts = argument
        return value_of(parts).split(between) if function == "Fn::Split" else between.join(value_of(parts))

    asked = [s["Resource"] for _, s in statements() if s["Action"] == "sagemaker:InvokeEndpoint"]
    assert len(asked) == 4
    for resource in asked:
        arn, values = resource["Fn::Sub"]
        assert arn.endswith(":endpoint/${InLowerCase}")
        assert value_of(values["InLowerCase"]) == name.lower()


def test_only_log_delivery_may_act_on_everything():
    everywhere = [s for _, s in statements() if "*" in as_list(s["Resource"])]
    assert everywhere
    assert {action for s in everywhere for action in as_list(s["Action"])} == {
        "logs:CreateLogDelivery",
        "logs:GetLogDelivery",
        "logs:UpdateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:DescribeResourcePolicies",
        "logs:DescribeLogGroups",
    }


def test_every_action_is_named():
    actions = [action for _, statement in statements() for action in as_list(statement["Action"])]
    assert actions
    assert [action for action in actions if "*" in action] == []


def test_no_role_of_a_lambda_reads_or_writes_more_buckets_than_its_own():
    touched: dict[str, set[str]] = {}
    for role, statement in statements():
        for text in strings(statement["Resource"]):
            touched.setdefault(role, set()).update(re.findall(r"\w*Bucket\b", text))
    assert touched["SerializeRole"] == {"IncomingBucket", "ResultsBucket"}
    assert touched["RecordRole"] == touched["ClassifyRole"] == {"ResultsBucket"}
    assert touched["DecideRole"] == set()


def test_images_between_two_steps_expire_and_only_these_steps_reach_them():
    allowed = {
        (role, action)
        for role, statement in statements()
        for action in as_list(statement["Action"])
        if any(f"/{MODEL_INPUTS_PREFIX}" in text for text in strings(statement["Resource"]))
    }
    assert allowed == {("SerializeRole", "s3:PutObject"), ("ClassifyRole", "s3:GetObject")}
    (rule,) = [
        rule
        for rule in BUCKETS["ResultsBucket"]["LifecycleConfiguration"]["Rules"]
        if rule.get("Prefix") == MODEL_INPUTS_PREFIX
    ]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 1)


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_is_private_encrypted_and_tls_only(name):
    bucket = BUCKETS[name]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in {"AES256", "aws:kms"}
    (policy,) = [
        p for p in resources_of_type("AWS::S3::BucketPolicy").values() if p["Bucket"] == {"Ref": name}
    ]
    (tls,) = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    assert (tls["Principal"], tls["Action"]) == ("*", "s3:*")
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(tls["Resource"]) == 2
    assert all(name in str(resource) for resource in tls["Resource"])


def test_uploads_are_versioned_and_announced_and_only_they():
    assert BUCKETS["IncomingBucket"]["VersioningConfiguration"] == {"Status": "Enabled"}
    announcing = [name for name, bucket in BUCKETS.items() if "NotificationConfiguration" in bucket]
    assert announcing == ["IncomingBucket"]
    (rule,) = resources_of_type("AWS::Events::Rule").values()
    assert rule["EventPattern"]["detail"] == {"bucket": {"name": [{"Ref": "IncomingBucket"}]}}


def test_results_that_are_deleted_can_be_brought_back_and_labels_for_longest():
    bucket = BUCKETS["ResultsBucket"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    kept_days = {
        rule["Prefix"]: rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        for rule in bucket["LifecycleConfiguration"]["Rules"]
        if "Prefix" in rule
    }
    others = {"manifests/", "uploaded/", MODEL_INPUTS_PREFIX}
    assert kept_days.keys() == {*others, *(f"{table}/" for table in TABLES)}
    assert kept_days["labels/"] > kept_days["predictions/"] >= 14


@pytest.mark.parametrize("name", BUCKETS)
def test_every_bucket_forgets_uploads_that_were_never_finished(name):
    rules = BUCKETS[name]["LifecycleConfiguration"]["Rules"]
    assert [rule for rule in rules if "AbortIncompleteMultipartUpload" in rule]


def test_state_machines_log_no_payloads():
    for machine in resources_of_type("AWS::Serverless::StateMachine").values():
        assert machine["Logging"]["IncludeExecutionData"] is False


def test_queries_are_bounded_and_kept_apart():
    (workgroup,) = resources_of_type("AWS::Athena::WorkGroup").values()
    configuration = workgroup["WorkGroupConfiguration"]
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert "BytesScannedCutoffPerQuery" in configuration
    assert strings(configuration["ResultConfiguration"]["OutputLocation"]) == ["s3://${QueryResultsBucket}/"]


def test_the_template_is_plain_once_it_is_packaged():
    """The AWS CLI writes YAML without aliases, which CloudFormation's API does not read."""
    packaged = yamlhelper.yaml_dump(yamlhelper.yaml_parse(TEMPLATE.read_text(encoding="utf-8")))
    tokens = list(yaml.scan(packaged))
    assert not [token for token in tokens if isinstance(token, yaml.AliasToken | yaml.AnchorToken)]

"""The alarms, one row each, and the metrics that AWS documents. `make fix` writes them into the template."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Alarm:
    """One alarm: it sounds when the statistic is above the threshold for some periods in a row."""

    name: str
    """Logical id in the template."""
    namespace: str
    metric: str
    of: str
    """Logical id of the resource that is watched; for Scones' own metrics, the value of `service`."""
    description: str
    """What happened, and what to do: the text of the message."""
    statistic: str = "Sum"
    period_s: int = 300
    periods: int | str = 1
    threshold: str = "0"
    condition: str = ""
    """Condition of the template under which there is the alarm, beside `HasMonitoring`; empty for none."""
    sounds_in_silence: bool = False
    """Whether it sounds when there is no data and when the statistic is 0, instead of above the threshold."""

    @property
    def text(self) -> str:
        """The description, and where to read what to do."""
        return f"{self.description} See docs/operations.md#{self.name.lower()}."

    def to_yaml(self) -> str:
        """Return the template's resource."""
        condition = self.condition and f"And{self.condition.removeprefix('Has')}"
        comparison, missing = "GreaterThanThreshold", "notBreaching"
        if self.sounds_in_silence:
            comparison, missing = "LessThanOrEqualToThreshold", "breaching"
        kind = "ExtendedStatistic" if self.statistic.startswith("p") else "Statistic"
        return (
            f"  {self.name}:\n"
            "    Type: AWS::CloudWatch::Alarm\n"
            f"    Condition: HasMonitoring{condition}\n"
            "    Properties:\n"
            f"      AlarmDescription: {json.dumps(self.text)}\n"
            f"      Namespace: {self.namespace}\n"
            f"      MetricName: {self.metric}\n"
            f"      Dimensions: [{dimensions(self.namespace, self.metric).format(self.of)}]\n"
            f"      {kind}: {self.statistic}\n"
            f"      Period: {self.period_s}\n"
            f"      EvaluationPeriods: {self.periods}\n"
            f"      ComparisonOperator: {comparison}\n"
            f"      Threshold: {self.threshold}\n"
            f"      TreatMissingData: {missing}\n"
            "      AlarmActions: [!Ref Notifications]\n"
            "      OKActions: [!Ref Notifications]\n"
        )


DIMENSIONS = {
    "AWS/States": "{{ Name: StateMachineArn, Value: !Ref {} }}",
    "AWS/Events": "{{ Name: RuleName, Value: !Ref {} }}",
    "AWS/SQS": "{{ Name: QueueName, Value: !GetAtt {}.QueueName }}",
    "AWS/SageMaker": "{{ Name: EndpointName, Value: !Ref {} }},"
    " {{ Name: VariantName, Value: !Ref VariantName }}",
    "AWS/Lambda": "{{ Name: FunctionName, Value: !Ref {} }}",
    "Scones": "{{ Name: service, Value: {} }}, {{ Name: stack, Value: !Ref AWS::StackName }}",
}
"""Namespace → the dimensions of its metrics."""

_OF_AN_API = {("AWS/States", "ThrottledEvents"): "{{ Name: APIName, Value: {} }}"}
"""Namespace and metric → its dimensions, where they are not those of the namespace."""


def dimensions(namespace: str, metric: str) -> str:
    """Return the dimensions of a metric, with a place for the resource."""
    return _OF_AN_API.get((namespace, metric), DIMENSIONS[namespace])


DOCUMENTED = {
    # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    "AWS/States": {
        "ExecutionsStarted",
        "ExecutionsSucceeded",
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionTime",
        "ThrottledEvents",
    },
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    "AWS/Events": {"FailedInvocations", "InvocationsSentToDlq", "InvocationsFailedToBeSentToDlq"},
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": {
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateAgeOfOldestMessage",
    },
    # https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    "AWS/SageMaker": {"Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "ModelLatency"},
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": {"Duration", "Errors", "Throttles", "ConcurrentExecutions", "Invocations"},
}
"""Namespace → the metrics of AWS that alarms and the dashboard may use, as its documentation spells them."""

ALARMS = (
    Alarm(
        "ImagesFailed",
        "AWS/States",
        "ExecutionsFailed",
        "ImageStateMachine",
        "Images ended as failed. Their rows have the reasons; `make audit` names images without a row, and "
        "`make redrive` tries all of them again.",
    ),
    Alarm(
        "BatchImagesFailed",
        "Scones",
        "Outcome_failed",
        "decisions",
        "Images that had waited, or that a backfill classified, ended as failed. Their rows have the reasons;"
        " `make redrive` tries them again.",
    ),
    Alarm(
        "ImagesTimedOut",
        "AWS/States",
        "ExecutionsTimedOut",
        "ImageStateMachine",
        "Executions timed out, and may have left no row. `make audit` finds their images.",
    ),
    Alarm(
        "ImagesThrottled",
        "AWS/States",
        "ThrottledEvents",
        "StartExecution",
        "For 15 minutes, Step Functions has throttled starts of executions: the account's quota is reached."
        " EventBridge retries each for 24 hours.",
        periods=3,
    ),
    Alarm(
        "NoImages",
        "AWS/States",
        "ExecutionsStarted",
        "ImageStateMachine",
        "No image has come for NoImagesHours hours: a producer is down, or the rule or the bucket's"
        " EventBridge notifications are off.",
        period_s=3600,
        periods="!Ref NoImagesHours",
        condition="HasNoImagesHours",
        sounds_in_silence=True,
    ),
    Alarm(
        "BackfillFailed",
        "AWS/States",
        "ExecutionsFailed",
        "BackfillStateMachine",
        "A backfill or redrive failed. Its results so far are recorded; `make audit` finds the other images.",
    ),
    Alarm(
        "EventsNotDelivered",
        "AWS/Events",
        "FailedInvocations",
        "ImageUploaded",
        "Events could not start an execution. They go to the dead-letter queue.",
    ),
    Alarm(
        "EventsLost",
        "AWS/Events",
        "InvocationsFailedToBeSentToDlq",
        "ImageUploaded",
        "Events could not be sent to the dead-letter queue and are lost. `make audit` finds their images.",
    ),
    Alarm(
        "EventsUndelivered",
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        "UndeliveredEvents",
        "Events are in the dead-letter queue. `make redrive` classifies their images.",
        statistic="Maximum",
    ),
    Alarm(
        "OutcomesUnrecorded",
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        "UnrecordedOutcomes",
        "Outcomes that Record could not write are in the dead-letter queue. `make redrive` sends them again.",
        statistic="Maximum",
    ),
    Alarm(
        "OutcomesWait",
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage",
        "ResultsQueue",
        "An outcome has waited 15 minutes to be recorded.",
        statistic="Maximum",
        threshold="900",
    ),
    Alarm(
        "ImagesWait",
        "AWS/SQS",
        # Not the age of the oldest message, which leaves out messages that were received three times.
        "ApproximateNumberOfMessagesNotVisible",
        "WaitingImages",
        "For 15 minutes on end, images have waited for the endpoint: it is down or too small."
        " They are decided as soon as it answers.",
        statistic="Minimum",
        periods=3,
    ),
    Alarm(
        "ReviewShareHigh",
        "Scones",
        "NeedsReview",
        "decisions",
        "For six hours, the share of images that need review has been above ReviewShareLimit."
        " Compare the inputs in `make report`.",
        statistic="Average",
        period_s=3600,
        periods=6,
        threshold="!Ref ReviewShareLimit",
    ),
    Alarm(
        "EndpointFaults",
        "AWS/SageMaker",
        "Invocation5XXErrors",
        "EndpointName",
        "The endpoint answered requests with a server error (5xx).",
        condition="HasEndpoint",
    ),
    Alarm(
        "EndpointRefusals",
        "AWS/SageMaker",
        "Invocation4XXErrors",
        "EndpointName",
        "For 15 minutes, the endpoint has answered requests with a client error (4xx).",
        condition="HasEndpoint",
        periods=3,
    ),
    Alarm(
        "EndpointSlow",
        "AWS/SageMaker",
        "ModelLatency",
        "EndpointName",
        "For 15 minutes, one answer of the model in 20 has taken over a second (in microseconds).",
        condition="HasEndpoint",
        statistic="p95",
        periods=3,
        threshold="1000000",
    ),
    *(
        Alarm(
            f"{function}Throttled",
            "AWS/Lambda",
            "Throttles",
            f"{function}Function",
            f"For 15 minutes, {function} has been throttled. {what}, until there is capacity.",
            periods=3,
        )
        for function, what in (
            ("Serialize", "Images wait"),
            ("Classify", "Images wait"),
            ("Decide", "Images wait"),
            ("ClassifyBatch", "Images of a backfill wait"),
        )
    ),
    Alarm(
        "RecordErrors",
        "AWS/Lambda",
        "Errors",
        "RecordFunction",
        "Record could not write outcomes. Each is tried five times, then goes to the dead-letter queue.",
    ),
    Alarm(
        "WaitingErrors",
        "AWS/Lambda",
        "Errors",
        "ClassifyWaitingFunction",
        "Images that wait could not be decided. They go on waiting. The function's log has the reason.",
    ),
    Alarm(
        "ChallengerErrors",
        "AWS/Lambda",
        "Errors",
        "ChallengerFunction",
        "The challenger could not be asked, or its answers could not be written. No outcome is affected."
        " The function's log has the reason.",
        condition="HasChallenger",
    ),
    Alarm(
        "CompactErrors",
        "AWS/Lambda",
        "Errors",
        "CompactFunction",
        "Days were not compacted. Queries still count them correctly. The function's log has the reason.",
    ),
    Alarm(
        "DigestErrors",
        "AWS/Lambda",
        "Errors",
        "DigestFunction",
        "The weekly digest could not be sent. It is tried three times. The function's log has the reason,"
        " and `make report` has the week.",
    ),
)

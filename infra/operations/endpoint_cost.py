"""What endpoints cost: the one that a stack asks, and those that are not there yet."""

from botocore.exceptions import BotoCoreError, ClientError

from analytics.report.cost import Endpoint, InLambda, Instances, Serverless
from analytics.report.prices import Prices, read_prices
from infra.operations.deployed import deployed_parameters
from infra.stack import Stack
from model.serving import sagemaker_requests as requests
from workflow.classifier import IN_LAMBDA


def endpoint_of(stack: Stack) -> Endpoint | None:
    """Return where a stack's model answers, as it is now; None where it cannot be seen.

    For the endpoint of a laptop, return what `scones endpoint` creates if nothing else is said.
    """
    try:
        if deployed_parameters(stack.client, stack.name).get("ModelIn") == IN_LAMBDA:
            return InLambda()
        if stack.endpoint_url:
            return Serverless(requests.Serverless.memory_mb)
        sagemaker = stack.client("sagemaker")
        found = sagemaker.describe_endpoint(EndpointName=stack.endpoint_name)
        config = sagemaker.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    except (BotoCoreError, ClientError):
        return None
    variant = config["ProductionVariants"][0]
    if "ServerlessConfig" in variant:
        return Serverless(variant["ServerlessConfig"]["MemorySizeInMB"])
    # An endpoint that is being created, or whose creation failed, runs nothing yet.
    (running, *_) = found.get("ProductionVariants") or [{}]
    count = running.get("CurrentInstanceCount", variant["InitialInstanceCount"])
    return Instances(variant["InstanceType"], count)


def hourly_cost(capacity: requests.Serverless | requests.RealTime) -> str:
    """Return the cost of an endpoint per hour without data transfer, and the source of the price."""
    prices = read_prices()
    match capacity:
        case requests.Serverless(memory_mb, concurrency, provisioned):
            busy = prices.of({"endpoint_serverless_gb_s": memory_mb / 1024 * 3600 * concurrency})
            warm = f" beside the price of {provisioned} workers that are kept warm" if provisioned else ""
            cost = f"US$ 0 an hour while it is idle, {busy:.2f} with all {concurrency} workers busy{warm}"
        case requests.RealTime(instance_type, least, most):
            price = prices.usd_per_hosting_hour.get(instance_type)
            cost = (
                f"US$ {least * price:.2f} to {most * price:.2f} an hour"
                if price
                else f"unknown price of {instance_type}"
            )
    return f"{cost} ({_said(prices)})"


def training_cost(plan: requests.TrainingPlan) -> str:
    """Return the cost of a training job per hour, and the source of the price."""
    prices = read_prices()
    price = prices.usd_per_training_hour.get(plan.instance_type)
    cost = f"US$ {price:.2f} an hour" if price else f"unknown price of {plan.instance_type}"
    return f"{cost}, for {plan.timeout_s / 3600:g} h at the most ({_said(prices)})"


def _said(prices: Prices) -> str:
    return (
        f"list prices of {prices.region} of {prices.as_of}; see https://aws.amazon.com/sagemaker/ai/pricing/"
    )

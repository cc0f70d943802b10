"""infra/template.yaml as data: `!Ref` and its like become CloudFormation's long forms."""

from functools import cache
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from infra.aws.package import TEMPLATE


@cache
def template() -> dict[str, Any]:
    read: dict[str, Any] = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    return read


def resources_of_type(type_: str) -> dict[str, dict[str, Any]]:
    """Return name → properties."""
    resources = template()["Resources"].items()
    return {name: resource["Properties"] for name, resource in resources if resource["Type"] == type_}


def function_timeout_s(handler: str) -> int:
    (timeout_s,) = [
        function["Timeout"]
        for function in resources_of_type("AWS::Serverless::Function").values()
        if function["Handler"] == handler
    ]
    return int(timeout_s)

"""infra/template.yaml as data: `!Ref` and its like become CloudFormation's long forms."""

import base64
import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from infra.aws.package import TEMPLATE


@cache
def template() -> dict[str, Any]:
    read: dict[str, Any] = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    return read


WITHOUT_OPTIONS = {
    "HasChallenger": True,
    "HasOwnIncoming": True,
    "HasEndpoint": True,
    "HasClassesFile": False,
    "HasKeyFilter": False,
    "HasProducerAccounts": False,
    "HasImageKeys": False,
    "HasImageRetention": False,
    "HasKmsKey": False,
    "HasVpc": False,
    "HasPermissionsBoundary": False,
    "HasTracing": False,
    "HasMonitoring": True,
    "HasNotificationsKey": True,
}
"""Conditions with the defaults of the parameters, as far as they change what a resource is. A challenger is
there, too: its resources have conditions of their own."""

_NO_VALUE = {"Ref": "AWS::NoValue"}


def resources_of_type(type_: str, **conditions: bool) -> dict[str, dict[str, Any]]:
    """Return name → properties, with these conditions and the others of `WITHOUT_OPTIONS` resolved."""
    known = {**WITHOUT_OPTIONS, **conditions}
    return {
        name: resolved(resource["Properties"], known)
        for name, resource in template()["Resources"].items()
        if resource["Type"] == type_
    }


def resolved(value: Any, conditions: Mapping[str, bool]) -> Any:
    """Return a value of the template as CloudFormation reads it under these conditions."""
    if isinstance(value, dict):
        if [*value] == ["Fn::If"] and value["Fn::If"][0] in conditions:
            condition, then, otherwise = value["Fn::If"]
            return resolved(then if conditions[condition] else otherwise, conditions)
        found = {name: resolved(each, conditions) for name, each in value.items()}
        return {name: each for name, each in found.items() if each != _NO_VALUE}
    if isinstance(value, list):
        return [each for each in (resolved(each, conditions) for each in value) if each != _NO_VALUE]
    return value


def view_definition(name: str, database: str) -> dict[str, Any]:
    """Return what Athena reads of a view once CloudFormation has put the database's name in."""
    tables = [table["TableInput"] for table in resources_of_type("AWS::Glue::Table").values()]
    (view,) = [table for table in tables if table["Name"] == name]
    between, parts = view["ViewOriginalText"]["Fn::Join"]
    text = between.join(part if isinstance(part, str) else _in_base64(part, database) for part in parts)
    found = re.fullmatch(r"/\* Presto View: (\S+) \*/", text)
    assert found
    definition: dict[str, Any] = json.loads(base64.b64decode(found[1]))
    return definition


def _in_base64(value: dict[str, Any], database: str) -> str:
    text: str = value["Fn::Base64"]["Fn::Sub"]
    return base64.b64encode(text.replace("${Database}", database).encode()).decode()


def function_timeout_s(handler: str) -> int:
    (timeout_s,) = [
        function["Timeout"]
        for function in resources_of_type("AWS::Serverless::Function").values()
        if function["Handler"] == handler
    ]
    return int(timeout_s)

"""A stage, such as test or production: a TOML file that says what is deployed where.

stack = "scones-prod"                   # all of it is optional
region = "eu-central-1"                 # a deployment to another region or account is refused
account = "123456789012"
role_arn = "arn:aws:iam::123456789012:role/deployer"   # CloudFormation acts with it
termination_protection = true

[parameters]                            # of the template
EndpointName = "scones-prod"

[tags]                                  # of the stack and of its resources
team = "vision"
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.aws.account import Account
from infra.stack import STACK_NAME_PATTERN
from ingest.errors import SconesError

_TEXTS = {
    "stack": STACK_NAME_PATTERN,
    "region": r"[a-z]{2}(-[a-z]+)+-\d",
    "account": r"\d{12}",
    "role_arn": r"arn:aws[a-z-]*:iam::\d{12}:role/.+",
}
"""Setting → the pattern of its text."""


class WrongStage(SconesError):
    """A stage's file that cannot be used, or that belongs to another account."""


@dataclass(frozen=True)
class Stage:
    """What one stage has of its own. The default has nothing."""

    stack: str | None = None
    region: str | None = None
    account: str | None = None
    role_arn: str | None = None
    termination_protection: bool | None = None
    """None leaves the stack's own setting as it is."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    """Empty: the stack's own tags stay."""

    @classmethod
    def read(cls, file: Path) -> "Stage":
        """Read a stage's file.

        Raises:
            WrongStage: it is not TOML, or has a setting that a stage does not have.
            OSError: it cannot be read.
        """
        try:
            said = tomllib.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise WrongStage(f"{file}: not TOML: {error}") from error
        for name, value in said.items():
            if name not in cls.__dataclass_fields__:
                known = ", ".join(cls.__dataclass_fields__)
                raise WrongStage(f"{file}: a stage has no {name!r}. It may have {known}")
            if name in _TEXTS and not (isinstance(value, str) and re.fullmatch(_TEXTS[name], value)):
                raise WrongStage(f"{file}: {name} = {value!r} must be a text like {_TEXTS[name]}")
            if name == "termination_protection" and not isinstance(value, bool):
                raise WrongStage(f"{file}: {name} must be true or false")
            if name in ("parameters", "tags"):
                said[name] = _texts(file, name, value)
        return cls(**said)

    def check(self, account: Account) -> None:
        """Check that an account is the stage's.

        Raises:
            WrongStage: it is another account or another region.
        """
        for name, wanted, given in (
            ("account", self.account, account.account_id),
            ("region", self.region, account.region),
        ):
            if wanted and wanted != given:
                raise WrongStage(f"the stage is in {name} {wanted}, and this is {account}")


NO_STAGE = Stage()
"""What a deployment without a stage's file has of its own."""


def _texts(file: Path, name: str, values: Any) -> dict[str, str]:
    if not isinstance(values, dict):
        raise WrongStage(f"{file}: [{name}] must be a table")
    return {key: _text(file, f"{name}.{key}", value) for key, value in values.items()}


def _text(file: Path, name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WrongStage(f"{file}: {name} must be a text or a number")
    return str(value)

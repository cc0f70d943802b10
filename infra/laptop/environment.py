"""Environments of the laptop system's processes, and its credentials.

A profile, an endpoint, a proxy, a certificate bundle or a Python path that the user has set is for other
programs: with it, the laptop's system would not start, or would send requests to AWS. Each environment is
therefore made from nothing, and not from the user's. `infra.clients` does the same for clients.
"""

import hmac
import json
import os
import secrets
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import scones
from infra.stack import write_privately

_KEPT = ("PATH", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
"""Variables of the user that are kept: where programs and Python's own libraries are, and the time zone."""

_LETTERS = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Credentials:
    """Credentials that requests to the embedded AWS are signed with."""

    access_key_id: str
    secret_access_key: str = field(repr=False)

    @classmethod
    def new(cls) -> "Credentials":
        """Return random credentials.

        ministack takes an access key of 12 digits for the number of an account. This one belongs to the
        default account.
        """
        access_key_id = "SCONES" + "".join(secrets.choice(_LETTERS) for _ in range(14))
        return cls(access_key_id, secrets.token_urlsafe(30))

    @property
    def model_path(self) -> str:
        """Path of the model's endpoint, which nobody can guess: the endpoint verifies no signatures."""
        return "/" + hmac.digest(self.secret_access_key.encode(), b"model endpoint", "sha256").hex()

    @property
    def console_token(self) -> str:
        """What a browser has to have for the console. The same after every start, so that a page goes on."""
        return hmac.digest(self.secret_access_key.encode(), b"console", "sha256").hex()

    @classmethod
    def of(cls, home: Path) -> "Credentials":
        """Return the credentials of a home; make them if it has none."""
        file = home / "credentials.json"
        if not file.exists():
            write_privately(file, json.dumps(asdict(cls.new()), indent=2) + "\n")
        return cls(**json.loads(file.read_text(encoding="utf-8")))


def environment(scratch: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a process of the laptop's system.

    Args:
        scratch: folder for temporary files, which is the process's home folder as well.
        more: variables of this process alone.
    """
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PYTHONPATH": os.pathsep.join(scones.PATHS),
        "PYTHONUTF8": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONSAFEPATH": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # macOS keeps proxies outside the environment too, and asks for them unless one of these is set.
        "NO_PROXY": "*",
        "no_proxy": "*",
        **more,
    }


def aws_variables(
    region: str, endpoint_url: str, access_key_id: str, secret_access_key: str, ca_bundle: str | None
) -> dict[str, str]:
    """Return the variables by which the AWS CLI reaches the embedded AWS."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret_access_key,
        "AWS_DEFAULT_REGION": region,
        **({"AWS_CA_BUNDLE": ca_bundle} if ca_bundle else {}),
    }

"""A model's folder: `model.onnx`, and `card.json` that describes it."""

import json
import re
from pathlib import Path
from typing import Any, NoReturn

from ingest.errors import SconesError
from ingest.model_input import ModelInput

MODEL_FILE, CARD_FILE = "model.onnx", "card.json"
PROBABILITIES, UNFAMILIARITY = "probabilities", "unfamiliarity"
"""Names of the outputs of a model's file. The second one may be missing."""
RUN_IMAGES = 16
"""Images per run of the network: with 64, an image takes a sixth more, as its layers leave the cache."""
DEFAULT_MODEL = Path(__file__).parent / "weights"

_CARD_MAX_BYTES = 4_000_000
_VERSION = re.compile(r"[!-~]{1,100}")
"""Printable ASCII without blanks: the version travels in a header."""


class UnusableModel(SconesError):
    """A folder without a model that can be served."""


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card of the model in a folder; its classes, image size and version are checked.

    Raises:
        UnusableModel: there is no card, or it is not one of a model that can be served.
    """
    path = folder / CARD_FILE
    try:
        with path.open("rb") as file:
            content = file.read(_CARD_MAX_BYTES + 1)
        if len(content) > _CARD_MAX_BYTES:
            raise ValueError(f"more than {_CARD_MAX_BYTES:,} bytes")
        card = json.loads(content, parse_constant=_refuse)
        if not isinstance(card, dict):
            raise ValueError("not a JSON object")
        _check(card)
    except KeyError as error:
        raise UnusableModel(f"no usable model in {folder}: {CARD_FILE} lacks {error}") from error
    except OSError as error:
        raise UnusableModel(f"no usable model in {folder}: {CARD_FILE}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UnusableModel(f"no usable model in {folder}: {CARD_FILE}: {error}") from error
    return card


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _check(card: dict[str, Any]) -> None:
    classes, version = card["classes"], card["model_version"]
    ModelInput.from_mapping(card)
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"classes must be a list of names, not {classes!r:.200}")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ValueError(f"model_version must be up to 100 printable ASCII characters, not {version!r:.200}")

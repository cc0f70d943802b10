"""A model's folder: `model.onnx`, and `card.json` that describes it."""

import json
from pathlib import Path
from typing import Any

from ingest.errors import SconesError

MODEL_FILE, CARD_FILE = "model.onnx", "card.json"
DEFAULT_MODEL = Path(__file__).parent / "weights"


class UnusableModel(SconesError):
    """A folder without a model that can be served."""


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card of the model in a folder.

    Raises:
        UnusableModel: there is no card, or it is not a JSON object.
    """
    try:
        card = json.loads((folder / CARD_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise UnusableModel(f"no usable model in {folder}: {type(error).__name__}: {error}") from error
    if not isinstance(card, dict):
        raise UnusableModel(f"no usable model in {folder}: {CARD_FILE} is not a JSON object")
    return card

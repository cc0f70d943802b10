"""What people say about a sample of a simulated week's accepted images, as the report's queries answer."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from analytics.athena.engine import Record
from analytics.lake.label_source import Source
from tests.simulate.fleet import CLASSES
from workflow.outcome import Outcome

WORSE = 2
"""Number of the class that loses precision."""


def label_answers(images: pd.DataFrame, labels: int, points: float, seed: int) -> dict[str, list[Record]]:
    """Return the answers about so many labels; the model is right as often as it says.

    Of the images that it takes for the class `WORSE`, that share besides shows the next class.
    """
    if not labels:
        return {"measured_precision": [], "confusions": [], "labelled_images": [], "sampling_frame": []}
    rng = np.random.default_rng(seed)
    accepted = images[images["outcome"] == Outcome.ACCEPTED]
    drawn = accepted.iloc[rng.permutation(len(accepted))[:labels]]
    label, confidence = drawn["label"].to_numpy(), drawn["confidence"].to_numpy()
    is_right = rng.random(len(drawn)) < confidence - points * (label == WORSE)
    shown = np.where(is_right, label, (label + 1) % len(CLASSES))
    bins = np.minimum((confidence * 20).astype(int), 19)
    accepted_as: dict[str, Any] = {"outcome": Outcome.ACCEPTED}
    return {
        "measured_precision": [
            {
                **accepted_as,
                "bin": int(each),
                "images": int((bins == each).sum()),
                "confidence_sum": float(confidence[bins == each].sum()),
                "correct": int(is_right[bins == each].sum()),
            }
            for each in np.unique(bins)
        ],
        "confusions": [
            {**accepted_as, "label": CLASSES[said], "true_label": CLASSES[true], "images": count}
            for (said, true), count in Counter(zip(label.tolist(), shown.tolist(), strict=True)).items()
        ],
        "labelled_images": [
            {
                **accepted_as,
                "upload_id": f"{place:064x}",
                "label": CLASSES[said],
                "folder": "",
                "confidence": float(sure),
                "true_label": CLASSES[true],
                "source": Source.SAMPLE,
            }
            for place, (said, sure, true) in enumerate(zip(label, confidence, shown, strict=True))
        ],
        "sampling_frame": [
            {
                **accepted_as,
                "label": CLASSES[each],
                "folder": None,
                "images": int((accepted["label"] == each).sum()),
                "drawn": int((label == each).sum()),
                "first_undrawn": f"{labels:064x}",
            }
            for each in range(len(CLASSES))
        ],
    }

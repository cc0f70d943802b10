"""How an image came to be labelled. Without pyarrow: a Lambda reads labels, too."""

from enum import StrEnum


class Source(StrEnum):
    """How an image came to be labelled."""

    SAMPLE = "sample"
    """Drawn at random among accepted images, and labelled before the model's answer was shown."""
    BELOW_THRESHOLD = "below_threshold"
    """Drawn at random among images that needed review, and labelled before the model's answer was shown."""
    ONE_KIND = "one_kind"
    """Drawn at random among images that needed review for one reason, which the person chose."""
    GALLERY = "gallery"
    """Picked by a person who saw the model's answer."""
    OTHER = "other"
    """Anything else."""

"""The settings of a challenger: its own in place of those of the model in use. Pure."""

from collections.abc import Mapping

from ingest.model_input import PIXELS_TYPE


def with_own(model_in_use: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return parameters, or an environment, of the model in use with a challenger's own in their places.

    A version is never that of the model in use: without one of its own, any version may answer. Nor are
    pixels sent unless its own settings say so: not every container takes them.
    """
    theirs = {**model_in_use, "ModelVersion": ""}
    if theirs.get("EndpointContentType") == PIXELS_TYPE:
        theirs["EndpointContentType"] = ""
    return {**theirs, **own}

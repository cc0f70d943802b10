"""Fits temperature and thresholds to an endpoint's answers about labelled images."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from infra.operations.ask_endpoint import AskedEndpoint
from infra.operations.check_endpoint import CannotCheck, Settings
from ingest import class_names
from ingest.model_input import ModelInput
from model import calibrate
from model.data.load import Steps, load
from model.serving.sagemaker import validation_fold
from model.serving.sagemaker_requests import BUILT_IN_IMAGE_SIZE_PX
from workflow.aws import Endpoint


def calibrate_endpoint(
    connected: Callable[[Settings], Endpoint],
    parameters: Mapping[str, str],
    data: Path,
    target_precision: float,
    steps: Steps,
) -> dict[str, str]:
    """Ask an endpoint about the images that validate; return the template's parameters that calibrate it.

    Args:
        connected: returns the endpoint, as settings say that it is asked.
        parameters: of the template. Without `ClassNames`, the classes are the data's in alphabetical order;
            without `ImageSizePx`, images have the built-in algorithm's size.
        data: a CIFAR-100 archive or a folder of labelled images.
        target_precision: of what the thresholds accept.
        steps: shows the progress of each step.

    Raises:
        SconesError: the data, the parameters or the endpoint cannot be used, or it does not give all classes.
    """
    said = {"ImageSizePx": str(BUILT_IN_IMAGE_SIZE_PX), **parameters, "Temperature": "1"}
    try:
        form = replace(ModelInput.from_mapping(said), jpeg_quality=0)
        classes = class_names.split(said.get("ClassNames", ""))
    except ValueError as error:
        raise CannotCheck(f"PARAMETERS: {error}") from error
    with steps("reading") as progress:
        images = load(data, classes, progress, form).train
    settings = Settings.of({**said, "ClassNames": class_names.join(images.classes)})
    held_out = images.take(np.flatnonzero(validation_fold(images)))
    with steps("asking") as progress:
        asked = AskedEndpoint(connected(settings), settings, needs_all_classes=True)
        probabilities, _ = asked.answers(held_out, progress)
    return {**parameters, **calibration(probabilities, held_out.labels, images.classes, target_precision)}


def calibration(
    probabilities: calibrate.Floats, labels: calibrate.Ints, classes: tuple[str, ...], target_precision: float
) -> dict[str, str]:
    """Return the template's parameters that make an endpoint's own scores calibrated, `(n, k)`.

    The temperature T goes where the scores are read: p ** (1 / T), divided by its sum. A softmax's logits
    are the logarithms of its probabilities, up to a constant that cancels out.
    """
    logits = np.log(np.maximum(probabilities, 1e-12))
    temperature = calibrate.fit_temperature(logits, labels)
    tempered = calibrate.softmax(logits, temperature)
    threshold, by_class = calibrate.choose_thresholds(tempered, labels, classes, target_precision)
    return {
        "ClassNames": class_names.join(classes),
        "Temperature": f"{temperature:g}",
        "Threshold": f"{threshold:g}",
        "ClassThresholds": class_names.join_pairs(by_class),
    }

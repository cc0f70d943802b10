"""The training images that are nearest to another image, by the features that a model's folder keeps."""

import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model.data.dataset import Dataset
from model.files import MODEL_FILE, RUN_IMAGES, UnusableModel
from model.training import onnx_head

FILE = "training.npz"
"""File of a model's folder: `features` `(n, d)`, which enter the last layer, `labels` and `names` `(n,)`."""

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Neighbour:
    """A training image near another image."""

    name: str
    label: str
    similarity: float
    """Cosine of the angle between the features of both, from the mean of all training images: -1 to 1."""


def write(folder: Path, network: bytes, dataset: Dataset) -> None:
    """Keep the features of a model's training images in its folder.

    A model without a last layer that can be told apart has none: nothing is written.
    """
    try:
        features = _features(_session(network), dataset.pixels)
    except UnusableModel:
        (folder / FILE).unlink(missing_ok=True)
        return
    labels = np.array([dataset.classes[number] for number in dataset.labels])
    np.savez_compressed(
        folder / FILE,
        features=features.astype(np.float16),
        labels=labels,
        names=np.array(dataset.names),
    )


def copy(folder: Path, to: Path) -> None:
    """Keep the features of a model for another one, of which the last layer alone differs."""
    if folder.resolve() == to.resolve():
        return
    try:
        shutil.copyfile(folder / FILE, to / FILE)
    except FileNotFoundError:
        (to / FILE).unlink(missing_ok=True)


def nearest(folder: Path, pixels: NDArray[np.uint8], count: int) -> list[Neighbour]:
    """Return the training images nearest to an image `(height, width, 3)`, the most similar first.

    Raises:
        FileNotFoundError: the folder keeps no features.
        UnusableModel: its files do not belong together.
    """
    known = _known(folder, (folder / FILE).stat().st_mtime_ns)
    features = _features(known.session, pixels[np.newaxis])
    if features.shape[1:] != known.mean.shape:
        raise UnusableModel(f"{folder / FILE} is of another model than {MODEL_FILE} beside it")
    similarity = known.units @ _unit(features - known.mean)[0]
    return [
        Neighbour(str(known.names[place]), str(known.labels[place]), float(similarity[place]))
        for place in np.argsort(-similarity, kind="stable")[:count]
    ]


@dataclass(frozen=True)
class _Known:
    session: onnxruntime.InferenceSession
    mean: Features
    units: Features
    labels: NDArray[np.str_]
    names: NDArray[np.str_]


@lru_cache(maxsize=1)
def _known(folder: Path, _changed_ns: int) -> _Known:
    with np.load(folder / FILE, allow_pickle=False) as file:
        features = file["features"].astype(np.float32)
        labels, names = file["labels"], file["names"]
    mean = features.mean(axis=0)
    return _Known(_session((folder / MODEL_FILE).read_bytes()), mean, _unit(features - mean), labels, names)


def _session(network: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        onnx_head.with_features(network), options, providers=["CPUExecutionProvider"]
    )


def _features(session: onnxruntime.InferenceSession, pixels: NDArray[np.uint8]) -> Features:
    """Return features `(n, d)` of images `(n, height, width, 3)`: the mean with the mirrored copy, if any."""
    parts = []
    for start in range(0, len(pixels), RUN_IMAGES):
        some = pixels[start : start + RUN_IMAGES]
        (features,) = session.run([onnx_head.FEATURES], {"images": some})
        parts.append(features.reshape(-1, len(some), features.shape[1]).mean(axis=0))
    return np.concatenate(parts)


def _unit(vectors: Features) -> Features:
    result: Features = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return result

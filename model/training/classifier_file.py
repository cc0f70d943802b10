"""The contract of every model file: `images` uint8 `(n, s, s, 3)` in, `probabilities` float32 `(n, k)` out.

Everything between the pixels and the calibrated probabilities is inside the file. Serving it needs no
knowledge of the training.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.training.onnx_file import Graph

Body = Callable[[Graph, str], str]
"""Adds the nodes from normalised pixels `(n, 3, size, size)` to logits `(n, k)` to a graph."""


@dataclass(frozen=True)
class ModelFile:
    """An ONNX file and the version that is derived from what it computes."""

    content: bytes
    model_version: str


def build(
    body: Body,
    *,
    name: str,
    classes: Sequence[str],
    size_px: int,
    mean: NDArray[np.float32],
    std: NDArray[np.float32],
    temperature: float,
) -> ModelFile:
    """Put a body between normalisation with `mean` and `std`, each `(3,)`, and calibrated probabilities."""
    graph = Graph(name)
    x = graph.node("Cast", ["images"], to=1)
    x = graph.node("Transpose", [x], perm=[0, 3, 1, 2])
    x = graph.node("Sub", [x, graph.constant(mean.astype(np.float32).reshape(1, 3, 1, 1))])
    x = graph.node("Div", [x, graph.constant(std.astype(np.float32).reshape(1, 3, 1, 1))])
    logits = graph.node("Div", [body(graph, x), graph.constant(np.array(temperature, dtype=np.float32))])
    graph.node("Softmax", [logits], "probabilities", axis=-1)

    def file(metadata: dict[str, str]) -> bytes:
        return graph.to_bytes(
            inputs={"images": ("uint8", ["n", size_px, size_px, 3])},
            outputs={"probabilities": ("float32", ["n", len(classes)])},
            metadata={"classes": json.dumps(list(classes)), **metadata},
        )

    version = f"{name}-{hashlib.sha256(file({})).hexdigest()[:8]}"
    return ModelFile(file({"model_version": version}), version)


@dataclass(frozen=True)
class BothSides:
    """A body whose logits `(n, k)` are those of another, averaged over each image and its mirror image."""

    body: Body
    class_count: int

    def __call__(self, graph: Graph, x: str) -> str:
        """Add it to the graph, as one run over twice as many images."""
        logits = self.body(graph, graph.node("Concat", [x, _mirrored(graph, x)], axis=0))
        apart = graph.constant(np.array([2, -1, self.class_count]))
        return graph.node("ReduceMean", [graph.node("Reshape", [logits, apart])], axes=[0], keepdims=0)


def _mirrored(graph: Graph, x: str) -> str:
    last, before_first = np.array([-1]), np.array([np.iinfo(np.int64).min])
    axis, step = np.array([3]), np.array([-1])
    return graph.node("Slice", [x, *(graph.constant(array) for array in (last, before_first, axis, step))])

"""The contract of every model file: `images` uint8 `(n, h, w, 3)` in, `probabilities` float32 `(n, k)` out.

A model that was taught with foreign images has a second output, `unfamiliarity` float32 `(n,)`, 0 to 1.
Everything between the pixels and the calibrated probabilities is inside the file. Serving it needs no
knowledge of the training.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.files import PROBABILITIES, UNFAMILIARITY
from model.training.onnx_file import Graph
from model.unfamiliarity import Scale

Body = Callable[[Graph, str], str]
"""Adds the nodes from normalised pixels `(n, 3, height, width)` to logits `(n, k)` to a graph.

Where foreign images were taught, the logits of their kinds follow those of the classes."""


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
    size_px: tuple[int, int],
    mean: NDArray[np.float32],
    std: NDArray[np.float32],
    temperature: float,
    scale: Scale | None = None,
) -> ModelFile:
    """Put a body between normalisation with `mean` and `std`, each `(3,)`, and calibrated probabilities.

    `size_px` is the width and height of the images. With a scale, the body has logits of foreign kinds too,
    and the file tells the unfamiliarity.
    """
    graph = Graph(name)
    x = graph.node("Cast", ["images"], to=1)
    x = graph.node("Transpose", [x], perm=[0, 3, 1, 2])
    x = graph.node("Sub", [x, graph.constant(mean.astype(np.float32).reshape(1, 3, 1, 1))])
    x = graph.node("Div", [x, graph.constant(std.astype(np.float32).reshape(1, 3, 1, 1))])
    logits = body(graph, x)
    outputs: dict[str, tuple[str, list[int | str]]] = {PROBABILITIES: ("float32", ["n", len(classes)])}
    if scale is not None:
        foreign = _columns(graph, logits, len(classes), np.iinfo(np.int64).max)
        logits = _columns(graph, logits, 0, len(classes))
        _add_unfamiliarity(graph, logits, foreign, scale)
        outputs[UNFAMILIARITY] = ("float32", ["n"])
    cooled = graph.node("Div", [logits, graph.constant(np.array(temperature, dtype=np.float32))])
    graph.node("Softmax", [cooled], PROBABILITIES, axis=-1)

    def file(metadata: dict[str, str]) -> bytes:
        return graph.to_bytes(
            inputs={"images": ("uint8", ["n", size_px[1], size_px[0], 3])},
            outputs=outputs,
            metadata={"classes": json.dumps(list(classes)), **metadata},
        )

    version = f"{name}-{hashlib.sha256(file({})).hexdigest()[:8]}"
    return ModelFile(file({"model_version": version}), version)


@dataclass(frozen=True)
class BothSides:
    """A body whose logits `(n, k)` are those of another, averaged over each image and its mirror image."""

    body: Body
    logit_count: int

    def __call__(self, graph: Graph, x: str) -> str:
        """Add it to the graph, as one run over twice as many images."""
        logits = self.body(graph, graph.node("Concat", [x, _mirrored(graph, x)], axis=0))
        apart = graph.constant(np.array([2, -1, self.logit_count]))
        return graph.node("ReduceMean", [graph.node("Reshape", [logits, apart])], axes=[0], keepdims=0)


def _add_unfamiliarity(graph: Graph, known: str, foreign: str, scale: Scale) -> None:
    """Add `model.unfamiliarity.score` and the scale: its line rises part by part as the score grows."""
    known, foreign = (graph.node("ReduceLogSumExp", [x], axes=[1], keepdims=1) for x in (known, foreign))
    score = graph.node("Sub", [foreign, known])
    points = np.array(scale.scores, dtype=np.float32)
    rises = np.diff(np.array(scale.levels, dtype=np.float32)).reshape(-1, 1)
    beyond = graph.node("Sub", [score, graph.constant(points[:-1])])
    share = graph.node("Div", [beyond, graph.constant(np.diff(points))])
    limits = [graph.constant(np.array(limit, dtype=np.float32)) for limit in (0.0, 1.0)]
    level = graph.node("MatMul", [graph.node("Clip", [share, *limits]), graph.constant(rises)])
    graph.node("Reshape", [level, graph.constant(np.array([-1]))], UNFAMILIARITY)


def _columns(graph: Graph, x: str, start: int, end: int) -> str:
    bounds = (graph.constant(np.array([value])) for value in (start, end, 1))
    return graph.node("Slice", [x, *bounds])


def _mirrored(graph: Graph, x: str) -> str:
    last, before_first = np.array([-1]), np.array([np.iinfo(np.int64).min])
    axis, step = np.array([3]), np.array([-1])
    return graph.node("Slice", [x, *(graph.constant(array) for array in (last, before_first, axis, step))])

"""A classifier of image patches, in numpy alone: it learns in seconds, without torch.

Patches of the training images themselves, whitened, are the filters; how strongly each answers in each part
of an image is what a logistic regression tells the classes by.

Source: Coates, Ng & Lee 2011, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning",
https://proceedings.mlr.press/v15/coates11a.html
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from model.training.onnx_file import Graph

Floats = NDArray[np.floating[Any]]

FILTERS = 200
"""At each scale, each counted twice: where it answers, and where its negative does."""
MAX_IMAGES = 5000
"""Images to learn from; more would not fit into memory, and would not improve the filters."""

_PATCH_PX = 6
_PATCHES = 20_000
_CONTRAST_FLOOR = 0.15
"""Added to a patch's variance, so that flat patches do not become noise; of normalised pixels."""
_WHITENING_FLOOR = 0.1
_RECTIFIED_ABOVE = 1.0
_PENALTY = 0.03
_STEPS = 300
_CHUNK = 50
_SIDE_PX = 32
"""Larger images are shrunk by a whole number, until their shorter side has less than twice as much."""


@dataclass(frozen=True)
class _Scale:
    """How one size of patch is laid over an image, whose answers are pooled into 3 × 3 overlapping cells."""

    shrink: int
    stride: int

    def cells(self, side_px: int) -> tuple[int, int]:
        """Return how many answers a cell has along a side of so many pixels, and how far the cells are
        apart."""
        answers = (side_px // self.shrink - _PATCH_PX) // self.stride + 1
        apart = round(answers * 2 / 7)
        return answers - 2 * apart, apart


_SCALES = (_Scale(shrink=1, stride=2), _Scale(shrink=2, stride=1))
"""Fine: 14 × 14 answers of 32 × 32 pixels. Coarse: 11 × 11 of 16 × 16."""


def shrink_by(height_px: int, width_px: int) -> int:
    """Return by how much images are shrunk before anything is learned of them."""
    return max(min(height_px, width_px) // _SIDE_PX, 1)


def shrunk(images: NDArray[np.float32], by: int) -> NDArray[np.float32]:
    """Return the means of blocks of `by` × `by` pixels; what is left at two sides is dropped."""
    count, channels, height, width = images.shape
    whole = images[:, :, : height // by * by, : width // by * by]
    blocks = whole.reshape(count, channels, height // by, by, width // by, by)
    result: NDArray[np.float32] = blocks.mean(axis=(3, 5))
    return result


@dataclass(frozen=True)
class Patches:
    """A trained model of images of at least 16 pixels along each side."""

    size_px: tuple[int, int]
    """Height and width of the images."""
    filters: tuple[NDArray[np.float32], ...]
    """For each scale, `(f, 108)`."""
    offsets: tuple[NDArray[np.float32], ...]
    """For each scale, `(f,)`: subtracted from the answers."""
    weight: NDArray[np.float32]
    """`(features, k)`."""
    bias: NDArray[np.float32]
    """`(k,)`."""

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits `(n, k)` of normalised and shrunk images `(n, 3, h, w)`."""
        features = _features(images, self.filters, self.offsets)
        return (features @ self.weight + self.bias).astype(np.float32)

    def __call__(self, graph: Graph, x: str) -> str:
        """Add the classifier to a graph: it is a `model.training.classifier_file.Body`."""
        by = shrink_by(*self.size_px)
        if by > 1:
            x = graph.node("AveragePool", [x], kernel_shape=[by, by], strides=[by, by])
        size_px = self.size_px[0] // by, self.size_px[1] // by
        pooled = [
            graph.node("Flatten", [_add_scale(graph, x, size_px, *one)])
            for one in zip(_SCALES, self.filters, self.offsets, strict=True)
        ]
        weight, bias = graph.half_constant(self.weight), graph.constant(self.bias)
        return graph.node("Gemm", [graph.node("Concat", pooled, axis=1), weight, bias])


def learn(
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    class_count: int,
    seed: int,
    size_px: tuple[int, int],
) -> Patches:
    """Learn from normalised images `(n, 3, h, w)`, also mirrored, and labels `(n,)`.

    The images are those of `size_px`, height and width, that were `shrunk` by `shrink_by`.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(images))[:MAX_IMAGES]
    images, labels = images[chosen], labels[chosen]
    learned = [_learn_filters(shrunk(images, scale.shrink), rng) for scale in _SCALES]
    filters, offsets = tuple(one[0] for one in learned), tuple(one[1] for one in learned)
    features = np.concatenate([_features(x, filters, offsets) for x in (images, images[:, :, :, ::-1])])
    mean, std = features.mean(axis=0), features.std(axis=0) + 1e-3
    weight, bias = _regress((features - mean) / std, np.tile(labels, 2), class_count)
    weight = weight / std[:, None]
    return Patches(
        size_px, filters, offsets, weight.astype(np.float32), (bias - mean @ weight).astype(np.float32)
    )


def _learn_filters(
    images: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return filters for contrast-normalised patches, and the answers of each to the mean patch."""
    which = rng.integers(len(images), size=_PATCHES)
    top, left = (rng.integers(side - _PATCH_PX + 1, size=_PATCHES) for side in images.shape[2:])
    windows = sliding_window_view(images, (_PATCH_PX, _PATCH_PX), axis=(2, 3))
    patches = _contrast_normalised(windows[which, :, top, left].reshape(_PATCHES, -1).astype(np.float64))
    mean = patches.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((patches - mean).T))
    whiten = (vectors / np.sqrt(values + _WHITENING_FLOOR)) @ vectors.T
    some = (patches[rng.permutation(_PATCHES)[:FILTERS]] - mean) @ whiten
    some /= np.linalg.norm(some, axis=1, keepdims=True) + 1e-8
    filters = some @ whiten
    return filters.astype(np.float32), (filters @ mean).astype(np.float32)


def _features(
    images: NDArray[np.float32],
    filters: tuple[NDArray[np.float32], ...],
    offsets: tuple[NDArray[np.float32], ...],
) -> NDArray[np.float32]:
    """`(n, 3, h, w)` → `(n, features)`."""
    scales = list(zip(_SCALES, filters, offsets, strict=True))
    rows = [
        np.concatenate([_pooled(images[i : i + _CHUNK], *one) for one in scales], axis=1)
        for i in range(0, len(images), _CHUNK)
    ]
    return np.concatenate(rows)


def _pooled(
    images: NDArray[np.float32], scale: _Scale, filters: NDArray[np.float32], offsets: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return each filter's mean answer, and its negative's, in each cell, `(n, 2 × f × 9)`."""
    windows = sliding_window_view(shrunk(images, scale.shrink), (_PATCH_PX, _PATCH_PX), axis=(2, 3))
    windows = windows[:, :, :: scale.stride, :: scale.stride].transpose(0, 2, 3, 1, 4, 5)
    count, rows, columns = windows.shape[:3]
    patches = _contrast_normalised(windows.reshape(count * rows * columns, -1))
    answers = (patches @ filters.T - offsets).reshape(count, rows, columns, -1)
    answers = np.concatenate([answers, -answers], axis=3)
    answers = np.maximum(answers - _RECTIFIED_ABOVE, 0)
    (high, down), (wide, right) = (scale.cells(side) for side in images.shape[2:])
    cells = [
        answers[:, i * down : i * down + high, j * right : j * right + wide].mean(axis=(1, 2))
        for i in range(3)
        for j in range(3)
    ]
    result: NDArray[np.float32] = np.stack(cells, axis=2).reshape(count, -1).astype(np.float32)
    return result


def _contrast_normalised(patches: Floats) -> Floats:
    patches = patches - patches.mean(axis=1, keepdims=True)
    result: Floats = patches / np.sqrt((patches**2).mean(axis=1, keepdims=True) + _CONTRAST_FLOOR)
    return result


def _regress(features: Floats, labels: NDArray[np.int64], class_count: int) -> tuple[Floats, Floats]:
    """Return weight `(f, k)` and bias `(k,)` of a logistic regression with a penalty on its weights.

    By Nesterov's accelerated gradient, whose step is set by the largest curvature.
    """
    rows = len(features)
    target = np.eye(class_count)[labels]
    curvature = 0.5 * _largest_eigenvalue(features) / rows + 2 * _PENALTY
    weight = ahead = np.zeros((features.shape[1], class_count))
    bias = bias_ahead = np.zeros(class_count)
    for step in range(_STEPS):
        scores = features @ ahead.astype(features.dtype) + bias_ahead
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        error = powers / powers.sum(axis=1, keepdims=True) - target
        slope = features.T @ error.astype(features.dtype) / rows + 2 * _PENALTY * ahead
        previous, weight = weight, ahead - slope / curvature
        bias_previous, bias = bias, bias_ahead - error.mean(axis=0)
        momentum = step / (step + 3)
        ahead = weight + momentum * (weight - previous)
        bias_ahead = bias + momentum * (bias - bias_previous)
    return weight, bias


def _largest_eigenvalue(features: Floats) -> float:
    """Return the largest eigenvalue of featuresᵀ features, by power iteration."""
    vector = np.ones(features.shape[1], dtype=features.dtype)
    length = 1.0
    for _ in range(30):
        vector = features.T @ (features @ (vector / np.linalg.norm(vector)))
        length = float(np.linalg.norm(vector))
    return length * 1.05


def _add_scale(
    graph: Graph,
    x: str,
    size_px: tuple[int, int],
    scale: _Scale,
    filters: NDArray[np.float32],
    offsets: NDArray[np.float32],
) -> str:
    """Add what `_pooled` computes: contrast normalisation turns into arithmetic on the filters' answers."""
    if scale.shrink > 1:
        by = [scale.shrink, scale.shrink]
        x = graph.node("AveragePool", [x], kernel_shape=by, strides=by)
    shape = (-1, 3, _PATCH_PX, _PATCH_PX)
    strides = [scale.stride, scale.stride]
    centred = filters - filters.mean(axis=1, keepdims=True)
    ones = graph.constant(np.full((1, 3, _PATCH_PX, _PATCH_PX), 1 / (3 * _PATCH_PX**2), dtype=np.float32))
    answers = graph.node("Conv", [x, graph.half_constant(centred.reshape(shape))], strides=strides)
    mean = graph.node("Conv", [x, ones], strides=strides)
    square = graph.node("Conv", [graph.node("Mul", [x, x]), ones], strides=strides)
    variance = graph.node("Sub", [square, graph.node("Mul", [mean, mean])])
    floor = graph.constant(np.array(_CONTRAST_FLOOR, dtype=np.float32))
    deviation = graph.node("Sqrt", [graph.node("Add", [graph.node("Relu", [variance]), floor])])
    answers = graph.node("Div", [answers, deviation])
    answers = graph.node("Sub", [answers, graph.constant(offsets.reshape(1, -1, 1, 1))])
    # max(a - t, 0) is max(a, t) - t: the constant is subtracted after pooling, from far fewer numbers.
    above, below = (np.array(sign * _RECTIFIED_ABOVE, dtype=np.float32) for sign in (1, -1))
    cell, cell_stride = zip(*map(scale.cells, size_px), strict=True)
    high, low = (
        graph.node("AveragePool", [clipped], kernel_shape=cell, strides=cell_stride)
        for clipped in (
            graph.node("Max", [answers, graph.constant(above)]),
            graph.node("Min", [answers, graph.constant(below)]),
        )
    )
    both = graph.node("Concat", [high, graph.node("Neg", [low])], axis=1)
    return graph.node("Sub", [both, graph.constant(above)])

"""The small residual network, in torch, and its translation into nodes of an ONNX graph."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.onnx_file import Graph

Array = NDArray[np.float32]


class Residual(nn.Module):  # type: ignore[misc]
    """Adds to its input what two convolutions make of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels)
        self.second = convolution(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(n, c, h, w)` → `(n, c, h, w)`."""
        return x + self.second(self.first(x))


class Network(nn.Module):  # type: ignore[misc]
    """Normalised pixels `(n, 3, 32, 32)` → logits `(n, k)`.

    One layer at full size, then three stages at a half, a quarter and an eighth of it, each a halving
    convolution and a residual block; the last one's maxima and means are what the classes are told by.
    """

    def __init__(self, stem_channels: int, stage_channels: tuple[int, int, int], class_count: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolution(3, stem_channels)]
        before = stem_channels
        for channels in stage_channels:
            layers += [convolution(before, channels, stride=2), Residual(channels)]
            before = channels
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(2 * before, class_count)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(n, 3, 32, 32)` → `(n, k)`."""
        x = self.features(x)
        return self.head(torch.cat([x.amax((2, 3)), x.mean((2, 3))], dim=1))


def convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """Return a 3 × 3 convolution with batch normalisation and a rectifier."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )


@dataclass(frozen=True)
class Folded:
    """A convolution with its batch normalisation multiplied in; a rectifier follows."""

    weight: Array
    bias: Array
    stride: int

    @classmethod
    def of(cls, layer: nn.Sequential) -> "Folded":
        """Fold what `convolution` made."""
        kernel, norm, _ = layer
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = kernel.weight * scale[:, None, None, None]
        return cls(_array(weight), _array(norm.bias - norm.running_mean * scale), kernel.stride[0])

    def __call__(self, graph: Graph, x: str) -> str:
        """Add it to a graph; its weights take a byte each, with no measurable difference."""
        weight, bias = graph.byte_constant(self.weight), graph.constant(self.bias)
        strides = [self.stride, self.stride]
        x = graph.node("Conv", [x, weight, bias], kernel_shape=[3, 3], strides=strides, pads=[1, 1, 1, 1])
        return graph.node("Relu", [x])


@dataclass(frozen=True)
class NetworkBody:
    """A trained network as plain arrays: a `model.classifier_file.Body`."""

    layers: tuple[Folded | tuple[Folded, Folded], ...]
    """A pair is a residual block."""
    weight: Array
    bias: Array

    @classmethod
    def of(cls, network: Network) -> "NetworkBody":
        """Take over what a network has learned."""
        layers = tuple(
            (Folded.of(layer.first), Folded.of(layer.second))
            if isinstance(layer, Residual)
            else Folded.of(layer)
            for layer in network.features
        )
        return cls(layers, _array(network.head.weight), _array(network.head.bias))

    def __call__(self, graph: Graph, x: str) -> str:
        """Add the network to a graph."""
        for layer in self.layers:
            if isinstance(layer, Folded):
                x = layer(graph, x)
            else:
                first, second = layer
                x = graph.node("Add", [x, second(graph, first(graph, x))])
        pooled = [graph.node(op, [x]) for op in ("GlobalMaxPool", "GlobalAveragePool")]
        features = graph.node("Flatten", [graph.node("Concat", pooled, axis=1)])
        head = [graph.constant(self.weight), graph.constant(self.bias)]
        return graph.node("Gemm", [features, *head], transB=1)


def _array(tensor: torch.Tensor) -> Array:
    result: Array = tensor.detach().numpy().astype(np.float32)
    return result

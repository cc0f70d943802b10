"""The small residual network, in torch, and its translation into nodes of an ONNX graph."""

import numpy as np
import torch
from torch import nn

from model.classifier_file import Body
from model.onnx_file import Graph


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


def to_onnx(network: Network) -> Body:
    """Return what adds the network to a graph, its batch normalisation folded into its convolutions.

    Convolutions keep their weights in half precision: half the file, and no measurable difference.
    """

    def add(graph: Graph, x: str) -> str:
        for layer in network.features:
            if isinstance(layer, Residual):
                inner = _add_convolution(graph, _add_convolution(graph, x, layer.first), layer.second)
                x = graph.node("Add", [x, inner])
            else:
                x = _add_convolution(graph, x, layer)
        pooled = [graph.node(op, [x]) for op in ("GlobalMaxPool", "GlobalAveragePool")]
        features = graph.node("Flatten", [graph.node("Concat", pooled, axis=1)])
        weight, bias = (graph.constant(_array(p)) for p in (network.head.weight, network.head.bias))
        return graph.node("Gemm", [features, weight, bias], transB=1)

    return add


def _add_convolution(graph: Graph, x: str, layer: nn.Sequential) -> str:
    convolution, norm, _ = layer
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = _array(convolution.weight * scale[:, None, None, None])
    bias = _array(norm.bias - norm.running_mean * scale)
    stride = convolution.stride[0]
    x = graph.node(
        "Conv",
        [x, graph.half_constant(weight), graph.constant(bias)],
        kernel_shape=[3, 3],
        strides=[stride, stride],
        pads=[1, 1, 1, 1],
    )
    return graph.node("Relu", [x])


def _array(tensor: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    result: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = tensor.detach().numpy().astype(np.float32)
    return result

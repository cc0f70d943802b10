"""The network, in torch, and its translation into nodes of an ONNX graph.

It is the first three quarters of EfficientNet-Lite0, pretrained on the 1.3 million photos of ImageNet. It
sees small images enlarged, and larger ones as they are. The last layer sees the features of two depths. The
later layers hold most of the weights and look at larger areas than small images have.

Sources: Tan & Le 2019, https://arxiv.org/abs/1905.11946 (table 1); the Lite variant has no squeeze-and-
excitation and rectifies to 0 … 6: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from model.training.onnx_file import Graph

Array = NDArray[np.float32]

MEAN, STD = (np.full(3, value, dtype=np.float32) for value in (127.0, 128.0))
"""Normalisation that the pretrained weights expect."""

LEAST_SIDE_PX = 80
"""Smaller images are enlarged within the network, until their shorter side has so many pixels."""
_FROZEN = 4
"""Number of layers, the stem included, that stay as they were pretrained. Edges and colours are the same in
all photos; without their gradients, training takes a third less time."""
_STEM_CHANNELS = 32
_STAGES = (
    (1, 1, 3, 1, 16),
    (2, 6, 3, 2, 24),
    (2, 6, 5, 2, 40),
    (3, 6, 3, 2, 80),
    (3, 6, 5, 1, 112),
    (1, 6, 5, 2, 192),
)
"""For each stage: blocks, expansion, kernel size, stride of the first block, channels. Of the last one, the
first of four blocks."""
_DEPTHS = 2
"""Number of last layers whose features, averaged over the image, enter the head."""
_NORM_EPSILON = 1e-3
_RECTIFIED_BELOW = 6.0
_FEW_WEIGHTS = 20_000


class Convolution(nn.Module):  # type: ignore[misc]
    """A convolution with batch normalisation, and, unless it is linear, a rectifier."""

    def __init__(
        self, before: int, after: int, kernel: int = 1, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.kernel = nn.Conv2d(before, after, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(after, eps=_NORM_EPSILON)
        self.linear = linear
        # TensorFlow's padding: if it is odd, the larger half comes last.
        around = kernel - stride
        self.before, self.after = around // 2, around - around // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(n, c, h, w)` → `(n, c', h / stride, w / stride)`."""
        x = functional.pad(x, (self.before, self.after, self.before, self.after)) if self.after else x
        x = self.norm(self.kernel(x))
        return x if self.linear else functional.hardtanh(x, 0.0, _RECTIFIED_BELOW)


class Block(nn.Module):  # type: ignore[misc]
    """Inverted residual: expands, convolves each channel, projects; adds an input of the same shape."""

    def __init__(self, before: int, after: int, widening: int, kernel: int, stride: int) -> None:
        super().__init__()
        inside = before * widening
        layers = [Convolution(before, inside)] if widening > 1 else []
        layers += [
            Convolution(inside, inside, kernel, stride, groups=inside),
            Convolution(inside, after, linear=True),
        ]
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(n, c, h, w)` → `(n, c', h / stride, w / stride)`."""
        y = self.layers(x)
        return x + y if self.adds else y


class Network(nn.Module):  # type: ignore[misc]
    """Normalised pixels `(n, 3, h, w)`, enlarged if small → logits `(n, k)`, of classes and foreign kinds."""

    def __init__(self, logit_count: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [Convolution(3, _STEM_CHANNELS, 3, stride=2)]
        channels = [_STEM_CHANNELS]
        for blocks, widening, kernel, stride, after in _STAGES:
            for number in range(blocks):
                layers.append(Block(channels[-1], after, widening, kernel, stride if number == 0 else 1))
                channels.append(after)
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(sum(channels[-_DEPTHS:]), logit_count)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.features[:_FROZEN].requires_grad_(False)

    def train(self, mode: bool = True) -> "Network":
        """Switch to training or back; the frozen layers keep their running means and variances."""
        super().train(mode)
        self.features[:_FROZEN].eval()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(n, 3, h, w)` → `(n, k)`."""
        with torch.no_grad():
            x = self.features[:_FROZEN](x)
        x = self.features[_FROZEN:-_DEPTHS](x)
        averages = []
        for layer in self.features[-_DEPTHS:]:
            x = layer(x)
            averages.append(x.mean((2, 3)))
        return self.head(torch.cat(averages, dim=1))


def seen_px(height_px: int, width_px: int) -> tuple[int, int]:
    """Return the height and width at which the network sees images."""
    scale = max(LEAST_SIDE_PX / min(height_px, width_px), 1.0)
    return round(height_px * scale), round(width_px * scale)


def enlarged(images: torch.Tensor) -> torch.Tensor:
    """`(n, 3, h, w)` → the same, or larger as `seen_px` says."""
    size_px = seen_px(*images.shape[2:])
    return functional.interpolate(images, size=size_px, mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class _Folded:
    """Convolution with its batch normalisation folded into weight and bias."""

    weight: Array
    bias: Array
    stride: int
    groups: int
    pads: tuple[int, int]
    linear: bool

    @classmethod
    def of(cls, layer: Convolution) -> "_Folded":
        kernel, norm = layer.kernel, layer.norm
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        return cls(
            _array(kernel.weight * scale[:, None, None, None]),
            _array(norm.bias - norm.running_mean * scale),
            kernel.stride[0],
            kernel.groups,
            (layer.before, layer.after),
            layer.linear,
        )

    def __call__(self, graph: Graph, x: str) -> str:
        """Add it to a graph.

        A weight takes one byte in large layers. In the small early layers, on which all later ones depend,
        it takes two: otherwise the error of the features would be a tenth of their deviation, not 3 %.
        """
        add = graph.half_constant if self.weight.size <= _FEW_WEIGHTS else graph.byte_constant
        x = graph.node(
            "Conv",
            [x, add(self.weight), graph.constant(self.bias)],
            kernel_shape=self.weight.shape[2:],
            strides=[self.stride] * 2,
            group=self.groups,
            pads=[self.pads[0]] * 2 + [self.pads[1]] * 2,
        )
        if self.linear:
            return x
        limits = [graph.constant(np.array(limit, dtype=np.float32)) for limit in (0.0, _RECTIFIED_BELOW)]
        return graph.node("Clip", [x, *limits])


@dataclass(frozen=True)
class NetworkBody:
    """A trained network as plain arrays: a `model.training.classifier_file.Body`."""

    blocks: tuple[tuple[tuple[_Folded, ...], bool], ...]
    """Convolutions in their order, and whether their input is added to their output."""
    weight: Array
    bias: Array
    size_px: tuple[int, int]
    """Height and width of the images."""

    @classmethod
    def of(cls, network: Network, size_px: tuple[int, int]) -> "NetworkBody":
        """Take over what a network has learned, for images of this height and width."""
        stem, *blocks = network.features
        return cls(
            (
                ((_Folded.of(stem),), False),
                *((tuple(_Folded.of(layer) for layer in block.layers), block.adds) for block in blocks),
            ),
            _array(network.head.weight),
            _array(network.head.bias),
            size_px,
        )

    def __call__(self, graph: Graph, x: str) -> str:
        """Add the network to a graph, from pixels at their own size."""
        seen = seen_px(*self.size_px)
        if seen != self.size_px:
            factors = np.array([1, 1, *map(_factor, self.size_px, seen)], dtype=np.float32)
            x = graph.node("Resize", [x, "", graph.constant(factors)], mode="linear")
        outputs = []
        for layers, adds in self.blocks:
            before = x
            for layer in layers:
                x = layer(graph, x)
            if adds:
                x = graph.node("Add", [before, x])
            outputs.append(x)
        averages = [graph.node("Flatten", [graph.node("GlobalAveragePool", [y])]) for y in outputs[-_DEPTHS:]]
        features = graph.node("Concat", averages, axis=1)
        weight, bias = graph.half_constant(self.weight), graph.constant(self.bias)
        return graph.node("Gemm", [features, weight, bias], transB=1)


def _factor(side_px: int, seen_px: int) -> np.float32:
    """Return a factor that leads to that side: ONNX drops what is behind the point."""
    factor = np.float32(seen_px / side_px)
    return (
        factor if int(np.float32(side_px) * factor) == seen_px else np.nextafter(factor, np.float32(np.inf))
    )


def _array(tensor: torch.Tensor) -> Array:
    result: Array = tensor.detach().numpy().astype(np.float32)
    return result

"""Trains one network: the recipe, and the loop that follows it. In torch, on one thread."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from model.calibrate import Ints
from model.data.dataset import normalised
from model.training import augment, pretrained
from model.training.network import MEAN, STD, Network, enlarged, seen_px

_PREDICT_PIXELS = 100 * 80**2
"""Pixels, as the network sees them, that are predicted at once."""


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of training. Decisions 10, 99, 100 and 138 in docs/decisions/ say how they came."""

    epochs: int = 25
    least_steps: int = 150
    """With few images there are more epochs, until there are so many batches."""
    batch_images: int = 32
    foreign_images: int = 16
    """Beside them in every batch, where foreign images are taught."""
    learning_rate: float = 0.001
    weight_decay: float = 0.05
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises; then it falls along a cosine."""
    largest_gradient: float = 1.0
    """Euclidean length to which a longer gradient is shortened."""
    blend: float = 0.25
    """Share of the batches that are blended."""
    blend_alpha: float = 0.6
    paste: float = 0.25
    """Share of the batches that are pasted into."""
    average: float = 0.98
    """Decay per step of the moving average of the weights, which is the result."""

    def batches(self, images: int) -> int:
        """Return the number of batches in an epoch over so many images."""
        return max(1, images // self.batch_images)

    def epochs_over(self, images: int) -> int:
        """Return the number of epochs over so many images."""
        return max(self.epochs, math.ceil(self.least_steps / self.batches(images)))


@dataclass(frozen=True)
class Examples:
    """Images to learn."""

    pixels: NDArray[np.uint8]
    """`(m, height, width, 3)`; may be on disk."""
    rows: Ints
    """`(n,)`: which of the pixels."""
    labels: Ints
    """`(n,)`, from 0 to below `count`."""
    count: int

    def batch(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return some of the `n` images, normalised, `(b, 3, height, width)`."""
        return torch.from_numpy(normalised(self.pixels[self.rows[chosen.numpy()]], MEAN, STD))

    def targets(self, first: int, logit_count: int) -> torch.Tensor:
        """Return targets `(n, logits)` in the columns from `first` on."""
        return functional.one_hot(torch.from_numpy(self.labels) + first, logit_count).float()


def fit(
    known: Examples, foreign: Examples | None, recipe: Recipe, seed: int, progress: Callable[[], None]
) -> Network:
    """Train a network on images of the classes, and on foreign images; call `progress` after every epoch.

    The network has a logit for each class, then one for each kind of foreign image.

    Raises:
        DataError: there are no pretrained weights to start from.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # which costs a tenth of the time
    rng = torch.Generator().manual_seed(seed)
    logit_count = known.count + (foreign.count if foreign else 0)
    targets = known.targets(0, logit_count)
    if foreign:
        more_targets = foreign.targets(known.count, logit_count)
        foreign_batches = _batches(len(foreign.rows), recipe.foreign_images, rng)

    network, average = (pretrained.network(logit_count) for _ in range(2))
    network = network.to(memory_format=torch.channels_last)
    learned = [p for p in network.parameters() if p.requires_grad]
    matrices, vectors = ([p for p in learned if (p.ndim > 1) is many] for many in (True, False))
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": recipe.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        fused=True,
    )
    averaged, trained = _weights(average), _weights(network)
    batches, epochs = recipe.batches(len(known.rows)), recipe.epochs_over(len(known.rows))
    steps = batches * epochs
    network.train()
    for epoch in range(epochs):
        order = torch.randperm(len(known.rows), generator=rng)
        for batch in range(batches):
            step = epoch * batches + batch
            rate = recipe.learning_rate * _schedule((step + 1) / steps, recipe.warmup)
            for group in optimizer.param_groups:
                group["lr"] = rate
            chosen = order[batch * recipe.batch_images : (batch + 1) * recipe.batch_images]
            x, target = known.batch(chosen), targets[chosen]
            if foreign:
                chosen = next(foreign_batches)
                x, target = torch.cat([x, foreign.batch(chosen)]), torch.cat([target, more_targets[chosen]])
            x, target = _augmented(x, target, recipe, rng)
            x = x.contiguous(memory_format=torch.channels_last)
            loss = functional.cross_entropy(network(x), target)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learned, recipe.largest_gradient)
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(averaged, trained, 1 - min(recipe.average, (1 + step) / (10 + step)))
        progress()
    average.eval()
    return average


def logits(network: Network, pixels: NDArray[np.uint8], rows: Ints) -> NDArray[np.float32]:
    """Return logits `(n, k)` of the rows `(n,)` of pixels `(m, height, width, 3)`, averaged with their mirror
    images."""
    with torch.no_grad():
        chunks = (
            enlarged(torch.from_numpy(normalised(pixels[chunk], MEAN, STD)))
            for chunk in at_once(pixels, rows, _PREDICT_PIXELS)
        )
        parts = [(network(x) + network(x.flip(3))) / 2 for x in chunks]
    result: NDArray[np.float32] = torch.cat(parts).numpy()
    return result


def at_once(pixels: NDArray[np.uint8], rows: Ints, most_pixels: int) -> Iterator[Ints]:
    """Give the rows in parts of as many images as have so many pixels, as the network sees them."""
    images = max(most_pixels // math.prod(seen_px(*pixels.shape[1:3])), 1)
    for start in range(0, max(len(rows), 1), images):
        yield rows[start : start + images]


def _batches(count: int, size: int, rng: torch.Generator) -> Iterator[torch.Tensor]:
    """Give batches of indices for ever; each image comes once before any comes again."""
    while True:
        yield from torch.randperm(count, generator=rng).split(size)


def _schedule(done: float, warmup: float) -> float:
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def _augmented(
    images: torch.Tensor, targets: torch.Tensor, recipe: Recipe, rng: torch.Generator
) -> augment.Pair:
    images = augment.recolour(augment.move(images, seen_px(*images.shape[2:]), rng), rng)
    draw = float(torch.rand(1, generator=rng))
    if draw < recipe.blend:
        return augment.blend(images, targets, recipe.blend_alpha, rng)
    if draw < recipe.blend + recipe.paste:
        return augment.paste(images, targets, rng)
    return images, targets


def _weights(network: Network) -> list[torch.Tensor]:
    """Return everything that a network has learned: its parameters and its running means and variances."""
    return [tensor for tensor in network.state_dict().values() if tensor.dtype.is_floating_point]

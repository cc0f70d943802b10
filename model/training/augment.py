"""Augmentation in torch: random changes to a batch that keep its labels, or change them accordingly."""

import math

import torch
from torch.nn import functional

Pair = tuple[torch.Tensor, torch.Tensor]


def move(images: torch.Tensor, size_px: tuple[int, int], rng: torch.Generator) -> torch.Tensor:
    """Mirror, turn, scale, stretch and shift each image, and sample it at `size_px`, height and width.

    `(n, 3, h, w)` → `(n, 3, *size_px)`; pixels from outside are reflected ones.
    """
    count = len(images)
    ratio = size_px[0] / size_px[1]  # coordinates go from -1 to 1 along both sides

    def within(limit: float) -> torch.Tensor:
        return (torch.rand(count, generator=rng) * 2 - 1) * limit

    turn = within(math.radians(15))
    scale, stretch = torch.exp(within(0.15)), torch.exp(within(0.04))
    mirror = torch.where(torch.rand(count, generator=rng) < 0.5, -1.0, 1.0)
    right, down = within(0.25), within(0.25)
    cos, sin = torch.cos(turn), torch.sin(turn)
    rows = [
        torch.stack([mirror * cos * scale * stretch, -sin * scale * ratio, right], dim=1),
        torch.stack([mirror * sin * scale / ratio, cos * scale / stretch, down], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), [count, 3, *size_px], align_corners=False)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def recolour(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Change each image's contrast and brightness, and those of its channels a little more.

    `(n, 3, h, w)` of normalised pixels, whose range is about 2.
    """

    def within(limit: float, channels: int) -> torch.Tensor:
        return (torch.rand(len(images), channels, 1, 1, generator=rng) * 2 - 1) * limit

    return images * (1 + within(0.2, 1)) + within(0.2, 1) + within(0.1, 3)


def blend(images: torch.Tensor, targets: torch.Tensor, alpha: float, rng: torch.Generator) -> Pair:
    """Mixup: lay another image of the batch over each, and its target over the target.

    Source: Zhang et al. 2018, https://arxiv.org/abs/1710.09412
    """
    other = torch.randperm(len(images), generator=rng)
    share = _beta(alpha, rng)
    return images.lerp(images[other], share), targets.lerp(targets[other], share)


def paste(images: torch.Tensor, targets: torch.Tensor, rng: torch.Generator) -> Pair:
    """CutMix: paste a box of another image of the batch into each; the target changes by the box's area.

    Source: Yun et al. 2019, https://arxiv.org/abs/1905.04899
    """
    other = torch.randperm(len(images), generator=rng)
    height, width = images.shape[2:]
    half = math.sqrt(float(torch.rand(1, generator=rng))) / 2
    x, y = (torch.rand(2, generator=rng) * torch.tensor([width, height])).tolist()
    left, right = round(max(0.0, x - width * half)), round(min(float(width), x + width * half))
    top, bottom = round(max(0.0, y - height * half)), round(min(float(height), y + height * half))
    images = images.clone()
    images[:, :, top:bottom, left:right] = images[other][:, :, top:bottom, left:right]
    return images, targets.lerp(targets[other], (right - left) * (bottom - top) / (width * height))


def _beta(alpha: float, rng: torch.Generator) -> float:
    # Two gamma variates make a beta variate; torch's own Beta takes no generator.
    a, b = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), generator=rng).tolist()
    return a / (a + b) if a + b > 0 else 0.5

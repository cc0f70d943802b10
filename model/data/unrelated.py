"""Draws what is none of a model's classes: other things, patterns, pages, screens, noise and blank frames.

They teach a model what unfamiliar images look like, beside photos of other things. Each kind has a name, so
that a model whose own class has that name does not learn it as foreign.
"""

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from model.data.drawings import Colour, Pen

_Artist = Callable[[tuple[int, int], random.Random], Image.Image]


def draw(kind: str, width_px: int, height_px: int, rng: random.Random) -> Image.Image:
    """Return a new RGB image of this kind, another one for every state of `rng`.

    Raises:
        KeyError: the kind is not one of `KINDS`.
    """
    image = _ARTISTS[kind]((max(16, 2 * width_px), max(16, 2 * height_px)), rng)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(min(image.size) * rng.uniform(0.002, 0.02)))
    return image.resize((width_px, height_px), Image.Resampling.BICUBIC)


def crops(
    pixels: NDArray[np.uint8], rows: NDArray[np.int64], count: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return small squares of images, enlarged to whole images: mere surfaces.

    Args:
        pixels: `(n, height, width, 3)`.
        rows: which of the images to choose from.
        count: of the squares.
        rng: chooses.
    """
    _, height_px, width_px, _ = pixels.shape
    side_px = min(height_px, width_px)
    result = []
    for image in pixels[rows[rng.integers(len(rows), size=count)]]:
        part_px = int(rng.integers(side_px // 6, side_px // 4 + 1))
        top, left = rng.integers(side_px - part_px + 1, size=2)
        part = Image.fromarray(image[top : top + part_px, left : left + part_px])
        result.append(np.asarray(part.resize((width_px, height_px), Image.Resampling.BICUBIC)))
    return np.stack(result)


def _blank(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return an even or shaded frame: a covered lens, an overexposed picture, a wall."""
    colour = rng.choice([_colour(rng), _grey(rng.choice([0, 8, 128, 245, 255])), _grey(rng.randint(0, 255))])
    other = colour if rng.random() < 0.5 else _near(colour, rng, 60)
    image = _shaded(size, colour, other, rng.random() < 0.5)
    grain = rng.choice([0, 0, 3, 8])
    return _grained(image, grain, rng) if grain else image


def _noise(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return random points, fine or coarse, grey or coloured: a broken sensor, a damaged file."""
    coarse = rng.choice([2, 2, 4, 8, 16])
    shape = (max(2, size[1] // coarse), max(2, size[0] // coarse), rng.choice([1, 3]))
    numbers = np.random.default_rng(rng.getrandbits(32))
    values = numbers.normal(rng.uniform(60, 200), rng.uniform(15, 90), shape)
    levels = np.broadcast_to(np.clip(values, 0, 255).astype(np.uint8), (*shape[:2], 3))
    how = rng.choice([Image.Resampling.NEAREST, Image.Resampling.BICUBIC])
    return Image.fromarray(np.ascontiguousarray(levels)).resize(size, how)


def _stripes(size: tuple[int, int], rng: random.Random) -> Image.Image:
    image = Image.new("RGB", size, _colour(rng))
    pen = _pen(image, rng, math.pi)
    fill, wide = _colour(rng), rng.uniform(0.02, 0.2)
    for i in range(-20, 40):
        x = 2 * wide * i
        if abs(x) < 2:
            pen.polygon([(x, -1), (x + wide, -1), (x + wide, 2), (x, 2)], fill)
    return image


def _checks(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return squares, tiles or bricks."""
    image = Image.new("RGB", size, _colour(rng))
    pen = _pen(image, rng, 0.4)
    fill, wide = _colour(rng), rng.uniform(0.07, 0.25)
    tall, gap = wide * rng.choice([1, 1, 0.5]), rng.choice([0.0, 0.1])
    for row in range(round(-0.5 / tall), round(1.5 / tall)):
        for column in range(round(-0.5 / wide), round(1.5 / wide)):
            if gap or (row + column) % 2:
                x, y = (column + (row % 2) / 2 * (gap > 0)) * wide, row * tall
                right, bottom = x + wide * (1 - gap), y + tall * (1 - gap)
                pen.polygon([(x, y), (right, y), (right, bottom), (x, bottom)], _near(fill, rng, 8))
    return image


def _dots(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return scattered blots of few colours: gravel, confetti, leaves."""
    image = Image.new("RGB", size, _colour(rng))
    pen = _pen(image, rng, 1.0)
    colours = [_colour(rng) for _ in range(rng.randint(1, 4))]
    radius = rng.uniform(0.015, 0.09)
    for _ in range(rng.randint(30, 150)):
        at = (rng.uniform(-0.2, 1.2), rng.uniform(-0.2, 1.2))
        pen.disc(at, radius * rng.uniform(0.6, 1.4), rng.choice(colours), rng.uniform(0.5, 1.0))
    return image


def _page(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return a page of text, with a heading and perhaps a table or a picture."""
    paper, ink = _near((248, 246, 240), rng, 8), _grey(rng.randint(0, 90))
    image = Image.new("RGB", size, paper)
    draw_ = ImageDraw.Draw(image)
    _lines(draw_, (0.08, 0.06, rng.uniform(0.5, 0.92), 0.12), size, ink, rng, 1)
    top = 0.18
    if rng.random() < 0.4:
        bottom = top + rng.uniform(0.15, 0.35)
        _box(draw_, (0.08, top, rng.uniform(0.5, 0.92), bottom), size, _colour(rng))
        top = bottom + 0.05
    columns = rng.choice([1, 1, 2])
    for i in range(columns):
        left = 0.08 + i * 0.84 / columns
        _lines(draw_, (left, top, left + 0.8 / columns, 0.94), size, ink, rng, rng.randint(8, 26))
    return image


def _screen(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return the picture of a computer's or a telephone's screen."""
    dark = rng.random() < 0.4
    ground, ink = (
        (_grey(rng.randint(15, 50)), _grey(210)) if dark else (_grey(rng.randint(235, 255)), _grey(60))
    )
    image = Image.new("RGB", size, ground)
    draw_ = ImageDraw.Draw(image)
    _box(draw_, (0, 0, 1, rng.uniform(0.05, 0.14)), size, _colour(rng))
    left = rng.choice([0.0, 0.2, 0.3])
    if left:
        _box(draw_, (0, 0.14, left - 0.02, 1), size, _near(ground, rng, 40))
        _lines(draw_, (0.02, 0.18, left - 0.04, 0.9), size, ink, rng, rng.randint(4, 10))
    what = rng.choice(["text", "cards", "chart", "form"])
    if what == "text":
        _lines(draw_, (left + 0.04, 0.2, 0.95, 0.95), size, ink, rng, rng.randint(6, 20))
    elif what == "cards":
        across = rng.randint(2, 4)
        for i in range(across * 2):
            x, y = left + 0.03 + (i % across) * (0.95 - left) / across, 0.2 + (i // across) * 0.4
            _box(draw_, (x, y, x + (0.85 - left) / across, y + 0.3), size, _colour(rng))
    elif what == "chart":
        bars = rng.randint(4, 12)
        fill = _colour(rng)
        for i in range(bars):
            x = left + 0.05 + i * (0.9 - left) / bars
            _box(draw_, (x, rng.uniform(0.25, 0.8), x + (0.6 - 0.5 * left) / bars, 0.9), size, fill)
    else:
        for i in range(rng.randint(2, 5)):
            _box(draw_, (left + 0.1, 0.22 + i * 0.14, 0.9, 0.3 + i * 0.14), size, _near(ground, rng, 50))
        _box(draw_, (left + 0.1, 0.85, left + 0.35, 0.93), size, _colour(rng))
    return image


def _shapes(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return a few plain geometric shapes, a sign or a logo."""
    image = _background(size, rng)
    pen = _pen(image, rng, 0.5)
    for _ in range(rng.randint(1, 5)):
        at, radius = (rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8)), rng.uniform(0.08, 0.4)
        corners = rng.choice([3, 4, 5, 6, 40])
        turn = rng.uniform(0, math.pi)
        points = [
            (
                at[0] + radius * math.cos(turn + 2 * math.pi * i / corners),
                at[1] + radius * math.sin(turn + 2 * math.pi * i / corners),
            )
            for i in range(corners)
        ]
        if rng.random() < 0.3:
            pen.line([*points, points[0]], _colour(rng), rng.uniform(0.01, 0.06))
        else:
            pen.polygon(points, _colour(rng))
    return image


def _house(size: tuple[int, int], rng: random.Random) -> Image.Image:
    image = _background(size, rng)
    pen = _pen(image, rng, 0.05)
    wall, left, top = _colour(rng), rng.uniform(0.12, 0.3), rng.uniform(0.4, 0.55)
    pen.polygon([(left, top), (1 - left, top), (1 - left, 0.9), (left, 0.9)], wall)
    pen.polygon([(left - 0.07, top), (0.5, top - rng.uniform(0.15, 0.3)), (1.07 - left, top)], _colour(rng))
    glass = _colour(rng)
    for x in (left + 0.08, 0.8 - left):
        pen.polygon([(x, top + 0.1), (x + 0.12, top + 0.1), (x + 0.12, top + 0.22), (x, top + 0.22)], glass)
    pen.polygon([(0.45, 0.7), (0.55, 0.7), (0.55, 0.9), (0.45, 0.9)], _colour(rng))
    return image


def _car(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return a car, a van or a bus from the side."""
    image = _background(size, rng)
    pen = _pen(image, rng, 0.06)
    body, roof = _colour(rng), rng.uniform(0.3, 0.42)
    front, back = rng.choice([(0.3, 0.7), (0.22, 0.9), (0.07, 0.93)])
    pen.polygon([(0.05, 0.52), (0.95, 0.52), (0.95, 0.7), (0.05, 0.7)], body)
    pen.polygon([(front - 0.02, 0.52), (front + 0.08, roof), (back - 0.06, roof), (back + 0.02, 0.52)], body)
    glass = _near((170, 200, 220), rng, 30)
    pen.polygon(
        [(front + 0.06, 0.51), (front + 0.11, roof + 0.03), (back - 0.08, roof + 0.03), (back - 0.03, 0.51)],
        glass,
    )
    for x in (0.25, 0.75):
        pen.disc((x, 0.7), 0.1, _grey(rng.randint(10, 50)))
        pen.disc((x, 0.7), 0.045, _grey(rng.randint(120, 220)))
    return image


def _fir(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return a conifer or a round tree."""
    image = _background(size, rng)
    pen = _pen(image, rng, 0.05)
    green = _near((40, 100, 50), rng, 30)
    pen.polygon([(0.46, 0.7), (0.54, 0.7), (0.55, 0.95), (0.45, 0.95)], _near((100, 70, 45), rng, 20))
    if rng.random() < 0.6:
        for i in range(4):
            top, half = 0.08 + 0.16 * i, 0.12 + 0.07 * i
            pen.polygon(
                [(0.5, top), (0.5 + half, top + 0.24), (0.5 - half, top + 0.24)], _near(green, rng, 12)
            )
    else:
        for _ in range(12):
            at = (0.5 + rng.uniform(-0.2, 0.2), 0.4 + rng.uniform(-0.18, 0.2))
            pen.disc(at, rng.uniform(0.12, 0.2), _near(green, rng, 15))
    return image


def _daisy(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return a flower with narrow petals around a large disc: a daisy, a sunflower."""
    image = _background(size, rng)
    pen = _pen(image, rng, 0.3)
    petals, fill = (
        rng.randint(9, 20),
        rng.choice([_grey(245), (240, 200, 30), (230, 140, 190), (120, 110, 210)]),
    )
    pen.line([(0.5, 0.45), (0.5, 1.0)], _near((70, 130, 50), rng, 20), 0.03)
    for i in range(petals):
        angle = 2 * math.pi * i / petals
        x, y, across = math.cos(angle), math.sin(angle), 0.05
        tip, base = (0.5 + 0.4 * x, 0.42 + 0.4 * y), (0.5 + 0.1 * x, 0.42 + 0.1 * y)
        mid = (0.5 + 0.27 * x, 0.42 + 0.27 * y)
        pen.polygon(
            [
                base,
                (mid[0] - across * y, mid[1] + across * x),
                tip,
                (mid[0] + across * y, mid[1] - across * x),
            ],
            _near(fill, rng, 10),
        )
    pen.disc((0.5, 0.42), rng.uniform(0.08, 0.17), rng.choice([(230, 180, 40), (90, 60, 30)]))
    return image


def _animal(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return an animal on four legs from the side."""
    image = _background(size, rng)
    pen = _pen(image, rng, 0.08)
    fur = rng.choice([(120, 85, 55), (190, 150, 100), (70, 65, 60), (225, 220, 210), (150, 100, 60)])
    fur = _near(fur, rng, 15)
    legs, height = rng.uniform(0.04, 0.08), rng.uniform(0.75, 0.92)
    for x in (0.25, 0.35, 0.62, 0.7):
        pen.line([(x, 0.55), (x + rng.uniform(-0.04, 0.04), height)], _near(fur, rng, 10), legs)
    pen.disc((0.48, 0.52), 0.29, fur, rng.uniform(0.4, 0.62))
    head = (rng.uniform(0.76, 0.84), rng.uniform(0.28, 0.5))
    pen.line([(0.68, 0.48), head], fur, 0.14)
    pen.disc(head, rng.uniform(0.09, 0.14), fur)
    for x in (-0.06, 0.05):
        pen.polygon(
            [
                (head[0] + x - 0.03, head[1] - 0.07),
                (head[0] + x, head[1] - rng.uniform(0.13, 0.22)),
                (head[0] + x + 0.04, head[1] - 0.07),
            ],
            fur,
        )
    pen.line([(0.2, 0.48), (0.1, rng.uniform(0.3, 0.7))], fur, 0.03)
    return image


def _fish(size: tuple[int, int], rng: random.Random) -> Image.Image:
    image = _shaded(size, _near((60, 130, 170), rng, 40), _near((20, 60, 110), rng, 30), True)
    pen = _pen(image, rng, 0.4)
    fill = _colour(rng)
    pen.polygon([(0.28, 0.5), (0.06, 0.3), (0.1, 0.5), (0.06, 0.7)], _near(fill, rng, 30))
    pen.disc((0.52, 0.5), 0.32, fill, rng.uniform(0.35, 0.7))
    for x in np.linspace(0.35, 0.6, rng.randint(0, 4)).tolist():
        pen.line([(x, 0.36), (x, 0.64)], _near(fill, rng, 60), 0.03)
    pen.disc((0.74, 0.46), 0.025, (10, 10, 10))
    return image


def _face(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return a person's head and shoulders."""
    image = _background(size, rng)
    pen = _pen(image, rng, 0.15)
    skin = _near(rng.choice([(235, 200, 170), (200, 150, 115), (120, 80, 55)]), rng, 15)
    hair = rng.choice([(30, 24, 20), (95, 60, 35), (200, 165, 95), (130, 130, 130)])
    pen.disc((0.5, 1.0), 0.38, _colour(rng), 0.7)
    pen.disc((0.5, 0.4), 0.27, hair, 1.2)
    pen.polygon([(0.43, 0.55), (0.57, 0.55), (0.58, 0.78), (0.42, 0.78)], skin)
    pen.disc((0.5, 0.46), 0.21, skin, 1.25)
    for x in (0.42, 0.58):
        pen.disc((x, 0.43), 0.025, (25, 25, 25))
    pen.line([(0.43, 0.58), (0.5, 0.6), (0.57, 0.58)], (150, 60, 60), 0.02)
    return image


def _vessel(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return a cup, a bottle or a bowl."""
    image = _background(size, rng)
    pen = _pen(image, rng, 0.1)
    fill = _colour(rng)
    what = rng.choice(["cup", "bottle", "bowl"])
    if what == "cup":
        pen.ring((0.72, 0.52), 0.12, fill, 0.04)
        pen.polygon([(0.25, 0.3), (0.7, 0.3), (0.65, 0.78), (0.3, 0.78)], fill)
        pen.disc((0.475, 0.3), 0.225, _near(fill, rng, 70), 0.25)
    elif what == "bottle":
        pen.polygon(
            [
                (0.44, 0.08),
                (0.56, 0.08),
                (0.57, 0.32),
                (0.67, 0.45),
                (0.67, 0.95),
                (0.33, 0.95),
                (0.33, 0.45),
                (0.43, 0.32),
            ],
            fill,
        )
        pen.polygon([(0.33, 0.55), (0.67, 0.55), (0.67, 0.78), (0.33, 0.78)], _colour(rng))
    else:
        pen.polygon([(0.1, 0.45), (0.9, 0.45), (0.7, 0.78), (0.3, 0.78)], fill)
        pen.disc((0.5, 0.45), 0.4, _near(fill, rng, 70), 0.3)
    return image


def _fruit(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return an apple, an orange, a pear or a ball."""
    image = _background(size, rng)
    pen = _pen(image, rng, 0.3)
    fill = _near(rng.choice([(200, 40, 40), (240, 140, 30), (150, 180, 50), (220, 200, 60)]), rng, 20)
    pen.disc((0.5, 0.56), rng.uniform(0.25, 0.36), fill, rng.uniform(0.9, 1.15))
    if rng.random() < 0.4:
        pen.disc((0.5, 0.35), 0.18, fill, 1.3)
    pen.disc((0.42, 0.46), 0.06, _near((245, 240, 230), rng, 8))
    pen.line([(0.5, 0.3), (0.54, 0.16)], (90, 65, 40), 0.03)
    return image


def _sea(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Return sea, desert or mountains under a sky, perhaps with the sun."""
    image = _shaded(size, _near((130, 175, 220), rng, 60), _near((225, 215, 205), rng, 30), True)
    pen = _pen(image, rng, 0.03)
    line = rng.uniform(0.35, 0.75)
    if rng.random() < 0.5:
        pen.disc((rng.random(), rng.uniform(0.05, 0.35)), rng.uniform(0.04, 0.1), (250, 230, 170))
    if rng.random() < 0.5:
        for _ in range(4):
            x, wide = rng.uniform(-0.1, 1.1), rng.uniform(0.2, 0.5)
            pen.polygon(
                [(x - wide, line), (x, line - rng.uniform(0.15, 0.4)), (x + wide, line)],
                _grey(rng.randint(90, 170)),
            )
    ground = _near(rng.choice([(40, 90, 140), (200, 175, 120), (90, 120, 70), (130, 130, 130)]), rng, 25)
    pen.polygon([(-1, line), (2, line), (2, 2), (-1, 2)], ground)
    return image


_ARTISTS: dict[str, _Artist] = {
    "animal": _animal,
    "blank": _blank,
    "car": _car,
    "checks": _checks,
    "daisy": _daisy,
    "dots": _dots,
    "face": _face,
    "fir": _fir,
    "fish": _fish,
    "fruit": _fruit,
    "house": _house,
    "noise": _noise,
    "page": _page,
    "screen": _screen,
    "sea": _sea,
    "shapes": _shapes,
    "stripes": _stripes,
    "vessel": _vessel,
}

KINDS = tuple(_ARTISTS)


def _background(size: tuple[int, int], rng: random.Random) -> Image.Image:
    if rng.random() < 0.35:
        return Image.new("RGB", size, _grey(rng.randint(225, 255)))
    top = _near(
        rng.choice([(150, 190, 228), (70, 120, 50), (190, 170, 140), (90, 90, 95), (205, 205, 190)]), rng, 30
    )
    image = _shaded(size, top, _near(top, rng, 60), True)
    return _grained(image, rng.choice([2, 6, 12]), rng)


def _pen(image: Image.Image, rng: random.Random, turn_rad: float) -> Pen:
    return Pen(image, rng, rng.uniform(-turn_rad, turn_rad), rng.random() < 0.5)


def _lines(
    draw_: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    ink: Colour,
    rng: random.Random,
    count: int,
) -> None:
    """Draw lines of words, which are bars at this size."""
    left, top, right, bottom = box
    for i in range(count):
        y, x = top + (bottom - top) * i / count, left
        end = left + (right - left) * (rng.uniform(0.3, 1.0) if rng.random() < 0.2 else 1.0)
        while x < end - 0.02:
            word = min(rng.uniform(0.03, 0.13), end - x)
            _box(draw_, (x, y, x + word, y + 0.5 * (bottom - top) / count), size, ink)
            x += word + 0.02


def _box(
    draw_: ImageDraw.ImageDraw, box: tuple[float, float, float, float], size: tuple[int, int], fill: Colour
) -> None:
    left, top, right, bottom = (round(side * size[i % 2]) for i, side in enumerate(box))
    draw_.rectangle((left, top, max(left, right), max(top, bottom)), fill=fill)


def _shaded(size: tuple[int, int], first: Colour, last: Colour, down: bool) -> Image.Image:
    strip = Image.new("RGB", (1, 2) if down else (2, 1), first)
    strip.putpixel((0, 1) if down else (1, 0), last)
    return strip.resize(size, Image.Resampling.BILINEAR)


def _grained(image: Image.Image, deviation: float, rng: random.Random) -> Image.Image:
    numbers = np.random.default_rng(rng.getrandbits(32))
    pixels = np.asarray(image, dtype=np.float32)
    pixels = pixels + numbers.normal(0, deviation, pixels.shape).astype(np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _colour(rng: random.Random) -> Colour:
    red, green, blue = (rng.randint(0, 255) for _ in range(3))
    return red, green, blue


def _near(colour: Sequence[int], rng: random.Random, most: int) -> Colour:
    lighter = rng.randint(-most, most)
    red, green, blue = (
        min(255, max(0, part + lighter + rng.randint(-most // 3, most // 3))) for part in colour
    )
    return red, green, blue


def _grey(level: int) -> Colour:
    return level, level, level

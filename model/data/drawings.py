"""Draws images of five classes, to try things out and to test with.

They do not measure a model. They are varied enough to learn from, and plain enough to recognise at 32
pixels. Each class is drawn in a square of width 1, y downwards. A `Pen` puts that square into the image.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence

from PIL import Image, ImageDraw, ImageFilter

Point = tuple[float, float]
Colour = tuple[int, int, int]

_CANVAS_MIN_PX, _CANVAS_MAX_PX = 128, 768
"""Longer side of the canvas. The image is resized from it, so 12 MP cost little."""


class Pen:
    """Draws in a unit square that is scaled, mirrored, turned and moved into an image."""

    def __init__(self, image: Image.Image, rng: random.Random, turn_rad: float, mirrored: bool) -> None:
        self._draw = ImageDraw.Draw(image)
        side_px = min(image.size)
        self._scale_px = side_px * rng.uniform(0.8, 1.02)
        slack_px = side_px * 0.05
        self._centre_px = (
            image.width / 2 + rng.uniform(-1, 1) * (slack_px + (image.width - side_px) * 0.3),
            image.height / 2 + rng.uniform(-1, 1) * (slack_px + (image.height - side_px) * 0.3),
        )
        stretch = rng.uniform(0.9, 1.1)
        self._across = (math.cos(turn_rad) * (-stretch if mirrored else stretch), math.sin(turn_rad))
        self._down = (-math.sin(turn_rad) * (-1 if mirrored else 1), math.cos(turn_rad))

    def _px(self, point: Point) -> Point:
        x, y = point[0] - 0.5, point[1] - 0.5
        return (
            self._centre_px[0] + self._scale_px * (x * self._across[0] + y * self._down[0]),
            self._centre_px[1] + self._scale_px * (x * self._across[1] + y * self._down[1]),
        )

    def polygon(self, points: Iterable[Point], fill: Colour) -> None:
        """Fill the polygon through these points."""
        self._draw.polygon([self._px(point) for point in points], fill=fill)

    def line(self, points: Sequence[Point], fill: Colour, width: float) -> None:
        """Draw a line with round joints and ends."""
        width_px = max(1, round(width * self._scale_px))
        pixels = [self._px(point) for point in points]
        self._draw.line(pixels, fill=fill, width=width_px, joint="curve")
        radius_px = width_px / 2
        for x, y in (pixels[0], pixels[-1]):
            if width_px > 2:
                box = (x - radius_px, y - radius_px, x + radius_px, y + radius_px)
                self._draw.ellipse(box, fill=fill)

    def disc(self, centre: Point, radius: float, fill: Colour, flatten: float = 1.0) -> None:
        """Fill a circle, or an ellipse where `flatten` (height by width) is not 1."""
        self.polygon(_round(centre, radius, flatten), fill)

    def ring(self, centre: Point, radius: float, fill: Colour, width: float) -> None:
        """Draw a circle's outline."""
        points = _round(centre, radius)
        self.line([*points, points[0], points[1]], fill, width)


def draw(label: str, width_px: int, height_px: int, rng: random.Random) -> Image.Image:
    """Return a new RGB drawing of this class, another one for every state of `rng`.

    Raises:
        KeyError: the label is not one of `LABELS`.
    """
    artist = _ARTISTS[label]
    longer_px = max(width_px, height_px)
    canvas_px = min(max(2 * longer_px, _CANVAS_MIN_PX), _CANVAS_MAX_PX)
    size = (
        max(16, round(width_px * canvas_px / longer_px)),
        max(16, round(height_px * canvas_px / longer_px)),
    )
    image = artist(size, rng)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(canvas_px * rng.uniform(0.001, 0.006)))
    return image.resize((width_px, height_px), Image.Resampling.BICUBIC, reducing_gap=2.0)


def _bicycle(size: tuple[int, int], rng: random.Random) -> Image.Image:
    image, pen = _street(size, rng)
    radius = rng.uniform(0.185, 0.225)
    axle_y = rng.uniform(0.64, 0.7)
    rear, front = (0.24, axle_y), (rng.uniform(0.75, 0.79), axle_y)
    crank = (rng.uniform(0.43, 0.47), axle_y + rng.uniform(0.0, 0.03))
    seat = (crank[0] - rng.uniform(0.05, 0.09), axle_y - rng.uniform(0.27, 0.33))
    head = (front[0] - rng.uniform(0.09, 0.12), axle_y - rng.uniform(0.28, 0.34))
    tyre, metal = _dark(rng), _grey(rng, 90, 200)
    frame = _vivid(rng) if rng.random() < 0.75 else _dark(rng)
    tube = rng.uniform(0.02, 0.034)

    spokes = rng.choice([0, 8, 12, 16])
    for hub in (rear, front):
        for i in range(spokes):
            angle = 2 * math.pi * (i + rng.random() * 0.2) / spokes
            pen.line([hub, _polar(hub, radius, angle)], metal, 0.004)
        pen.ring(hub, radius, tyre, rng.uniform(0.017, 0.034))
        pen.disc(hub, 0.018, tyre)
    if rng.random() < 0.3:  # mudguards
        for hub in (rear, front):
            pen.line([_polar(hub, radius + 0.03, math.radians(a)) for a in range(190, 345, 15)], frame, 0.014)

    pen.line([rear, seat], frame, tube * 0.75)
    pen.line([rear, crank], frame, tube * 0.75)
    if rng.random() < 0.15:  # a step-through frame has no top tube
        pen.line([_between(seat, crank, 0.55), _between(head, front, 0.25)], frame, tube)
    else:
        pen.line([_between(seat, crank, rng.uniform(0.0, 0.15)), head], frame, tube)
    pen.line([crank, _between(head, front, 0.15)], frame, tube)
    post = _between(crank, seat, 1.0 + rng.uniform(0.12, 0.3))
    pen.line([crank, post], frame, tube)
    pen.line([head, front], frame if rng.random() < 0.5 else metal, tube * 0.85)

    pen.ring(crank, 0.042, metal, 0.014)
    turn = rng.uniform(0, math.pi)
    for angle in (turn, turn + math.pi):
        foot = _polar(crank, 0.085, angle)
        pen.line([crank, foot], tyre, 0.014)
        pen.line([(foot[0] - 0.025, foot[1]), (foot[0] + 0.025, foot[1])], tyre, 0.018)
    saddle = [(-0.075, -0.012), (-0.065, 0.018), (0.0, 0.014), (0.075, 0.0), (0.06, -0.016)]
    pen.polygon([(post[0] + x, post[1] + y) for x, y in saddle], tyre)
    stem = _between(front, head, 1.0 + rng.uniform(0.12, 0.25))
    pen.line([head, stem], metal, tube * 0.8)
    _handlebar(pen, rng, stem, tyre)
    if rng.random() < 0.15:  # a basket
        x, y = stem[0] + 0.03, stem[1] + 0.02
        pen.polygon([(x, y), (x + 0.14, y), (x + 0.12, y + 0.1), (x + 0.02, y + 0.1)], (150, 110, 60))
    return image


def _handlebar(pen: Pen, rng: random.Random, stem: Point, fill: Colour) -> None:
    x, y = stem
    kind = rng.choice(["drop", "flat", "swept"])
    if kind == "drop":
        points = [(x, y), (x + 0.08, y), (x + 0.1, y + 0.04), (x + 0.07, y + 0.085), (x + 0.03, y + 0.08)]
    elif kind == "flat":
        points = [(x - 0.03, y - 0.02), (x + 0.07, y)]
    else:
        points = [(x + 0.02, y), (x - 0.03, y - 0.05), (x - 0.12, y - 0.035)]
    pen.line(points, fill, 0.024)


def _motorcycle(size: tuple[int, int], rng: random.Random) -> Image.Image:
    image, pen = _street(size, rng)
    radius = rng.uniform(0.15, 0.18)
    axle_y = rng.uniform(0.68, 0.73)
    rear, front = (rng.uniform(0.2, 0.24), axle_y), (rng.uniform(0.77, 0.82), axle_y)
    body, black, metal = _vivid(rng) if rng.random() < 0.8 else _dark(rng), _dark(rng), _grey(rng, 130, 215)
    thickness = rng.uniform(0.055, 0.085)
    for hub in (rear, front):
        pen.disc(hub, radius + 0.01, black)
        pen.disc(hub, radius - thickness, _grey(rng, 60, 190))
        for i in range(rng.choice([0, 3, 5])):
            pen.line([hub, _polar(hub, radius - thickness, i * 2.1 + 0.4)], black, 0.02)
        pen.disc(hub, rng.uniform(0.025, 0.05), metal)

    top = axle_y - rng.uniform(0.28, 0.34)
    head = (front[0] - rng.uniform(0.13, 0.18), top)
    pen.line([head, front], metal, rng.uniform(0.032, 0.05))  # fork
    pen.line([rear, (0.45, axle_y + 0.01)], black, 0.045)  # swing arm
    pen.polygon(
        [(0.32, axle_y - 0.15), (0.6, axle_y - 0.17), (0.64, axle_y + 0.04), (0.38, axle_y + 0.06)], black
    )
    engine = (rng.uniform(0.46, 0.51), axle_y - 0.05)
    pen.disc((engine[0] - 0.02, engine[1] + 0.05), 0.085, metal, 0.8)
    for i in range(4):  # cooling fins
        y = engine[1] - 0.02 - i * 0.026
        pen.line([(engine[0] - 0.02, y), (engine[0] + 0.09, y - 0.01)], metal, 0.012)
    pen.line(
        [(engine[0] + 0.05, axle_y - 0.03), (engine[0], axle_y + 0.07), (0.3, axle_y + 0.07)], metal, 0.03
    )
    pen.line([(0.36, axle_y + 0.07), (rear[0] - 0.08, axle_y + rng.uniform(-0.04, 0.05))], metal, 0.055)

    seat_y = top + rng.uniform(0.06, 0.1)
    tail = (rear[0] - rng.uniform(0.02, 0.1), seat_y - rng.uniform(0.02, 0.07))
    pen.polygon(
        [tail, (0.44, seat_y), (0.5, seat_y + 0.1), (0.34, seat_y + 0.12), (tail[0] + 0.06, tail[1] + 0.08)],
        body,
    )
    pen.polygon(
        [
            (tail[0] + 0.02, tail[1] - 0.03),
            (0.3, seat_y - 0.03),
            (0.47, seat_y - 0.005),
            (0.46, seat_y + 0.055),
            (0.3, seat_y + 0.05),
        ],
        black,
    )
    tank_x = rng.uniform(0.51, 0.54)
    pen.polygon(
        [
            (tank_x - 0.11, seat_y + 0.06),
            (tank_x - 0.06, top - 0.01),
            (tank_x + 0.06, top - 0.045),
            (head[0] + 0.01, top + 0.02),
            (head[0] - 0.02, seat_y + 0.09),
        ],
        body,
    )
    if rng.random() < 0.45:  # fairing
        pen.polygon(
            [
                (head[0] - 0.12, top + 0.06),
                (head[0] + 0.02, top - 0.08),
                (head[0] + 0.13, top + 0.06),
                (head[0] + 0.07, axle_y - 0.1),
                (head[0] - 0.05, axle_y + 0.06),
                (0.5, axle_y + 0.05),
            ],
            body,
        )
        pen.polygon(
            [(head[0] - 0.01, top - 0.06), (head[0] + 0.03, top - 0.15), (head[0] + 0.09, top - 0.01)],
            (190, 205, 220),
        )
    for hub, chance in ((front, 0.8), (rear, 0.6)):
        if rng.random() < chance:
            pen.line([_polar(hub, radius + 0.03, math.radians(a)) for a in range(215, 325, 10)], body, 0.03)
    bar = (head[0] - 0.01, top - rng.uniform(0.05, 0.13))
    pen.line([head, bar], black, 0.025)
    pen.line([(bar[0] + 0.02, bar[1]), (bar[0] - rng.uniform(0.08, 0.14), bar[1] + 0.01)], black, 0.03)
    if rng.random() < 0.6:
        pen.line([bar, (bar[0] - 0.02, bar[1] - 0.07)], black, 0.01)
        pen.disc((bar[0] - 0.02, bar[1] - 0.08), 0.024, black, 0.7)
    pen.disc((head[0] + 0.06, top + 0.03), 0.045, metal)  # headlight
    pen.disc((head[0] + 0.075, top + 0.03), 0.03, (250, 240, 190))
    return image


def _poppy(size: tuple[int, int], rng: random.Random) -> Image.Image:
    image, pen = _meadow(size, rng)
    red = _shade(rng.choice([(214, 30, 24), (232, 62, 20), (190, 18, 30), (238, 92, 40)]), rng, 16)
    for _ in range(rng.choice([0, 0, 2, 4])):  # others, farther off
        at = (rng.uniform(0.05, 0.95), rng.uniform(0.1, 0.9))
        pen.line([at, (at[0] + 0.03, 2.2)], _green(rng), 0.012)
        pen.disc(at, rng.uniform(0.05, 0.09), _shade(red, rng, 22), 0.75)
    centre = (rng.uniform(0.44, 0.56), rng.uniform(0.36, 0.5))
    radius = rng.uniform(0.3, 0.42)
    flatten = rng.uniform(0.62, 1.0)
    pen.line(
        [centre, (centre[0] + rng.uniform(-0.05, 0.05), 0.8), (centre[0] + rng.uniform(-0.1, 0.1), 2.2)],
        _green(rng),
        0.022,
    )

    start = rng.uniform(0, math.pi)
    petals = rng.choice([4, 4, 5, 6])
    for i in range(petals):
        angle = start + 2 * math.pi * (i * (2 if petals == 5 else 1)) / petals
        shade = _shade(red, rng, 20)
        middle = _polar(centre, radius * 0.5, angle, flatten)
        pen.polygon(_crumpled(middle, radius * 0.62, flatten, rng), shade)
        for j in range(5):  # folds
            tip = _polar(centre, radius * rng.uniform(0.75, 0.95), angle + (j - 2) * 0.2, flatten)
            pen.line([middle, tip], _times(shade, 0.85), 0.008)
    if rng.random() < 0.75:  # the dark blotches at the petals' feet
        for i in range(4):
            pen.disc(
                _polar(centre, radius * 0.2, start + i * math.pi / 2, flatten),
                radius * 0.16,
                (40, 10, 18),
                flatten,
            )
    heart = rng.choice([(28, 24, 30), (60, 70, 40), (32, 36, 24)])
    for i in range(26):
        tip = _polar(centre, radius * rng.uniform(0.2, 0.34), i * 2.4, flatten)
        pen.line([centre, tip], (24, 18, 26), 0.006)
        pen.disc(tip, 0.011, (24, 18, 26))
    pen.disc(centre, radius * 0.17, heart, flatten)
    pen.disc(centre, radius * 0.1, _shade((130, 150, 80), rng, 15), flatten)
    return image


def _tulip(size: tuple[int, int], rng: random.Random) -> Image.Image:
    image, pen = _meadow(size, rng)
    hues = [
        (226, 44, 92),
        (246, 196, 40),
        (236, 120, 170),
        (148, 52, 150),
        (248, 240, 232),
        (240, 122, 40),
        (214, 36, 44),
    ]
    colour = _shade(rng.choice(hues), rng, 12)
    flowers = rng.choice([1, 1, 1, 2, 3])
    places = {1: [(0.5, 1.0)], 2: [(0.3, 0.72), (0.68, 0.78)], 3: [(0.2, 0.55), (0.8, 0.58), (0.5, 0.72)]}[
        flowers
    ]
    for x, scale in places:
        _one_tulip(
            pen, rng, (x + rng.uniform(-0.03, 0.03), rng.uniform(0.3, 0.38)), scale, _shade(colour, rng, 14)
        )
    return image


def _one_tulip(pen: Pen, rng: random.Random, at: Point, scale: float, colour: Colour) -> None:
    x, y = at
    half, tall = scale * rng.uniform(0.15, 0.2), scale * rng.uniform(0.24, 0.3)
    green = _green(rng)
    foot = (x + rng.uniform(-0.06, 0.06), 2.2)
    stem = [(x, y + tall * 0.9), (_between(at, foot, 0.5)[0] + rng.uniform(-0.03, 0.03), 0.8), foot]
    pen.line(stem, green, 0.034 * scale)
    for side in (-1, 1):  # long, pointed leaves
        lean, reach = side * rng.uniform(0.14, 0.32) * scale, y + tall + rng.uniform(0.0, 0.16)
        shade = _shade(green, rng, 18)
        pen.polygon(
            [
                (x, 1.1),
                (x + lean * 0.55, 0.82),
                (x + lean, reach),
                (x + lean * 0.9 + side * 0.06 * scale, 0.88),
                (x + side * 0.07, 1.15),
            ],
            shade,
        )

    def petal(middle: float, width: float, top: float, fill: Colour) -> None:
        left, right, bottom = x + middle - width, x + middle + width, y + tall
        tip = (x + middle * 1.25, y - top)
        curve = [
            *_bezier((x, bottom), (left - width * 0.35, bottom - tall * 0.15), (left, y + tall * 0.15), tip),
            *_bezier(
                tip, (right, y + tall * 0.15), (right + width * 0.35, bottom - tall * 0.15), (x, bottom)
            ),
        ]
        pen.polygon(curve, fill)

    spread = rng.uniform(0.75, 1.15)
    petal(-half * 0.45, half * 0.5, tall * 0.7, _times(colour, 0.72))
    petal(half * 0.45, half * 0.5, tall * 0.7, _times(colour, 0.76))
    petal(-half * spread * 0.62, half * 0.62, tall * rng.uniform(0.55, 0.8), _times(colour, 0.88))
    petal(half * spread * 0.62, half * 0.62, tall * rng.uniform(0.55, 0.8), _times(colour, 0.93))
    petal(0.0, half * 0.72, tall * rng.uniform(0.35, 0.7), colour)
    pen.line([(x, y + tall * 0.85), (x, y - tall * 0.1)], _times(colour, 0.9), 0.01 * scale)


def _willow_tree(size: tuple[int, int], rng: random.Random) -> Image.Image:
    image = _landscape(size, rng)
    pen = Pen(image, rng, rng.uniform(-0.05, 0.05), rng.random() < 0.5)
    bark = _shade(rng.choice([(92, 70, 50), (70, 58, 48), (112, 92, 70)]), rng, 12)
    trunk_x = rng.uniform(0.44, 0.56)
    crown = (trunk_x, rng.uniform(0.32, 0.4))
    width, tall = rng.uniform(0.38, 0.46), rng.uniform(0.2, 0.27)
    ground_y = rng.uniform(0.86, 0.92)
    pen.polygon(
        [
            (trunk_x - 0.075, ground_y + 0.03),
            (trunk_x - 0.04, 0.6),
            (trunk_x - 0.05, 0.35),
            (trunk_x + 0.05, 0.35),
            (trunk_x + 0.04, 0.6),
            (trunk_x + 0.075, ground_y + 0.03),
        ],
        bark,
    )
    for i in range(6):
        pen.line(
            [(trunk_x, 0.5), _polar(crown, width * 0.8, math.pi * (1 + (i + 0.5) / 6), tall / width)],
            bark,
            0.025,
        )

    green = _shade(
        rng.choice([(120, 150, 50), (92, 130, 52), (150, 165, 70), (76, 112, 60), (170, 165, 60)]), rng, 12
    )
    for _ in range(9):
        at = _polar(crown, width * rng.uniform(0.15, 0.6), rng.uniform(0, 2 * math.pi), tall / width)
        pen.polygon(
            _crumpled(at, width * rng.uniform(0.38, 0.5), tall / width, rng),
            _times(_shade(green, rng, 10), 0.72),
        )
    strands = rng.randint(90, 150)
    for i in range(strands):  # the hanging switches: short before the trunk, to the ground at the sides
        across = rng.uniform(-1, 1)
        arc = math.sqrt(max(0.0, 1 - across * across))
        top_y = crown[1] - tall * arc * rng.uniform(0.3, 1.0)
        longest = (0.52 + 0.48 * abs(across)) * (ground_y - top_y)
        bottom_y = top_y + longest * rng.uniform(0.5, 1.0)
        x = crown[0] + across * width
        sway = across * rng.uniform(0.01, 0.05)
        depth = 0.62 + 0.6 * i / strands + rng.uniform(-0.12, 0.12)
        points = [(x, top_y), (x + sway, (top_y + bottom_y) / 2), (x + sway * 0.8, bottom_y)]
        pen.line(points, _times(_shade(green, rng, 14), depth), rng.uniform(0.006, 0.018))
    return image


_ARTISTS: dict[str, Callable[[tuple[int, int], random.Random], Image.Image]] = {
    "bicycle": _bicycle,
    "motorcycle": _motorcycle,
    "poppy": _poppy,
    "tulip": _tulip,
    "willow_tree": _willow_tree,
}

LABELS = tuple(_ARTISTS)
"""Spelled as CIFAR-100 spells them, sorted."""


def _street(size: tuple[int, int], rng: random.Random) -> tuple[Image.Image, Pen]:
    """Return a plain wall, a studio or a road, and a pen for a vehicle on it."""
    if rng.random() < 0.45:
        white = rng.randint(225, 255)
        image = Image.new("RGB", size, (white, white, white))
    else:
        wall = _shade(
            rng.choice([(196, 202, 206), (176, 190, 160), (205, 185, 150), (150, 175, 205), (170, 120, 95)]),
            rng,
            25,
        )
        image = _gradient(size, wall, _shade(wall, rng, 30))
        horizon = round(size[1] * rng.uniform(0.6, 0.85))
        ground = _shade(rng.choice([(125, 125, 128), (165, 158, 148), (110, 135, 80)]), rng, 20)
        image.paste(ground, (0, horizon, size[0], size[1]))
        _speckle(image, rng, 40)
    turn_rad = rng.uniform(-0.12, 0.12)
    return image, Pen(image, rng, turn_rad, rng.random() < 0.5)


def _meadow(size: tuple[int, int], rng: random.Random) -> tuple[Image.Image, Pen]:
    """Return out-of-focus grass, sky or a dark bed, and a pen for a flower before it."""
    backdrops = [(70, 120, 50), (48, 84, 44), (140, 185, 215), (120, 150, 90), (34, 40, 34), (205, 205, 190)]
    top, bottom = _shade(rng.choice(backdrops), rng, 20), _shade((66, 112, 48), rng, 26)
    image = _gradient(size, top, bottom)
    _speckle(image, rng, 30)
    image = image.filter(ImageFilter.GaussianBlur(max(size) * 0.012))
    return image, Pen(image, rng, rng.uniform(-0.25, 0.25), rng.random() < 0.5)


def _landscape(size: tuple[int, int], rng: random.Random) -> Image.Image:
    sky = _shade(rng.choice([(150, 190, 228), (200, 214, 224), (232, 226, 210), (120, 168, 214)]), rng, 16)
    image = _gradient(size, sky, _shade((222, 230, 234), rng, 14))
    draw_ = ImageDraw.Draw(image)
    horizon = size[1] * rng.uniform(0.66, 0.82)
    if rng.random() < 0.5:  # a wood far behind
        for _ in range(18):
            x, r = rng.uniform(0, size[0]), min(size) * rng.uniform(0.06, 0.13)
            draw_.ellipse((x - r, horizon - r, x + r, horizon + r), fill=_shade((96, 124, 104), rng, 14))
    ground = _shade(rng.choice([(104, 140, 66), (130, 150, 84), (84, 118, 60)]), rng, 16)
    draw_.rectangle((0, horizon, size[0], size[1]), fill=ground)
    if rng.random() < 0.4:  # a pond
        draw_.rectangle(
            (0, size[1] * rng.uniform(0.88, 0.95), size[0], size[1]), fill=_shade((110, 148, 176), rng, 16)
        )
    return image


def _gradient(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    strip = Image.new("RGB", (1, 2))
    strip.putpixel((0, 0), top)
    strip.putpixel((0, 1), bottom)
    return strip.resize(size, Image.Resampling.BILINEAR)


def _speckle(image: Image.Image, rng: random.Random, count: int) -> None:
    """Scatter blotches of nearby colours: a background is never quite plain."""
    draw_ = ImageDraw.Draw(image)
    for _ in range(count):
        x, y = rng.randrange(image.width), rng.randrange(image.height)
        near = image.crop((x, y, x + 1, y + 1)).tobytes()
        w, h = (min(image.size) * rng.uniform(0.02, 0.12) for _ in range(2))
        draw_.ellipse((x - w, y - h, x + w, y + h), fill=_shade((near[0], near[1], near[2]), rng, 14))


def _polar(centre: Point, radius: float, angle_rad: float, flatten: float = 1.0) -> Point:
    return centre[0] + radius * math.cos(angle_rad), centre[1] + radius * math.sin(angle_rad) * flatten


def _round(centre: Point, radius: float, flatten: float = 1.0, corners: int = 40) -> list[Point]:
    return [_polar(centre, radius, 2 * math.pi * i / corners, flatten) for i in range(corners)]


def _crumpled(centre: Point, radius: float, flatten: float, rng: random.Random) -> list[Point]:
    return [_polar(centre, radius * rng.uniform(0.9, 1.08), 2 * math.pi * i / 22, flatten) for i in range(22)]


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _bezier(start: Point, pull: Point, push: Point, end: Point) -> list[Point]:
    """Return points of a cubic Bézier curve."""
    points = []
    for step in range(13):
        t = step / 12
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        corners = (start, pull, push, end)
        points.append(
            (
                sum(weight * x for weight, (x, _) in zip(weights, corners, strict=True)),
                sum(weight * y for weight, (_, y) in zip(weights, corners, strict=True)),
            )
        )
    return points


def _vivid(rng: random.Random) -> Colour:
    hues = [
        (204, 30, 36),
        (30, 80, 180),
        (236, 188, 30),
        (30, 130, 70),
        (240, 120, 30),
        (120, 50, 140),
        (40, 160, 190),
    ]
    return _shade(rng.choice(hues), rng, 25)


def _dark(rng: random.Random) -> Colour:
    return _grey(rng, 12, 55)


def _grey(rng: random.Random, darkest: int, lightest: int) -> Colour:
    level = rng.randint(darkest, lightest)
    return _shade((level, level, level), rng, 4)


def _green(rng: random.Random) -> Colour:
    return _shade((76, 128, 52), rng, 24)


def _shade(colour: Colour, rng: random.Random, most: int) -> Colour:
    """Return a neighbour of this colour."""
    lighter = rng.randint(-most, most)
    red, green, blue = (_level(part + lighter + rng.randint(-most // 3, most // 3)) for part in colour)
    return red, green, blue


def _times(colour: Colour, factor: float) -> Colour:
    red, green, blue = (_level(part * factor) for part in colour)
    return red, green, blue


def _level(value: float) -> int:
    return min(255, max(0, round(value)))

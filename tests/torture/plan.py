"""What happens to which image: decided by a seed, before anything begins. Pure."""

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import cycle

from PIL import Image

from model.data.drawings import draw
from tests.corpus import ODD_KEYS, small_odd_images
from tests.torture.faults import FAULTS, OUTAGE, WRITES, Fault, Lasts

FULL = 200
"""As many images, and a run has all that takes long, too."""

_LABELS = ("bicycle", "motorcycle")
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
WITHHELD = "midnight/withheld/"
"""Prefix of the images whose events come only after a backfill has classified them."""

_COPIES = (0, 0, 1, 2)
"""How often an event comes again: half of them do."""


class Wave(StrEnum):
    """When an image comes, and what happens meanwhile to all of its wave."""

    STORM = "storm"
    """Single images and writes meet faults, and events come twice and out of order."""
    CRASH = "crash"
    """The embedded AWS is killed, and brought up again on what it kept."""
    MIDNIGHT = "midnight"
    """Events are of the last and first seconds of two days, and come in any order, some after a backfill."""


@dataclass(frozen=True)
class Ailment:
    """A fault, and how long it stays."""

    fault: Fault
    lasts: Lasts


@dataclass(frozen=True)
class Drop:
    """One upload."""

    number: int
    key: str
    data: bytes
    wave: Wave
    ailment: Ailment | None = None
    copies: int = 0
    """How often its event comes again."""
    is_withheld: bool = False
    """Whether its event comes only after a backfill has classified it."""
    event_time: datetime | None = None
    """What its event says instead of when it was put; None leaves it."""


@dataclass(frozen=True)
class Plan:
    """All that is going to happen."""

    seed: int
    drops: list[Drop]
    writes: dict[int, Fault] = field(default_factory=dict)
    """Number of the write, from 0 → its fault."""
    crashes: int = 1
    """How often the embedded AWS is killed."""
    compactor_stride: int = 1
    """The compactor is killed at every so many of its requests."""

    def of(self, wave: Wave) -> list[Drop]:
        """Return the uploads of a wave, in the order in which they are put."""
        return [drop for drop in self.drops if drop.wave is wave]


def plan(seed: int, images: int, now: datetime) -> Plan:
    """Decide on everything; the same seed, count and day make the same plan.

    Args:
        seed: of all that is random.
        images: how many are dropped.
        now: of whose day the midnight is that the clock crosses.
    """
    rng = random.Random(seed)
    pictures = _pictures(images, rng)
    waves = [Wave.CRASH] * (images // 4) + [Wave.MIDNIGHT] * (images // 5)
    waves += [Wave.STORM] * (images - len(waves))
    ailments = _ailments(rng)
    keys = _keys(rng)
    drops: list[Drop] = []
    for number, (wave, (data, is_sound)) in enumerate(zip(waves, pictures, strict=True)):
        key = f"{wave}/{number:04} {next(keys)}"
        if wave is Wave.STORM:
            # Every fault befalls somebody; two of five images are left in peace.
            ailment = next(ailments) if is_sound and number % 5 < 3 else None
            drops.append(Drop(number, key, data, wave, ailment, rng.choice(_COPIES)))
        elif wave is Wave.CRASH:
            drops.append(Drop(number, key, data, wave, copies=rng.choice(_COPIES)))
        else:
            drops.append(_at_midnight(Drop(number, key, data, wave), rng, now))
    is_short = images < FULL
    writes = dict(zip(sorted(rng.sample(range(1, 4 + images // 20), len(WRITES))), WRITES, strict=True))
    if not is_short:
        writes[max(writes) + 1] = OUTAGE
    return Plan(
        seed,
        _again(drops, rng),
        writes,
        crashes=1 if is_short else 3,
        compactor_stride=4 if is_short else 1,
    )


def _pictures(count: int, rng: random.Random) -> list[tuple[bytes, bool]]:
    """Return images, a tenth of them odd, in any order, and whether each is sound."""
    odd = [one.data for one in small_odd_images()]
    chosen = rng.sample(odd, min(len(odd), count // 10))
    pictures = [(data, False) for data in chosen]
    for number in range(count - len(chosen)):
        picture = draw(rng.choice(_LABELS), rng.randint(40, 160), rng.randint(40, 160), rng)
        pictures.append((_encoded(picture, _FORMATS[number % len(_FORMATS)]), True))
    rng.shuffle(pictures)
    return pictures


def _encoded(picture: Image.Image, format_: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_)
    return buffer.getvalue()


def _ailments(rng: random.Random) -> Iterator[Ailment]:
    every = [Ailment(fault, lasts) for fault in FAULTS for lasts in fault.lasts]
    # Each fault once before any comes again: a short run meets as many kinds as it can.
    rng.shuffle(every)
    first = list({each.fault.name: each for each in every}.values())
    return cycle([*first, *(each for each in every if each not in first)])


def _keys(rng: random.Random) -> Iterator[str]:
    names = list(ODD_KEYS)
    while True:
        yield rng.choice(names) if rng.random() < 0.2 else "plain.jpg"


def _at_midnight(drop: Drop, rng: random.Random, now: datetime) -> Drop:
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    time = midnight + timedelta(milliseconds=rng.choice([-1, 0, -rng.randint(1, 2000), rng.randint(0, 2000)]))
    if rng.random() >= 0.25:
        return replace(drop, event_time=time)
    key = drop.key.replace(f"{Wave.MIDNIGHT}/", WITHHELD, 1)
    return replace(drop, key=key, event_time=time, is_withheld=True)


def _again(drops: Sequence[Drop], rng: random.Random) -> list[Drop]:
    """Let some images take the place of others, under the same key: uploads of their own."""
    again = list(drops)
    peaceful = [place for place, drop in enumerate(again) if drop.wave is Wave.STORM and not drop.ailment]
    for place, other in zip(peaceful[::4], peaceful[1::4], strict=False):
        again[other] = replace(again[other], key=again[place].key)
    return again

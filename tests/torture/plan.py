"""The plan of a run: which fault happens to which image, derived from a seed. Pure."""

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
from workflow.errors import EndpointBusy

FULL = 200
"""From this number of images on, a run includes the slow faults, too."""

_LABELS = ("bicycle", "motorcycle")
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
WITHHELD = "midnight/withheld/"
"""Key prefix of the images whose events arrive only after a backfill has classified them."""

_MOST_BUSY = 2
"""Images for which the endpoint stays busy. A real one is busy for all or for none; each of these opens the
breaker for a minute, so that of many the last sound image would wait for an hour."""
_DUPLICATES = (0, 0, 1, 2)
"""Numbers of duplicates of an event, equally likely."""


class Wave(StrEnum):
    """When an image is uploaded, and what happens to all of its wave."""

    STORM = "storm"
    """Requests and writes fail, and events arrive twice and out of order."""
    CRASH = "crash"
    """The embedded AWS is killed, and started again on the state that it kept."""
    MIDNIGHT = "midnight"
    """Event times are around midnight. Events arrive in any order, some after a backfill."""


@dataclass(frozen=True)
class Injection:
    """A fault, and how long it lasts."""

    fault: Fault
    lasts: Lasts


@dataclass(frozen=True)
class Drop:
    """One upload."""

    number: int
    key: str
    data: bytes
    wave: Wave
    injection: Injection | None = None
    duplicates: int = 0
    """Number of duplicates of its event."""
    is_withheld: bool = False
    """Whether its event arrives only after a backfill has classified it."""
    event_time: datetime | None = None
    """Time in its event; None leaves the time of the upload."""

    @property
    def may_wait(self) -> bool:
        """Whether the endpoint stays busy for it, so that it waits until the redrive."""
        injection = self.injection
        return bool(
            injection
            and injection.lasts is Lasts.UNTIL_REDRIVE
            and EndpointBusy.__name__ in injection.fault.reasons
        )


@dataclass(frozen=True)
class Plan:
    """Everything that is going to happen."""

    seed: int
    drops: list[Drop]
    writes: dict[int, Fault] = field(default_factory=dict)
    """Number of the write, from 0 → its fault."""
    crashes: int = 1
    """Number of times that the embedded AWS is killed."""
    compactor_stride: int = 1
    """Requests of the compactor from one of its deaths to the next."""

    def of(self, wave: Wave) -> list[Drop]:
        """Return the uploads of a wave, in their order."""
        return [drop for drop in self.drops if drop.wave is wave]


def plan(seed: int, images: int, now: datetime) -> Plan:
    """Make the plan; the same seed, count and day make the same one.

    Args:
        seed: seed of everything random.
        images: number of uploads.
        now: a moment of the second of the two days at midnight.
    """
    rng = random.Random(seed)
    drawn = pictures(images, rng)
    waves = [Wave.CRASH] * (images // 4) + [Wave.MIDNIGHT] * (images // 5)
    waves += [Wave.STORM] * (images - len(waves))
    injections = _injections(rng)
    keys = _keys(rng)
    drops: list[Drop] = []
    for number, (wave, (data, is_sound)) in enumerate(zip(waves, drawn, strict=True)):
        key = f"{wave}/{number:04} {next(keys)}"
        if wave is Wave.STORM:
            # Every fault occurs; two of five images have none.
            injection = next(injections) if is_sound and number % 5 < 3 else None
            drop = Drop(number, key, data, wave, injection, rng.choice(_DUPLICATES))
            if injection and drop.may_wait and sum(each.may_wait for each in drops) == _MOST_BUSY:
                drop = replace(drop, injection=Injection(injection.fault, Lasts.ONCE))
            drops.append(drop)
        elif wave is Wave.CRASH:
            drops.append(Drop(number, key, data, wave, duplicates=rng.choice(_DUPLICATES)))
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


def pictures(count: int, rng: random.Random) -> list[tuple[bytes, bool]]:
    """Return images in random order, a tenth of them odd, and whether each is sound."""
    odd = [one.data for one in small_odd_images()]
    chosen = rng.sample(odd, min(len(odd), count // 10))
    drawn = [(data, False) for data in chosen]
    for number in range(count - len(chosen)):
        picture = draw(rng.choice(_LABELS), rng.randint(40, 160), rng.randint(40, 160), rng)
        drawn.append((_encoded(picture, _FORMATS[number % len(_FORMATS)]), True))
    rng.shuffle(drawn)
    return drawn


def _encoded(picture: Image.Image, format_: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_)
    return buffer.getvalue()


def _injections(rng: random.Random) -> Iterator[Injection]:
    every = [Injection(fault, lasts) for fault in FAULTS for lasts in fault.lasts]
    # Each fault once before any is repeated: a short run has as many kinds as possible.
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
    """Let some uploads replace others under the same key."""
    again = list(drops)
    without_fault = [
        place for place, drop in enumerate(again) if drop.wave is Wave.STORM and not drop.injection
    ]
    for place, other in zip(without_fault[::4], without_fault[1::4], strict=False):
        again[other] = replace(again[other], key=again[place].key)
    return again

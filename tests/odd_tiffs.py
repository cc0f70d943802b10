"""TIFFs of every kind, written by hand: Pillow writes few of them."""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

Values = Sequence[int]
Tags = Mapping[int, int | Values | bytes]


@dataclass(frozen=True)
class OddTiff:
    """A TIFF, and what its picture is coded as."""

    name: str
    data: bytes
    photometric: int
    channels: int
    bits: int


def tiff(tags: Tags, strips: Sequence[bytes], order: str = "<", is_big: bool = False) -> bytes:
    """Return a TIFF of these tags and strips; with tile tags among them, the strips are tiles."""
    offset, entry = ("Q", f"{order}HHQ") if is_big else ("I", f"{order}HHI")
    inline_bytes = 8 if is_big else 4
    at = 16 if is_big else 8
    offsets = []
    for strip in strips:
        offsets.append(at)
        at += len(strip)
    places = (324, 325) if 322 in tags else (273, 279)
    sizes = [len(strip) for strip in strips]
    whole = {**tags, places[0]: offsets, places[1]: sizes}
    packed = {}
    for tag, value in whole.items():
        if isinstance(value, bytes):
            packed[tag] = (7, len(value), value)
        else:
            values = [value] if isinstance(value, int) else list(value)
            is_long = max(values, default=0) > 65_535 or tag in places
            letter = "I" if is_long else "H"
            packed[tag] = (
                4 if is_long else 3,
                len(values),
                struct.pack(f"{order}{len(values)}{letter}", *values),
            )
    directory_at = at + at % 2
    outside_at = directory_at + (8 if is_big else 2) + len(packed) * (20 if is_big else 12) + inline_bytes
    entries, outside = b"", b""
    for tag, (type_, count, value) in sorted(packed.items()):
        if len(value) > inline_bytes:
            place = struct.pack(f"{order}{offset}", outside_at + len(outside))
            outside += value + b"\0" * (len(value) % 2)
        else:
            place = value.ljust(inline_bytes, b"\0")
        entries += struct.pack(entry, tag, type_, count) + place
    mark = b"II" if order == "<" else b"MM"
    head = mark + (
        struct.pack(f"{order}HHHQ", 43, 8, 0, directory_at)
        if is_big
        else struct.pack(f"{order}HI", 42, directory_at)
    )
    number = struct.pack(f"{order}{'Q' if is_big else 'H'}", len(packed))
    body = head + b"".join(strips)
    return body.ljust(directory_at, b"\0") + number + entries + bytes(inline_bytes) + outside


def packed_rows(
    levels: Sequence[Sequence[Sequence[int]]], bits: int, order: str, kind: int = 1
) -> list[bytes]:
    """Return rows of pixels of samples as TIFF packs them: each row begins at a byte."""
    rows = []
    for row in levels:
        samples = [sample for pixel in row for sample in pixel]
        if kind == 3:
            rows.append(struct.pack(f"{order}{len(samples)}{ {16: 'e', 32: 'f', 64: 'd'}[bits] }", *samples))
        elif bits in {8, 16, 32}:
            rows.append(struct.pack(f"{order}{len(samples)}{ {8: 'B', 16: 'H', 32: 'I'}[bits] }", *samples))
        elif bits % 8 == 0:
            rows.append(
                b"".join(
                    sample.to_bytes(bits // 8, "little" if order == "<" else "big") for sample in samples
                )
            )
        else:
            number = 0
            for sample in samples:
                number = number << bits | sample
            padding = -len(samples) * bits % 8
            rows.append((number << padding).to_bytes((len(samples) * bits + padding) // 8, "big"))
    return rows


SIDE_PX = 16
_GREY, _RGB, _PALETTE, _CMYK = 1, 2, 3, 5


def level(channel: int, x: int, y: int) -> float:
    """Return what a channel shows at a pixel, 0 to 1: another gradient in each."""
    return (x, y, SIDE_PX - 1 - x, SIDE_PX - 1 - y)[channel % 4] / (SIDE_PX - 1)


def odd_tiffs() -> Iterator[OddTiff]:
    """Yield one for each combination of byte order, depth, colour, layout and compression."""
    for order, (photometric, channels), bits, planar, compression, is_big in product(
        "<>",
        ((0, 1), (_GREY, 1), (_GREY, 2), (_RGB, 3), (_RGB, 4), (_PALETTE, 1), (_CMYK, 4)),
        (1, 2, 4, 6, 8, 10, 12, 14, 16, 24, 32),
        (1, 2),
        (1, 8),
        (False, True),
    ):
        if (planar == 2 and channels == 1) or (is_big and (planar == 2 or compression == 8)):
            continue
        if photometric == _PALETTE and bits > 8:
            continue
        yield OddTiff(
            f"{order} {photometric} {channels}x{bits} planar={planar} compression={compression} big={is_big}",
            a_tiff(order, photometric, channels, bits, planar, compression, is_big=is_big),
            photometric,
            channels,
            bits,
        )
    for order, bits in product("<>", (16, 32, 64)):
        for photometric, channels in ((_GREY, 1), (_RGB, 3)):
            data = a_tiff(order, photometric, channels, bits, kind=3)
            yield OddTiff(f"{order} {photometric} float {bits}", data, photometric, channels, bits)


def a_tiff(
    order: str,
    photometric: int,
    channels: int,
    bits: int,
    planar: int = 1,
    compression: int = 1,
    kind: int = 1,
    is_big: bool = False,
    tags: Tags | None = None,
    colour_map_top: int = 65_535,
) -> bytes:
    """Return a TIFF of SIDE_PX × SIDE_PX that shows `level`."""
    top = 1 if kind == 3 else (1 << bits) - 1

    def sample(channel: int, x: int, y: int) -> float:
        value = level(channel, x, y)
        if photometric == 0:
            value = 1 - value
        return value * top if kind == 3 else round(value * top)

    sides = range(SIDE_PX)
    groups = [range(channels)] if planar == 1 else [[channel] for channel in range(channels)]
    strips = []
    for group in groups:
        levels = [[[sample(channel, x, y) for channel in group] for x in sides] for y in sides]
        strip = b"".join(packed_rows(levels, bits, order, kind))  # type: ignore[arg-type]
        strips.append(strip if compression == 1 else zlib.compress(strip))
    whole: dict[int, int | Values | bytes] = {
        256: SIDE_PX,
        257: SIDE_PX,
        258: [bits] * channels,
        259: compression,
        262: photometric,
        277: channels,
        278: SIDE_PX,
        284: planar,
        339: [kind] * channels,
    }
    if channels > {_RGB: 3, _CMYK: 4}.get(photometric, 1):
        whole[338] = 2
    if photometric == _PALETTE:
        ramp = [index * colour_map_top // top for index in range(top + 1)]
        whole[320] = ramp * 3
    return tiff({**whole, **(tags or {})}, strips, order, is_big)

"""How much work a file would make, counted before a decoder takes it on.

Pillow bounds pixels. It does not bound the pieces that a file consists of, each of which costs it
microseconds and some memory in Python, nor how often a JPEG goes over its pixels: some hundred KB may keep it
busy for a minute. What is counted here costs a few milliseconds at most, and sound files are far from the
limits.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.errors import RejectedImage

MAX_PIECES = 50_000
"""Chunks of a PNG, segments of a JPEG, blocks of a GIF before its picture, tags and strips of a TIFF. 32 MB
of PNG in chunks of 8 KB, as encoders write them, have 4,000; 30,000 rows of a TIFF may be as many strips."""
MAX_SCAN_PIXELS = 500_000_000
"""Pixels times scans of a JPEG: half a second. Encoders write 10 scans; 25 million pixels may have 20."""
MAX_RUN_LENGTH_BYTES = 4_000_000
MAX_RUN_LENGTH_PIXELS = 2_000_000
"""Of a run-length encoded BMP, which Pillow decodes in Python."""

_FILL = re.compile(rb"\xff+")
_START_OF_SCAN = b"\xff\xda"
_NO_FRAME = {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}

# Bytes of a value of each type. Source: TIFF 6.0, section 2; types 13 and up: TIFF tech note 1, BigTIFF.
_TIFF_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_STRIPS = {273, 324}


@dataclass(frozen=True)
class Scans:
    """How a JPEG goes over its pixels."""

    count: int
    is_whole: bool
    """Whether all coefficients are held in memory, however small it is decoded."""


def refuse_too_many_pieces(data: bytes, format_: str) -> None:
    """Count the pieces of a file of this format.

    Raises:
        RejectedImage: there are so many that they are what the file is made for.
    """
    count = {"PNG": _png_chunks, "JPEG": _jpeg_segments, "GIF": _gif_blocks, "TIFF": _tiff_values}.get(
        format_
    )
    if count and count(data) > MAX_PIECES:
        raise RejectedImage("corrupt", f"{format_}: it is made of more than {MAX_PIECES:,} pieces")


def refuse_long_runs(data: bytes, pixels: int) -> None:
    """Bound a run-length encoded BMP.

    Raises:
        RejectedImage: decoding it would take seconds.
    """
    if not 0 < int.from_bytes(data[30:34], "little") < 3 or data[14] < 40:
        return
    if len(data) > MAX_RUN_LENGTH_BYTES:
        said = f"a run-length encoded BMP of {len(data):,} bytes; at most {MAX_RUN_LENGTH_BYTES:,} are read"
        raise RejectedImage("too_large", said)
    if pixels > MAX_RUN_LENGTH_PIXELS:
        said = f"{pixels:,} run-length encoded pixels; at most {MAX_RUN_LENGTH_PIXELS:,} are decoded"
        raise RejectedImage("too_many_pixels", said)


def scans_of(jpeg: bytes) -> Scans:
    """Count the scans of a JPEG, those of a thumbnail in its header included."""
    components = 0
    for marker, start in _segments(jpeg):
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            components = jpeg[start + 7] if start + 7 < len(jpeg) else 0
        if marker == 0xDA:
            in_scan = jpeg[start + 2] if start + 2 < len(jpeg) else 0
            return Scans(jpeg.count(_START_OF_SCAN, start - 2), in_scan < components)
    return Scans(0, is_whole=False)


def refuse_too_many_scans(scans: Scans, pixels: int) -> None:
    """Bound the work of decoding a JPEG that is held in memory as a whole.

    Raises:
        RejectedImage: it would take seconds.
    """
    if scans.count * pixels > MAX_SCAN_PIXELS:
        said = f"{scans.count:,} scans of {pixels:,} pixels; at most {MAX_SCAN_PIXELS:,} are decoded"
        raise RejectedImage("too_many_pixels", said)


def _png_chunks(data: bytes) -> int:
    count, at = 0, 8
    while at + 8 <= len(data) and count <= MAX_PIECES:
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        count += 1
    return count


def _jpeg_segments(data: bytes) -> int:
    count = 0
    for count, (marker, _) in enumerate(_segments(data), 1):
        if marker == 0xDA or count > MAX_PIECES:
            break
    return count


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield each marker up to the first scan, fill bytes too, and where what follows it begins."""
    at = 2
    while at + 2 <= len(data):
        fill = _FILL.match(data, at)
        if not fill:
            at += 1  # as Pillow does: whatever is between segments is skipped
            yield 0, at
            continue
        for _ in range(min(len(fill[0]) - 1, MAX_PIECES + 1)):
            yield 0xFF, at
        at = fill.end() + 1
        if at > len(data):
            return
        marker = data[at - 1]
        yield marker, at
        if marker == 0xDA:
            return
        if marker not in _WITHOUT_LENGTH and marker:
            at += int.from_bytes(data[at : at + 2], "big")


def _gif_blocks(data: bytes) -> int:
    count, at = 0, 13
    if len(data) > 10 and data[10] & 0x80:
        at += 3 << ((data[10] & 7) + 1)
    while at < len(data) and count <= MAX_PIECES and data[at] != 0x2C:
        count += 1
        if data[at] != 0x21:
            at += 1
            continue
        at += 2
        while at < len(data) and data[at] and count <= MAX_PIECES:
            at += 1 + data[at]
            count += 1
        at += 1
    return count


def _tiff_values(data: bytes) -> int:
    """Count the first directory's tags and strips; values that lie upon each other are too many."""
    order = "<" if data[:1] == b"I" else ">"
    is_big = 43 in data[2:4]
    head, entry = ("Q", "HHQ8s") if is_big else ("H", "HHI4s")
    try:
        (at,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", data, 8 if is_big else 4)
        (tags,) = struct.unpack_from(order + head, data, at)
    except struct.error:
        return 0
    count, held_bytes = min(tags, MAX_PIECES + 1), 0
    at += struct.calcsize(order + head)
    for _ in range(count):
        if at + struct.calcsize(order + entry) > len(data):
            break
        tag, type_, values, _ = struct.unpack_from(order + entry, data, at)
        at += struct.calcsize(order + entry)
        held_bytes += values * _TIFF_SIZES.get(type_, 1)
        count += values if tag in _STRIPS else 0
    return MAX_PIECES + 1 if held_bytes > 2 * len(data) else count

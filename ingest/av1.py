"""Reads the boxes of an AVIF: the real size of its coded pictures, and the place of its EXIF.

The container names a size, and each coded picture names its own, which is the one that a decoder allocates.
Sources: ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12 (items), the AV1 bitstream specification, section 5.5.
"""

import struct
from collections.abc import Iterator

MAX_PARTS = 10_000
"""Limit of the boxes, items, extents, samples and units of a file."""
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"meta"}
_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6
_SEQUENCE_HEADER_BYTES = 512
"""Limit above the longest sequence header: 32 operating points of 89 bits, and 228 bits."""


class TooManyParts(Exception):
    """The file has more parts than the limit."""


class AvifBoxes:
    """The boxes of an AVIF, read within limits."""

    coded_px: int
    """Pixels of the largest picture that is coded in the file."""
    frames: int
    """Frames of all pictures that are coded in the file, those that are never shown included."""
    metadata_bytes: int
    """Size of the boxes that describe pictures."""
    plain: bytes
    """The file with its EXIF renamed, so that a decoder does not parse it. AVIF has its own orientation."""

    def __init__(self, data: bytes) -> None:
        """Read the boxes.

        Raises:
            TooManyParts: there are more than `MAX_PARTS`.
            Exception: a box is damaged.
        """
        self._data, self._parts, self._joined_bytes = data, 0, 0
        self.coded_px, self.frames, self.plain, self.metadata_bytes = 0, 0, data, 0
        boxes = list(self._boxes(0, len(data)))
        infos = [(start, end) for kind, start, end in boxes if kind == b"iinf"]
        inside = [start for kind, start, _ in boxes if kind == b"idat"]
        sample_bytes = max(
            (self._first_sample_bytes(at) for kind, at, _ in boxes if kind == b"stsz"), default=0
        )
        for kind, start, end in boxes:
            if kind == b"iloc":
                for item in self._items(start, end, inside):
                    self._measure(item)
            elif kind in {b"stco", b"co64"}:
                # Only the first picture of an animation is decoded.
                at = int.from_bytes(data[start + 8 : start + (12 if kind == b"stco" else 16)], "big")
                self._measure(memoryview(data)[at : at + sample_bytes])
        if any(b"Exif" in data[start:end] for start, end in infos):
            plain = bytearray(data)
            for start, end in infos:
                plain[start:end] = data[start:end].replace(b"Exif", b"exif")
            self.plain = bytes(plain)

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise TooManyParts

    def _boxes(self, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield the type of each box and the offsets of its content; for a container, its boxes."""
        while at + 8 <= end:
            self._count()
            size, kind = struct.unpack_from(">I4s", self._data, at)
            start = at + 8
            if size == 1:
                (size,) = struct.unpack_from(">Q", self._data, start)
                start += 8
            following = min(at + size, end) if size else end
            if following < start:
                return
            if kind in {b"meta", b"moov"}:
                self.metadata_bytes += following - start
            if kind in _CONTAINERS:
                yield from self._boxes(start + (4 if kind == b"meta" else 0), following)
            else:
                yield kind, start, following
            at = following

    def _items(self, at: int, end: int, inside: list[int]) -> Iterator[memoryview]:
        """Yield the content of each item that an `iloc` box locates."""
        version, sizes = self._data[at], struct.unpack_from(">H", self._data, at + 4)[0]
        offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_bytes = sizes & 15 if version else 0
        at += 6

        def number(size_bytes: int) -> int:
            nonlocal at
            value = int.from_bytes(self._data[at : at + size_bytes], "big")
            at += size_bytes
            return value

        for _ in range(number(2 if version < 2 else 4)):
            if at >= end:
                return
            number(2 if version < 2 else 4)
            in_box = version > 0 and number(2) & 15 == 1
            number(2)
            base = number(base_bytes)
            extents = []
            for _ in range(number(2)):
                if at >= end:
                    return
                self._count()
                number(index_bytes)
                offset, length = base + number(offset_bytes), number(length_bytes)
                extents.append((offset, length))
            for box_at in inside if in_box else [0]:
                yield self._joined([(box_at + offset, length) for offset, length in extents])

    def _joined(self, extents: list[tuple[int, int]]) -> memoryview:
        data = memoryview(self._data)
        parts = [data[at : at + length if length else None] for at, length in extents]
        if len(parts) == 1:
            return parts[0]
        self._joined_bytes += sum(len(part) for part in parts)
        if self._joined_bytes > len(data):
            raise TooManyParts
        return memoryview(b"".join(parts))

    def _first_sample_bytes(self, at: int) -> int:
        fixed, _, first = struct.unpack_from(">III", self._data[at : at + 16].ljust(16, b"\0"), 4)
        return int(fixed or first)

    def _measure(self, item: memoryview) -> None:
        """Visit the units (OBUs) of an item or a sample, as a decoder does."""
        at = 0
        while at + 2 <= len(item):
            header = item[at]
            at += 2 if header & 4 else 1
            size, shift = 0, 0
            while header & 2 and at < len(item) and shift < 56:
                size |= (item[at] & 0x7F) << shift
                at, shift = at + 1, shift + 7
                if item[at - 1] < 0x80:
                    break
            if not header & 2:
                size = len(item) - at
            self._count()
            if header >> 3 & 15 == _SEQUENCE_HEADER:
                self.coded_px = max(self.coded_px, _largest_frame_px(bytes(item[at : at + size])))
            self.frames += header >> 3 & 15 in {_FRAME_HEADER, _FRAME}
            at += size


def _largest_frame_px(sequence_header: bytes) -> int:
    """Return the pixels of the largest frame that a sequence header allows.

    Source: AV1 bitstream specification, section 5.5.1.
    """
    bits = _Bits(sequence_header[:_SEQUENCE_HEADER_BYTES].ljust(_SEQUENCE_HEADER_BYTES, b"\0"))
    bits.read(4)  # profile, still picture
    if bits.read(1):  # reduced header
        bits.read(5)
    else:
        has_model = 0
        if bits.read(1):  # timing
            bits.read(64)
            if bits.read(1):
                bits.skip_uvlc()
            has_model = bits.read(1)
            if has_model:
                delay_bits = bits.read(5) + 1
                bits.read(42)
        has_delay = bits.read(1)
        for _ in range(bits.read(5) + 1):  # operating points
            bits.read(12)
            if bits.read(5) > 7:
                bits.read(1)
            if has_model and bits.read(1):
                bits.read(2 * delay_bits + 1)
            if has_delay and bits.read(1):
                bits.read(4)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    return (bits.read(width_bits) + 1) * (bits.read(height_bits) + 1)


class _Bits:
    """Reads numbers of any number of bits, most significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data, "big"), len(data) * 8

    def read(self, count: int) -> int:
        self._left -= count
        return self._number >> self._left & (1 << count) - 1

    def skip_uvlc(self) -> None:
        zeros = 0
        while zeros < 32 and not self.read(1):
            zeros += 1
        self.read(zeros if zeros < 32 else 0)

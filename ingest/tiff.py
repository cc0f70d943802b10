"""Reads the first directory of a TIFF within limits, and writes the part of it that a decoder needs.

Pillow and libtiff parse every tag of a directory, however many values it has: 4 million cost 18 s. They also
misread some sound files without an error. So the directory is read here, checked, and replaced by a small
one. EXIF is a TIFF directory too. Only its orientation is read.
"""

import struct
from dataclasses import dataclass

from PIL.TiffImagePlugin import OPEN_INFO

from ingest.errors import RejectedImage
from ingest.formats import unsupported

MAX_ENTRIES = 50_000
"""Limit of a directory's tags, and of an image's strips or tiles. 30,000 rows may be as many strips."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES, _PLANAR = 273, 274, 277, 278, 279, 284
_PREDICTOR, _COLOR_MAP, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 317, 320, 322, 323, 324, 325
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _JPEG_TABLES, _SUBSAMPLING = 338, 339, 347, 530
_YCBCR_COEFFICIENTS, _YCBCR_POSITION, _REFERENCE_BLACK_WHITE = 529, 531, 532
_T4_OPTIONS, _T6_OPTIONS = 292, 293
_OLD_JPEG = tuple(range(512, 522))

# Tag → largest number of values. Other tags are left out: a decoder does not need them.
_INTEGERS = {
    **dict.fromkeys((_WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _SAMPLES, _ROWS_PER_STRIP), 1),
    **dict.fromkeys((_PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _T4_OPTIONS, _T6_OPTIONS), 1),
    **dict.fromkeys((_BITS, _SAMPLE_FORMAT, _EXTRA_SAMPLES), 64),
    **dict.fromkeys((_STRIP_OFFSETS, _STRIP_BYTES, _TILE_OFFSETS, _TILE_BYTES), MAX_ENTRIES),
    **dict.fromkeys(_OLD_JPEG, 64),
    _COLOR_MAP: 3 * 65_536,
    _SUBSAMPLING: 2,
    _YCBCR_POSITION: 1,
}
_AS_THEY_ARE = {_JPEG_TABLES: 65_536, _YCBCR_COEFFICIENTS: 3, _REFERENCE_BLACK_WHITE: 6}

# Type → letter of `struct` for integers, and size of a value in bytes.
# Source: TIFF 6.0, section 2; types 13 and up: TIFF technical note 1 and BigTIFF.
_INTEGER_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_TYPE_BYTES = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
_RATIONALS = {5, 10}
"""Types of two numbers a value."""

_RAW, _OLD_STYLE_JPEG, _JPEG = 1, 6, 7
_COMPRESSIONS = {1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000}
"""Compressions that Pillow's wheels read."""
_OPAQUE_COMPRESSIONS = {6, 7, 34925, 50000}
"""JPEG, LZMA and Zstandard: their own headers determine how much memory they need."""
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS_FRAMES = frozenset((0xC3, 0xC7, 0xCB, 0xCF))
_JPEG_SEGMENTS = 1_000
"""Segments in which the frame of a JPEG is looked for."""
_OTHER_COMPRESSIONS = {
    9: "JBIG (T.85)",
    10: "JBIG (T.43)",
    32766: "NeXT",
    32771: "CCITT RLE with words",
    32809: "ThunderScan",
    32908: "PIXAR Film",
    32909: "PIXAR Log",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGI Log",
    34677: "SGI Log24",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG",
    34926: "Zstandard",
    34927: "WebP",
    34933: "PNG",
    34934: "JPEG XR",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_PHOTOMETRICS = {
    _WHITE_IS_ZERO: "grey",
    _BLACK_IS_ZERO: "grey",
    _RGB: "RGB",
    _PALETTE: "palette",
    4: "transparency mask",
    _CMYK: "CMYK",
    _YCBCR: "YCbCr",
    _LAB: "Lab",
    9: "ICC Lab",
    10: "ITU Lab",
    32803: "colour filter array",
    32844: "LogL",
    32845: "LogLuv",
    34892: "linear raw",
    51177: "depth map",
}
_SAMPLE_FORMATS = {1: "", 2: "signed ", 3: "floating-point ", 4: "", 5: "complex ", 6: "complex "}
_COLOUR_SAMPLES = {_RGB: 3, _CMYK: 4, _LAB: 3}
_SIGNED, _UNDEFINED = 2, 4


@dataclass(frozen=True)
class PlainTiff:
    """A TIFF whose directory has only what a decoder needs."""

    data: bytes
    width_px: int
    """Width as stored, before any orientation."""
    height_px: int
    decoded_px: int
    """Memory of a decoder, in pixels of 8 bytes: the image, and its largest strip or tile."""
    tiles_px: int
    """Pixels of all tiles, which are decoded whole."""
    orientation: int
    white: float | None
    """Grey level of white, where the bits of a sample state it."""
    is_inverted: bool
    """Whether level 0 is white without the decoder knowing it."""
    is_opaque: bool
    """Whether the headers of the compressed data determine how much memory they need."""
    is_cut_off: bool
    """Whether pixels are missing. A decoder would read the new directory, which is at the end, as pixels."""


@dataclass(frozen=True)
class _Entry:
    type: int
    count: int
    data: bytes


class _Directory:
    """The first directory of a TIFF, with the entries that `wanted` names."""

    def __init__(self, data: bytes, wanted: dict[int, int]) -> None:
        self.order = {b"II": "<", b"MM": ">"}[data[:2]]
        is_big = struct.unpack_from(f"{self.order}H", data, 2)[0] == 43
        self._offset, head, entry = ("Q", "Q", "HHQ8s") if is_big else ("I", "H", "HHI4s")
        at = struct.unpack_from(self.order + self._offset, data, 8 if is_big else 4)[0]
        self.entries: dict[int, _Entry] = {}
        (entries,) = struct.unpack_from(self.order + head, data, at)
        if entries > MAX_ENTRIES:
            raise RejectedImage("corrupt", f"TIFF: more than {MAX_ENTRIES:,} pieces")
        at += struct.calcsize(self.order + head)
        for _ in range(entries):
            if len(self.entries) == len(wanted):
                break  # what follows may be damaged
            tag, type_, count, inline = struct.unpack_from(self.order + entry, data, at)
            at += struct.calcsize(self.order + entry)
            if tag == _ORIENTATION and type_ not in _INTEGER_TYPES:
                continue  # the pixels do not depend on it
            if tag in wanted and tag not in self.entries and type_ in _TYPE_BYTES:
                self.entries[tag] = self._entry(data, tag, type_, count, inline, wanted[tag])

    def _entry(self, data: bytes, tag: int, type_: int, count: int, inline: bytes, most: int) -> _Entry:
        if count > most and most == MAX_ENTRIES:
            raise RejectedImage("corrupt", f"TIFF: more than {MAX_ENTRIES:,} pieces")
        is_elsewhere = count * _TYPE_BYTES[type_] > len(inline)
        count = min(count, most)
        size_bytes = count * _TYPE_BYTES[type_]
        if is_elsewhere:
            (offset,) = struct.unpack(self.order + self._offset, inline)
            inline = data[offset : offset + size_bytes]
        if len(inline) < size_bytes:
            raise ValueError(f"the values of tag {tag} lie beyond its end")
        return _Entry(type_, count, inline[:size_bytes])

    def integers(self, tag: int) -> tuple[int, ...]:
        """Return the values of a tag; none where the tag is missing."""
        entry = self.entries.get(tag)
        if entry is None:
            return ()
        if entry.type not in _INTEGER_TYPES:
            raise ValueError(f"the values of tag {tag} are not integers")
        return struct.unpack(f"{self.order}{entry.count}{_INTEGER_TYPES[entry.type]}", entry.data)

    def integer(self, tag: int, default: int | None = None) -> int:
        values = self.integers(tag)
        if values:
            return values[0]
        if default is None:
            raise ValueError(f"tag {tag} is missing")
        return default


def orientation_of(exif: bytes) -> int | None:
    """Return the orientation in EXIF, 1 to 8 in an intact file; None where it is missing.

    Raises:
        Exception: the EXIF is damaged.
    """
    return _Directory(exif, {_ORIENTATION: 1}).integer(_ORIENTATION, 0) or None


def plain_tiff(data: bytes) -> PlainTiff:
    """Read and check the first directory of a TIFF, and write a new one.

    Raises:
        RejectedImage: `unsupported_format` for a sound file of a kind that is not supported, `corrupt` for
            one of too many pieces.
        Exception: the directory is damaged.
    """
    directory = _Directory(data, {**_INTEGERS, **_AS_THEY_ARE, _ORIENTATION: 1})
    layout = _layout(directory)
    if directory.integer(_COMPRESSION, _RAW) == _JPEG:
        _check_jpeg(data, directory, layout.photometric)
    tags = {tag: directory.integers(tag) for tag in _INTEGERS if tag in directory.entries}
    tags[_BITS] = layout.bits
    tags[_SAMPLE_FORMAT] = (layout.sample_format,) * len(layout.bits)
    if len(layout.bits) == 1:
        tags.pop(_PLANAR, None)
    is_deep_grey = layout.photometric in {_WHITE_IS_ZERO, _BLACK_IS_ZERO} and layout.bits[0] > 8
    if is_deep_grey:
        # Pillow would mistake white for black.
        tags[_PHOTOMETRIC] = (_BLACK_IS_ZERO,)
    if layout.photometric == _PALETTE:
        tags[_COLOR_MAP] = _colour_map(directory, 3 << layout.bits[0])
    raw = {tag: directory.entries[tag] for tag in _AS_THEY_ARE if tag in directory.entries}
    if layout.order != directory.order:
        raw = {tag: _swapped(entry) for tag, entry in raw.items()}
    width_px, height_px = directory.integer(_WIDTH), directory.integer(_HEIGHT)
    planes = len(layout.bits) if directory.integer(_PLANAR, 1) == 2 else 1
    pieces = _pieces(directory, width_px, height_px, planes)
    for tag in (_STRIP_OFFSETS, _STRIP_BYTES, _TILE_OFFSETS, _TILE_BYTES):
        if tag in tags:  # Pillow would read all of them, and show the last ones
            tags[tag] = tags[tag][: pieces.per_plane * planes]
    image_px, piece_px = width_px * height_px, pieces.width_px * pieces.height_px
    return PlainTiff(
        data=_written(data, layout.order, tags, raw),
        width_px=width_px,
        height_px=height_px,
        decoded_px=max(image_px, (4 * image_px + piece_px * sum(layout.bits) // 8) // 8),
        tiles_px=pieces.per_plane * piece_px if pieces.is_tiled else 0,
        orientation=directory.integer(_ORIENTATION, 1),
        white=4095.0 if is_deep_grey and layout.bits[0] == 12 else None,
        is_inverted=is_deep_grey and layout.photometric == _WHITE_IS_ZERO,
        is_opaque=directory.integer(_COMPRESSION, _RAW) in _OPAQUE_COMPRESSIONS,
        is_cut_off=_is_cut_off(data, directory, pieces, layout.bits),
    )


@dataclass(frozen=True)
class _Pieces:
    """The strips or tiles of an image."""

    width_px: int
    height_px: int
    per_row: int
    """Pieces side by side."""
    per_plane: int
    planes: int
    is_tiled: bool


def _pieces(directory: _Directory, width_px: int, height_px: int, planes: int) -> _Pieces:
    if _TILE_OFFSETS not in directory.entries:
        rows = min(max(directory.integer(_ROWS_PER_STRIP, height_px), 1), height_px)
        return _Pieces(width_px, rows, 1, -(-height_px // max(rows, 1)), planes, is_tiled=False)
    across_px, down_px = directory.integer(_TILE_WIDTH), directory.integer(_TILE_HEIGHT)
    if across_px < 1 or down_px < 1:
        raise ValueError("its tiles have no size")
    per_row = -(-width_px // across_px)
    return _Pieces(across_px, down_px, per_row, per_row * -(-height_px // down_px), planes, is_tiled=True)


def _is_cut_off(data: bytes, directory: _Directory, pieces: _Pieces, bits: tuple[int, ...]) -> bool:
    """Tell whether a strip or tile is missing, or lies beyond the end of the file."""
    compression = directory.integer(_COMPRESSION, _RAW)
    if compression == _OLD_STYLE_JPEG:
        return False  # its bytes may lie elsewhere
    kind = (_TILE_OFFSETS, _TILE_BYTES) if pieces.is_tiled else (_STRIP_OFFSETS, _STRIP_BYTES)
    count = pieces.per_plane * pieces.planes
    offsets, sizes_bytes = (directory.integers(tag)[:count] for tag in kind)
    if len(offsets) < count:
        return True
    if compression == _RAW:
        # Pillow ignores the sizes that are stated, which may be too large.
        row_bytes = -(-pieces.width_px * sum(bits) // pieces.planes // 8)
        height_px = directory.integer(_HEIGHT)
        tops_px = (number % pieces.per_plane // pieces.per_row * pieces.height_px for number in range(count))
        sizes_bytes = tuple(row_bytes * min(pieces.height_px, height_px - top_px) for top_px in tops_px)
    return any(at + size_bytes > len(data) for at, size_bytes in zip(offsets, sizes_bytes, strict=False))


@dataclass(frozen=True)
class _Layout:
    order: str
    photometric: int
    bits: tuple[int, ...]
    """Bits of each sample of a pixel."""
    sample_format: int


def _layout(directory: _Directory) -> _Layout:
    """Return the layout of the samples, if Pillow reads it correctly.

    A value that TIFF does not define means damage, not another kind of file.
    """
    compression = directory.integer(_COMPRESSION, _RAW)
    if compression in _OTHER_COMPRESSIONS:
        raise unsupported(f"TIFF with {_OTHER_COMPRESSIONS[compression]} compression")
    if compression not in _COMPRESSIONS:
        raise ValueError(f"compression {compression} is unknown")
    is_old_jpeg = compression == _OLD_STYLE_JPEG
    photometric = _YCBCR if is_old_jpeg else directory.integer(_PHOTOMETRIC, _WHITE_IS_ZERO)
    samples = directory.integer(_SAMPLES, 3 if is_old_jpeg else 1)
    bits = directory.integers(_BITS)[:samples] or (1,)
    formats = directory.integers(_SAMPLE_FORMAT)[:samples] or (1,)
    extra = directory.integers(_EXTRA_SAMPLES)
    planar, fill_order = directory.integer(_PLANAR, 1), directory.integer(_FILL_ORDER, 1)
    if not (
        photometric in _PHOTOMETRICS
        and _COLOUR_SAMPLES.get(photometric, 1) <= samples < 1 << 16
        and all(0 < each <= 64 for each in bits)
        and all(each in _SAMPLE_FORMATS for each in formats)
        and planar in {1, 2}
        and fill_order in {1, 2}
    ):
        raise ValueError("the layout of its samples is unknown")
    is_alike = len(set(bits)) == len(set(formats)) == 1 and len(bits) in {1, samples}
    bits = bits * samples if len(bits) == 1 else bits
    sample_format = 1 if formats[0] == _UNDEFINED else formats[0]
    # Pillow knows more layouts in this byte order, which is irrelevant for samples below two bytes.
    order = "<" if bits[0] <= 12 else directory.order
    known = photometric
    if known == _WHITE_IS_ZERO and bits[0] > 8:
        known = _BLACK_IS_ZERO
    prefix = b"II" if order == "<" else b"MM"
    in_planes = samples > 1 and planar == 2
    # libtiff returns samples in the machine's order, which Pillow expects of unsigned ones of 16 bits alone.
    is_swapped = order == ">" and compression != _RAW and (sample_format != 1 or bits[0] > 16)
    is_subsampled = photometric == _YCBCR and directory.integers(_SUBSAMPLING) != (1, 1)
    if (
        not is_alike
        or (prefix, known, (sample_format,), fill_order, bits, extra) not in OPEN_INFO
        or (sample_format == _SIGNED and bits[0] == 8)
        or (photometric == _WHITE_IS_ZERO and fill_order == 2 and bits[0] == 8)
        # Pillow misreads these without an error.
        or (in_planes and (photometric not in {_RGB, _CMYK} or bits[0] != 8))
        or (is_subsampled and compression == _RAW and samples > 1)
        or is_swapped
    ):
        raise unsupported(
            f"{'big' if directory.order == '>' else 'little'}-endian TIFF with {samples} × "
            f"{'/'.join(str(each) for each in dict.fromkeys(bits))}-bit {_SAMPLE_FORMATS[formats[0]]}"
            f"{_PHOTOMETRICS[photometric]} samples{' in planes' if in_planes else ''}"
            f"{', subsampled,' if is_subsampled else ''}{', compressed' if is_swapped else ''}"
        )
    return _Layout(order, photometric, bits, sample_format)


def _check_jpeg(data: bytes, directory: _Directory, photometric: int) -> None:
    """Check that libtiff reads the kind of JPEG that the first strip or tile is.

    It refuses subsampled samples other than YCbCr, which other programs write and read.
    """
    offsets = directory.integers(_TILE_OFFSETS) or directory.integers(_STRIP_OFFSETS)
    at = offsets[0] + 2 if offsets else len(data)
    for _ in range(_JPEG_SEGMENTS):
        if at >= len(data) - 10 or data[at] != 0xFF:
            return  # damaged, which the decoder says better
        marker, (length,) = data[at + 1], struct.unpack_from(">H", data, at + 2)
        if marker in _JPEG_FRAMES:
            break
        at += 2 + length
    else:
        return
    precision, components = data[at + 4], data[at + 9]
    sampling = data[at + 11 : at + 10 + 3 * components : 3]
    if marker in _LOSSLESS_FRAMES or precision != 8:
        kind = "lossless" if marker in _LOSSLESS_FRAMES else f"{precision}-bit"
        raise unsupported(f"TIFF with {kind} JPEG compression")
    if photometric != _YCBCR and any(each != 0x11 for each in sampling):
        raise unsupported(f"TIFF with {_PHOTOMETRICS[photometric]} samples in a subsampled JPEG")


def _colour_map(directory: _Directory, count: int) -> tuple[int, ...]:
    values = directory.integers(_COLOR_MAP)[:count]
    if len(values) < count or not all(0 <= value < 1 << 16 for value in values):
        raise ValueError("its colour map is damaged")
    # Some programs write 8-bit levels, although TIFF has 16-bit levels.
    return values if max(values) > 255 else tuple(value * 257 for value in values)


def _swapped(entry: _Entry) -> _Entry:
    """Return values in the other byte order."""
    number_bytes = 4 if entry.type in _RATIONALS else _TYPE_BYTES[entry.type]
    starts = range(0, len(entry.data), number_bytes)
    data = b"".join(entry.data[at : at + number_bytes][::-1] for at in starts)
    return _Entry(entry.type, entry.count, data)


def _written(data: bytes, order: str, tags: dict[int, tuple[int, ...]], raw: dict[int, _Entry]) -> bytes:
    """Return the file with this directory appended; offsets into the file do not change."""
    entries = {tag: _packed(order, values) for tag, values in tags.items()} | raw
    at = len(data) + len(data) % 2
    outside_at = at + 2 + 12 * len(entries) + 4
    table, outside = [struct.pack(f"{order}H", len(entries))], []
    for tag, entry in sorted(entries.items()):
        value = entry.data.ljust(4, b"\0")
        if len(entry.data) > 4:
            value = struct.pack(f"{order}I", outside_at)
            outside.append(entry.data + b"\0" * (len(entry.data) % 2))
            outside_at += len(outside[-1])
        table.append(struct.pack(f"{order}HHI4s", tag, entry.type, entry.count, value))
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, at)
    padding = b"\0" * (at - len(data))
    return b"".join((head, memoryview(data)[8:], padding, *table, bytes(4), *outside))


def _packed(order: str, values: tuple[int, ...]) -> _Entry:
    is_short = max(values, default=0) < 1 << 16
    packed = struct.pack(f"{order}{len(values)}{'H' if is_short else 'I'}", *values)
    return _Entry(3 if is_short else 4, len(values), packed)

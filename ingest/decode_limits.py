"""The cost of decoding a file of each format, read from its header before a decoder runs.

Pillow limits pixels. It does not limit the pieces that a file consists of, each of which costs
microseconds and some memory in Python, nor how often a JPEG goes over its pixels: some hundred KB may keep it
busy for a minute. What is counted here costs a few milliseconds at most, and sound files are far from the
limits.
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ingest.av1 import MAX_PARTS, AvifBoxes, TooManyParts
from ingest.errors import RejectedImage
from ingest.formats import unsupported
from ingest.tiff import MAX_ENTRIES, plain_tiff

MAX_PIECES = MAX_ENTRIES
"""Limit of PNG chunks, JPEG segments, GIF blocks before the picture, TIFF entries and strips, and AVIF boxes
and units. A PNG of 32 MB in chunks of 8 KB, as encoders write them, has 4,000."""
MAX_PIXELS = 150_000_000
"""Limit for every format: larger than the pictures of any phone."""
MAX_DECODED_PIXELS = 25_000_000
"""Limit of what is held in memory, at 4 bytes a pixel. A baseline JPEG is decoded at down to an eighth of its
width and height, so its original may be larger."""
MAX_TILES_PIXELS = 2 * MAX_DECODED_PIXELS
"""Limit of all tiles of a TIFF together. Tiles may reach beyond the image, and each is decoded whole."""
MAX_SIDE_PX = 65_535
"""Limit of JPEG and GIF themselves. Each row of a PNG costs its decoder time, however short the row is."""
MAX_SCAN_PIXELS = 500_000_000
"""Limit of pixels times scans of a JPEG: half a second. Encoders write 10; 25 megapixels may have 20."""
MAX_JPEG_TABLE_BYTES = 100_000
"""Limit of a JPEG's quantization tables and frame headers, which Pillow parses. Encoders write 300."""
MAX_RUN_LENGTH_BYTES = 4_000_000
MAX_RUN_LENGTH_PIXELS = 2_000_000
"""Limits of a run-length encoded BMP, which Pillow decodes in Python."""
MAX_AVIF_METADATA_BYTES = 64 * 1024
"""An AVIF with more metadata is decoded in a separate process: libavif's work grows with their square."""
MAX_SHARED_WORK = 25_000_000
"""Limit of `Claim.work` for decoding in the caller's process: 0.5 s. A separate process costs up to 13 ms of
CPU, which is little only beside more work than that."""
_WORK_PER_BYTE = 0.5


@dataclass(frozen=True)
class Claim:
    """The facts that the header of a file states."""

    data: bytes
    """The file without the parts that a decoder would parse needlessly."""
    width_px: int | None = None
    """Width as stored, before any orientation; None where only the decoder finds it."""
    height_px: int | None = None
    decoded_px: int | None = None
    """Number of pixels that the decoder holds, where it is not width × height."""
    is_reducible: bool = False
    """Whether the decoder can shrink the image while decoding, so that it never holds all of it."""
    scans: int = 1
    """Number of passes of the decoder over the pixels."""
    work_per_px: float = 1.0
    """CPU time of a pixel and scan, relative to a PNG's."""
    is_opaque: bool = False
    """Whether the decoder's work depends on more than the headers that are read here."""
    orientation: int | None = None
    """EXIF orientation; None where the format's own header does not have it."""
    white: float | None = None
    """Grey level of white, where the format states it."""
    is_inverted: bool = False
    """Whether level 0 is white without Pillow knowing it."""
    is_cut_off: bool = False
    """Whether pixels are missing without the decoder noticing it."""

    @property
    def held_px(self) -> int:
        """Return the number of pixels that the decoder holds; 0 where only the decoder finds it."""
        return self.decoded_px or (self.width_px or 0) * (self.height_px or 0)

    @property
    def work(self) -> float:
        """Return the CPU time of decoding, in pixels of a PNG (27 ns)."""
        return self.held_px * self.work_per_px * self.scans + len(self.data) * _WORK_PER_BYTE

    @property
    def is_costly(self) -> bool:
        """Return whether the file must be decoded in a separate process, under limits."""
        return self.is_opaque or self.work > MAX_SHARED_WORK


@dataclass(frozen=True)
class FormatLimits:
    """Reader and limits of one format."""

    claim: Callable[[bytes], Claim]
    max_decoded_px: int = MAX_DECODED_PIXELS


def claim_of(data: bytes, format_: str) -> Claim:
    """Read the header of a file of this format, and count its pieces.

    Raises:
        RejectedImage: decoding is too costly, or this kind of the format is not supported.
        Exception: its header is damaged.
    """
    claim = FORMATS[format_].claim(data)
    if not claim.is_reducible:  # first: its limit is the lower one, and the message names it
        check_decoded(claim, format_, claim.held_px)
    if claim.width_px is not None and claim.height_px is not None:
        check_size(claim.width_px, claim.height_px)
    if claim.is_cut_off:
        raise RejectedImage("corrupt", f"{format_}: its pixels are cut off")
    return claim


def check_size(width_px: int, height_px: int) -> None:
    """Limit the size of an image, however it is decoded.

    Raises:
        RejectedImage: `too_many_pixels`.
    """
    if max(width_px, height_px) > MAX_SIDE_PX:
        raise RejectedImage(
            "too_many_pixels", f"{width_px:,} × {height_px:,}; a side may have {MAX_SIDE_PX:,}"
        )
    _check_pixels(width_px * height_px, MAX_PIXELS)


def check_decoded(claim: Claim, format_: str, decoded_px: int) -> None:
    """Limit the pixels that a decoder holds, and the work of its passes over them.

    Raises:
        RejectedImage: `too_many_pixels`.
    """
    if claim.scans * decoded_px > MAX_SCAN_PIXELS and claim.scans > 1:
        said = f"{claim.scans:,} scans of {decoded_px:,} pixels; at most {MAX_SCAN_PIXELS:,} are decoded"
        raise RejectedImage("too_many_pixels", said)
    _check_pixels(decoded_px, FORMATS[format_].max_decoded_px)


def _check_pixels(pixels: int, most: int) -> None:
    if pixels > most:
        raise RejectedImage("too_many_pixels", f"{pixels:,} pixels; at most {most:,} are decoded")


def _check_pieces(count: int, format_: str) -> None:
    if count > MAX_PIECES:
        raise RejectedImage("corrupt", f"{format_}: more than {MAX_PIECES:,} pieces")


# ── PNG ────────────────────────────────────────────────────────────────────────────────────────────────────


# Pillow would decompress each, and takes a text with the keyword `interlace` for a fact of the image.
_PNG_PROFILE_OR_TEXT = (b"iCCP", b"tEXt", b"zTXt", b"iTXt")
_PNG_ORIENTATION = (
    b"tEXtRaw profile type exif\0",
    b"zTXtRaw profile type exif\0",
    b"iTXtXML:com.adobe.xmp\0",
)


def _png(data: bytes) -> Claim:
    count, at = 0, 8
    kept, kept_until = [], 0
    while at + 8 <= len(data) and count <= MAX_PIECES:
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data.startswith(_PNG_PROFILE_OR_TEXT, at + 4) and not data.startswith(_PNG_ORIENTATION, at + 4):
            kept.append(data[kept_until:at])
            kept_until = end
        at = end
        count += 1
    _check_pieces(count, "PNG")
    plain = b"".join((*kept, memoryview(data)[kept_until:])) if kept else data
    return Claim(plain, *struct.unpack_from(">II", data, 16))


# ── JPEG ───────────────────────────────────────────────────────────────────────────────────────────────────

_FILL = re.compile(rb"\xff+")
_START_OF_SCAN, _QUANTIZATION_TABLES, _HIERARCHICAL, _COMMENT = 0xDA, 0xDB, 0xDE, 0xFE
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xCA}
_UNSUPPORTED_FRAMES = {
    **dict.fromkeys((0xC3, 0xCB), "lossless JPEG"),
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, _HIERARCHICAL), "hierarchical JPEG"),
    0xF7: "JPEG-LS",
}
# Pillow's rule.
_WITHOUT_LENGTH = {0x00, 0x01, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)}
# APP0 and APP14 state how the colours are coded.
_METADATA = {*range(0xE1, 0xEE), 0xEF, _COMMENT}
_READ_METADATA = (b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0")


def _jpeg(data: bytes) -> Claim:
    claim, components, table_bytes = Claim(data), 0, 0
    kept, kept_until, read = [], 0, set()
    for count, (marker, at) in enumerate(_segments(data), 1):
        _check_pieces(count, "JPEG")
        if marker in _UNSUPPORTED_FRAMES:
            raise unsupported(_UNSUPPORTED_FRAMES[marker])
        if marker in _FRAMES or marker == _QUANTIZATION_TABLES:
            table_bytes += _segment_bytes(data, at)
            if table_bytes > MAX_JPEG_TABLE_BYTES:
                raise RejectedImage("corrupt", f"JPEG: more than {MAX_JPEG_TABLE_BYTES:,} bytes of tables")
        if marker in _FRAMES:
            precision, height_px, width_px, components = struct.unpack_from(">BHHB", data, at + 2)
            if precision == 12:
                raise unsupported("12-bit JPEG")
            if components not in {0, 1, 3, 4}:
                raise unsupported(f"JPEG of {components} components")
            if not height_px:
                raise unsupported("JPEG with its height after its pixels")
            claim = Claim(data, width_px, height_px, is_reducible=marker not in _PROGRESSIVE, work_per_px=0.2)
        elif marker in _METADATA:
            # Keep the first segment with an orientation: Pillow would join and parse all EXIF segments.
            kind = next((kind for kind in _READ_METADATA if data.startswith(kind, at + 2)), None)
            if kind is None or kind in read:
                kept.append(data[kept_until : at - 2])
                kept_until = at + _segment_bytes(data, at)
            read.add(kind)
        elif marker == _START_OF_SCAN:
            # Where a scan has only some of the coefficients, all are in memory, whatever the decoded size.
            if claim.is_reducible and data[at + 2] < components:
                claim = replace(claim, is_reducible=False)
            if not claim.is_reducible:
                # Those of a thumbnail in the header do not count.
                claim = replace(claim, scans=data.count(b"\xff\xda", at - 2), work_per_px=0.1)
    return replace(claim, data=b"".join((*kept, memoryview(data)[kept_until:])) if kept else data)


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield each marker up to the first scan, with fill bytes, and the offset of the byte after it."""
    at = 2
    while at + 2 <= len(data):
        fill = _FILL.match(data, at)
        if not fill:
            at += 1  # skip bytes between segments, as Pillow does
            yield 0, at
            continue
        for _ in range(len(fill[0]) - 1):
            yield 0xFF, at
        at = fill.end() + 1
        if at > len(data):
            return
        marker = data[at - 1]
        yield marker, at
        if marker == _START_OF_SCAN:
            return
        if marker not in _WITHOUT_LENGTH:
            at += _segment_bytes(data, at)


def _segment_bytes(data: bytes, at: int) -> int:
    """Return the length of a marker's segment, including the two bytes of the length itself."""
    return max(int.from_bytes(data[at : at + 2], "big"), 2)


# ── GIF ────────────────────────────────────────────────────────────────────────────────────────────────────


def _gif(data: bytes) -> Claim:
    width_px, height_px, flags = struct.unpack_from("<HHB", data, 6)
    count, at = 0, 13
    if flags & 0x80:
        at += 3 << ((flags & 7) + 1)
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
    _check_pieces(count, "GIF")
    left_px, top_px, frame_width_px, frame_height_px = struct.unpack_from("<HHHH", data, at + 1)
    # Pillow enlarges the canvas to hold the frame.
    return Claim(data, max(width_px, left_px + frame_width_px), max(height_px, top_px + frame_height_px))


# ── BMP ────────────────────────────────────────────────────────────────────────────────────────────────────

_BMP_COMPRESSIONS = {4: "JPEG", 5: "PNG", 11: "CMYK", 12: "CMYK run lengths", 13: "CMYK run lengths"}
_RUN_LENGTHS = {1, 2}
_BMP_HEADERS_BYTES = {12, 40, 52, 56, 64, 108, 124}
_OS2_HEADER_BYTES, _OS2_HUFFMAN, _OS2_RUN_LENGTHS = 64, 3, 4


def _bmp(data: bytes) -> Claim:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if header_bytes not in _BMP_HEADERS_BYTES:
        raise unsupported(f"BMP with a header of {header_bytes} bytes")
    if header_bytes == 12:
        width_px, height_px, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width_px, signed_height, _, bits, compression = struct.unpack_from("<IiHHI", data, 18)
        height_px = abs(signed_height)
    if header_bytes == _OS2_HEADER_BYTES and compression in {_OS2_HUFFMAN, _OS2_RUN_LENGTHS}:
        raise unsupported("BMP with OS/2's compression")
    if compression in _BMP_COMPRESSIONS:
        raise unsupported(f"BMP with {_BMP_COMPRESSIONS[compression]}")
    if bits in {0, 2, 64} and compression in {0, 3}:
        raise unsupported(f"{bits}-bit BMP")
    if bits in {4, 8}:
        data = _with_palette(data, 14 + header_bytes, 3 if header_bytes == 12 else 4, bits)
    if compression not in _RUN_LENGTHS:
        return Claim(data, width_px, height_px)
    if len(data) > MAX_RUN_LENGTH_BYTES:
        said = f"a run-length encoded BMP of {len(data):,} bytes; at most {MAX_RUN_LENGTH_BYTES:,} are read"
        raise RejectedImage("too_large", said)
    pixels = width_px * height_px
    if pixels > MAX_RUN_LENGTH_PIXELS:
        said = f"{pixels:,} run-length encoded pixels; at most {MAX_RUN_LENGTH_PIXELS:,} are decoded"
        raise RejectedImage("too_many_pixels", said)
    return Claim(data, width_px, height_px, work_per_px=20.0)


def _with_palette(data: bytes, at: int, entry_bytes: int, bits: int) -> bytes:
    """Return the file with a palette that Pillow does not mistake for a grey one.

    Pillow drops a grey palette, and then reads pixels of 8 bits (of 1 bit, if the palette has two entries).
    """
    (colours,) = struct.unpack_from("<I", data, 46) if entry_bytes == 4 else (0,)
    if data[at : at + 3] != bytes(3) or (bits == 8 and colours != 2):
        return data
    return b"".join((data[:at], b"\1", memoryview(data)[at + 1 :]))


# ── WebP, AVIF, TIFF ───────────────────────────────────────────────────────────────────────────────────────


def _webp(data: bytes) -> Claim:
    """Read the size of the canvas. libwebp refuses a picture of another size."""
    kind = data[12:16]
    if kind == b"VP8X":
        width_px, height_px = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        width_px, height_px = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width_px, height_px = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return Claim(data, width_px, height_px, work_per_px=1.5)


def _avif(data: bytes) -> Claim:
    try:
        boxes = AvifBoxes(data)
    except TooManyParts as error:
        raise RejectedImage("corrupt", f"AVIF: more than {MAX_PARTS:,} pieces") from error
    # Where no frame is found, the picture is coded in a way that this reader does not support.
    return Claim(
        boxes.plain,
        decoded_px=boxes.coded_px,
        scans=boxes.frames,
        work_per_px=2.0,
        is_opaque=not boxes.coded_px * boxes.frames or boxes.metadata_bytes > MAX_AVIF_METADATA_BYTES,
    )


def _tiff(data: bytes) -> Claim:
    tiff = plain_tiff(data)
    _check_pixels(tiff.tiles_px, MAX_TILES_PIXELS)
    return Claim(
        data=tiff.data,
        width_px=tiff.width_px,
        height_px=tiff.height_px,
        decoded_px=tiff.decoded_px,
        is_opaque=tiff.is_opaque,
        orientation=tiff.orientation,
        white=tiff.white,
        is_inverted=tiff.is_inverted,
        is_cut_off=tiff.is_cut_off,
    )


FORMATS = {
    "AVIF": FormatLimits(_avif, max_decoded_px=14_000_000),  # 14 bytes a pixel
    "BMP": FormatLimits(_bmp),
    "GIF": FormatLimits(_gif),
    "JPEG": FormatLimits(_jpeg),
    "PNG": FormatLimits(_png),
    "TIFF": FormatLimits(_tiff),
    "WEBP": FormatLimits(_webp, max_decoded_px=12_500_000),  # 18 bytes a pixel
}

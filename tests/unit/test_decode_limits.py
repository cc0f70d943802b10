"""ingest.decode_limits: headers as the formats' specifications have them, and both sides of each limit."""

import struct
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from PIL import Image, JpegImagePlugin

from ingest import decode_limits
from ingest.av1 import AvifBoxes, TooManyParts
from ingest.decode_limits import Claim, check_decoded, check_size, claim_of
from ingest.errors import RejectedImage
from ingest.tiff import PlainTiff
from tests.builders import encoded


def rejection_of(data: bytes, format_: str) -> str:
    with pytest.raises(RejectedImage) as caught:
        claim_of(data, format_)
    return f"{caught.value.reason}: {caught.value.detail}"


def size_of(data: bytes, format_: str) -> tuple[int | None, int | None]:
    claim = claim_of(data, format_)
    return claim.width_px, claim.height_px


# ── limits of every format ─────────────────────────────────────────────────────────────────────────────────


def test_the_size_that_a_header_claims_is_bounded_by_all_limits():
    png = (PNG[:16], PNG[24:])
    assert "a side may have 65,535" in rejection_of(struct.pack(">II", 65_536, 1).join(png), "PNG")
    assert "at most 25,000,000" in rejection_of(struct.pack(">II", 5_000, 5_001).join(png), "PNG")
    assert size_of(struct.pack(">II", 5_000, 5_000).join(png), "PNG") == (5_000, 5_000)
    assert size_of(START + a_frame(width_px=12_500, height_px=12_000), "JPEG") == (12_500, 12_000)
    said = rejection_of(START + a_frame(width_px=12_500, height_px=12_001), "JPEG")
    assert "at most 150,000,000" in said


def test_the_work_of_an_image_grows_with_its_pixels_its_scans_and_its_bytes():
    assert Claim(b"").work == Claim(b"", 7).work == Claim(b"", None, 7).work == 0
    assert Claim(bytes(10), 10, 20).work == 200 + 5
    assert Claim(b"", 10, 20, decoded_px=7, scans=3, work_per_px=2.0).work == 42


def test_an_image_is_costly_beyond_the_work_that_a_process_of_its_own_costs():
    most = decode_limits.MAX_SHARED_WORK
    assert [Claim(b"", decoded_px=most + more).is_costly for more in (0, 1)] == [False, True]
    assert Claim(b"", 1, 1, is_opaque=True).is_costly


# As README.md has them.
@pytest.mark.parametrize(
    ("format_", "most_px"),
    [
        ("AVIF", 14_000_000),
        ("BMP", 25_000_000),
        ("GIF", 25_000_000),
        ("JPEG", 25_000_000),
        ("PNG", 25_000_000),
        ("TIFF", 25_000_000),
        ("WEBP", 12_500_000),
    ],
)
def test_a_decoder_holds_at_most_the_pixels_of_its_format(format_, most_px):
    check_decoded(Claim(b""), format_, most_px)
    with pytest.raises(RejectedImage, match=f"too_many_pixels: {most_px + 1:,} pixels; at most {most_px:,}"):
        check_decoded(Claim(b""), format_, most_px + 1)


def test_two_scans_go_over_at_most_500_million_pixels():
    with pytest.raises(RejectedImage, match="2 scans of 250,000,001 pixels; at most 500,000,000"):
        check_decoded(Claim(b"", scans=2), "JPEG", 250_000_001)
    check_decoded(Claim(b"", scans=20), "JPEG", 25_000_000)
    with pytest.raises(RejectedImage, match="21 scans of 25,000,000 pixels"):
        check_decoded(Claim(b"", scans=21), "JPEG", 25_000_000)


def test_a_picture_has_at_most_150_megapixels_and_sides_of_65535():
    check_size(12_500, 12_000)
    check_size(65_535, 1)
    check_size(1, 65_535)
    for size in ((65_536, 1), (1, 65_536)):
        with pytest.raises(RejectedImage, match="a side may have 65,535"):
            check_size(*size)
    with pytest.raises(RejectedImage, match="150,012,500 pixels; at most 150,000,000"):
        check_size(12_500, 12_001)


# ── PNG ────────────────────────────────────────────────────────────────────────────────────────────────────


def a_chunk(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + name + content + b"CRC."


PNG = b"\x89PNG\r\n\x1a\n" + a_chunk(b"IHDR", struct.pack(">IIBBBBB", 300, 200, 8, 2, 0, 0, 0))


def test_a_png_keeps_of_its_texts_and_profiles_those_that_may_turn_it():
    exif, xmp = b"Raw profile type exif\0\0iTXt", b"XML:com.adobe.xmp\0\0\0\0\0tEXt"
    read = [a_chunk(b"tEXt", exif), a_chunk(b"zTXt", exif), a_chunk(b"iTXt", xmp), a_chunk(b"IDAT", b"iCCP")]
    dropped = [
        a_chunk(b"iCCP", b"a profile"),
        *(a_chunk(name, b"Raw profile type exif, more or less") for name in (b"tEXt", b"zTXt", b"iTXt")),
        a_chunk(b"tEXt", xmp),
        a_chunk(b"zTXt", xmp),
        a_chunk(b"iTXt", exif),
    ]
    plain = PNG + b"".join(read)
    assert claim_of(plain, "PNG").data is plain
    mixed = [dropped[0], *read[:2], *dropped, *dropped, *read[2:], dropped[1]]
    assert claim_of(PNG + b"".join(mixed), "PNG") == Claim(plain, 300, 200)
    for cut_off in (dropped[0][:8], dropped[1][:-1]):
        assert claim_of(plain + cut_off, "PNG").data == plain
    assert claim_of(plain + dropped[0][:7], "PNG").data == plain + dropped[0][:7]


@pytest.fixture
def five_pieces(monkeypatch):
    monkeypatch.setattr(decode_limits, "MAX_PIECES", 5)


@pytest.mark.usefixtures("five_pieces")
def test_a_png_has_at_most_so_many_chunks():
    assert size_of(PNG + a_chunk(b"tEXt") * 4, "PNG") == (300, 200)
    assert rejection_of(PNG + a_chunk(b"tEXt") * 5, "PNG") == "corrupt: PNG: more than 5 pieces"


# ── JPEG ───────────────────────────────────────────────────────────────────────────────────────────────────


def a_segment(marker: int, content: bytes = b"") -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def a_frame(
    marker: int = 0xC0, width_px: int = 300, height_px: int = 200, components: int = 3, bits: int = 8
) -> bytes:
    return a_segment(
        marker, struct.pack(">BHHB", bits, height_px, width_px, components) + bytes(3 * components)
    )


def a_scan(components: int = 3) -> bytes:
    return a_segment(0xDA, bytes([components]) + bytes(2 * components + 3)) + b"pixels"


START = b"\xff\xd8"
HIDDEN = a_frame(width_px=1, height_px=1) + b"\xff\xda"
"""Markers within a segment, which are its content."""


# ISO/IEC 10918-1, table B.1; the last one is of ISO/IEC 14495-1.
@pytest.mark.parametrize(
    ("markers", "kind"),
    [
        ("c3 cb", "lossless JPEG"),
        ("c5 c6 c7 cd ce cf de", "hierarchical JPEG"),
        ("f7", "JPEG-LS"),
    ],
)
def test_a_jpeg_of_a_kind_that_is_not_decoded_is_refused_by_its_marker(markers, kind):
    for marker in bytes.fromhex(markers):
        said = f"unsupported_format: {kind} is not supported"
        assert rejection_of(START + a_frame(marker), "JPEG").startswith(said)
        assert rejection_of(START + bytes([0xFF, marker]), "JPEG").startswith(said)  # cut off behind it


@pytest.mark.parametrize(("marker", "is_reducible"), [(0xC0, 1), (0xC1, 1), (0xC9, 1), (0xC2, 0), (0xCA, 0)])
def test_a_jpeg_that_is_not_progressive_is_decoded_at_any_size(marker, is_reducible):
    claim = claim_of(START + a_frame(marker) + a_scan(), "JPEG")
    assert (claim.width_px, claim.height_px, claim.is_reducible) == (300, 200, bool(is_reducible))
    assert claim.scans == 1


def test_a_jpeg_whose_first_scan_has_some_of_the_components_is_not_reducible():
    scans = a_scan(1) * 3
    assert claim_of(START + a_frame() + scans, "JPEG").scans == 3
    assert not claim_of(START + a_frame() + scans, "JPEG").is_reducible
    assert claim_of(START + a_frame(components=1) + scans, "JPEG").is_reducible


def test_scans_of_a_thumbnail_in_the_header_do_not_count():
    thumbnail = a_segment(0xE0, START + a_frame(0xC2) + a_scan() * 30)
    assert claim_of(START + thumbnail + a_frame(0xC2) + a_scan() * 2, "JPEG").scans == 2


def test_photos_of_phones_and_cameras_need_no_process_of_their_own():
    assert not claim_of(START + a_frame(width_px=8_000, height_px=6_000) + a_scan(), "JPEG").is_costly
    progressive = START + a_frame(0xC2, 5_000, 4_000) + a_scan() * 10  # libjpeg's own script
    assert not claim_of(progressive, "JPEG").is_costly


@pytest.mark.parametrize("components", [1, 3, 4])
def test_jpegs_of_1_3_and_4_components_are_read(components):
    assert size_of(START + a_frame(components=components) + a_scan(components), "JPEG") == (300, 200)


def test_a_jpeg_without_components_is_left_to_its_decoder_which_finds_it_damaged():
    assert size_of(START + a_frame(components=0), "JPEG") == (300, 200)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (a_frame(components=2), "JPEG of 2 components"),
        (a_frame(components=5), "JPEG of 5 components"),
        (a_frame(bits=12), "12-bit JPEG"),
        (a_frame(height_px=0), "JPEG with its height after its pixels"),
    ],
)
def test_a_jpeg_s_frame_of_another_kind_is_refused_by_name(frame, kind):
    assert rejection_of(START + frame + a_scan(), "JPEG").startswith(
        f"unsupported_format: {kind} is not supp"
    )


def test_a_jpeg_keeps_of_its_metadata_the_first_of_both_kinds_that_may_turn_it():
    exif, xmp = b"Exif\0\0one", b"http://ns.adobe.com/xap/1.0/\0<x/>"
    colours = [a_segment(marker, b"JFIF or Adobe" + HIDDEN) for marker in (0xE0, 0xEE)]
    kept = [a_segment(0xE1, exif + HIDDEN), a_segment(0xE1, xmp + HIDDEN)]
    dropped = [
        a_segment(0xE1, exif + b"more"),
        a_segment(0xE1, xmp + b"more"),
        *(a_segment(marker, b"of another program" + HIDDEN) for marker in [*range(0xE1, 0xEE), 0xEF, 0xFE]),
    ]
    pixels = a_frame() + a_scan()
    for parts in ([*colours, *kept, *dropped], [colours[0], dropped[3], *kept, *dropped, colours[1]]):
        whole = START + b"".join(parts) + pixels
        left = START + b"".join(part for part in parts if part in [*colours, *kept]) + pixels
        assert claim_of(whole, "JPEG").data == left
        assert size_of(whole, "JPEG") == (300, 200)
    plain = START + b"".join([*colours, *kept]) + pixels
    assert claim_of(plain, "JPEG").data is plain
    assert claim_of(START + kept[0] + a_segment(0xFE, exif) + pixels, "JPEG").data == START + kept[0] + pixels


def test_every_marker_has_a_length_or_none_as_it_has_for_pillow():
    unsupported = bytes.fromhex("c3 cb c5 c6 c7 cd ce cf de f7")
    lengths = Counter[bool]()
    for marker in range(0x01, 0xFF):
        known: Any = JpegImagePlugin.MARKER.get(0xFF00 | marker)
        if known and marker not in (*unsupported, 0xDA, *range(0xC0, 0xC3), 0xC9, 0xCA):
            has_length = known[2] is not None
            segment = a_segment(marker, HIDDEN) if has_length else bytes([0xFF, marker])
            assert size_of(START + segment + a_frame() + segment + a_scan(), "JPEG") == (300, 200), hex(
                marker
            )
            lengths[has_length] += 1
    assert lengths == {True: 23, False: 24}
    for stray in (b"\xff\0", b"\xff\x01", b"\xff\xff\xff", b"junk", b""):
        assert size_of(START + stray + a_frame() + a_scan(), "JPEG") == (300, 200), stray


@pytest.mark.parametrize("length", [0, 1, 2])
def test_a_segment_has_at_least_the_two_bytes_of_its_length(length):
    assert size_of(START + b"\xff\xfe" + bytes([0, length]) + a_frame() + a_scan(), "JPEG") == (300, 200)


def test_tables_of_a_jpeg_have_at_most_so_many_bytes(monkeypatch):
    tables = a_segment(0xDB, bytes(65)) + a_segment(0xC4, bytes(400)) + a_frame()
    frame_bytes = 8 + 9
    monkeypatch.setattr(decode_limits, "MAX_JPEG_TABLE_BYTES", 67 + frame_bytes)
    assert size_of(START + tables + a_scan(), "JPEG") == (300, 200)
    monkeypatch.setattr(decode_limits, "MAX_JPEG_TABLE_BYTES", 67 + frame_bytes - 1)
    assert rejection_of(START + tables + a_scan(), "JPEG") == "corrupt: JPEG: more than 83 bytes of tables"


@pytest.mark.usefixtures("five_pieces")
@pytest.mark.parametrize("piece", [b"\xff\xd0", b"\xff", b".", a_segment(0xFE, b"!")])
def test_a_jpeg_has_at_most_so_many_segments_and_bytes_between_them(piece):
    rest = a_frame() + a_scan()
    assert size_of(START + piece * 3 + rest, "JPEG") == (300, 200)
    assert rejection_of(START + piece * 4 + rest, "JPEG") == "corrupt: JPEG: more than 5 pieces"


def test_a_jpeg_that_ends_before_its_frame_has_no_size():
    for end in (b"", b"\xff", b"\xff\xff", b"\xff\xe0", a_segment(0xE0, b"JFIF")):
        assert claim_of(START + end, "JPEG") == Claim(START + end)


# ── GIF ────────────────────────────────────────────────────────────────────────────────────────────────────


def a_gif(
    before: bytes = b"", place: tuple[int, int, int, int] = (0, 0, 300, 200), colours_flag: int = 0
) -> bytes:
    """Return a GIF with a canvas of 300 × 200; each colour of its palette is three commas."""
    colours = 2 << (colours_flag & 7) if colours_flag & 0x80 else 0
    head = b"GIF89a" + struct.pack("<HHBBB", 300, 200, colours_flag, 0, 0) + b",,," * colours
    return head + before + b"," + struct.pack("<HHHHB", *place, 0)


@pytest.mark.parametrize("colours_flag", [0, 7, *range(0x80, 0x88)])
def test_a_gif_s_frame_is_found_behind_its_palette(colours_flag):
    assert size_of(a_gif(place=(0, 0, 301, 202), colours_flag=colours_flag), "GIF") == (301, 202)


@pytest.mark.parametrize(
    ("place", "size"),
    [((0, 0, 10, 10), (300, 200)), ((295, 0, 10, 10), (305, 200)), ((0, 196, 10, 10), (300, 206))],
)
def test_a_gif_s_canvas_holds_its_first_frame(place, size):
    assert size_of(a_gif(place=place), "GIF") == size


def test_a_gif_s_extensions_have_any_label_and_any_sub_blocks():
    before = b"!\xf9\x04,,,,\0" + b"!,\x01!\x02,,\0" + b"!\xfe\0" + b"\0." + b"!\xff\xff" + b"," * 255 + b"\0"
    assert size_of(a_gif(before, (0, 0, 400, 500)), "GIF") == (400, 500)


@pytest.mark.usefixtures("five_pieces")
@pytest.mark.parametrize("piece", [b".", b"!\xfe\0", b"!\xfe\x01,\0"])
def test_a_gif_has_at_most_so_many_blocks_before_its_frame(piece):
    each = 2 if len(piece) == 5 else 1
    assert size_of(a_gif(piece * (5 // each)), "GIF") == (300, 200)
    assert rejection_of(a_gif(piece * (5 // each + 1)), "GIF") == "corrupt: GIF: more than 5 pieces"


@pytest.mark.usefixtures("five_pieces")
def test_sub_blocks_without_an_end_are_not_read_beyond_the_limit():
    assert rejection_of(a_gif(b"!\xfe" + b"\x01," * 9), "GIF") == "corrupt: GIF: more than 5 pieces"


# ── BMP ────────────────────────────────────────────────────────────────────────────────────────────────────


def a_bmp(
    header_bytes: int = 40, bits: int = 24, compression: int = 0, size: tuple[int, int] = (300, -200)
) -> bytes:
    """Return the header of a BMP and a palette of 255, from the documentation of `BITMAPINFOHEADER`."""
    head = b"BM" + bytes(12) + struct.pack("<I", header_bytes)
    if header_bytes == 12:
        return head + struct.pack("<HHHH", size[0], abs(size[1]), 1, bits) + b"\xff" * 1024
    info = struct.pack("<iiHHIIiiII", *size, 1, bits, compression, 0, 0, 0, 0, 0)
    return head + info + bytes(header_bytes - 40) + b"\xff" * 1024


@pytest.mark.parametrize("header_bytes", [12, 40, 52, 56, 64, 108, 124])
def test_a_bmp_of_each_header_has_its_size(header_bytes):
    assert size_of(a_bmp(header_bytes), "BMP") == (300, 200)
    assert size_of(a_bmp(header_bytes, size=(300, 200)), "BMP") == (300, 200)
    for other in (header_bytes - 1, header_bytes + 1):
        data = a_bmp(header_bytes).replace(struct.pack("<I", header_bytes), struct.pack("<I", other), 1)
        assert f"BMP with a header of {other} bytes is not" in rejection_of(data, "BMP")


@pytest.mark.parametrize(
    ("header_bytes", "bits", "compression", "kind"),
    [
        (40, 0, 4, "BMP with JPEG"),
        (40, 0, 5, "BMP with PNG"),
        (40, 24, 11, "BMP with CMYK"),
        (40, 8, 12, "BMP with CMYK run lengths"),
        (40, 4, 13, "BMP with CMYK run lengths"),
        (64, 1, 3, "BMP with OS/2's compression"),
        (64, 24, 4, "BMP with OS/2's compression"),
        (40, 0, 0, "0-bit BMP"),
        (40, 2, 0, "2-bit BMP"),
        (40, 64, 0, "64-bit BMP"),
        (124, 64, 3, "64-bit BMP"),
        (12, 2, 0, "2-bit BMP"),
    ],
)
def test_a_bmp_of_a_kind_that_is_not_decoded_is_refused_by_name(header_bytes, bits, compression, kind):
    said = rejection_of(a_bmp(header_bytes, bits, compression), "BMP")
    assert said.startswith(f"unsupported_format: {kind} is not supported")


def test_bmps_of_other_kinds_are_read():
    for header_bytes, bits, compression in ((40, 1, 0), (56, 16, 3), (124, 32, 3), (40, 32, 6), (64, 24, 0)):
        assert size_of(a_bmp(header_bytes, bits, compression), "BMP") == (300, 200)


@pytest.mark.parametrize("compression", [1, 2])
def test_run_lengths_of_a_bmp_are_bounded_by_pixels_and_bytes(compression):
    bits = 8 if compression == 1 else 4
    most = a_bmp(40, bits, compression, (2_000, -1_000))
    claim = claim_of(most, "BMP")
    assert (claim.width_px, claim.height_px) == (2_000, 1_000)
    assert claim.is_costly  # Pillow decodes them in Python
    assert not claim_of(a_bmp(40, bits, compression, (1_000, 1_000)), "BMP").is_costly
    said = rejection_of(a_bmp(40, bits, compression, (2_001, 1_000)), "BMP")
    assert said == "too_many_pixels: 2,001,000 run-length encoded pixels; at most 2,000,000 are decoded"
    long = most.ljust(4_000_000, b".")
    assert size_of(long, "BMP") == (2_000, 1_000)
    said = rejection_of(long + b".", "BMP")
    assert said == "too_large: a run-length encoded BMP of 4,000,001 bytes; at most 4,000,000 are read"


def test_the_first_colour_of_a_palette_is_changed_only_where_pillow_would_take_it_for_grey():
    for header_bytes, bits, colours, is_changed in (
        (40, 4, 0, True),
        (40, 8, 2, True),
        (40, 8, 0, False),
        (40, 8, 3, False),
        (124, 4, 2, True),
        (12, 4, 0, True),
        (12, 8, 0, False),
        (40, 1, 2, False),
    ):
        data = bytearray(a_bmp(header_bytes, bits))
        at = 14 + header_bytes
        if header_bytes > 12:
            data[46:50] = struct.pack("<I", colours)
        assert claim_of(bytes(data), "BMP").data == bytes(data)  # its first colour is white
        data[at : at + 3] = bytes(3)
        plain = bytes(data)
        changed = plain[:at] + b"\1" + plain[at + 1 :]
        assert claim_of(plain, "BMP").data == (changed if is_changed else plain), (
            header_bytes,
            bits,
            colours,
        )
        assert claim_of(plain[: at + 2] + b"\7" + plain[at + 3 :], "BMP").data[at : at + 3] == b"\0\0\7"


def test_a_palette_of_three_bytes_a_colour_is_not_taken_for_the_number_of_colours():
    data = bytearray(a_bmp(12, 8))
    data[26:29], data[46:50] = bytes(3), struct.pack("<I", 2)
    assert claim_of(bytes(data), "BMP").data == bytes(data)


# ── WebP, AVIF and TIFF ───────────────────────────────────────────────────────────────────────────────────


def a_webp(kind: bytes, content: bytes) -> bytes:
    return (
        b"RIFF"
        + struct.pack("<I", len(content) + 12)
        + b"WEBP"
        + kind
        + struct.pack("<I", len(content))
        + content
    )


# RFC 9649, sections 2.5 to 2.7: sizes of VP8L and VP8X are less by one, and two bits of VP8's are a scale.
@pytest.mark.parametrize(("width_px", "height_px"), [(1, 1), (300, 200), (12_345, 257), (2, 16_383)])
def test_each_kind_of_webp_has_its_size(width_px, height_px):
    less = (width_px - 1).to_bytes(3, "little") + (height_px - 1).to_bytes(3, "little")
    packed = (width_px - 1) | (height_px - 1) << 14 | 0b1111 << 28
    lossy = struct.pack("<HH", width_px | 1 << 14, height_px | 3 << 14)
    for data in (
        a_webp(b"VP8X", b"\xff\0\0\0" + less),
        a_webp(b"VP8L", b"\x2f" + struct.pack("<I", packed)),
        a_webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + lossy),
    ):
        assert size_of(data, "WEBP") == (width_px, height_px)


def test_the_largest_canvas_of_a_webp_is_read_right_and_refused():
    said = rejection_of(a_webp(b"VP8X", bytes(4) + b"\xff" * 6), "WEBP")
    assert said.startswith(f"too_many_pixels: {(1 << 24) ** 2:,} pixels")


def test_a_large_webp_has_a_process_of_its_own_if_its_file_is_large_too():
    canvas = b"VP8X", bytes(4) + (4_999).to_bytes(3, "little") + (2_499).to_bytes(3, "little")
    assert not claim_of(a_webp(*canvas), "WEBP").is_costly
    assert claim_of(a_webp(*canvas).ljust(20_000_000, b"."), "WEBP").is_costly


@pytest.mark.parametrize(
    ("coded_px", "frames", "is_costly"),
    [(12_000_000, 1, False), (13_000_000, 1, True), (5_000_000, 3, True), (0, 1, True), (5_000_000, 0, True)],
)
def test_an_avif_of_many_pixels_or_none_has_a_process_of_its_own(coded_px, frames, is_costly, monkeypatch):
    found = SimpleNamespace(plain=b"plain", coded_px=coded_px, frames=frames, metadata_bytes=0)
    monkeypatch.setattr(decode_limits, "AvifBoxes", {b"whole": found}.__getitem__)
    claim = claim_of(b"whole", "AVIF")
    assert (claim.data, claim.is_costly) == (b"plain", is_costly)


def test_an_avif_of_too_many_parts_is_corrupt(monkeypatch):
    monkeypatch.setattr(decode_limits, "AvifBoxes", Mock(side_effect=TooManyParts))
    assert rejection_of(b"", "AVIF") == "corrupt: AVIF: more than 10,000 pieces"


def test_an_avif_with_much_metadata_or_without_a_frame_has_a_process_of_its_own(monkeypatch):
    image = Image.new("RGB", (64, 48))
    data = encoded(image, "AVIF", speed=10)
    claim = claim_of(data, "AVIF")
    assert (claim.width_px, claim.decoded_px, claim.scans, claim.is_costly) == (None, 64 * 48, 1, False)
    metadata_bytes = AvifBoxes(data).metadata_bytes
    for most, is_costly in ((metadata_bytes, False), (metadata_bytes - 1, True)):
        monkeypatch.setattr(decode_limits, "MAX_AVIF_METADATA_BYTES", most)
        assert claim_of(data, "AVIF").is_costly is is_costly
    monkeypatch.undo()
    assert claim_of(data.replace(b"iloc", b"free"), "AVIF").is_costly


PLAIN = PlainTiff(
    data=b"plain",
    width_px=300,
    height_px=200,
    tiles_px=50_000_000,
    decoded_px=70_000,
    is_opaque=True,
    orientation=6,
    white=4095.0,
    is_inverted=True,
    is_cut_off=False,
)


def test_a_tiff_claims_what_its_directory_says(monkeypatch):
    monkeypatch.setattr(decode_limits, "plain_tiff", {b"whole": PLAIN}.__getitem__)
    claim = claim_of(b"whole", "TIFF")
    same = ("data", "width_px", "height_px", "decoded_px", "is_opaque", "orientation", "white", "is_inverted")
    assert [getattr(claim, name) for name in same] == [getattr(PLAIN, name) for name in same]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tiles_px": 50_000_001}, "too_many_pixels: 50,000,001 pixels; at most 50,000,000 are decoded"),
        ({"is_cut_off": True}, "corrupt: TIFF: its pixels are cut off"),
        ({"decoded_px": 25_000_001}, "too_many_pixels: 25,000,001 pixels; at most 25,000,000 are decoded"),
    ],
)
def test_a_tiff_of_large_tiles_or_of_missing_pixels_is_refused(changed, said, monkeypatch):
    monkeypatch.setattr(decode_limits, "plain_tiff", {b"whole": replace(PLAIN, **changed)}.__getitem__)
    assert rejection_of(b"whole", "TIFF") == said


def test_the_file_of_a_format_without_needless_parts_is_passed_on_as_it_is():
    webp = a_webp(b"VP8X", bytes(10))
    for format_, data in (("PNG", PNG), ("GIF", a_gif()), ("BMP", a_bmp()), ("WEBP", webp)):
        assert claim_of(data, format_).data is data

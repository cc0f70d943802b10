"""Sound images of every kind are read right, or refused with their kind's name."""

import re
import struct
import zlib
from collections.abc import Mapping
from itertools import product
from types import MappingProxyType
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from ingest.errors import RejectedImage
from ingest.formats import HEAD_BYTES, format_of
from ingest.image import prepare
from tests.builders import a_picture, encoded, jpeg_bytes, png_bytes
from tests.matrix import SIDE_PX, bmp, in_mode, picture
from tests.odd_tiffs import SIDE_PX as TIFF_SIDE_PX
from tests.odd_tiffs import Tags, a_tiff, level, odd_tiffs, packed_rows, tiff

READ_TIFFS = 152


def difference(one, other):
    """Return the mean difference of the most different channel, of 255 levels."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def rejection_of(data):
    with pytest.raises(RejectedImage) as caught:
        prepare(data, 32)
    return caught.value


# ── TIFF ───────────────────────────────────────────────────────────────────────────────────────────────────


def shown(photometric, channels, bits):
    """Return what `tests.odd_tiffs.a_tiff` shows."""
    top = (1 << bits) - 1
    image = Image.new("RGB", (TIFF_SIDE_PX, TIFF_SIDE_PX))
    for x, y in product(range(TIFF_SIDE_PX), repeat=2):
        shares = [round(level(channel, x, y) * top) / top for channel in range(channels)]
        alpha = 1.0
        if photometric == 5:
            colours = [(1 - share) * (1 - shares[3]) for share in shares[:3]]
        else:
            if channels in {2, 4}:
                alpha = shares.pop()
            colours = shares * 3 if len(shares) == 1 else shares
        image.putpixel((x, y), tuple(round(255 * (1 - alpha * (1 - colour))) for colour in colours))
    return image


def test_a_tiff_of_any_kind_shows_its_picture_or_is_refused_by_name():
    read = 0
    for odd in odd_tiffs():
        try:
            pixels = prepare(odd.data, TIFF_SIDE_PX).pixels
        except RejectedImage as rejected:
            kind = (rejected.reason, rejected.detail)
            assert kind[0] == "unsupported_format", odd.name
            assert f"{odd.bits}-bit" in kind[1], odd.name
            continue
        read += 1
        assert difference(pixels, shown(odd.photometric, odd.channels, odd.bits)) < 1, odd.name
    assert read == READ_TIFFS


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("top", [255, 65_535])
def test_a_colour_map_of_8_bit_levels_is_one(bits, top):
    data = a_tiff("<", 3, 1, bits, colour_map_top=top)
    assert difference(prepare(data, TIFF_SIDE_PX).pixels, shown(3, 1, bits)) <= 1


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [1, 8])
def test_16_bit_grey_is_read_in_either_order_of_bytes(order, compression):
    data = a_tiff(order, 1, 1, 16, compression=compression)
    assert prepare(data, TIFF_SIDE_PX).brightness == 127.5


@pytest.mark.parametrize("order", "<>")
def test_a_bigtiff_is_read_in_either_order_of_bytes(order):
    assert prepare(a_tiff(order, 2, 3, 8, is_big=True), TIFF_SIDE_PX).brightness == 127.5


@pytest.mark.parametrize("bits", [12, 16])
def test_grey_whose_zero_is_white_is_not_read_as_its_negative(bits):
    prepared = prepare(a_tiff("<", 0, 1, bits), TIFF_SIDE_PX)
    assert prepared.pixels.getpixel((15, 3)) == (255, 255, 255)
    assert prepared.brightness == pytest.approx(127.5, abs=1)


# Source: tiff.h of libtiff; for the others, COMPRESSION of tifffile.
COMPRESSIONS = {
    "JBIG (T.85)": [9],
    "JBIG (T.43)": [10],
    "NeXT": [32766],
    "CCITT RLE with words": [32771],
    "ThunderScan": [32809],
    "PIXAR Film": [32908],
    "PIXAR Log": [32909],
    "JPEG 2000": [33003, 33004, 33005, 34712],
    "JBIG": [34661],
    "SGI Log": [34676],
    "SGI Log24": [34677],
    "LERC": [34887],
    "lossy JPEG": [34892],
    "Zstandard": [34926],
    "WebP": [34927, 50001],
    "PNG": [34933],
    "JPEG XR": [34934],
    "JPEG XL": [50002, 52546],
}


def test_a_tiff_of_a_compression_that_is_not_supported_is_refused_with_its_name():
    for name, compressions in COMPRESSIONS.items():
        for compression in compressions:
            rejected = rejection_of(a_tiff("<", 1, 1, 8, tags={259: compression}))
            assert rejected.reason == "unsupported_format"
            assert rejected.detail.startswith(f"TIFF with {name} compression is not supported")


# Source: TIFF 6.0; TIFF technical note 1 and Adobe's note on Photoshop; tiff.h of libtiff; DNG.
@pytest.mark.parametrize(
    ("photometric", "samples", "name"),
    [
        (0, 1, "grey"),
        (1, 1, "grey"),
        (2, 3, "RGB"),
        (3, 1, "palette"),
        (4, 1, "transparency mask"),
        (5, 4, "CMYK"),
        (6, 3, "YCbCr"),
        (8, 3, "Lab"),
        (9, 3, "ICC Lab"),
        (10, 3, "ITU Lab"),
        (32803, 1, "colour filter array"),
        (32844, 1, "LogL"),
        (32845, 3, "LogLuv"),
        (34892, 3, "linear raw"),
        (51177, 1, "depth map"),
    ],
)
def test_a_tiff_of_samples_that_are_not_supported_is_refused_with_their_name(photometric, samples, name):
    for sample_format, number in ((1, ""), (2, "signed "), (4, ""), (5, "complex "), (6, "complex ")):
        tags: Tags = {339: [sample_format] * samples, 530: [1, 1]}
        rejected = rejection_of(a_tiff("<", photometric, samples, 14, tags=tags))
        assert rejected.reason == "unsupported_format"
        said = f"little-endian TIFF with {samples} × 14-bit {number}{name} samples is not supported"
        assert rejected.detail.startswith(said)


def test_a_tiff_of_200_channels_is_refused():
    strip = bytes(200)
    sides: Tags = {256: 1, 257: 1, 258: [8] * 200, 259: 1, 262: 1, 277: 200, 278: 1}
    assert rejection_of(tiff(sides, [strip])).reason == "unsupported_format"


def test_samples_of_different_depths_are_refused():
    data = a_tiff("<", 2, 3, 8, tags={258: [5, 6, 5]})
    assert rejection_of(data).reason == "unsupported_format"


def test_colours_that_are_subsampled_and_not_compressed_are_refused():
    strip = b"".join(packed_rows([[(120, 90, 200)] * 16] * 16, 8, "<"))
    sides: Tags = {256: 16, 257: 16, 258: [8] * 3, 259: 1, 262: 6, 277: 3, 278: 16}
    assert rejection_of(tiff({**sides, 530: [2, 2]}, [strip])).reason == "unsupported_format"
    assert prepare(tiff({**sides, 530: [1, 1]}, [strip]), 32).width_px == 16


def test_compressed_floating_point_in_big_endian_order_is_refused():
    assert prepare(a_tiff(">", 1, 1, 32, kind=3), TIFF_SIDE_PX).brightness == 127.5
    rejected = rejection_of(a_tiff(">", 1, 1, 32, compression=8, kind=3))
    assert rejected.reason == "unsupported_format"
    assert "big-endian TIFF with 1 × 32-bit floating-point grey samples, compressed" in rejected.detail


# Pillow writes the directory before the pixels, as cameras do.
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "CMYK", "I;16", "F"])
def test_a_tiff_that_is_cut_off_is_corrupt_however_little_is_missing(mode):
    data = encoded(in_mode(picture(), mode), "TIFF")
    assert prepare(data, 32).image_format == "tiff"
    for missing_bytes in (1, 7, 60, 200, len(data) // 2):
        assert rejection_of(data[:-missing_bytes]).reason == "corrupt"


def test_signed_samples_that_are_compressed_in_big_endian_order_are_refused():
    rejected = rejection_of(a_tiff(">", 1, 1, 16, compression=8, tags={339: 2}))
    assert "16-bit signed grey samples, compressed" in rejected.detail


def test_the_last_tile_ends_with_the_image():
    """Pillow does not read what a tile has below the image."""
    tiles = [bytes(range(256))] * 6
    data = tiff({256: 24, 257: 40, 258: 8, 259: 1, 262: 1, 277: 1, 322: 16, 323: 16}, tiles)
    offsets = [8 + 256 * number for number in range(6)]
    moved = data.replace(struct.pack("<6I", *offsets), struct.pack("<6I", *offsets[:5], len(data)))
    assert moved != data
    assert prepare(moved + tiles[5][: 16 * 8], 32).height_px == 40
    assert rejection_of(moved + tiles[5][: 16 * 8 - 1]).reason == "corrupt"


@pytest.mark.parametrize(
    ("type_", "values"), [(5, "12I"), (10, "12i"), (3, "6H"), (4, "6I"), (11, "6f"), (12, "6d")]
)
@pytest.mark.parametrize("order", "<>")
def test_levels_of_luma_are_read_in_either_order_of_bytes_and_of_any_type(order, type_, values):
    """The luma coefficients say how bright a grey of YCbCr is. Old programs write its levels as integers."""
    strip = zlib.compress(b"".join(packed_rows([[(120, 90, 200)] * 16] * 16, 8, order)))
    levels: tuple[int, ...] = (0, 255, 128, 255, 128, 255)
    if type_ in {5, 10}:
        levels = tuple(number for level_ in levels for number in (level_, 1))
    coefficients = struct.pack(f"{order}6I", 299, 1000, 587, 1000, 114, 1000)
    tags: Tags = {256: 16, 257: 16, 258: [8] * 3, 259: 8, 262: 6, 277: 3, 278: 16, 530: [1, 1]}
    packed = struct.pack(f"{order}{values}", *levels)
    data = tiff({**tags, 529: coefficients, 532: packed}, [strip], order)
    for tag, tag_type, count, size_bytes in ((529, 5, 3, 24), (532, type_, 6, len(packed))):
        entry = struct.pack(f"{order}HHI", tag, 7, size_bytes)
        assert entry in data
        data = data.replace(entry, struct.pack(f"{order}HHI", tag, tag_type, count))
    assert prepare(data, 32).brightness == pytest.approx(120, abs=2)


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("shape", [{278: 16}, {322: 16, 323: 16}])
def test_a_tiff_without_its_last_strip_or_tile_is_corrupt(shape, compression):
    width_px = 24 if 278 in shape else 16
    pieces = [bytes(range(width_px)) * 16] * (3 if 278 in shape else 6)
    if compression == 8:
        pieces = [zlib.compress(piece) for piece in pieces]
    tags: Tags = {256: 24, 257: 40, 258: 8, 259: compression, 262: 1, 277: 1, **shape}
    assert prepare(tiff(tags, pieces), 32).height_px == 40
    assert rejection_of(tiff(tags, pieces[:-1])).detail == "TIFF: its pixels are cut off"


def test_the_size_that_a_strip_states_counts_where_it_is_compressed():
    """Some programs state the size of a full strip for the last one, too."""
    size = re.compile(re.escape(struct.pack("<HHI", 279, 4, 1)) + b".{4}", re.DOTALL)
    for compression, is_read in ((1, True), (8, False)):
        data = a_tiff("<", 1, 1, 8, compression=compression)
        said = size.sub(struct.pack("<HHII", 279, 4, 1, 100_000), data)
        if is_read:
            assert prepare(said, TIFF_SIDE_PX).brightness == 127.5
        else:
            assert rejection_of(said).detail == "TIFF: its pixels are cut off"


@pytest.mark.parametrize(
    "tags", [{259: 12_345}, {262: 777}, {258: 200}, {277: 0}, {284: 9}, {266: 7}, {339: 99}, {256: b"wide"}]
)
def test_values_that_do_not_exist_in_tiff_are_damage(tags):
    assert rejection_of(a_tiff("<", 1, 1, 8, tags=tags)).reason == "corrupt"


def test_a_tiff_with_an_orientation_that_is_not_a_number_is_read_as_it_lies():
    data = a_tiff("<", 2, 3, 8, tags={274: b"upright"})
    assert prepare(data, TIFF_SIDE_PX).pixels == prepare(a_tiff("<", 2, 3, 8), TIFF_SIDE_PX).pixels


@pytest.mark.parametrize("colours", [[65_535] * 767, [65_536] * 768])
def test_a_colour_map_that_is_too_short_or_too_bright_is_damage(colours):
    assert rejection_of(a_tiff("<", 3, 1, 8, tags={320: colours})).detail == "TIFF: its colour map is damaged"


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "lzma", "zstd", "jpeg"])
@pytest.mark.parametrize("mode", ["RGB", "LAB", "CMYK", "YCbCr"])
def test_a_tiff_shows_its_colours_whatever_they_are_coded_as(mode, compression):
    data = encoded(in_mode(picture(), mode), "TIFF", compression=compression)
    assert difference(prepare(data, SIDE_PX).pixels, picture()) < 8


# ── BMP ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("header_bytes", [12, 40, 124])
def test_a_bmp_of_black_and_white_has_its_own_depth(bits, header_bytes):
    data = bmp(header_bytes, bits, False, greys=(0, 255) if header_bytes > 12 else ())
    pixels = prepare(data, 16).pixels
    assert pixels.getpixel((15, 8)) == (255, 255 if header_bytes > 12 else 0, 255)
    assert pixels.crop((0, 8, 1, 9)).getextrema()[0] == (0, 0)


def test_a_bmp_of_16_greys_has_its_own_depth():
    assert prepare(bmp(40, 4, False, greys=tuple(range(16))), 16).pixels.getpixel((15, 8)) == (15, 15, 15)


@pytest.mark.parametrize("header_bytes", [40, 56, 108])
def test_16_bit_colours_of_a_bmp_are_read(header_bytes):
    pixels = prepare(bmp(header_bytes, 16, False, (0xF800, 0x7E0, 0x1F)), 16).pixels
    assert pixels.getpixel((0, 15)) == (0, 255, 255)
    assert pixels.getpixel((15, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (bmp(40, 2, False), "2-bit BMP"),
        (bmp(40, 64, False), "64-bit BMP"),
        (bmp(40, 16, False, (0xF00, 0xF0, 0xF)), "bitfields"),
        (bmp(40, 32, False, (0x3FF00000, 0xFFC00, 0x3FF)), "bitfields"),
        (b"BM" + bytes(12) + struct.pack("<IiiHH", 16, 8, 8, 1, 24) + bytes(192), "header of 16 bytes"),
    ],
)
def test_a_bmp_of_another_kind_is_refused_with_its_name(data, name):
    rejected = rejection_of(data)
    assert rejected.reason == "unsupported_format"
    assert name in rejected.detail


@pytest.mark.parametrize(
    ("header_bytes", "compression"), [(40, 4), (40, 5), (40, 11), (64, 3), (64, 4), (124, 4)]
)
def test_a_bmp_of_another_compression_is_refused(header_bytes, compression):
    data = bytearray(bmp(header_bytes, 24, False))
    data[30:34] = struct.pack("<I", compression)
    assert rejection_of(bytes(data)).reason == "unsupported_format"


def a_tiff_of_a_jpeg(photometric, channels, jpeg):
    tags = {256: 16, 257: 16, 258: [8] * channels, 259: 7, 262: photometric, 277: channels, 278: 16}
    return tiff(tags, [jpeg])


def a_jpeg(mode: str, changed: Mapping[int, int] = MappingProxyType({}), **options: Any) -> bytes:
    """Return a grey or orange JPEG, with some bytes of its frame changed, counted from its marker."""
    colour: Any = {"L": 128, "RGB": (200, 100, 50)}[mode]
    data = bytearray(encoded(Image.new(mode, (16, 16), colour), "JPEG", **options))
    frame_at = data.index(b"\xff\xc0\0") + 1
    for place, value in changed.items():
        data[frame_at + place] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("photometric", "jpeg", "name"),
    [
        (2, a_jpeg("RGB", subsampling=2), "TIFF with RGB samples in a subsampled JPEG"),
        (1, a_jpeg("L", {10: 0x22}), "TIFF with grey samples in a subsampled JPEG"),
        (1, a_jpeg("L", {0: 0xC3}), "TIFF with lossless JPEG compression"),
        (6, a_jpeg("RGB", {3: 12}), "TIFF with 12-bit JPEG compression"),
    ],
)
def test_a_jpeg_that_libtiff_does_not_read_is_refused_with_its_name(photometric, jpeg, name):
    with pytest.raises(RejectedImage, match=name) as refused:
        prepare(a_tiff_of_a_jpeg(photometric, 1 if photometric == 1 else 3, jpeg), 8)
    assert refused.value.reason == "unsupported_format"


@pytest.mark.parametrize(
    ("photometric", "jpeg", "brightness"),
    [
        (1, a_jpeg("L"), 128.0),
        (2, a_jpeg("RGB", subsampling=0, keep_rgb=True), 124.0),
        (6, a_jpeg("RGB", subsampling=0), 124.0),
        (6, a_jpeg("RGB", subsampling=2), 124.0),
    ],
)
def test_other_jpegs_in_a_tiff_are_read(photometric, jpeg, brightness):
    data = a_tiff_of_a_jpeg(photometric, 1 if photometric == 1 else 3, jpeg)
    assert prepare(data, 8).brightness == pytest.approx(brightness, abs=1)


@pytest.mark.parametrize("jpeg", [b"", a_jpeg("L")[:30], b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000])
def test_a_damaged_jpeg_in_a_tiff_is_corrupt(jpeg):
    with pytest.raises(RejectedImage) as refused:
        prepare(a_tiff_of_a_jpeg(1, 1, jpeg), 8)
    assert refused.value.reason == "corrupt"


# ── JPEG ───────────────────────────────────────────────────────────────────────────────────────────────────


def with_frame(marker, precision=8, components=None):
    data = bytearray(jpeg_bytes())
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, precision
    if components:
        data[at + 9] = components
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (with_frame(0xC1, 12), "12-bit JPEG"),
        (with_frame(0xC2, 12), "12-bit JPEG"),
        (with_frame(0xC3), "lossless JPEG"),
        (with_frame(0xC3, 16), "lossless JPEG"),
        (with_frame(0xCB), "lossless JPEG"),
        (with_frame(0xC5), "hierarchical JPEG"),
        (with_frame(0xDE), "hierarchical JPEG"),
        (with_frame(0xC0, components=2), "JPEG of 2 components"),
        (b"\xff\xd8\xff\xf7\0\x0b\x08\0\x10\0\x10\1\1\x11\0", "JPEG-LS"),
        (b"\xff\xd8\xff\xe8\0\x04ab\xff\xf7\0\x0b\x08\0\x10\0\x10\1\1\x11\0", "JPEG-LS"),
    ],
)
def test_a_jpeg_of_another_kind_is_refused_with_its_name(data, name):
    rejected = rejection_of(data)
    assert rejected.reason == "unsupported_format"
    assert name in rejected.detail


def test_a_jpeg_that_tells_its_height_after_its_pixels_is_refused():
    data = bytearray(jpeg_bytes())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 7] = b"\0\0"
    assert rejection_of(bytes(data)).reason == "unsupported_format"


def test_of_two_exif_segments_the_first_tells_the_orientation():
    exif = Image.Exif()
    exif[0x0112] = 3
    data = jpeg_bytes(exif=exif)
    exif[0x0112] = 6
    other = b"\xff\xe1" + struct.pack(">H", len(exif.tobytes()) + 2) + exif.tobytes()
    at = data.index(b"\xff\xdb")
    assert prepare(data[:at] + other + data[at:], 32) == prepare(data, 32)


def test_xmp_tells_the_orientation_where_exif_does_not():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    upright = prepare(png_bytes(), 32).pixels.transpose(Image.Transpose.ROTATE_180)
    camera = Image.Exif()
    camera[0x010F] = "a maker"
    for exif in (b"", camera, b"Exif\0\0damaged"):
        data = jpeg_bytes(xmp=xmp, exif=exif)
        assert difference(prepare(data, 32).pixels, upright) < 6


@pytest.mark.parametrize("xmp", [b'tiff:Orientation="3"', b"<tiff:Orientation>3</tiff:Orientation>"])
@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("at", [33, -12])
def test_xmp_of_a_png_and_of_a_webp_tells_the_orientation_too(xmp, is_compressed, at):
    upright = prepare(png_bytes(), 32).pixels.transpose(Image.Transpose.ROTATE_180)
    text = b"iTXtXML:com.adobe.xmp\0%c\0\0\0" % is_compressed + (zlib.compress(xmp) if is_compressed else xmp)
    piece = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    png = png_bytes()[:at] + piece + png_bytes()[at:]
    assert prepare(png, 32).pixels == upright
    webp = encoded(a_picture(), "WEBP", lossless=True, xmp=xmp)
    assert prepare(webp, 32).pixels == upright


@pytest.mark.parametrize("mode", ["1", "P", "L", "RGB", "RGBA"])
def test_a_text_of_a_png_is_no_fact_of_its_pixels_whatever_its_keyword_is(mode):
    """Pillow keeps both under the same names."""
    plain = png_bytes(a_picture().convert(mode))
    for keyword in ("interlace", "transparency", "exif", "xmp", "icc_profile", "gamma", "default_image"):
        content = b"tEXt" + keyword.encode() + b"\0hello"
        text = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
        for at in (plain.index(b"IDAT") - 4, -12):
            assert prepare(plain[:at] + text + plain[at:], 32) == prepare(plain, 32), keyword


# ── names ──────────────────────────────────────────────────────────────────────────────────────────────────


def iso_media(*brands):
    return (
        struct.pack(">I", 8 + 4 * (len(brands) + 1)) + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    )


@pytest.mark.parametrize(
    ("name", "brands"),
    [
        ("HEIC", "heic heix heim heis hevc hevx hevm hevs"),
        ("HEIF", "mif1 mif2 mif3 msf1 miaf heif"),
        ("HEIF with H.264", "avci avcs"),
        ("HEIF with H.266", "vvic vvis"),
        ("HEIF with EVC", "evbi evmi evbs evms"),
        ("HEIF with JPEG", "jpeg jpgs"),
        ("HEIF with JPEG 2000", "j2ki j2is"),
    ],
)
@pytest.mark.parametrize("is_major", [True, False])
def test_every_brand_of_heif_is_refused_with_its_name(name, brands, is_major):
    for brand in brands.encode().split():
        rejected = rejection_of(iso_media(*((brand, b"mp42") if is_major else (b"mif1", brand))) + bytes(100))
        assert rejected.reason == "unsupported_format"
        assert rejected.detail.startswith(f"{name} is not supported")


def test_an_avif_whose_first_brand_is_that_of_any_heif_is_read():
    data = encoded(a_picture(64, 64), "AVIF")
    assert data[8:12] == b"avif"
    assert b"avif" in data[16:32]
    assert prepare(data[:8] + b"mif1" + data[12:], 32).image_format == "avif"


def test_a_brand_counts_at_its_place_in_the_list_of_brands_alone():
    assert format_of(iso_media(b"avis", b"msf1")) == "AVIF"
    assert rejection_of(iso_media(b"isom", b"mp42", b"heic")).detail.startswith("HEIC is not supported")
    for no_image in (iso_media(b"isom", b"xavi", b"fxxx"), iso_media(b"isom", b"mp42") + b"avif" * 300):
        assert rejection_of(no_image).detail == "a video"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a" + bytes(30), "JPEG XL"),
        (b"\xff\xd8\xff\xf7\0\x0b\x08", "JPEG-LS"),
        (b"II\xbc\x01" + bytes(30), "JPEG XR"),
        (b"8BPS\0\x01", "Photoshop (PSD)"),
        (b"gimp xcf v011", "GIMP (XCF)"),
        (b"\0\0\1\0\1\0\x10\x10", "Windows icon (ICO)"),
        (b"\0\0\2\0\1\0\x20\x20", "Windows cursor (CUR)"),
        (b"icns\0\0\x10\0", "Apple icon (ICNS)"),
        (b"qoif\0\0\0\x40", "QOI"),
        (b"DDS \x7c\0\0\0", "DDS"),
        (b"P6 2 2 255\n", "Netpbm (PBM, PGM, PPM, PAM)"),
        (b"PF\n2 2\n-1.0\n", "Portable FloatMap (PFM)"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript (EPS)"),
        (b"\xc5\xd0\xd3\xc6\x20\0\0\0", "PostScript (EPS)"),
        (b"\xd7\xcd\xc6\x9a\0\0", "Windows metafile (WMF, EMF)"),
        (b"\x01\0\0\0" + bytes(36) + b" EMF", "Windows metafile (WMF, EMF)"),
        (b"#?RADIANCE\n", "Radiance HDR"),
        (b"\x76\x2f\x31\x01\2\0\0\0", "OpenEXR"),
        (b"SDPX\0\0\x20\0", "DPX"),
        (b"XPDS\0\x20\0\0", "DPX"),
        (b"SIMPLE  =                    T", "FITS"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"AT&TFORM\0\0\0\0DJVU", "DjVu"),
        (b"\x8aMNG\r\n\x1a\n", "MNG"),
        (b"FLIF\x31\x31", "FLIF"),
        (b"BPG\xfb\0\0", "BPG"),
        (b"IIU\0\x08\0\0\0", "camera raw"),
        (b"IIRO\x08\0\0\0", "camera raw"),
        (b"FUJIFILMCCD-RAW 0201", "camera raw"),
        (iso_media(b"crx ", b"isom"), "camera raw"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI" + bytes(30), "PNG in Apple's CgBI variant"),
        (b"\x0a\5\1\x08" + bytes(60), "PCX"),
        (b"\xb1\x68\xde\x3a\x10\0\0\0", "PCX (DCX)"),
        (b"\x01\xda\0\1\0\2\0\x20", "SGI"),
        (b"\x59\xa6\x6a\x95\0\0\0\x20", "Sun raster"),
        (b"/* XPM */\nstatic char *bike[] = {", "XPM"),
        (b"#define bike_width 32\n#define bike_height 32\n", "XBM"),
        (b"DanM\x20\0\x20\0", "Microsoft Paint (MSP)"),
        (b"BLP2\1\0\0\0", "BLP"),
        (b"Lerc2 \6\0\0\0", "LERC"),
        (b"CntZImage \x0b\0\0\0", "LERC"),
        (b"\x80\2\0\0\x12\xaf\1\0", "FLIC"),
        (bytes(2) + b"\2" + bytes(9) + b"\x20\0\x10\0\x18\0", "Targa (TGA)"),
        (b"<!-- drawn by hand -->\n<svg>", "SVG"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg width="1">', "SVG"),
        (b'<?xml version="1.0"?><svg:svg xmlns:svg="http://www.w3.org/2000/svg"/>', "SVG"),
    ],
)
def test_an_image_of_another_format_is_refused_with_its_name(data, name):
    rejected = rejection_of(data)
    assert rejected.reason == "unsupported_format"
    assert rejected.detail.startswith(f"{name} is not supported")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"%PDF-1.7\n", "PDF"),
        (b"PK\x03\x04" + bytes(30), "ZIP"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b'<?xml version="1.0"?><note/>', "XML"),
        (iso_media(b"isom", b"mp42"), "video"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"\x1f\x8b\x08", "gzip"),
        (bytes(2) + b"\2" + bytes(11) + b"\x10\0\x18\0", "no known image format"),
        (b" " * (HEAD_BYTES - len(b"<svg")) + b"<svg>", "no known image format"),
    ],
)
def test_what_is_no_image_is_rejected_with_its_name(data, name):
    rejected = rejection_of(data)
    assert rejected.reason == "not_an_image"
    assert name in rejected.detail

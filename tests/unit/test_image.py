import base64
import io
import json
import struct
import time
import warnings
import zlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFile, ImageStat, UnidentifiedImageError

from ingest import decode_limits
from ingest import image as image_module
from ingest.decode_limits import FORMATS, MAX_DECODED_PIXELS, MAX_PIXELS, Claim
from ingest.errors import MAX_BYTES, REJECT_REASONS, RejectedImage
from ingest.formats import READABLE
from ingest.image import prepare
from ingest.model_input import ModelInput
from tests.builders import a_picture, encoded, jpeg_bytes, noise, png_bytes
from tests.odd_tiffs import Tags, tiff

SIZE_PX = 32
FORM = ModelInput.square(SIZE_PX)
STATE_MAX_BYTES = 16 * 1024

LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "GIF": {},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
}
LOSSY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
}

# Orientation → what turns an upright picture into the one that is stored under it; EXIF 2.32, tag 0x0112.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def reason_of(data):
    with pytest.raises(RejectedImage) as caught:
        prepare(data, SIZE_PX)
    assert caught.value.reason in REJECT_REASONS
    return caught.value.reason


def picture_or_reason(data):
    try:
        prepared = prepare(data, SIZE_PX)
    except RejectedImage as rejected:
        return rejected.reason
    assert (prepared.pixels.mode, prepared.pixels.size) == ("RGB", (SIZE_PX, SIZE_PX))
    return "picture"


def difference(one, other):
    """Return the mean difference of the most different channel, of 255 levels."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def as_the_model_sees(picture):
    return prepare(png_bytes(picture), SIZE_PX).pixels


def png_of_chunks(width_px, height_px, bit_depth, colour_type, rows, *extra):
    """Return a PNG as its specification writes it, for what Pillow does not write itself."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width_px, height_px, bit_depth, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [
        chunk(b"IHDR", header),
        *(chunk(*one) for one in extra),
        chunk(b"IDAT", body),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


# ── formats ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("format_", LOSSLESS)
def test_a_lossless_format_gives_the_pixels_of_a_png(format_):
    prepared = prepare(encoded(a_picture(), format_, **LOSSLESS[format_]), SIZE_PX)
    assert prepared.image_format == format_.lower()
    assert (prepared.width_px, prepared.height_px) == (40, 20)
    assert difference(prepared.pixels, as_the_model_sees(a_picture())) <= 1


@pytest.mark.parametrize("format_", LOSSY)
def test_a_lossy_format_gives_nearly_the_pixels_of_a_png(format_):
    prepared = prepare(encoded(a_picture(64, 64), format_, **LOSSY[format_]), SIZE_PX)
    assert prepared.image_format == format_.lower()
    assert difference(prepared.pixels, as_the_model_sees(a_picture(64, 64))) < 6


def test_the_format_is_read_from_the_bytes():
    assert prepare(jpeg_bytes(), SIZE_PX).image_format == "jpeg"
    assert prepare(png_bytes(), SIZE_PX).image_format == "png"


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_counts(format_):
    frames = [Image.new("RGB", (40, 20), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], format_, save_all=True, append_images=frames[1:])
    assert difference(prepare(data, SIZE_PX).pixels, as_the_model_sees(frames[0])) < 6


def test_the_two_pictures_of_a_camera_in_one_jpeg_give_the_first():
    data = encoded(
        a_picture(64, 64), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64))], quality=95
    )
    prepared = prepare(data, SIZE_PX)
    assert prepared.image_format == "jpeg"
    assert difference(prepared.pixels, as_the_model_sees(a_picture(64, 64))) < 6


@pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate"])
def test_a_tiff_is_read_whatever_its_compression(compression):
    data = encoded(a_picture(), "TIFF", compression=compression)
    assert difference(prepare(data, SIZE_PX).pixels, as_the_model_sees(a_picture())) == 0


# ── modes ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(format_):
    data = encoded(a_picture(64, 64).convert("CMYK"), format_, **LOSSY.get(format_, {}))
    assert difference(prepare(data, SIZE_PX).pixels, as_the_model_sees(a_picture(64, 64))) < 8


def test_a_palette_becomes_rgb():
    data = png_bytes(a_picture().quantize(16))
    assert difference(prepare(data, SIZE_PX).pixels, as_the_model_sees(a_picture())) <= 2


def test_a_transparent_palette_entry_lies_on_white():
    picture = Image.new("P", (40, 20), 1)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    assert prepare(png_bytes(picture, transparency=1), SIZE_PX).pixels.getextrema() == ((255, 255),) * 3
    assert prepare(encoded(picture, "GIF", transparency=1), SIZE_PX).pixels.getextrema() == ((255, 255),) * 3


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "TIFF"])
def test_alpha_lies_on_white(format_):
    picture = a_picture().convert("RGBA")
    picture.putalpha(Image.new("L", picture.size, 128))
    half_white = Image.blend(a_picture(), Image.new("RGB", picture.size, "white"), 127 / 255)
    data = encoded(picture, format_, **LOSSLESS[format_])
    assert difference(prepare(data, SIZE_PX).pixels, as_the_model_sees(half_white)) < 2


def test_a_transparent_pixel_s_hidden_colour_does_not_show_at_its_edges():
    picture = Image.new("RGBA", (64, 64), (255, 255, 255, 255))
    picture.paste((255, 0, 0, 0), (0, 0, 32, 64))
    assert min(prepare(png_bytes(picture), SIZE_PX).pixels.tobytes()) >= 254


@pytest.mark.parametrize(
    ("bit_depth", "colour_type", "row", "transparent"),
    [
        (1, 0, b"\0\0\0\0\xff\xff\xff\xff", b"\0\0"),
        (8, 0, b"\x05" * 31 + b"\xff" * 33, b"\0\x05"),
        (8, 2, b"\xff\0\0" * 31 + b"\xff" * 99, b"\0\xff\0\0\0\0"),
    ],
)
def test_a_colour_that_stands_for_transparency_does_not_show_at_edges(
    bit_depth, colour_type, row, transparent
):
    data = png_of_chunks(64, 64, bit_depth, colour_type, [row] * 64, (b"tRNS", transparent))
    assert min(prepare(data, SIZE_PX).pixels.tobytes()) >= 254


def test_an_image_of_one_band_is_shrunk_without_a_copy_of_it(monkeypatch):
    data = png_bytes(noise(64, 48))
    monkeypatch.setattr(Image.Image, "paste", None)
    assert prepare(data, SIZE_PX).pixels.size == (SIZE_PX, SIZE_PX)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_becomes_rgb(mode):
    grey = a_picture().convert("L")
    assert difference(prepare(png_bytes(grey.convert(mode)), SIZE_PX).pixels, as_the_model_sees(grey)) == 0


def test_grey_with_alpha_lies_on_white():
    picture = Image.new("LA", (40, 20), (0, 0))
    assert prepare(png_bytes(picture), SIZE_PX).pixels.getextrema() == ((255, 255),) * 3


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP", "GIF"])
def test_one_bit_becomes_rgb(format_):
    picture = Image.new("1", (64, 64), 0)
    picture.paste(1, (0, 0, 32, 64))
    pixels = prepare(encoded(picture, format_), SIZE_PX).pixels
    assert pixels.getpixel((2, 16)) == (255, 255, 255)
    assert pixels.getpixel((29, 16)) == (0, 0, 0)


def test_lines_of_one_bit_become_grey():
    picture = Image.new("1", (64, 64))
    picture.putdata([x % 2 * 255 for _ in range(64) for x in range(64)])
    assert prepare(png_bytes(picture), SIZE_PX).pixels.getpixel((16, 16)) == (128,) * 3


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_16_bit_grey_looks_as_its_8_bit_version_does(format_):
    grey = Image.new("L", (64, 64), 0)  # hard edges, at which the kernel overshoots
    grey.paste(255, (20, 20, 44, 44))
    grey.paste(100, (28, 28, 36, 36))
    deep = grey.convert("I").point(lambda level: level * 257 + 0).convert("I;16")
    assert difference(prepare(encoded(deep, format_), SIZE_PX).pixels, as_the_model_sees(grey)) == 0


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
@pytest.mark.parametrize("brightest", [255, 256])
def test_a_dark_frame_of_16_bits_is_dark_whatever_its_brightest_level(format_, brightest):
    """One level more must not make the next frame 257 times as dark."""
    grey = Image.new("L", (64, 64), 100).convert("I").convert("I;16")
    grey.putpixel((5, 5), brightest)
    assert prepare(encoded(grey, format_), SIZE_PX).brightness <= 1


def test_floating_point_grey_looks_as_its_8_bit_version_does():
    grey = a_picture(64, 64).convert("L")
    deep = grey.convert("F").point(lambda level: level * (1 / 255) + 0)
    assert difference(prepare(encoded(deep, "TIFF"), SIZE_PX).pixels, as_the_model_sees(grey)) < 1


@pytest.mark.parametrize("level", ["inf", "-inf"])
def test_grey_levels_that_are_no_numbers_are_corrupt(level):
    image = Image.new("F", (8, 8), 0.5)
    image.putpixel((3, 3), float(level))
    assert reason_of(encoded(image, "TIFF")) == "corrupt"


def test_a_level_below_0_is_black_in_floating_point_and_refused_in_32_bits():
    """Where 32 bits are read as signed, half of the unsigned levels would be black."""
    for mode, reason in (("F", None), ("I", "unsupported_format")):
        image = Image.new(mode, (8, 8), 1)
        image.putpixel((3, 3), -1)
        data = encoded(image, "TIFF")
        assert (reason_of(data) if reason else prepare(data, SIZE_PX).image_format) == (reason or "tiff")


def test_16_bit_colour_becomes_rgb():
    red = b"\xff\xff\0\0\0\0" * 8
    assert prepare(png_of_chunks(8, 8, 16, 2, [red] * 8), SIZE_PX).pixels.getextrema() == (
        (255, 255),
        (0, 0),
        (0, 0),
    )


@pytest.mark.parametrize(
    ("bit_depth", "colour_type", "row", "transparent"),
    [
        (1, 0, b"\xff", b"\0\x01"),
        (8, 0, b"\x05" * 8, b"\0\x05"),
        (8, 2, b"\x05\x06\x07" * 8, b"\0\x05\0\x06\0\x07"),
        (16, 0, b"\xff\xff" * 8, b"\xff\xff"),
        (16, 2, b"\xff\xff" * 24, b"\xff\xff" * 3),
    ],
)
def test_a_png_with_a_transparent_colour_lies_on_white(bit_depth, colour_type, row, transparent):
    data = png_of_chunks(8, 8, bit_depth, colour_type, [row] * 8, (b"tRNS", transparent))
    assert prepare(data, SIZE_PX).pixels.getextrema() == ((255, 255),) * 3


# ── orientation ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_a_picture_is_turned_upright(format_, orientation):
    how = STORED[orientation]
    upright = a_picture(80, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright if how is None else upright.transpose(how)
    options = LOSSLESS.get(format_) or LOSSY.get(format_, {})
    prepared = prepare(encoded(stored, format_, exif=exif, **options), SIZE_PX)
    assert (prepared.width_px, prepared.height_px) == (80, 40)
    assert difference(prepared.pixels, as_the_model_sees(upright)) < 6


def test_an_orientation_after_the_pixels_of_a_png_counts():
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = a_picture().transpose(Image.Transpose.ROTATE_180)
    rows = [turned.crop((0, y, 40, y + 1)).tobytes() for y in range(20)]
    plain = png_of_chunks(40, 20, 8, 2, rows)
    tiff = exif.tobytes().removeprefix(b"Exif\0\0")
    late = struct.pack(">I", len(tiff)) + b"eXIf" + tiff + struct.pack(">I", zlib.crc32(b"eXIf" + tiff))
    data = plain[:-12] + late + plain[-12:]
    assert difference(prepare(data, SIZE_PX).pixels, as_the_model_sees(a_picture())) == 0


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0"])
def test_a_damaged_orientation_leaves_the_picture_as_it_is(exif):
    plain = prepare(jpeg_bytes(), SIZE_PX).pixels
    assert difference(prepare(jpeg_bytes(exif=exif), SIZE_PX).pixels, plain) == 0


def test_imagemagick_s_exif_in_a_text_tells_the_orientation():
    exif = Image.Exif()
    exif[0x0112] = 3
    lines = [exif.tobytes().hex()[at : at + 72] for at in range(0, 2 * len(exif.tobytes()), 72)]
    text = "\n".join(["", "exif", f"{len(exif.tobytes()):8}", *lines, ""])
    data = png_with(chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text.encode())))
    turned = a_picture().transpose(Image.Transpose.ROTATE_180)
    assert difference(prepare(data, SIZE_PX).pixels, as_the_model_sees(turned)) == 0
    exif[0x0112] = 1
    of_its_own = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    assert prepare(data[:-12] + of_its_own + data[-12:], SIZE_PX).pixels == as_the_model_sees(a_picture())


def test_an_avif_is_turned_as_its_decoder_does_it_whatever_xmp_says():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    data = encoded(a_picture(64, 64), "AVIF", quality=95, xmp=xmp)
    assert difference(prepare(data, SIZE_PX).pixels, as_the_model_sees(a_picture(64, 64))) < 6


def test_an_unknown_orientation_leaves_the_picture_as_it_is():
    exif = Image.Exif()
    exif[0x0112] = 9
    assert difference(prepare(png_bytes(exif=exif), SIZE_PX).pixels, as_the_model_sees(a_picture())) == 0


# ── size ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [(1, 1), (1, 30_000), (30_000, 1), (31, 33), (2_000, 3)])
def test_any_shape_is_squeezed_into_the_square(size):
    prepared = prepare(png_bytes(Image.new("RGB", size, "teal")), SIZE_PX)
    assert prepared.pixels.size == (SIZE_PX, SIZE_PX)
    assert (prepared.width_px, prepared.height_px) == size
    assert prepared.pixels.getextrema() == ((0, 0), (128, 128), (128, 128))


def test_a_thin_jpeg_is_read_too():
    assert prepare(jpeg_bytes(Image.new("RGB", (1, 30_000), "teal")), SIZE_PX).height_px == 30_000


@pytest.fixture
def loaded(monkeypatch):
    """Return the sizes of the images that Pillow decodes from now on."""
    sizes_px = []
    load = ImageFile.ImageFile.load

    def watched(self):
        sizes_px.append(self.size)
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", watched)
    return sizes_px


def test_a_large_jpeg_is_decoded_small(loaded):
    data = jpeg_bytes(a_picture(4_000, 3_000))
    loaded.clear()
    prepared = prepare(data, SIZE_PX)
    assert (prepared.width_px, prepared.height_px) == (4_000, 3_000)
    assert set(loaded) == {(500, 375)}


def test_a_12_megapixel_jpeg_costs_little():
    data = jpeg_bytes(noise(500, 375).resize((4_000, 3_000)), quality=80)
    started = time.process_time()
    prepare(data, SIZE_PX)
    # Some 40 ms where it matters; without the draft, ten times that.
    assert time.process_time() - started < 0.25


def test_a_jpeg_is_decoded_at_twice_the_longer_side_of_the_form_at_least(loaded):
    for side_px, decoded_px in ((1_600, 400), (1_599, 800), (400, 400), (399, 399)):
        for form in (ModelInput(200, 50), ModelInput(50, 200)):
            data = jpeg_bytes(Image.new("L", (side_px, side_px)))
            loaded.clear()
            image_module.prepare_for(form, data)
            assert set(loaded) == {(decoded_px, decoded_px)}


def test_decoding_small_shows_the_same_picture():
    picture = noise(50, 40).resize((2_000, 1_600), Image.Resampling.BICUBIC)
    small = prepare(jpeg_bytes(picture), SIZE_PX).pixels
    assert difference(small, prepare(png_bytes(picture, compress_level=1), SIZE_PX).pixels) < 4


def test_brightness_and_sharpness_are_those_of_the_small_picture():
    black, white = (prepare(png_bytes(Image.new("L", (64, 64), level)), SIZE_PX) for level in (0, 255))
    assert (black.brightness, white.brightness) == (0, 255)
    assert (black.sharpness, white.sharpness) == (0, 0)
    sharp = prepare(png_bytes(noise(64, 64)), SIZE_PX)
    blurred = prepare(png_bytes(noise(8, 8).resize((64, 64), Image.Resampling.BICUBIC)), SIZE_PX)
    assert sharp.sharpness > blurred.sharpness > 0


def test_facts_are_rounded_to_two_digits():
    grey = Image.new("L", (7, 1), 100)
    grey.putpixel((0, 0), 101)
    assert image_module.prepare_for(ModelInput(7, 1), png_bytes(grey)).brightness == 100.14
    picture = Image.new("L", (5, 3), 0)
    picture.putpixel((1, 1), 1)  # Laplacians of -4, 1 and 0
    assert image_module.prepare_for(ModelInput(5, 3), png_bytes(picture)).facts() == {
        "image_format": "png",
        "width_px": 5,
        "height_px": 3,
        "brightness": 0.07,
        "sharpness": 4.67,
    }


def test_an_even_bend_and_a_thread_have_no_sharpness():
    bend = Image.new("L", (16, 16))
    bend.putdata([x * x for _ in range(16) for x in range(16)])  # its Laplacian is 2 everywhere
    assert prepare(png_bytes(bend), 16).sharpness == 0
    thread = image_module.prepare_for(ModelInput(16, 16, "pad"), png_bytes(noise(1, 100)))
    assert (thread.picture.size, thread.sharpness) == ((1, 16), 0)


@pytest.mark.parametrize(
    ("mode", "brightest", "white"),
    [
        ("F", 1, 1),
        ("F", 1.5, 255),
        ("F", 300, 65_535),
        ("I", 1, 255),
        ("I", 255, 255),
        ("I", 256, 65_535),
        ("I", 65_535, 65_535),
        ("I", 65_536, 65_536),
        ("I", 2_000_000_000, 2_000_000_000),
    ],
)
def test_white_of_32_bits_is_the_top_of_the_smallest_usual_range(mode, brightest, white):
    picture = Image.new(mode, (16, 16), brightest)
    picture.putpixel((0, 0), 0)
    pixels = prepare(encoded(picture, "TIFF"), 16).pixels
    level = round(255 * brightest / white)
    assert (pixels.getpixel((0, 0)), pixels.getpixel((9, 9))) == ((0, 0, 0), (level, level, level))


def test_a_png_that_says_its_size_twice_is_damaged():
    other = chunk(b"IHDR", struct.pack(">IIBBBBB", 300, 200, 8, 2, 0, 0, 0))
    with pytest.raises(RejectedImage, match=r"corrupt: PNG: it says [0-9]+ × [0-9]+ and 300 × 200"):
        prepare(png_with(other), 16)


def test_sharpness_is_the_variance_of_the_laplacian():
    # A single white pixel: the Laplacian is -4 × 255 there, 255 at its 4 neighbours, 0 elsewhere.
    picture = Image.new("L", (8, 8), 0)
    picture.putpixel((4, 4), 255)
    values = [-4 * 255] + [255] * 4 + [0] * 31
    expected = sum(value**2 for value in values) / 36
    assert prepare(png_bytes(picture), 8).sharpness == round(expected, 2)


def at_once(picture):
    """Return what is to come of a picture of a mode that needs no conversion, without any bands."""
    resized = picture.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC, reducing_gap=2.0)
    if picture.mode in {"LA", "RGBA"}:
        white = Image.new("RGBA", resized.size, "white")
        resized = Image.alpha_composite(white, resized.convert("RGBA"))
    return resized.convert("RGB")


@given(
    mode=st.sampled_from(["L", "LA", "RGB", "RGBA", "CMYK"]),
    width_px=st.sampled_from([1, 32, 63, 64, 129, 200, 333]),
    height_px=st.sampled_from([1, 32, 63, 64, 129, 200, 333]),
    band_pixels=st.sampled_from([1, 700, 20_000, 1_000_000]),
)
def test_in_bands_a_picture_is_shrunk_to_the_very_same_pixels(mode, width_px, height_px, band_pixels):
    picture = noise(width_px, height_px, mode)
    data = encoded(picture, "TIFF" if mode == "CMYK" else "PNG")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_module, "_BAND_PIXELS", band_pixels)
        pixels = prepare(data, SIZE_PX).pixels
    assert pixels.tobytes() == at_once(picture).tobytes()


# ── what travels on ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_no_colour_profile_or_exif_travels_on(format_):
    exif = Image.Exif()
    exif[0x010E] = "at home " * 100
    profile = noise(200, 200, "L").tobytes()
    data = encoded(a_picture(), format_, icc_profile=profile, exif=exif)
    png = FORM.file_of(prepare(data, SIZE_PX).pixels)
    assert len(png) < 4_000
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        assert image.info == {}


def test_the_small_picture_is_a_png_of_the_very_pixels():
    prepared = prepare(png_bytes(noise(64, 64)), SIZE_PX)
    with Image.open(io.BytesIO(FORM.file_of(prepared.pixels))) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        assert image.tobytes() == prepared.pixels.tobytes()


def test_the_model_sees_a_jpeg_s_losses_only_where_it_gets_a_jpeg():
    plain, lossy = (ModelInput(SIZE_PX, SIZE_PX, jpeg_quality=quality) for quality in (0, 10))
    pixels = prepare(png_bytes(noise(SIZE_PX, SIZE_PX)), SIZE_PX).pixels
    seen = [image_module.as_a_model_sees(form, png_bytes(noise(SIZE_PX, SIZE_PX))) for form in (plain, lossy)]
    assert seen[0] == pixels
    assert 10 < difference(seen[1], pixels) < 80
    with Image.open(io.BytesIO(lossy.file_of(pixels))) as image:
        assert seen[1].tobytes() == image.tobytes()


@pytest.mark.parametrize("size_px", [8, 32, 48])
def test_the_worst_picture_fits_into_the_state(size_px):
    png = FORM.file_of(prepare(png_bytes(noise(size_px, size_px)), size_px).pixels)
    assert len(base64.b64encode(png)) < STATE_MAX_BYTES * 0.6


@given(
    format_=st.sampled_from([*LOSSLESS, *LOSSY]),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"]),
    width_px=st.integers(1, 90),
    height_px=st.integers(1, 90),
    size_px=st.sampled_from([8, 32, 48]),
)
@example(format_="JPEG", mode="CMYK", width_px=1, height_px=1, size_px=8)
def test_whatever_can_be_written_becomes_a_small_rgb_picture(format_, mode, width_px, height_px, size_px):
    picture = noise(width_px, height_px)
    picture = picture.convert("L").convert("I").convert("I;16") if mode == "I;16" else picture.convert(mode)
    try:
        data = encoded(picture, format_)
    except (OSError, ValueError):
        return  # Pillow does not write this mode in this format
    prepared = prepare(data, size_px)
    assert prepared.pixels.mode == "RGB"
    assert prepared.pixels.size == (size_px, size_px)
    assert (prepared.width_px, prepared.height_px) == (width_px, height_px)
    assert 0 <= prepared.brightness <= 255
    assert prepared.sharpness >= 0
    assert len(base64.b64encode(FORM.file_of(prepared.pixels))) < STATE_MAX_BYTES


# ── rejections ─────────────────────────────────────────────────────────────────────────────────────────────


def test_no_bytes_are_empty():
    assert reason_of(b"") == "empty"


def test_too_many_bytes_are_too_large():
    most = jpeg_bytes().ljust(MAX_BYTES, b"\0")
    assert prepare(most, SIZE_PX).image_format == "jpeg"
    assert reason_of(most + b"\0") == "too_large"


def test_what_pillow_warns_of_is_decoded_without_a_warning():
    data = png_with(chunk(b"acTL", bytes(8)))  # an animation of no frames
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="APNG"), Image.open(io.BytesIO(data)):
            pass
        assert prepare(data, SIZE_PX).pixels == as_the_model_sees(a_picture())


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"\0" * 100,
        b"<html><body>404</body></html>",
        b"%PDF-1.7 ",
        b"PK\x03\x04 a zip",
        b"BM and no bitmap after it, only a long text that goes on",
        b"\x89PNG",
        b" " + png_bytes(),
        '{"json": "ü"}'.encode(),
    ],
)
def test_what_begins_like_no_image_is_no_image(data):
    assert reason_of(data) == "not_an_image"


def test_the_rejection_says_what_to_send():
    with pytest.raises(RejectedImage, match="AVIF, BMP, GIF, JPEG, PNG, TIFF, WEBP"):
        prepare(b"8BPS\0\x01", SIZE_PX)


def test_a_header_without_an_image_is_corrupt():
    assert reason_of(b"\x89PNG\r\n\x1a\n") == "corrupt"
    assert reason_of(b"\xff\xd8\xff\xe0") == "corrupt"
    assert reason_of(b"GIF89a") == "corrupt"
    assert reason_of(b"II*\0\x08\0\0\0") == "corrupt"


@pytest.mark.parametrize("format_", [*LOSSLESS, *LOSSY])
def test_half_a_file_is_corrupt(format_):
    data = encoded(noise(64, 64), format_)
    assert reason_of(data[: len(data) // 2]) == "corrupt"


def test_a_png_that_breaks_off_anywhere_within_its_pixels_is_corrupt():
    # Exif makes Pillow look for the orientation, for which it reads on.
    data = png_bytes(noise(8, 6), exif=Image.Exif())
    pixels_end = data.index(b"IDAT") + 4 + struct.unpack(">I", data[data.index(b"IDAT") - 4 :][:4])[0]
    assert {reason_of(data[:length]) for length in range(8, pixels_end - 4)} == {"corrupt"}


@pytest.mark.parametrize("format_", [*LOSSLESS, *LOSSY])
def test_a_file_that_breaks_off_anywhere_is_a_picture_or_rejected(format_):
    data = encoded(noise(8, 6), format_, **(LOSSLESS.get(format_) or LOSSY.get(format_, {})))
    for length in range(0, len(data), 1 if len(data) < 1_500 else 3):
        assert picture_or_reason(data[:length]) in {"picture", "empty", "not_an_image", "corrupt"}


def test_a_broken_avif_is_corrupt():
    data = encoded(noise(16, 16), "AVIF")
    assert reason_of(data.replace(b"iloc", b"iLOC")) == "corrupt"


# ── bombs ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RejectedImage("archived", "as it is"), "archived: as it is"),
        (Image.DecompressionBombError("odd"), "too_many_pixels: more than 150,000,000 pixels"),
        (UnidentifiedImageError("odd"), "corrupt: begins like PNG but its header is broken"),
        (struct.error("odd"), "corrupt: PNG: the file is cut off or damaged (odd)"),
        (IndexError("odd"), "corrupt: PNG: the file is cut off or damaged (odd)"),
        (MemoryError(), "too_costly: PNG: decoding takes too much memory"),
        (
            ValueError("decoder error -9"),
            "too_costly: PNG: decoding takes too much memory (decoder error -9)",
        ),
        (ValueError("decoder error -90"), "corrupt: PNG: decoder error -90"),
        (
            OSError("Unsupported BMP bitfields layout"),
            "unsupported_format: PNG of this kind (Unsupported BMP",
        ),
        (OSError("odd"), "corrupt: PNG: odd"),
        (OSError(), "corrupt: PNG: OSError"),
    ],
)
def test_a_rejection_says_what_the_decoder_said(error, said, monkeypatch):
    def load(self):
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(RejectedImage) as caught:
        prepare(png_bytes(), SIZE_PX)
    assert str(caught.value).startswith(said)
    assert caught.value.__cause__ in (error, None)


@pytest.mark.parametrize("size", [(SIZE_PX + 1, SIZE_PX), (SIZE_PX, SIZE_PX + 1)])
def test_a_process_of_its_own_that_answers_with_another_size_is_not_believed(size, monkeypatch):
    monkeypatch.setattr(decode_limits, "MAX_SHARED_WORK", 0)
    head = {"image_format": "png", "width_px": 40, "height_px": 20, "picture_px": size}
    answer = json.dumps(head).encode() + b"\n" + bytes(size[0] * size[1] * 3)
    monkeypatch.setattr(image_module, "run_isolated", lambda _: answer)
    with pytest.raises(RejectedImage, match=f"corrupt: PNG: its decoder made {size[0]} × {size[1]} pixels"):
        prepare(png_bytes(), SIZE_PX)


@pytest.fixture
def no_decoding(monkeypatch):
    """Let any test fail that decodes a pixel."""

    def refuse(self):
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)


def bomb(format_, width_px, height_px):
    """Return a file of some hundred bytes that announces so many pixels."""
    if format_ == "PNG":
        return png_of_chunks(width_px, height_px, 8, 2, [b""])
    if format_ == "GIF":
        return (
            b"GIF89a"
            + struct.pack("<HHBBB", width_px, height_px, 0x80, 0, 0)
            + bytes(6)
            + (b"," + struct.pack("<HHHHB", 0, 0, width_px, height_px, 0) + b"\x02\x01\x00\x00;")
        )
    if format_ == "BMP":
        size = struct.pack("<ii", width_px, height_px)
        return b"BM" + bytes(8) + b"\x36\0\0\0" + b"\x28\0\0\0" + size + b"\1\0\x18\0" + bytes(24)
    if format_ == "TIFF":
        return tiff_of_tags({256: width_px, 257: height_px, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 279: 8})
    data = encoded(Image.new("L", (16, 16)), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height_px, width_px) + data[at + 4 :]


def tiff_of_tags(tags):
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.usefixtures("no_decoding")
@pytest.mark.parametrize("format_", ["PNG", "GIF", "BMP", "TIFF", "JPEG"])
@pytest.mark.parametrize("side_px", [13_000, 14_000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(format_, side_px):
    data = bomb(format_, side_px, side_px)
    assert reason_of(data) == "too_many_pixels"
    with pytest.raises(RejectedImage, match=r"^[a-z0-9_,: ]+ pixels"):
        prepare(data, SIZE_PX)


@pytest.mark.usefixtures("no_decoding")
def test_a_bomb_is_refused_with_the_limit_of_its_format():
    with pytest.raises(RejectedImage, match="at most 25,000,000 are decoded"):
        prepare(bomb("PNG", 60_000, 60_000), SIZE_PX)


@pytest.mark.usefixtures("no_decoding")
@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((6_000, 6_000), "36,000,000 pixels; at most 25,000,000 are decoded"),
        ((70_000, 1), "70,000 × 1; a side may have 65,535"),
    ],
)
def test_what_a_header_did_not_tell_is_bounded_when_the_decoder_has_found_it(size, said, monkeypatch):
    monkeypatch.setattr(image_module, "claim_of", lambda data, _: Claim(data))
    with pytest.raises(RejectedImage, match=f"too_many_pixels: {said}"):
        prepare(bomb("PNG", *size), SIZE_PX)


@pytest.mark.usefixtures("no_decoding")
def test_a_jpeg_that_is_too_thin_to_be_decoded_small_is_bounded_like_the_others():
    with pytest.raises(RejectedImage, match="60,000,000 pixels; at most 25,000,000 are decoded"):
        prepare(bomb("JPEG", 60_000, 1_000), 1_000)


@pytest.mark.usefixtures("no_decoding")
@pytest.mark.parametrize("format_", ["PNG", "GIF", "BMP", "TIFF"])
def test_what_cannot_be_decoded_small_may_have_fewer_pixels(format_):
    assert MAX_DECODED_PIXELS < 6_000**2 < MAX_PIXELS
    assert reason_of(bomb(format_, 6_000, 6_000)) == "too_many_pixels"


def test_a_jpeg_that_can_be_decoded_small_may_have_more_pixels():
    assert prepare(encoded(Image.new("L", (6_000, 6_000)), "JPEG"), SIZE_PX).width_px == 6_000


def test_a_progressive_jpeg_may_not():
    data = encoded(Image.new("L", (6_000, 6_000)), "JPEG", progressive=True)
    assert reason_of(data) == "too_many_pixels"


@pytest.mark.usefixtures("no_decoding")
def test_a_small_tiff_of_huge_tiles_is_refused_before_it_is_decoded():
    tags = {256: 100, 257: 100, 258: 8, 259: 8, 262: 1, 277: 1, 322: 20_000, 323: 20_000, 324: 8, 325: 8}
    assert reason_of(tiff_of_tags(tags)) == "too_many_pixels"


def test_a_bomb_of_a_text_is_not_read_or_is_corrupt():
    bomb_of_zeros = zlib.compress(bytes(80_000_000), 9)
    for keyword, said in ((b"Comment", "picture"), (b"Raw profile type exif", "corrupt")):
        text = keyword + b"\0\0" + bomb_of_zeros
        assert picture_or_reason(png_of_chunks(8, 8, 8, 2, [bytes(24)] * 8, (b"zTXt", text))) == said


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(chunks):
    data = png_bytes()
    return data[:33] + chunks + data[33:]


def gif_with(blocks):
    return b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(6) + blocks


def tiff_of_strips(count):
    tags = {256: 1, 257: count, 258: 8, 259: 1, 262: 1, 277: 1, 278: 1}
    strips = {273: (4, count, 1000), 279: (4, count, 1000 + 4 * count)}
    entries = {tag: (4, 1, value) for tag, value in tags.items()} | strips
    written = b"".join(struct.pack("<HHII", tag, *rest) for tag, rest in sorted(entries.items()))
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + written + bytes(4)
    return head.ljust(1000, b"\0") + struct.pack("<I", 8) * count + struct.pack("<I", 1) * count


OF_MANY_PIECES = {
    "PNG, texts": lambda: png_with(b"".join(chunk(b"tEXt", b"k%d\0x" % n) for n in range(60_000))),
    "PNG, private chunks": lambda: png_with(chunk(b"prVt", b"x") * 60_000),
    "PNG, empty pixels": lambda: png_with(chunk(b"IDAT", b"") * 60_000),
    "JPEG, comments": lambda: jpeg_bytes()[:2] + b"\xff\xfe\0\3x" * 60_000 + jpeg_bytes()[2:],
    "JPEG, application segments": lambda: jpeg_bytes()[:2] + b"\xff\xe3\0\3x" * 60_000 + jpeg_bytes()[2:],
    "JPEG, fill bytes": lambda: jpeg_bytes()[:2] + b"\xff" * 60_000 + jpeg_bytes()[2:],
    "JPEG, nothing between": lambda: jpeg_bytes()[:20] + b"\0" * 60_000 + jpeg_bytes()[20:],
    "GIF, comments": lambda: gif_with(b"\x21\xfe\x01x\0" * 30_000),
    "GIF, nothing between": lambda: gif_with(b"\0" * 60_000),
    "TIFF, strips": lambda: tiff_of_strips(60_000),
}


@pytest.mark.usefixtures("no_decoding")
@pytest.mark.parametrize("name", OF_MANY_PIECES)
def test_a_file_of_very_many_pieces_is_corrupt_before_pillow_counts_them(name):
    started = time.process_time()
    with pytest.raises(RejectedImage, match=r"corrupt: .* more than 50,000 pieces"):
        prepare(OF_MANY_PIECES[name](), SIZE_PX)
    assert time.process_time() - started < 1


def test_a_tiff_whose_values_lie_upon_each_other_is_corrupt():
    tags = b"".join(struct.pack("<HHII", tag, 1, 1_000_000, 8) for tag in range(1, 300))
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", 299) + tags + bytes(1_000_000)
    with pytest.raises(RejectedImage, match="pieces"):
        prepare(data, SIZE_PX)


def test_a_picture_of_many_rows_and_strips_is_read():
    assert prepare(tiff_of_strips(30_000), SIZE_PX).height_px == 30_000


def with_scans(width_px, height_px, count):
    """Return a progressive JPEG that goes over its pixels again and again."""
    data = encoded(Image.new("L", (width_px, height_px), 128), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:last] + data[last:end] * count + data[end:]


@pytest.mark.usefixtures("no_decoding")
def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded():
    assert reason_of(with_scans(2_000, 2_000, 200)) == "too_many_pixels"


def test_a_small_jpeg_may_have_as_many_scans():
    assert prepare(with_scans(200, 200, 200), SIZE_PX).width_px == 200


@pytest.mark.usefixtures("no_decoding")
def test_a_jpeg_that_is_held_in_memory_as_a_whole_is_bounded_like_a_progressive_one():
    # Its first scan has one component of three: those that follow need what it left.
    data = bytearray(jpeg_bytes(Image.new("RGB", (64, 64))))
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 6_000, 6_000)
    data[scan + 4] = 1
    assert reason_of(bytes(data)) == "too_many_pixels"


def run_length_bmp(side_px, runs):
    size = struct.pack("<ii", side_px, side_px)
    header = b"BM" + bytes(8) + struct.pack("<I", 1078) + b"\x28\0\0\0" + size + b"\1\0\x08\0"
    return header + struct.pack("<II", 1, len(runs)) + bytes(8) + struct.pack("<I", 256) + bytes(1028) + runs


@pytest.mark.usefixtures("no_decoding")
def test_a_bmp_that_is_decoded_in_python_is_bounded_more_narrowly():
    assert reason_of(run_length_bmp(1_500, b"\xff\0" * 9_000)) == "too_many_pixels"
    assert reason_of(run_length_bmp(100, b"\0\0" * 2_500_000)) == "too_large"


def test_a_run_length_encoded_bmp_is_read():
    assert prepare(run_length_bmp(100, b"\x64\0\0\0" * 100), SIZE_PX).width_px == 100


def test_what_the_decoder_cannot_use_is_read_once_only():
    data = jpeg_bytes()[:-2] + b"\xff" * 20_000_000
    started = time.process_time()
    picture_or_reason(data)
    assert time.process_time() - started < 1


@pytest.fixture
def reads(monkeypatch):
    """Return the numbers of bytes that are read of files, one by one."""
    found: list[int] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            some = super().read(size)
            found.append(len(some))
            return some

    monkeypatch.setattr(io, "BytesIO", Watched)
    return found


@pytest.mark.parametrize("format_", ["JPEG", "BMP"])
def test_pixels_are_read_at_once(format_, reads):
    data = encoded(noise(400, 250), format_, quality=100)
    reads.clear()
    prepare(data, SIZE_PX)
    assert sum(each > len(data) / 2 for each in reads) == 1
    assert sum(each > 1_000 for each in reads) == 1


def test_strips_that_lie_a_byte_apart_are_not_read_byte_by_byte(reads):
    tags = {256: 3_000, 257: 600, 258: 8, 259: 1, 262: 1, 277: 1, 278: 599}
    entries = {tag: (4, 1, value) for tag, value in tags.items()} | {273: (4, 2, 200), 279: (4, 2, 208)}
    written = b"".join(struct.pack("<HHII", tag, *rest) for tag, rest in sorted(entries.items()))
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + written + bytes(4)
    strips = struct.pack("<IIII", 300, 301, 599 * 3_000, 3_000)
    assert prepare(head.ljust(200, b"\0") + strips + bytes(1_800_100), SIZE_PX).height_px == 600
    assert len(reads) < 120


def test_strips_that_lie_at_one_place_are_not_each_read_to_the_end_of_the_file(reads):
    data = tiff_of_strips(300) + bytes(1_000_000)
    reads.clear()
    assert prepare(data, SIZE_PX).height_px == 300
    assert sum(reads) < 4 * len(data)


def test_of_a_tile_no_more_is_read_than_its_rows_take(reads):
    tags: Tags = {256: 1_600, 257: 64, 258: 8, 259: 1, 262: 1, 277: 1, 322: 16, 323: 16}
    data = tiff(tags, [bytes(256)] * 400) + bytes(100_000)
    reads.clear()
    assert prepare(data, SIZE_PX).width_px == 1_600
    assert sum(reads) < 400 * 5_000


def test_strips_beyond_those_of_the_image_are_not_read(reads):
    rows = [bytes([level]) * 5_000 for level in (255, 255, 0)]
    tags: Tags = {256: 5_000, 257: 2, 258: 8, 259: 1, 262: 1, 277: 1}
    data = tiff({**tags, 278: 1}, [*rows[:2], *rows[2:] * 200])
    reads.clear()
    assert prepare(data, SIZE_PX).brightness == 255
    assert sum(reads) < 3 * 80_000
    assert prepare(tiff({**tags, 278: 2}, [rows[0] * 2, rows[2]]), SIZE_PX).brightness == 255


@pytest.mark.usefixtures("no_decoding")
@pytest.mark.parametrize("size", [(70_000, 1), (1, 70_000)])
def test_no_side_is_longer_than_in_a_jpeg(size):
    assert reason_of(png_of_chunks(*size, 8, 0, [b""])) == "too_many_pixels"


# ── hostile bytes ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "tail", [b"PK\x03\x04 a zip", b"<script>alert(1)</script>", png_bytes(), b"%PDF-1.7"]
)
def test_a_polyglot_is_the_image_that_it_begins_with(tail):
    plain = prepare(jpeg_bytes(), SIZE_PX)
    both = prepare(jpeg_bytes() + tail, SIZE_PX)
    assert both.image_format == "jpeg"
    assert both.pixels.tobytes() == plain.pixels.tobytes()


def test_no_other_decoder_of_pillow_is_asked():
    for format_ in ("TGA", "EPS", "PCX", "SGI", "PPM", "MSP"):
        picture = a_picture().convert("1") if format_ == "MSP" else a_picture()
        assert reason_of(encoded(picture, format_)) == "unsupported_format"


def test_pillow_asks_the_decoder_of_the_signature_alone(monkeypatch):
    asked = []
    open_ = Image.open

    def watched(file, **options):
        asked.append(options["formats"])
        return open_(file, **options)

    monkeypatch.setattr(Image, "open", watched)
    for format_ in READABLE:
        prepare(encoded(a_picture(), format_), SIZE_PX)
    assert asked == [[format_] for format_ in READABLE]


def test_every_format_that_is_read_has_a_signature():
    assert {*FORMATS} == {*READABLE} == {*LOSSLESS, *LOSSY}
    assert {prepare(encoded(a_picture(), format_), SIZE_PX).image_format for format_ in READABLE} == {
        format_.lower() for format_ in READABLE
    }


@given(st.binary(max_size=400))
def test_random_bytes_are_rejected(data):
    assert reason_of(data)


SMALL = {
    format_: encoded(noise(9, 7), format_, **options) for format_, options in {**LOSSLESS, **LOSSY}.items()
} | {
    "PNG, palette": png_bytes(noise(9, 7).quantize(8)),
    "JPEG, progressive": jpeg_bytes(noise(9, 7), progressive=True),
    "TIFF, raw": encoded(noise(9, 7), "TIFF"),
    "TIFF, deflate": encoded(noise(9, 7, "L"), "TIFF", compression="tiff_adobe_deflate"),
}


@given(
    name=st.sampled_from(sorted(SMALL)),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=6), st.integers(0, 6)), max_size=5
    ),
)
def test_a_damaged_image_is_a_picture_or_rejected(name, changes):
    data = SMALL[name]
    for where, new, old_length in changes:
        # Half of the changes hit the header, where they hurt.
        at = int(where * 2 * min(len(data), 64)) if where < 0.5 else int(where * len(data))
        data = data[:at] + new + data[at + old_length :]
    assert picture_or_reason(data) in {"picture", *REJECT_REASONS} - {"object_gone", "archived"}

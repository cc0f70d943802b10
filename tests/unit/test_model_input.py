"""ingest.model_input and what ingest.image makes of it: sizes, shapes, resize modes, file formats."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ingest.image import RESAMPLING, prepare_for
from ingest.model_input import CROP, PAD, PIXELS_TYPE, RESIZE_MODES, SQUEEZE, STATE_FILE_MAX_BYTES, ModelInput
from tests.builders import a_picture, encoded, noise, png_bytes


def pixels_of(picture: Image.Image, form: ModelInput) -> np.ndarray:
    return np.asarray(prepare_for(form, png_bytes(picture)).pixels).astype(int)


ORACLES = {
    SQUEEZE: lambda picture, size: picture.resize(size, RESAMPLING),
    CROP: lambda picture, size: ImageOps.fit(picture, size, RESAMPLING),
    PAD: lambda picture, size: ImageOps.pad(picture, size, RESAMPLING),
}


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("picture_px", [(400, 100), (90, 300), (64, 64), (20, 10)])
@pytest.mark.parametrize("size_px", [(64, 64), (96, 48)])
def test_a_resize_mode_does_what_pillow_s_operation_of_its_kind_does(mode, picture_px, size_px):
    picture = a_picture(*picture_px)
    found = pixels_of(picture, ModelInput(size_px[0], size_px[1], mode))
    wanted = np.asarray(ORACLES[mode](picture, size_px)).astype(int)
    # Whole pixels are averaged first, which changes single pixels at edges.
    assert np.abs(found - wanted).mean() < 3


@pytest.mark.parametrize("picture_px", [(300, 100), (100, 300), (130, 130)])
@pytest.mark.parametrize("size_px", [(64, 64), (64, 40), (40, 64)])
def test_a_cropped_or_padded_image_has_the_kernel_s_very_pixels(picture_px, size_px):
    """Where a side is less than four times as long as its part of the model's, nothing is averaged before."""
    picture = noise(*picture_px)
    (width, height), (form_width, form_height) = picture_px, size_px
    wide = max(width - height * form_width / form_height, 0) / 2
    high = max(height - width * form_height / form_width, 0) / 2
    cropped = picture.resize(size_px, RESAMPLING, (wide, high, width - wide, height - high))
    assert (
        prepare_for(ModelInput(form_width, form_height, CROP), png_bytes(picture)).pixels.tobytes()
        == cropped.tobytes()
    )
    scale = min(form_width / width, form_height / height)
    small = picture.resize((round(width * scale), round(height * scale)), RESAMPLING, reducing_gap=2.0)
    padded = Image.new("RGB", size_px)
    padded.paste(small, ((form_width - small.width) // 2, (form_height - small.height) // 2))
    assert (
        prepare_for(ModelInput(form_width, form_height, PAD), png_bytes(picture)).pixels.tobytes()
        == padded.tobytes()
    )


@pytest.mark.parametrize(("picture_px", "middle"), [((1_280, 256), (512, 0)), ((256, 1_280), (0, 512))])
def test_of_a_large_image_the_middle_is_cropped(picture_px, middle):
    picture, form = noise(*picture_px), ModelInput(64, 64, CROP)
    left, top = middle
    cropped = picture.crop((left, top, left + 256, top + 256))
    # At its edges, the kernel takes in what is beyond them.
    difference = (pixels_of(picture, form) - pixels_of(cropped, form))[3:-3, 3:-3]
    assert np.abs(difference).max() <= 1


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(8, 70), st.integers(8, 70)),
    st.sampled_from(RESIZE_MODES),
    st.integers(1, 8),
)
def test_any_image_gets_the_model_s_size_whatever_its_shape_and_orientation(picture_px, size_px, mode, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    form = ModelInput(size_px[0], size_px[1], mode)
    prepared = prepare_for(form, encoded(noise(*picture_px), "PNG", exif=exif))
    assert prepared.pixels.size == size_px
    assert (prepared.width_px, prepared.height_px) == (picture_px[::-1] if turn > 4 else picture_px)


@pytest.mark.parametrize("mode", RESIZE_MODES)
def test_an_image_that_lies_on_its_side_is_resized_as_it_is_seen(mode):
    upright = a_picture(300, 100)
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = encoded(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    form = ModelInput(60, 40, resize_mode=mode)
    difference = np.asarray(prepare_for(form, lying).pixels).astype(int) - pixels_of(upright, form)
    assert np.abs(difference).mean() < 0.5  # the kernel works on one axis after the other


@pytest.mark.parametrize("mode", RESIZE_MODES)
def test_an_image_of_the_model_s_size_keeps_its_pixels(mode):
    picture = noise(50, 30)
    form = ModelInput(50, 30, resize_mode=mode)
    assert prepare_for(form, png_bytes(picture)).pixels.tobytes() == picture.tobytes()


def test_the_bars_of_a_padded_image_do_not_count_in_its_facts():
    white = Image.new("RGB", (200, 20), "white")
    prepared = prepare_for(ModelInput(64, 64, resize_mode=PAD), png_bytes(white))
    assert (prepared.brightness, prepared.sharpness) == (255, 0)
    assert prepared.pixels.getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize(("width_px", "height_px"), [(40, 40), (8, 23), (31, 9), (3, 9), (9, 3)])
def test_brightness_and_sharpness_are_the_mean_and_the_variance_of_the_laplacian(width_px, height_px):
    prepared = prepare_for(ModelInput(width_px, height_px), png_bytes(noise(width_px, height_px)))
    luma = np.asarray(prepared.pixels.convert("L")).astype(int)
    inner = luma[1:-1, 1:-1]
    responses = luma[1:-1, :-2] + luma[1:-1, 2:] + luma[:-2, 1:-1] + luma[2:, 1:-1] - 4 * inner
    assert prepared.sharpness == pytest.approx(responses.var(), abs=0.01)
    assert prepared.brightness == pytest.approx(luma.mean(), abs=0.01)


@pytest.mark.parametrize(
    ("said", "form"),
    [
        ({"ImageSizePx": "224"}, ModelInput(224, 224)),
        ({"ImageSizePx": "320x240", "ResizeMode": "crop"}, ModelInput(320, 240, CROP)),
        (
            {"ImageSizePx": "8", "JpegQuality": "90", "EndpointContentType": ""},
            ModelInput(8, 8, jpeg_quality=90, content_type="image/jpeg"),
        ),
        (
            {"ImageSizePx": "1024", "EndpointContentType": "application/x-image"},
            ModelInput(1024, 1024, content_type="application/x-image"),
        ),
        (
            {"ImageSizePx": "8", "JpegQuality": "100"},
            ModelInput(8, 8, jpeg_quality=100, content_type="image/jpeg"),
        ),
        (
            {"ImageSizePx": "32", "EndpointContentType": "application/x-npy"},
            ModelInput(32, 32, content_type="application/x-npy"),
        ),
        (
            {"ImageSizePx": "32", "JpegQuality": "90", "EndpointContentType": "application/x-npy"},
            ModelInput(32, 32, jpeg_quality=90, content_type="image/jpeg"),
        ),
        ({"image_size_px": 32}, ModelInput(32, 32)),
        ({"image_size_px": [320, 240], "resize_mode": "pad"}, ModelInput(320, 240, PAD)),
    ],
)
def test_the_template_s_parameters_and_a_card_make_a_form(said, form):
    assert ModelInput.from_mapping(said) == form


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"ImageSizePx": "7"}, "from 8 to 1024"),
        ({"ImageSizePx": "1025"}, "from 8 to 1024"),
        ({"ImageSizePx": "32x"}, "from 8 to 1024"),
        ({"ImageSizePx": ""}, "from 8 to 1024"),
        ({"image_size_px": "32"}, "a whole number"),
        ({"image_size_px": [32, True]}, "a whole number"),
        ({"image_size_px": [32]}, "or two of them"),
        ({"image_size_px": 32, "resize_mode": "stretch"}, "one of squeeze, crop, pad"),
        ({"ImageSizePx": "32", "JpegQuality": "101"}, "1 to 100, or 0 for PNG"),
    ],
)
def test_another_form_is_refused(said, why):
    with pytest.raises(ValueError, match=why):
        ModelInput.from_mapping(said)


@pytest.mark.parametrize(
    "form",
    [ModelInput(32, 32), ModelInput(320, 240, PAD), ModelInput(224, 224, CROP, 90, "image/jpeg")],
)
def test_a_card_and_the_template_s_parameters_carry_the_same_form(form):
    assert ModelInput.from_mapping(form.to_card()) == form
    assert ModelInput.from_mapping(form.to_parameters()) == form


def test_pixels_travel_as_numpy_writes_them():
    picture = noise(40, 30)
    file = ModelInput(40, 30, content_type=PIXELS_TYPE).file_of(picture)
    written = io.BytesIO()
    np.save(written, np.asarray(picture)[np.newaxis])
    assert file == written.getvalue()


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        (ModelInput(32, 32), PIXELS_TYPE),
        (ModelInput(224, 224), PIXELS_TYPE),
        (ModelInput(320, 160), ""),  # 153,600 bytes, and the header
        (ModelInput(319, 160), PIXELS_TYPE),
        (ModelInput(1024, 1024), ""),
        (ModelInput(32, 32, jpeg_quality=90, content_type="image/jpeg"), ""),
    ],
)
def test_pixels_travel_as_they_are_where_nothing_is_lost_and_they_fit_into_the_state(form, content_type):
    assert form.quickest_content_type == content_type
    if content_type:
        quick = replace(form, content_type=content_type)
        assert len(quick.file_of(noise(*form.size_px))) <= STATE_FILE_MAX_BYTES


def test_a_file_is_a_png_or_a_jpeg_of_the_quality():
    picture = noise(64, 64)
    sizes = [len(ModelInput(64, 64, jpeg_quality=quality).file_of(picture)) for quality in (20, 60, 95)]
    assert sizes == sorted(set(sizes))
    with Image.open(io.BytesIO(ModelInput(64, 64, jpeg_quality=60).file_of(picture))) as image:
        assert image.format == "JPEG"
    with Image.open(io.BytesIO(ModelInput.square(64).file_of(picture))) as image:
        assert image.tobytes() == picture.tobytes()

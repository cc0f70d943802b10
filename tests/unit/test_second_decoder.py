"""Each image shows the same picture in another decoder, or is refused by name. Needs `make test-decoders`."""

import io

import numpy as np
import pytest
from PIL import Image

from ingest.errors import RejectedImage
from ingest.image import prepare
from tests.matrix import matrix

pyvips = pytest.importorskip("pyvips", reason="needs libvips: make test-decoders")
cv2 = pytest.importorskip("cv2", reason="needs OpenCV: make test-decoders")

SIZE_PX = 16
MOST_DIFFERENT = 4.0
"""Mean absolute difference, of 255: decoders round subsampled colours and those of 5 bits differently."""
# Neither decoder reads these, or each makes another assumption about their colours. What they show is
# compared with the picture that they were made from, in test_image_kinds.py.
BY_NAME_ONLY = (" 1x12 ", " 4x16 ", " float ", "LAB", "lzma", "zstd", "header=12 bits=16", "masks 5")


def of_vips(data):
    image = pyvips.Image.new_from_buffer(data, "").autorot()
    if image.interpretation != "srgb":
        image = image.colourspace("srgb")
    if image.hasalpha():
        image = image.flatten(background=255)
    pixels = image.cast("uchar").numpy()
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels[:, :, :1], 3, 2)


def of_opencv(data):
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if pixels is None else np.ascontiguousarray(pixels[:, :, ::-1])


def small(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return np.asarray(prepare(buffer.getvalue(), SIZE_PX).pixels).astype(int)


def differences(data, prepared):
    """Yield how far each decoder's picture is from the prepared one; nothing for one that cannot read it."""
    for decode in (of_vips, of_opencv):
        try:
            pixels = decode(data)
        except (pyvips.Error, cv2.error):
            continue
        if pixels is None:
            continue
        if pixels.shape[:2] != (prepared.height_px, prepared.width_px):
            yield 255.0
            continue
        yield float(np.abs(small(pixels) - np.asarray(prepared.pixels)).mean())


def test_every_image_shows_the_same_picture_in_another_decoder_or_is_refused_by_name():
    wrong, read, refused = {}, 0, 0
    for name, data in matrix():
        try:
            prepared = prepare(data, SIZE_PX)
        except RejectedImage as rejected:
            refused += 1
            if rejected.reason != "unsupported_format":
                wrong[name] = str(rejected)
            continue
        read += 1
        found = list(differences(data, prepared))
        if min(found, default=255.0) > MOST_DIFFERENT and not any(part in name for part in BY_NAME_ONLY):
            wrong[name] = str(found)
    assert wrong == {}
    assert read > 450
    assert refused > 450

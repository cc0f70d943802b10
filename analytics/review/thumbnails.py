"""Small pictures for the report and for review sheets, made from untrusted bytes."""

import io

from ingest.errors import RejectedImage
from ingest.image import prepare

SIZE_PX = 96


def small_jpeg(data: bytes | None, size_px: int = SIZE_PX) -> bytes | None:
    """Return an image as a small square JPEG, or None if the bytes are not a valid image.

    It is decoded by the same guarded code as the model's input, and scaled into a square like it.
    """
    if data is None:
        return None
    try:
        pixels = prepare(data, size_px).pixels
    except RejectedImage:
        return None
    buffer = io.BytesIO()
    pixels.save(buffer, "JPEG", quality=80, optimize=True)
    return buffer.getvalue()

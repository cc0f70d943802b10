"""Small pictures for the report and for review sheets, made from bytes that nobody vouches for."""

import io

from ingest.errors import RejectedImage
from ingest.image import prepare

SIZE_PX = 96


def small_jpeg(data: bytes | None, size_px: int = SIZE_PX) -> bytes | None:
    """Return an image as a small square JPEG, or None when there is no sound image.

    It is decoded by the same guarded code as the model's input, and squeezed into the square like it.
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

"""Odd images and odd keys: what people and programs send by mistake, or on purpose."""

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

ODD_KEYS = (
    "with space.png",
    "with+plus.png",
    "100%25 %2F %.png",
    "späße/картинка/写真 🚲.png",
    "<b onmouseover=alert(1)>&\"'.png",
    "../../../etc/passwd",
    "a//b.png",
    "folder/",
    "no extension",
    "é" * 480,
)


@dataclass(frozen=True)
class Odd:
    """An odd image."""

    name: str
    data: bytes
    reason: str | None
    """Why it is rejected; None where it is read after all."""


def odd_images() -> Iterator[Odd]:
    """Yield the corpus, one at a time: some of them are large."""
    yield Odd("empty", b"", "empty")
    yield Odd("text", b"Dear Scones,\nwhere is my order?\n", "not_an_image")
    png = _encoded(_noise(40, 30), "PNG")
    yield Odd("cut PNG", png[: len(png) // 2], "corrupt")


def _encoded(picture: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def _noise(width_px: int, height_px: int, mode: str = "RGB") -> Image.Image:
    values = random.Random(1).randbytes(width_px * height_px * len(mode))
    return Image.frombytes(mode, (width_px, height_px), values)

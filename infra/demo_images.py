"""The demo's images: in every format, size and orientation that people send, of other things, and broken."""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from model.data import unrelated
from model.data.drawings import LABELS, draw

_ORIENTATION_TAG = 0x0112


def write_images(folder: Path, count: int, seed: int) -> int:
    """Fill `folder` with about `count` files, the same ones for the same seed; return how many there are."""
    rng = random.Random(seed)
    hostile = dict(_hostile(rng))
    files = {**dict(_sound(count - len(hostile), rng)), **hostile}
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return len(files)


def three_drawings() -> list[bytes]:
    """Return three drawings of 640 × 480 pixels as PNG files, always the same ones."""
    rng = random.Random(0)
    return [_encoded(draw(LABELS[number % 2], 640, 480, rng), "PNG") for number in range(3)]


def _sound(count: int, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    encoders = list(_ENCODERS.items())
    for number in range(count):
        if number % 16 == 9:
            kind = rng.choice(unrelated.KINDS)
            yield f"other/{number:03}-{kind}.png", _encoded(unrelated.draw(kind, 160, 120, rng), "PNG")
            continue
        label = rng.choice(LABELS)
        if number % 32 == 5:  # one in 32 is a phone's photo
            image = draw(label, 4000, 3000, rng)
            yield f"{label}/photo {number:03}.jpg", _encoded(image, "JPEG", quality=85)
            continue
        width_px = round(32 * 2 ** rng.uniform(0, 5))
        height_px = round(width_px * rng.choice([1, 3 / 4, 4 / 3, 9 / 16]))
        name, encode = encoders[number % len(encoders)]
        yield f"{label}/{number:03}-{name}", encode(draw(label, width_px, height_px, rng), rng)


def _encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def _turned(image: Image.Image, rng: random.Random) -> bytes:
    """Store the picture turned, as a phone held upright does, with the EXIF tag that turns it back."""
    tag, turn = rng.choice(
        [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90), (8, Image.Transpose.ROTATE_270)]
    )
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = tag
    return _encoded(image.transpose(turn), "JPEG", exif=exif)


def _animated(image: Image.Image, _: random.Random) -> bytes:
    frames = [image.convert("L").convert("RGB")] * 2
    return _encoded(image, "GIF", save_all=True, append_images=frames)


def _transparent(image: Image.Image, _: random.Random) -> bytes:
    image = image.convert("RGBA")
    image.putalpha(230)
    return _encoded(image, "PNG")


_ENCODERS: dict[str, Callable[[Image.Image, random.Random], bytes]] = {
    "plain.jpg": lambda image, _: _encoded(image, "JPEG", quality=90),
    "plain.png": lambda image, _: _encoded(image, "PNG"),
    "turned.jpg": _turned,
    "progressive.jpg": lambda image, _: _encoded(image, "JPEG", progressive=True),
    "palette.png": lambda image, _: _encoded(image.convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
    "photo.webp": lambda image, _: _encoded(image, "WEBP"),
    "transparent.png": _transparent,
    "print.jpg": lambda image, _: _encoded(image.convert("CMYK"), "JPEG"),
    "animated.gif": _animated,
    "scan.tiff": lambda image, _: _encoded(image, "TIFF", compression="tiff_lzw"),
    "old.bmp": lambda image, _: _encoded(image, "BMP"),
    "modern.avif": lambda image, _: _encoded(image, "AVIF"),
    "upper.JPG": lambda image, _: _encoded(image, "JPEG", quality=60),
    "no-extension": lambda image, _: _encoded(image, "PNG"),
}


def _hostile(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    jpeg = _encoded(draw("bicycle", 320, 240, rng), "JPEG")
    png = _encoded(draw("motorcycle", 320, 240, rng), "PNG")
    yield "broken/empty.jpg", b""
    yield "broken/cut off.jpg", jpeg[: len(jpeg) // 3]
    yield "broken/cut+off.png", png[: len(png) // 2]
    yield "broken/only a header.png", png[:33]
    yield "broken/a letter.jpg", b"Dear Scones,\nwhere is my order?\n"
    yield "broken/drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    yield "broken/iphone.heic", b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(200)
    yield "broken/bomb.png", _bomb(60_000, 60_000)
    yield "broken/archive.zip.png", b"PK\3\4" + bytes(300)
    yield "names/mit Umläuten & 100%.png", png
    yield "names/<script>alert(1)</script>.png".replace("/script", "script"), png
    yield "names/wrong extension.png", jpeg


def _bomb(width_px: int, height_px: int) -> bytes:
    """Return a PNG of a few bytes that claims to be huge."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )

"""Odd images and odd keys: what people and programs send by mistake, or on purpose."""

import base64
import io
import random
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
_MANY = 60_000
_LARGE_PX = 5_000
"""A side of the largest pictures that are decoded."""
_SIDES_PX: dict[str, tuple[int, dict[str, object]]] = {
    "WEBP": (3_530, {"method": 0}),
    "AVIF": (3_740, {"speed": 10}),
}
"""And of those whose decoders take more memory."""


@dataclass(frozen=True)
class Odd:
    """An odd image."""

    name: str
    data: bytes
    reason: str | None
    """Why it is rejected; None where it is read after all."""


@cache
def small_odd_images() -> tuple[Odd, ...]:
    """Return those of a few KB, which are quickly made."""
    return (
        *_no_images(),
        *_unusual(),
        *_damaged(),
        *_claims(),
        *_of_pieces(),
    )


def large_odd_images() -> Iterator[Odd]:
    """Yield those that are as large as is allowed, or larger, one at a time."""
    large = _LARGE_PX, _LARGE_PX
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield Odd(
            f"25 megapixels of PNG, {mode}", _encoded(Image.new(mode, large), "PNG", compress_level=1), None
        )
    for depth, colour, channels in ((16, 0, 1), (16, 2, 3), (16, 4, 2), (16, 6, 4), (8, 2, 3)):
        row = b"\0" + bytes(_LARGE_PX * channels * depth // 8)
        transparent = [_chunk(b"tRNS", bytes(2 * channels))] if colour in {0, 2} else []
        data = _png(_LARGE_PX, _LARGE_PX, depth, colour, zlib.compress(row * _LARGE_PX, 1), *transparent)
        yield Odd(f"25 megapixels of PNG, {depth} bits, {colour}", data, None)
    for mode in ("L", "RGB", "RGBA", "CMYK", "LAB", "I", "F", "I;16"):
        data = _encoded(Image.new(mode, large), "TIFF", compression="tiff_lzw")
        yield Odd(f"25 megapixels of TIFF, {mode}", data, None)
    turned = Image.Exif()
    turned[0x0112] = 6
    data = _encoded(Image.new("RGBA", large), "TIFF", compression="tiff_lzw", exif=turned)
    yield Odd("25 megapixels of TIFF, turned", data, None)
    yield Odd("25 megapixels of GIF", _encoded(Image.new("P", large), "GIF", transparency=0), None)
    yield Odd("25 megapixels of BMP, 1 bit", _encoded(Image.new("1", large), "BMP"), None)
    for format_, (side_px, options) in _SIDES_PX.items():
        for mode in ("RGB", "RGBA"):
            whole = _encoded(Image.new(mode, (side_px, side_px)), format_, **options)
            yield Odd(f"as many pixels of {format_} as are decoded, {mode}", whole, None)
        grainy = _noise(900, 900).resize((side_px, side_px), Image.Resampling.BILINEAR)
        yield Odd(f"as many pixels of {format_}, grainy", _encoded(grainy, format_, **options), None)
        more = _encoded(Image.new("RGB", (side_px + 60, side_px)), format_, **options)
        yield Odd(f"more pixels of {format_} than are decoded", more, "too_many_pixels")
    side_px, options = _SIDES_PX["WEBP"]
    blocks = _noise(900, 900).resize((side_px, side_px), Image.Resampling.NEAREST)
    yield Odd("lossless WebP", _encoded(blocks, "WEBP", **(options | {"lossless": True, "quality": 0})), None)
    frames = [Image.new("RGB", (side_px, side_px), (level, 0, 0)) for level in range(2)]
    animated = _encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], **options)
    yield Odd("large animated WebP", animated, None)
    grainy = _noise(1_250, 1_250).resize(large, Image.Resampling.BILINEAR)
    yield Odd("25 megapixels of progressive JPEG", _encoded(grainy, "JPEG", progressive=True), None)
    for mode in ("RGB", "CMYK"):
        yield Odd(
            f"150 megapixels of JPEG, {mode}", _encoded(Image.new(mode, (12_240, 12_240)), "JPEG"), None
        )
    yield Odd("26 megapixels of PNG", _encoded(Image.new("L", (5_200, 5_000)), "PNG"), "too_many_pixels")
    yield Odd("many scans", _scans(_LARGE_PX, 1_000), "too_many_pixels")
    yield Odd("33 MB", _encoded(Image.new("L", (8, 8)), "PNG") + bytes(33 << 20), "too_large")
    jpeg = _jpeg()
    yield Odd("JPEG and 30 MB of fill bytes", jpeg + b"\xff" * 30_000_000, None)
    yield Odd("JPEG without an end, 30 MB of fill bytes", jpeg[:-2] + b"\xff" * 30_000_000, "corrupt")
    yield Odd("JPEG of 25 MB of comments", jpeg[:2] + b"\xff\xfe\0\3x" * 5_000_000 + jpeg[2:], "corrupt")
    gif = _gif(8, 8, b"\x21\xfe\x01x\0" * 6_000_000)
    yield Odd("GIF of 30 MB of comments", gif, "corrupt")
    yield Odd("PNG of 24 MB of chunks", _png(8, 8, 8, 2, b"", _chunk(b"prVt", b"") * 2_000_000), "corrupt")
    profile = _chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1_000_000), 9))
    row = zlib.compress((b"\0" + bytes(24)) * 8)
    yield Odd("PNG of 30 MB of colour profiles", _png(8, 8, 8, 2, row, profile * 29_000), None)
    tables = b"\xff\xdb" + struct.pack(">H", 65_002) + (b"\0" + b"\x10" * 64) * 1_000
    yield Odd("JPEG of 30 MB of tables", jpeg[:20] + tables * 470 + jpeg[20:], "corrupt")
    rationals = struct.pack("<II", 72, 1) * 3_800_000
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}
    entries = [(tag, 4, 1, value) for tag, value in tags.items()] + [(282, 5, 3_800_000, 200)]
    yield Odd("TIFF of a tag of 30 MB of rationals", _tags(entries).ljust(200, b"\0") + rationals, None)
    exif = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 282, 5, 3_700_000, 26) + bytes(4) + rationals
    parts = [exif[at : at + 65_000] for at in range(0, 29_000_000, 65_000)]
    segments = [b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts]
    yield Odd("JPEG of EXIF of 30 MB of rationals", jpeg[:2] + b"".join(segments) + jpeg[20:], None)
    lying = _encoded(Image.new("L", (16_384, 4_096), 90), "AVIF", speed=10)
    lying = lying.replace(struct.pack(">II", 16_384, 4_096), struct.pack(">II", 64, 64))
    yield Odd("AVIF whose container lies about its frame", lying, "too_many_pixels")
    runs = b"\1\0" * 15_000_000
    yield Odd("BMP of 30 MB of runs", _run_length_bmp(_LARGE_PX, runs), "too_large")
    yield Odd(
        "BMP of 25 megapixels of empty runs", _run_length_bmp(_LARGE_PX, b"\0\0" * 9_000), "too_many_pixels"
    )
    big = _tags([(number, 1, 20_000_000, 8) for number in range(1, 40_000)]) + bytes(20_000_000)
    yield Odd("TIFF of tags upon each other", big, "corrupt")


def fuzzed() -> tuple[bytes, ...]:
    """Return inputs that `make fuzz` kept: two for each outcome, and those that once cost too much."""
    lines = (Path(__file__).parent / "fuzz_corpus.txt").read_text(encoding="ascii").splitlines()
    return tuple(base64.b64decode(line) for line in lines)


def cut_everywhere() -> Iterator[Odd]:
    """Yield a small PNG and a small JPEG, cut off after each of their bytes; some are read all the same."""
    for format_ in ("PNG", "JPEG"):
        whole = _encoded(_noise(5, 4), format_)
        for length in range(len(whole)):
            yield Odd(f"{format_} cut off after {length} bytes", whole[:length], None)


def _no_images() -> Iterator[Odd]:
    yield Odd("no bytes", b"", "empty")
    for name, data in {
        "one byte": b"\0",
        "zeros": bytes(5_000),
        "text": b"Dear Scones,\nwhere is my order?\n",
        "HTML": b"<!DOCTYPE html><html><body>404</body></html>",
        "JSON": b'{"image": null}',
        "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        "zip": b"PK\3\4" + bytes(300),
        "program": b"\x7fELF\2\1\1" + bytes(300),
        "sound": b"RIFF\x24\0\0\0WAVEfmt " + bytes(300),
        "base64 of a PNG": b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
        "PNG after a newline": b"\n" + _encoded(Image.new("L", (8, 8)), "PNG"),
        "PNG whose line ends were mended": b"\x89PNG\n\x1a\n" + bytes(300),
        "noise": random.Random(1).randbytes(5_000),
    }.items():
        yield Odd(name, data, "not_an_image")
    for name, data in {
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "SVG with entities": b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaa">]><svg>&a;</svg>',
        "HEIC": b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(200),
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(200),
        "JPEG XL": b"\xff\x0a" + bytes(200),
        "Photoshop": b"8BPS\0\1" + bytes(200),
        "icon": b"\0\0\1\0\1\0\x10\x10" + bytes(200),
        "PPM": b"P6 2 2 255\n" + bytes(12),
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
        "DDS": b"DDS |" + bytes(200),
    }.items():
        yield Odd(name, data, "unsupported_format")


def _unusual() -> Iterator[Odd]:
    """Yield sound images, if of a kind that hardly anybody sends."""
    picture = _noise(40, 30)
    yield Odd("one pixel", _encoded(Image.new("RGB", (1, 1)), "PNG"), None)
    for format_ in ("PNG", "JPEG", "GIF", "BMP", "TIFF"):
        for size in ((1, 30_000), (30_000, 1)):
            yield Odd(f"{format_} of {size[0]} × {size[1]}", _encoded(Image.new("L", size), format_), None)
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "lime", "blue")] * 5
    for format_ in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):
        data = _encoded(frames[0], format_, save_all=True, append_images=frames[1:])
        yield Odd(f"animated {format_}", data, None)
    yield Odd(
        "two pictures of a camera", _encoded(picture, "MPO", save_all=True, append_images=[picture]), None
    )
    yield Odd("CMYK JPEG", _encoded(picture.convert("CMYK"), "JPEG"), None)
    yield Odd("CMYK TIFF", _encoded(picture.convert("CMYK"), "TIFF"), None)
    yield Odd("LAB TIFF", _encoded(Image.new("LAB", (40, 30)), "TIFF"), None)
    for format_ in ("PNG", "TIFF"):
        deep = picture.convert("I").point(lambda level: level * 257 + 0).convert("I;16")
        yield Odd(f"16-bit {format_}", _encoded(deep, format_), None)
    row = b"\0" + bytes(range(240)) + bytes(80)
    yield Odd("16-bit RGBA PNG", _png(40, 8, 16, 6, zlib.compress(row * 8)), None)
    yield Odd("1-bit PNG", _encoded(picture.convert("1"), "PNG"), None)
    yield Odd("transparent PNG", _encoded(Image.new("RGBA", (40, 30)), "PNG"), None)
    yield Odd("floating point TIFF", _encoded(picture.convert("F"), "TIFF"), None)
    for format_ in ("JPEG", "PNG"):
        for tail in (b"PK\3\4 a zip", b"<script>alert(1)</script>", b"%PDF-1.7", _jpeg()):
            data = _encoded(picture, format_) + tail
            yield Odd(f"{format_} that is also {tail[:4]!r}", data, None)
    loop = b"MM\0*\0\0\0\x08\0\2" + b"\x87\x69\0\4\0\0\0\1\0\0\0\x08" * 2 + b"\0\0\0\x08"
    many = b"MM\0*\0\0\0\x08" + struct.pack(">H", 5_000)
    many += b"".join(struct.pack(">HHII", number, 3, 1, 0) for number in range(5_000)) + bytes(4)
    huge = b"MM\0*\0\0\0\x08\0\2" + struct.pack(">HHII", 0x010E, 2, 0x7FFFFFFF, 8) * 2 + bytes(4)
    for name, exif in {"a loop": loop, "many tags": many, "huge tags": huge, "rubbish": b"rubbish"}.items():
        yield Odd(f"JPEG with EXIF of {name}", _encoded(picture, "JPEG", exif=b"Exif\0\0" + exif), None)
        row = zlib.compress((b"\0" + bytes(24)) * 8)
        yield Odd(f"PNG with EXIF of {name}", _png(8, 8, 8, 2, row, _chunk(b"eXIf", exif)), None)
        yield Odd(f"WebP with EXIF of {name}", _encoded(picture, "WEBP", exif=exif), None)
    segment = b"\xff\xe1" + struct.pack(">H", 65_000) + b"Exif\0\0" + many.ljust(64_992, b"\0")
    yield Odd("JPEG with EXIF again and again", _jpeg()[:2] + segment * 12 + _jpeg()[2:], None)
    profile = _noise(200, 200).tobytes()
    yield Odd("PNG with a profile that is none", _encoded(picture, "PNG", icc_profile=profile), None)


def _damaged() -> Iterator[Odd]:
    picture = _noise(40, 30)
    for format_ in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"):
        whole = _encoded(picture, format_)
        yield Odd(f"half a {format_}", whole[: len(whole) // 2], "corrupt")
        yield Odd(f"the beginning of a {format_}", whole[:30], "corrupt")
    png = _encoded(picture, "PNG")
    yield Odd("PNG whose pixels are noise", png[:60] + random.Random(2).randbytes(len(png) - 60), "corrupt")
    yield Odd("PNG without pixels", _png(8, 8, 8, 2, b""), "corrupt")
    yield Odd("PNG of size 0", _png(0, 0, 8, 2, zlib.compress(b"")), "corrupt")
    yield Odd("PNG of an unknown kind", _png(8, 8, 5, 7, zlib.compress(bytes(80))), "corrupt")
    infinite = _encoded(Image.new("F", (8, 8), float("inf")), "TIFF")
    yield Odd("TIFF of infinite grey", infinite, "corrupt")


def _claims() -> Iterator[Odd]:
    """Yield small files that claim to be huge, or are once they are unpacked."""
    for side_px in (5_100, 20_000, 60_000):
        name = f"claims {side_px} × {side_px}"
        yield Odd(f"PNG {name}", _png(side_px, side_px, 8, 2, zlib.compress(bytes(1_000))), "too_many_pixels")
        tags = {256: side_px, 257: side_px, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 279: 8}
        data = _tags([(tag, 4, 1, value) for tag, value in tags.items()])
        yield Odd(f"TIFF {name}", data, "too_many_pixels")
        yield Odd(f"GIF {name}", _gif(side_px, side_px, b""), "too_many_pixels")
        yield Odd(f"BMP {name}", _run_length_bmp(side_px, b""), "too_many_pixels")
    yield Odd("GIF whose frame is larger than it", _gif(1, 1, b"", 60_000), "too_many_pixels")
    webp = bytearray(_encoded(Image.new("RGB", (8, 8)), "WEBP", lossless=True))
    webp[21:25] = (16_382 | 16_382 << 14).to_bytes(4, "little")
    yield Odd("WebP claims 16383 × 16383", bytes(webp), "too_many_pixels")
    yield Odd("BigTIFF without a directory", bytes.fromhex("49492b0008000000ffffffffffffffff"), "corrupt")
    tall = _png(1, 70_000, 8, 0, zlib.compress(bytes(140_000)))
    yield Odd("PNG of 1 × 70,000", tall, "too_many_pixels")
    tiles = {256: 100, 257: 100, 258: 8, 259: 8, 262: 1, 277: 1, 322: 20_000, 323: 20_000, 324: 8, 325: 8}
    data = _tags([(tag, 4, 1, value) for tag, value in tiles.items()])
    yield Odd("TIFF of huge tiles", data, "too_many_pixels")
    bomb = zlib.compress(bytes(100_000_000), 9)
    row = zlib.compress((b"\0" + bytes(24)) * 8)
    for text, body in {"zTXt": b"a\0\0", "iCCP": b"a\0\0", "iTXt": b"a\0\1\0\0\0"}.items():
        data = _png(8, 8, 8, 2, row, _chunk(text.encode(), body + bomb))
        yield Odd(f"PNG with a bomb in {text}", data, None)  # nobody reads it
    for text, body in {"zTXt": b"Raw profile type exif\0\0", "iTXt": b"XML:com.adobe.xmp\0\1\0\0\0"}.items():
        data = _png(8, 8, 8, 2, row, _chunk(text.encode(), body + bomb))
        yield Odd(f"PNG with a bomb of metadata in {text}", data, "corrupt")
    pixels = zlib.compress((b"\0" + bytes(24)) * 8 + bytes(100_000_000), 9)
    yield Odd("PNG with more pixels than it has place for", _png(8, 8, 8, 2, pixels), None)


def _of_pieces() -> Iterator[Odd]:
    """Yield files of very many pieces."""
    row = zlib.compress((b"\0" + bytes(24)) * 8)
    for kind in ("tEXt", "prVt", "IDAT"):
        data = _png(8, 8, 8, 2, row, _chunk(kind.encode(), b"" if kind == "IDAT" else b"k\0x") * _MANY)
        yield Odd(f"PNG of many {kind}", data, "corrupt")
    jpeg = _jpeg()
    for name, piece in {"comments": b"\xff\xfe\0\3x", "segments": b"\xff\xe3\0\3x", "fills": b"\xff"}.items():
        yield Odd(f"JPEG of many {name}", jpeg[:2] + piece * _MANY + jpeg[2:], "corrupt")
    yield Odd("GIF of many comments", _gif(8, 8, b"\x21\xfe\1x\0" * _MANY), "corrupt")
    yield Odd("JPEG of many scans", _scans(2_000, 200), "too_many_pixels")


def _encoded(picture: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def _noise(width_px: int, height_px: int) -> Image.Image:
    values = random.Random(1).randbytes(width_px * height_px * 3)
    return Image.frombytes("RGB", (width_px, height_px), values)


def _jpeg() -> bytes:
    return _encoded(_noise(40, 30), "JPEG")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(width_px: int, height_px: int, bits: int, colour: int, pixels: bytes, *chunks: bytes) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, bits, colour, 0, 0, 0))
    ending = _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + ending


def _gif(width_px: int, height_px: int, blocks: bytes, frame_px: int = 0) -> bytes:
    screen = struct.pack("<HHBBB", width_px, height_px, 0x80, 0, 0) + bytes(6)
    frame = struct.pack("<HHHHB", 0, 0, frame_px or width_px, frame_px or height_px, 0)
    return b"GIF89a" + screen + blocks + b"," + frame + b"\x02\x02\x44\x01\0;"


def _tags(tags: Iterable[tuple[int, int, int, int]]) -> bytes:
    written = [struct.pack("<HHII", *tag) for tag in tags]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(written)) + b"".join(written) + bytes(4)


def _run_length_bmp(side_px: int, runs: bytes) -> bytes:
    size = struct.pack("<ii", side_px, side_px)
    header = b"BM" + bytes(8) + struct.pack("<I", 1078) + b"\x28\0\0\0" + size + b"\1\0\x08\0"
    return header + struct.pack("<II", 1, len(runs)) + bytes(8) + struct.pack("<I", 256) + bytes(1028) + runs


def _scans(side_px: int, count: int) -> bytes:
    """Return a progressive JPEG that goes over its pixels again and again."""
    data = _encoded(Image.new("L", (side_px, side_px), 128), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:last] + data[last:end] * count + data[end:]

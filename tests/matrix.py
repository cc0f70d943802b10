"""Images of each format, depth, colour, layout and orientation that another decoder reads as well."""

import struct
import zlib
from collections.abc import Iterator
from itertools import product

from PIL import Image, ImageFilter

from tests.builders import encoded
from tests.odd_tiffs import Tags, a_tiff, odd_tiffs, packed_rows, tiff

SIDE_PX = 32


def picture() -> Image.Image:
    """Return smooth colours, of which no two corners are alike."""
    corners = Image.new("RGB", (2, 2))
    corners.putdata([(250, 20, 30), (20, 220, 40), (30, 40, 210), (240, 230, 90)])
    return corners.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))


def matrix() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of each."""
    for maker in (_tiffs, _pngs, _bmps, _jpegs, _gifs, _modern, _turned):
        yield from maker()


def _tiffs() -> Iterator[tuple[str, bytes]]:
    for odd in odd_tiffs():
        yield f"TIFF {odd.name}", odd.data
    colours = picture()
    for mode, compression in product(
        ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I;16B"),
        ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "lzma", "zstd", "jpeg", "group4"),
    ):
        try:
            data = encoded(in_mode(colours, mode), "TIFF", compression=compression)
        except (OSError, ValueError, KeyError):
            continue
        yield f"TIFF {mode} {compression}", data
    for order, bits, predictor in product("<>", (8, 16), (1, 2)):
        yield f"TIFF tiles {order} {bits} predictor={predictor}", _tiled(order, bits, predictor)
    for order, bits, photometric in product("<>", (1, 2, 4, 8, 16), (0, 1)):
        data = a_tiff(order, photometric, 1, bits)
        # The bits of each byte in the other order.
        reverse = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
        strip = data[8 : 8 + 16 * 16 * bits // 8]
        tags = {266: 2}
        turned = a_tiff(order, photometric, 1, bits, tags=tags)
        yield (
            f"TIFF fill order 2 {order} {bits} {photometric}",
            turned.replace(strip, strip.translate(reverse), 1),
        )
    for top in (255, 65_535):
        for bits in (1, 2, 4, 8):
            yield f"TIFF colour map to {top}, {bits} bits", a_tiff("<", 3, 1, bits, colour_map_top=top)
    for subsampling in ((1, 1), (2, 1), (2, 2)):
        rows = [[(120, 90, 200)] * 16 for _ in range(16)]
        strip = b"".join(packed_rows(rows, 8, "<"))
        sides: Tags = {256: 16, 257: 16, 258: [8] * 3, 259: 1, 262: 6, 277: 3, 278: 16}
        yield f"TIFF YCbCr {subsampling}", tiff({**sides, 530: list(subsampling)}, [strip])


def _tiled(order: str, bits: int, predictor: int) -> bytes:
    tiles = []
    for top, left in product((0, 16), (0, 16)):
        rows = []
        for y in range(top, top + 16):
            row = [(min(x, 31) * ((1 << bits) - 1) // 31,) for x in range(left, left + 16)]
            if predictor == 2:
                values = [pixel[0] for pixel in row]
                row = [
                    ((value - before) % (1 << bits),)
                    for value, before in zip(values, [0, *values], strict=False)
                ]
            rows.append(row)
            assert y < 32
        tiles.append(zlib.compress(b"".join(packed_rows(rows, bits, order))))
    tags = {256: 30, 257: 20, 258: bits, 259: 8, 262: 1, 277: 1, 317: predictor, 322: 16, 323: 16}
    return tiff(tags, tiles, order)


_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def _pngs() -> Iterator[tuple[str, bytes]]:
    kinds = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    for colour, interlaced in product(kinds, (False, True)):
        for bits, transparent in product(kinds[colour], (False, True)):
            if transparent and colour in {4, 6}:
                continue
            yield (
                f"PNG colour={colour} bits={bits} interlaced={interlaced} tRNS={transparent}",
                _png(colour, bits, interlaced, transparent),
            )


def _png(colour: int, bits: int, interlaced: bool, transparent: bool) -> bytes:
    side_px, top = 16, (1 << bits) - 1
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]

    def pixel(x: int, y: int) -> tuple[int, ...]:
        return tuple(round((x, y, 15 - x, 15 - y)[each] / 15 * top) for each in range(channels))

    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    lines = b""
    for left, first, across, down in passes:
        xs = range(left, side_px, across)
        rows = [[pixel(x, y) for x in xs] for y in range(first, side_px, down)]
        lines += b"".join(b"\0" + row for row in packed_rows(rows, bits, ">"))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side_px, side_px, bits, colour, 0, 0, interlaced))]
    if colour == 3:
        steps = [index * 255 // top for index in range(top + 1)]
        chunks.append((b"PLTE", bytes(value for step in steps for value in (step, 255 - step, step // 2))))
    if transparent:
        chunks.append((b"tRNS", b"\0" if colour == 3 else struct.pack(">H", 0) * channels))
    chunks += [(b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def _bmps() -> Iterator[tuple[str, bytes]]:
    colours = picture()
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield f"BMP {mode}", encoded(in_mode(colours, mode), "BMP")
    for header_bytes, bits, is_top_down in product(
        (12, 40, 52, 56, 64, 108, 124), (1, 2, 4, 8, 16, 24, 32, 64), (False, True)
    ):
        if is_top_down and header_bytes == 12:
            continue
        yield (
            f"BMP header={header_bytes} bits={bits} top-down={is_top_down}",
            bmp(header_bytes, bits, is_top_down),
        )
    for name, masks, bits in (
        ("565", (0xF800, 0x7E0, 0x1F), 16),
        ("555", (0x7C00, 0x3E0, 0x1F), 16),
        ("444", (0xF00, 0xF0, 0xF), 16),
        ("BGRX", (0xFF0000, 0xFF00, 0xFF), 32),
        ("RGBX", (0xFF, 0xFF00, 0xFF0000), 32),
        ("10 bits", (0x3FF00000, 0xFFC00, 0x3FF), 32),
    ):
        for header_bytes in (40, 56, 108):
            yield f"BMP masks {name} header={header_bytes}", bmp(header_bytes, bits, False, masks)
    for black, white in ((0, 255), (255, 0), (10, 200)):
        for bits in (1, 4, 8):
            yield f"BMP of two greys {black} {white} bits={bits}", bmp(40, bits, False, greys=(black, white))
    yield "BMP of grey ramp, 4 bits", bmp(40, 4, False, greys=tuple(range(16)))


def bmp(
    header_bytes: int,
    bits: int,
    is_top_down: bool,
    masks: tuple[int, ...] = (),
    greys: tuple[int, ...] = (),
) -> bytes:
    """Return a BMP of 16 × 16; `greys` are the levels of its palette."""
    side_px = 16
    rows: list[list[tuple[int, ...]]] = []
    for y in range(side_px):
        row: list[tuple[int, ...]] = []
        for x in range(side_px):
            if greys:
                row.append((x * len(greys) // side_px,))
            elif masks:
                value = 0
                for mask, share in zip(masks, (x / 15, y / 15, 1 - x / 15), strict=True):
                    shift = (mask & -mask).bit_length() - 1
                    value |= round(share * (mask >> shift)) << shift
                row.append((value,))
            elif bits <= 8:
                row.append((x * ((1 << bits) - 1) // 15,))
            elif bits == 16:
                row.append((x * 31 // 15 << 10 | y * 31 // 15 << 5 | 31 - x * 31 // 15,))
            else:
                row.append((x * 17, y * 17, 255 - x * 17, 255)[: bits // 8])
        rows.append(row)
    packed = [row.ljust((len(row) + 3) // 4 * 4, b"\0") for row in _bmp_rows(rows, bits, bool(masks))]
    pixels = b"".join(packed if is_top_down else packed[::-1])
    colours = b""
    if bits <= 8:
        count = 1 << bits
        levels = greys or tuple(index * 255 // (count - 1) for index in range(count))
        padding = b"" if header_bytes == 12 else b"\0"
        colours = b"".join(
            bytes((level, level if greys else 255 - level, level)) + padding for level in levels
        )
    outside = struct.pack("<III", *masks) if masks and header_bytes == 40 else b""
    start = 14 + header_bytes + len(outside) + len(colours)
    if header_bytes == 12:
        header = struct.pack("<IHHHH", 12, side_px, side_px, 1, bits)
    else:
        header = struct.pack(
            "<IiiHHIIIIII",
            header_bytes,
            side_px,
            -side_px if is_top_down else side_px,
            1,
            bits,
            3 if masks else 0,
            len(pixels),
            2835,
            2835,
            len(greys),
            0,
        )
        if masks and header_bytes > 40:
            header += struct.pack("<III", *masks)
        header = header.ljust(header_bytes, b"\0")
    return (
        b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + outside + colours + pixels
    )


def _bmp_rows(rows: list[list[tuple[int, ...]]], bits: int, is_masked: bool) -> list[bytes]:
    if bits in {16, 32} and (is_masked or bits == 16):
        return packed_rows(rows, bits, "<")
    if bits == 64:
        return [
            b"".join(struct.pack("<4H", *(level * 32 for level in pixel[:4])) for pixel in row)
            for row in rows
        ]
    return packed_rows(rows, min(bits, 8), "<")


def _jpegs() -> Iterator[tuple[str, bytes]]:
    colours = picture()
    for mode, progressive, subsampling in product(("L", "RGB", "CMYK"), (False, True), (0, 1, 2)):
        data = encoded(
            in_mode(colours, mode), "JPEG", quality=95, progressive=progressive, subsampling=subsampling
        )
        yield f"JPEG {mode} progressive={progressive} subsampling={subsampling}", data
    yield "JPEG RGB inside", encoded(colours, "JPEG", quality=95, keep_rgb=True)
    yield "JPEG restarts", encoded(colours, "JPEG", quality=95, restart_marker_blocks=2)
    yield "JPEG with a profile and a comment", encoded(colours, "JPEG", quality=95, comment=b"x" * 999)


def _gifs() -> Iterator[tuple[str, bytes]]:
    colours = picture()
    for count, interlace in product((2, 4, 16, 256), (0, 1)):
        yield f"GIF {count} {interlace}", encoded(colours.quantize(count), "GIF", interlace=interlace)
    yield "GIF transparent", encoded(colours.quantize(16), "GIF", transparency=3)


def _modern() -> Iterator[tuple[str, bytes]]:
    colours = picture()
    for mode, lossless in product(("L", "RGB", "RGBA"), (False, True)):
        yield f"WebP {mode} lossless={lossless}", encoded(in_mode(colours, mode), "WEBP", lossless=lossless)
    for mode, subsampling in product(("L", "RGB", "RGBA"), ("4:4:4", "4:2:2", "4:2:0", "4:0:0")):
        data = encoded(in_mode(colours, mode), "AVIF", quality=95, subsampling=subsampling)
        yield f"AVIF {mode} {subsampling}", data


def _turned() -> Iterator[tuple[str, bytes]]:
    for format_, orientation in product(("JPEG", "PNG", "TIFF", "WEBP", "AVIF"), range(1, 9)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options: dict[str, object] = {"compression": "tiff_lzw"} if format_ == "TIFF" else {"quality": 95}
        half = picture().crop((0, 0, SIDE_PX, SIDE_PX // 2))
        yield f"{format_} orientation {orientation}", encoded(half, format_, exif=exif, **options)


def in_mode(colours: Image.Image, mode: str) -> Image.Image:
    """Convert to any mode that a file may have."""
    if mode.startswith("I;16"):
        deep = colours.convert("L").convert("I").point(lambda level: level * 257 + 0).convert("I;16")
        if mode == "I;16":
            return deep
        return Image.frombytes(
            "I;16B", deep.size, struct.pack(f">{SIDE_PX**2}H", *deep.convert("I").get_flattened_data())
        )
    if mode in {"LA", "RGBA"}:
        seen = colours.convert(mode)
        seen.putalpha(Image.linear_gradient("L").resize(colours.size))
        return seen
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(colours, *profiles, outputMode="LAB")  # type: ignore[return-value]
    return colours.convert(mode)

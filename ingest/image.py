"""From untrusted bytes to the pixels that the model sees.

Training and serving both come through here, so they cannot drift apart. Pillow is all it needs.
"""

import io
import math
import re
import warnings
from dataclasses import dataclass

from PIL import Image, ImageStat, UnidentifiedImageError

# Importing a plugin registers its format: what is not imported here cannot be decoded.
from PIL import AvifImagePlugin, BmpImagePlugin, GifImagePlugin, JpegImagePlugin  # noqa: F401  # isort: skip
from PIL import PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401  # isort: skip

from ingest.decode_limits import refuse_long_runs, refuse_too_many_pieces, refuse_too_many_scans, scans_of
from ingest.errors import RejectedImage

MAX_BYTES = 32 * 1024 * 1024
MAX_PIXELS = 150_000_000
"""Whatever the format: more than a phone's camera makes."""
MAX_DECODED_PIXELS = 25_000_000
"""What is really held in memory, at 4 bytes a pixel. A baseline JPEG is decoded at down to an eighth of its
width and height, so that its original may be larger."""
MAX_DECODED_PIXELS_OF = {"WEBP": 12_500_000, "AVIF": 14_000_000}
"""Their decoders take 18 and 14 bytes a pixel."""
MAX_SIDE_PX = 65_535
"""As in a JPEG or a GIF. Each row of a PNG costs its decoder time, however short it is."""

RESAMPLING = Image.Resampling.BICUBIC
"""The kernel of training and serving alike: another one moves pixels by 6 levels of 255 at 32 px."""
_DRAFT_FACTOR = 2
"""JPEG's decoder may shrink down to this many times the final size; the kernel does the rest."""
_REDUCING_GAP = 2.0
"""Before the kernel, whole numbers of pixels are averaged, down to this many times the final size."""
_BAND_PIXELS = 1_000_000
_ROW_PIXEL_BYTES = 16
"""At most, of a pixel in a file: four channels of 32 bits."""
_LEAST_READ_BYTES = 4096

# First bytes → Pillow's name of the format. A name that Pillow's build lacks is `unsupported_format`, and so
# is what `None` marks: images, but none that anyone should send.
_SIGNATURES: tuple[tuple[re.Pattern[bytes], str | None], ...] = tuple(
    (re.compile(pattern, re.DOTALL), format_)
    for pattern, format_ in (
        (rb"\x89PNG\r\n\x1a\n", "PNG"),
        (rb"\xff\xd8\xff", "JPEG"),
        (rb"GIF8[79]a", "GIF"),
        (rb"RIFF....WEBP", "WEBP"),
        (rb"II\x2a\0|MM\0\x2a|II\x2b\0|MM\0\x2b", "TIFF"),
        (rb"BM.{8}.{4}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
        (rb"....ftypavi[fs]", "AVIF"),
        (rb"....ftyp(hei[cfmsx]|hev[cmx]|mif1|msf1)", None),
        (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", None),  # JPEG 2000
        (rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a", None),  # JPEG XL
        (rb"8BPS", None),  # Photoshop
        (rb"\0\0[\1\2]\0[^\0]\0", None),  # Windows icon, cursor
        (rb"qoif|DDS |P[1-7]\s|icns|%!PS|\xd7\xcd\xc6\x9a", None),
        (rb"(\xef\xbb\xbf)?\s*(<\?xml.*)?<(svg[\s>]|!DOCTYPE svg)", None),
    )
)

# What Pillow's decoders raise for damaged files; RuntimeError is AVIF's.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, RuntimeError)

_TILE_WIDTH_TAG, _TILE_LENGTH_TAG = 0x0142, 0x0143
_ORIENTATION_TAG = 0x0112
# EXIF orientation → what turns it upright. Source: EXIF 2.32, tag 0x0112.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {5, 6, 7, 8}


@dataclass(frozen=True)
class PreparedImage:
    """An image as the model sees it, and what is worth knowing about the original."""

    pixels: Image.Image
    """RGB, `size_px` × `size_px`."""
    image_format: str
    """Pillow's name of the original's format, in lower case."""
    width_px: int
    """Of the original as a viewer shows it, after its EXIF orientation."""
    height_px: int
    brightness: float
    """Mean luma of `pixels`, 0 (black) to 255 (white)."""
    sharpness: float
    """Variance of the Laplacian of `pixels`' luma, 0 (flat) upwards; low is blurred."""

    def facts(self) -> dict[str, str | int | float]:
        """Return all but the pixels, as they are recorded."""
        return {
            "image_format": self.image_format,
            "width_px": self.width_px,
            "height_px": self.height_px,
            "brightness": self.brightness,
            "sharpness": self.sharpness,
        }

    def to_png(self) -> bytes:
        """Return `pixels` as a PNG file: lossless, and small at the model's size."""
        buffer = io.BytesIO()
        self.pixels.save(buffer, "PNG")
        return buffer.getvalue()


def prepare(data: bytes, size_px: int) -> PreparedImage:
    """Decode one image of any supported format, turn it upright and shrink it to `size_px` × `size_px`.

    The format is read from the bytes, never from a name. Pixels are bounded before anything is decoded, and
    the image is decoded once. Of an animation, the first frame counts. The whole picture is kept: it is
    squeezed into the square, not cropped.

    Raises:
        RejectedImage: the bytes are not a sound image of a supported format and a bearable size.
    """
    if not data:
        raise RejectedImage("empty", "the object has no bytes")
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    format_ = _sniff(data)
    refuse_too_many_pieces(data, format_)
    with warnings.catch_warnings():
        # Pillow warns of oddities that it copes with; what it cannot cope with, it raises.
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=[format_]) as image:
                return _prepare(image, data, format_, size_px)
        except Image.DecompressionBombError as error:
            raise RejectedImage("too_many_pixels", f"more than {MAX_PIXELS:,} pixels") from error
        except UnidentifiedImageError as error:
            raise RejectedImage("corrupt", f"begins like {format_} but its header is broken") from error
        except _DAMAGED as error:
            raise RejectedImage("corrupt", f"{format_}: {error}") from error


def too_large(size_bytes: int) -> RejectedImage:
    """Return the rejection of an object of more than `MAX_BYTES`."""
    return RejectedImage("too_large", f"{size_bytes:,} bytes; at most {MAX_BYTES:,} are read")


def _sniff(data: bytes) -> str:
    """Return Pillow's name of the format that the first bytes announce."""
    for pattern, format_ in _SIGNATURES:
        if pattern.match(data[:512]):
            if format_ is None or format_ not in Image.OPEN:
                raise RejectedImage("unsupported_format", f"send one of {', '.join(_readable_formats())}")
            return format_
    raise RejectedImage("not_an_image", f"begins with {data[:8].hex(' ')}, as no known image format does")


def _readable_formats() -> list[str]:
    return sorted(format_ for _, format_ in _SIGNATURES if format_ in Image.OPEN)


def _prepare(image: Image.Image, data: bytes, format_: str, size_px: int) -> PreparedImage:
    width_px, height_px = image.size
    if max(image.size) > MAX_SIDE_PX:
        raise RejectedImage(
            "too_many_pixels", f"{width_px:,} × {height_px:,}; a side may have {MAX_SIDE_PX:,}"
        )
    _bound(width_px * height_px, MAX_PIXELS)
    _bound(_tile_pixels(image), MAX_DECODED_PIXELS)
    image.draft("RGB", (size_px * _DRAFT_FACTOR, size_px * _DRAFT_FACTOR))
    decoded_px = image.width * image.height
    if format_ == "JPEG":
        scans = scans_of(data)
        # All coefficients are then in memory, whatever size it is decoded to.
        if scans.is_whole or image.info.get("progressive"):
            decoded_px = width_px * height_px
            refuse_too_many_scans(scans, decoded_px)
    if format_ == "BMP":
        refuse_long_runs(data, decoded_px)
    _bound(decoded_px, MAX_DECODED_PIXELS_OF.get(format_, MAX_DECODED_PIXELS))

    _read_ahead(image, data, format_)
    image.load()
    # Not earlier: a PNG may say it after its pixels, and Pillow itself turns a TIFF upright as it is loaded.
    orientation = _orientation(image)
    # Squeezed into a square, an image can be turned after it has become small.
    pixels = _to_rgb(_shrink(image, size_px))
    # Else a colour profile of any length would travel in the PNG.
    pixels.info = {}
    if orientation in _UPRIGHT:
        pixels = pixels.transpose(_UPRIGHT[orientation])
    if orientation in _SIDEWAYS:
        width_px, height_px = height_px, width_px

    luma = pixels.convert("L")
    return PreparedImage(
        pixels=pixels,
        image_format=format_.lower(),
        width_px=width_px,
        height_px=height_px,
        brightness=round(ImageStat.Stat(luma).mean[0], 2),
        sharpness=round(_laplacian_variance(luma), 2),
    )


def _read_ahead(image: Image.Image, data: bytes, format_: str) -> None:
    """Let each read bring enough: a decoder that waits is handed all that it had so far, again and again."""
    image.decodermaxblock = len(data)  # type: ignore[attr-defined]
    if format_ == "TIFF":
        # Pillow reads as much as lies between a strip and the next one, which may be a single byte.
        least_bytes = max(image.width * _ROW_PIXEL_BYTES, _LEAST_READ_BYTES)
        read = image.fp.read  # type: ignore[attr-defined]
        image.load_read = lambda wanted: read(max(wanted, least_bytes))  # type: ignore[attr-defined]


def _bound(pixels: int, most: int) -> None:
    if pixels > most:
        raise RejectedImage("too_many_pixels", f"{pixels:,} pixels; at most {most:,} are decoded")


def _tile_pixels(image: Image.Image) -> int:
    """Return the size of a TIFF's tiles: each is decoded whole, however small its image."""
    tags = getattr(image, "tag_v2", {})
    return int(tags.get(_TILE_WIDTH_TAG, 0)) * int(tags.get(_TILE_LENGTH_TAG, 0))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        # EXIF is a format of its own, damaged in its own ways. The pixels do not depend on it.
        return 1


def _shrink(image: Image.Image, size_px: int) -> Image.Image:
    """Resize in the image's own mode where the kernel can average its values, else convert first.

    Band by band, so that no second copy of a large image is ever in memory; the pixels are those of
    `convert(…).resize(…, reducing_gap=2)`.
    """
    white = _white(image)
    if image.size == (size_px, size_px):
        return _averageable(image, white)
    factor_x, factor_y = (max(int(side_px / size_px / _REDUCING_GAP), 1) for side_px in image.size)
    band_px = factor_y * max(_BAND_PIXELS // (image.width * factor_y), 1)
    reduced: Image.Image | None = None
    for top_px in range(0, image.height, band_px):
        bottom_px = min(top_px + band_px, image.height)
        band = _averageable(image.crop((0, top_px, image.width, bottom_px)), white)
        # A transparent pixel's hidden colour must not count.
        band = band.convert({"LA": "La", "RGBA": "RGBa"}.get(band.mode, band.mode))
        band = band.reduce((factor_x, factor_y))
        if reduced is None:
            size = -(-image.width // factor_x), -(-image.height // factor_y)
            reduced = Image.new(band.mode, size)
            reduced.info = band.info
        reduced.paste(band, (0, top_px // factor_y))
    if reduced is None:
        raise ValueError("it has no pixels")
    box = (0, 0, image.width / factor_x, image.height / factor_y)
    small = reduced.resize((size_px, size_px), RESAMPLING, box)
    return small.convert({"La": "LA", "RGBa": "RGBA"}.get(small.mode, small.mode))


def _averageable(image: Image.Image, white: float) -> Image.Image:
    """Convert to a mode in which the mean of two pixels is between them."""
    if image.mode in {"P", "PA"} or ("transparency" in image.info and image.mode in {"1", "L", "RGB"}):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode.startswith("I;16"):
        image = _to_8_bits(image.convert("I"), white)
    elif image.mode in {"I", "F"}:
        image = _to_8_bits(image, white)
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _white(image: Image.Image) -> float:
    """Return the grey level that is white: the narrowest of the usual ranges that holds the brightest."""
    if image.mode not in {"I", "F"} and not image.mode.startswith("I;16"):
        return 255.0
    brightest = float(image.getextrema()[1])  # type: ignore[arg-type]
    if not math.isfinite(brightest):
        raise ValueError("its grey levels are not finite")
    usual = [1.0] if image.mode == "F" else []
    return next((top for top in [*usual, 255.0, 65535.0] if brightest <= top), brightest)


def _to_8_bits(image: Image.Image, white: float) -> Image.Image:
    """Scale 32-bit grey levels to 0-255.

    To be done before the kernel, which overshoots at edges: 8-bit levels would seem to be 16-bit ones.
    """
    return image.point(lambda level: level * (255.0 / white) + 0.5).convert("L")


def _laplacian_variance(luma: Image.Image) -> float:
    """Return the variance of the 4-neighbour Laplacian: a usual measure of focus.

    Source: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    width, height = luma.size
    levels = luma.tobytes()
    responses = [
        levels[i - 1] + levels[i + 1] + levels[i - width] + levels[i + width] - 4 * levels[i]
        for y in range(1, height - 1)
        for i in range(y * width + 1, (y + 1) * width - 1)
    ]
    if not responses:
        return 0.0
    mean = sum(responses) / len(responses)
    return sum((response - mean) ** 2 for response in responses) / len(responses)

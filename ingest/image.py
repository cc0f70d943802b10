"""From untrusted bytes to the pixels that the model sees.

Training and serving both use this module, so their pixels cannot differ. It needs Pillow only.
"""

import io
import json
import math
import re
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import mul
from typing import TypeVar

from PIL import AvifImagePlugin, Image, ImageMath, UnidentifiedImageError

# Importing a plugin registers its format: what is not imported here cannot be decoded.
from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin  # noqa: F401  # isort: skip
from PIL import TiffImagePlugin, WebPImagePlugin  # noqa: F401  # isort: skip

from ingest.decode_limits import MAX_PIXELS, Claim, check_decoded, check_size, claim_of
from ingest.errors import MAX_BYTES, RejectedImage, too_large
from ingest.formats import format_of, unsupported
from ingest.isolation import Crashed, TooCostly, run_isolated
from ingest.model_input import CROP, PAD, ModelInput
from ingest.tiff import orientation_of

T = TypeVar("T")

RESAMPLING = Image.Resampling.BICUBIC
"""Kernel of training and serving. Another kernel changes pixels by up to 6 levels of 255 at 32 px."""
_DRAFT_FACTOR = 2
"""The JPEG decoder shrinks to this many times the final size at least; the kernel does the rest."""
_REDUCING_GAP = 2.0
"""Blocks of whole pixels are averaged before the kernel, to this many times the final size at least."""
_BAND_PIXELS = 1_000_000
_ROW_PIXEL_BYTES = 16
"""Largest pixel in a file: four channels of 32 bits."""
_LEAST_READ_BYTES = 4096
_LAPLACIAN_MOST = 4 * 255
_SIZES_AT_ONCE = 8
"""Sizes of images for which a number as long as their pixels is kept. Padded images have several sizes."""

# Texts of libavif, of libtiff (through Pillow) and of others.
_OUT_OF_MEMORY = re.compile(r"(?i)out of memory|not enough memory|memory allocation|decoder error -9\b")
_UNSUPPORTED = re.compile("^Unsupported BMP bitfields layout")
_EXIF_PREFIX = re.compile(rb"^(Exif\0\0){1,2}")
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')

# Each thread of the AVIF decoder takes its own memory.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

# EXIF orientation → the transformation that turns the image upright. Source: EXIF 2.32, tag 0x0112.
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
    """An image as the model sees it, and facts about the original."""

    picture: Image.Image
    """RGB, without the margins that the model's size may need."""
    form: ModelInput
    image_format: str
    """Pillow's name of the original's format, in lower case."""
    width_px: int
    """Width of the original as a viewer shows it, after its EXIF orientation."""
    height_px: int

    @cached_property
    def pixels(self) -> Image.Image:
        """RGB, of the model's size."""
        return _padded(self.picture, self.form.size_px)

    @property
    def brightness(self) -> float:
        """Mean luma of the picture, 0 (black) to 255 (white)."""
        histogram = self._luma.histogram()
        total: int = sum(map(mul, histogram, range(256)))
        return round(total / sum(histogram), 2)

    @property
    def sharpness(self) -> float:
        """Variance of the Laplacian of its luma. 0 is flat, low values are blurred."""
        return round(_laplacian_variance(self._luma), 2)

    @cached_property
    def _luma(self) -> Image.Image:
        return self.picture.convert("L")

    def facts(self) -> dict[str, str | int | float]:
        """Return everything but the pixels, as it is recorded."""
        return {
            "image_format": self.image_format,
            "width_px": self.width_px,
            "height_px": self.height_px,
            "brightness": self.brightness,
            "sharpness": self.sharpness,
        }


def prepare(data: bytes, size_px: int) -> PreparedImage:
    """Prepare an image for a model whose input is a square, into which the whole picture is scaled.

    Raises:
        RejectedImage: see `prepare_for`.
    """
    return prepare_for(ModelInput.square(size_px), data)


def prepare_for(form: ModelInput, data: bytes) -> PreparedImage:
    """Decode one image of any supported format, turn it upright and resize it to the model's input.

    The format is read from the bytes, never from a name. Pixels are bounded before anything is decoded, and
    the image is decoded once. An animation is classified by its first frame. An image that already has the
    model's size keeps its pixels.

    Raises:
        RejectedImage: the bytes are not an intact image of a supported format, or exceed a limit.
    """
    if not data:
        raise RejectedImage("empty", "the object has no bytes")
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    format_ = format_of(data)
    with warnings.catch_warnings():
        # Pillow warns about oddities that it can decode, and raises for the others.
        warnings.simplefilter("ignore")
        claim = _judged(format_, lambda: claim_of(data, format_))
        if claim.is_costly:
            return _prepare_isolated(claim, format_, form)
        return _judged(format_, lambda: _prepare(claim, format_, form))


def as_a_model_sees(form: ModelInput, data: bytes) -> Image.Image:
    """Return an image's pixels as they reach the model: prepared, and read from the endpoint's file.

    Only a JPEG has other pixels than were prepared.

    Raises:
        RejectedImage: see `prepare_for`.
    """
    pixels = prepare_for(form, data).pixels
    return prepare_for(form, form.file_of(pixels)).pixels if form.jpeg_quality else pixels


def _judged(format_: str, read: Callable[[], T]) -> T:
    """Return the result of `read`, and turn every error into a rejection.

    Damaged bytes make Pillow raise errors of almost any class, and the same bytes do so in every retry.
    """
    try:
        return read()
    except RejectedImage:
        raise
    except Image.DecompressionBombError as error:
        raise RejectedImage("too_many_pixels", f"more than {MAX_PIXELS:,} pixels") from error
    except UnidentifiedImageError as error:
        raise RejectedImage("corrupt", f"begins like {format_} but its header is broken") from error
    except (struct.error, IndexError) as error:
        raise RejectedImage("corrupt", f"{format_}: the file is cut off or damaged ({error})") from error
    except MemoryError as error:
        raise RejectedImage("too_costly", f"{format_}: decoding takes too much memory") from error
    except Exception as error:
        if _UNSUPPORTED.search(str(error)):
            raise unsupported(f"{format_} of this kind ({error})") from error
        if _OUT_OF_MEMORY.search(str(error)):
            raise RejectedImage(
                "too_costly", f"{format_}: decoding takes too much memory ({error})"
            ) from error
        raise RejectedImage("corrupt", f"{format_}: {str(error) or type(error).__name__}") from error


def _prepare_isolated(claim: Claim, format_: str, form: ModelInput) -> PreparedImage:
    def work() -> bytes:
        try:
            prepared = _judged(format_, lambda: _prepare(claim, format_, form))
        except RejectedImage as rejected:
            return json.dumps({"reason": rejected.reason, "detail": rejected.detail}).encode()
        head = {
            "image_format": prepared.image_format,
            "width_px": prepared.width_px,
            "height_px": prepared.height_px,
            "picture_px": prepared.picture.size,
        }
        return json.dumps(head).encode() + b"\n" + prepared.picture.tobytes()

    try:
        head, _, pixels = run_isolated(work).partition(b"\n")
    except TooCostly as error:
        raise RejectedImage("too_costly", f"{format_}: {error}") from error
    except Crashed as error:
        raise RejectedImage("corrupt", f"{format_}: {error}") from error
    found = json.loads(head)
    if "reason" in found:
        raise RejectedImage(**found)
    width_px, height_px = found.pop("picture_px")
    if width_px > form.width_px or height_px > form.height_px:
        raise RejectedImage("corrupt", f"{format_}: its decoder made {width_px} × {height_px} pixels")
    return PreparedImage(Image.frombytes("RGB", (width_px, height_px), pixels), form, **found)


def _prepare(claim: Claim, format_: str, form: ModelInput) -> PreparedImage:
    with Image.open(io.BytesIO(claim.data), formats=[format_]) as image:
        width_px, height_px = image.size
        if claim.width_px is not None and image.size != (claim.width_px, claim.height_px):
            raise ValueError(
                f"it says {claim.width_px:,} × {claim.height_px:,} and {width_px:,} × {height_px:,}"
            )
        check_size(width_px, height_px)
        # The longer side both ways, as only the decoder may find out that the image lies on its side.
        draft_px = max(form.size_px) * _DRAFT_FACTOR
        image.draft("RGB", (draft_px, draft_px))
        held_px = image.width * image.height if claim.is_reducible else width_px * height_px
        check_decoded(claim, format_, max(held_px, claim.decoded_px or 0))
        _read_ahead(image, claim.data, format_)
        image.load()
        # Only now: a PNG may have its orientation after its pixels.
        orientation = claim.orientation or _orientation(image)
        # Turning comes after shrinking, when the image is small: until then, the form lies as the image does.
        turned = form.size_px[::-1] if orientation in _SIDEWAYS else form.size_px
        pixels = _to_rgb(_shrink(image, claim, turned, form.resize_mode))
    # Otherwise a colour profile of any length would be part of the PNG.
    pixels.info = {}
    if orientation in _UPRIGHT:
        pixels = pixels.transpose(_UPRIGHT[orientation])
    if orientation in _SIDEWAYS:
        width_px, height_px = height_px, width_px

    return PreparedImage(pixels, form, format_.lower(), width_px, height_px)


def _read_ahead(image: Image.Image, data: bytes, format_: str) -> None:
    """Make each read large. After a short read, Pillow hands the decoder all earlier bytes once more."""
    image.decodermaxblock = len(data)  # type: ignore[attr-defined]
    if format_ == "TIFF":
        # Pillow reads up to the next strip, which may be a single byte, and a whole block where both begin at
        # one place: of each of thousands of strips, the block must not be the file. Decoders take whole rows.
        _, (_, _, width_px, _), *_ = image.tile[0]  # type: ignore[attr-defined]
        least_bytes = max(width_px * _ROW_PIXEL_BYTES, _LEAST_READ_BYTES)
        image.decodermaxblock = least_bytes  # type: ignore[attr-defined]
        read = image.fp.read  # type: ignore[attr-defined]
        image.load_read = lambda wanted: read(max(wanted, least_bytes))  # type: ignore[attr-defined]


def _orientation(image: Image.Image) -> int | None:
    """Return the orientation from EXIF or else XMP, if either has one.

    Pillow would parse all of EXIF, which may have millions of values.
    """
    info = image.info
    try:
        exif = info.get("exif")
        if exif is None and "Raw profile type exif" in info:
            exif = bytes.fromhex("".join(info["Raw profile type exif"].split("\n")[3:]))
        found = orientation_of(_EXIF_PREFIX.sub(b"", exif)) if exif else None
    except Exception:
        # EXIF may be damaged in many ways. The pixels do not depend on it.
        found = None
    if found is None and image.format != "AVIF":
        in_xmp = _XMP_ORIENTATION.search(info.get("xmp", b""))
        found = int(in_xmp[1]) if in_xmp else None
    return found


def _shrink(image: Image.Image, claim: Claim, form_px: tuple[int, int], mode: str) -> Image.Image:
    """Resize in the image's own mode where the kernel can average its values, otherwise convert first.

    Works in bands, so that a second copy of a large image is never in memory. The pixels are those of
    `convert(…).resize(…, reducing_gap=2)`.
    """
    levels = _levels(image, claim)
    if image.size == form_px:
        return _averageable(image, levels)
    (left, top, right, bottom), size_px = _placed(image.size, form_px, mode)
    factor_x = max(int((right - left) / size_px[0] / _REDUCING_GAP), 1)
    factor_y = max(int((bottom - top) / size_px[1] / _REDUCING_GAP), 1)
    band_px = factor_y * max(_BAND_PIXELS // (image.width * factor_y), 1)
    is_whole = band_px >= image.height
    reduced: Image.Image | None = None
    for top_px in range(0, image.height, band_px):
        bottom_px = min(top_px + band_px, image.height)
        band = image if is_whole else image.crop((0, top_px, image.width, bottom_px))
        band = _averageable(band, levels)
        # The hidden colour of a transparent pixel must not count.
        band = _in_mode(band, {"LA": "La", "RGBA": "RGBa"}.get(band.mode, band.mode))
        band = band.reduce((factor_x, factor_y))
        if is_whole:
            reduced = band
            break
        if reduced is None:
            size = -(-image.width // factor_x), -(-image.height // factor_y)
            reduced = Image.new(band.mode, size)
            reduced.info = band.info
        reduced.paste(band, (0, top_px // factor_y))
    if reduced is None:
        raise ValueError("it has no pixels")
    box = (left / factor_x, top / factor_y, right / factor_x, bottom / factor_y)
    small = reduced.resize(size_px, RESAMPLING, box)
    return _in_mode(small, {"La": "LA", "RGBa": "RGBA"}.get(small.mode, small.mode))


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Return an image in a mode. Pillow would copy one that is."""
    return image if image.mode == mode else image.convert(mode)


def _placed(
    image_px: tuple[int, int], form_px: tuple[int, int], mode: str
) -> tuple[tuple[float, float, float, float], tuple[int, int]]:
    """Return the part of an image that the model sees (left, top, right, bottom), and the size it gets."""
    (width, height), (form_width, form_height) = image_px, form_px
    if mode == CROP:
        scale = max(form_width / width, form_height / height)
        left, top = (width - form_width / scale) / 2, (height - form_height / scale) / 2
        # Rounding must not reach beyond the image.
        left, top = max(left, 0.0), max(top, 0.0)
        return (left, top, width - left, height - top), form_px
    if mode == PAD:
        scale = min(form_width / width, form_height / height)
        form_px = max(round(width * scale), 1), max(round(height * scale), 1)
    return (0.0, 0.0, float(width), float(height)), form_px


def _padded(pixels: Image.Image, form_px: tuple[int, int]) -> Image.Image:
    if pixels.size == form_px:
        return pixels
    whole = Image.new("RGB", form_px)
    whole.paste(pixels, ((form_px[0] - pixels.width) // 2, (form_px[1] - pixels.height) // 2))
    return whole


def _averageable(image: Image.Image, levels: tuple[float, float]) -> Image.Image:
    """Convert to a mode in which the average of two pixel values has a meaning."""
    if image.mode == "P" or ("transparency" in image.info and image.mode in {"1", "L", "RGB"}):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode.startswith("I;16"):
        image = _to_8_bits(image.convert("I"), levels)
    elif image.mode in {"I", "F"}:
        image = _to_8_bits(image, levels)
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _levels(image: Image.Image, claim: Claim) -> tuple[float, float]:
    """Return the grey levels that are black and white.

    In 16 bits, white is 65,535, as PNG and TIFF have it: a frame of the night stays dark. 32 bits have no
    usual range, so white is the top of the smallest one that holds all pixels.
    """
    if image.mode.startswith("I;16"):
        white = claim.white or 65535.0
    elif image.mode in {"I", "F"}:
        darkest, brightest = (float(level) for level in image.getextrema())  # type: ignore[arg-type]
        if not math.isfinite(brightest) or not math.isfinite(darkest):
            raise ValueError("its grey levels are not finite")
        if darkest < 0 and image.mode == "I":
            raise unsupported(f"{image.format} with 32-bit grey levels outside 0 to 2,147,483,647")
        usual = [1.0] if image.mode == "F" else []
        white = next((top for top in [*usual, 255.0, 65535.0] if brightest <= top), brightest)
    else:
        return 0.0, 255.0
    return (white, 0.0) if claim.is_inverted else (0.0, white)


def _to_8_bits(image: Image.Image, levels: tuple[float, float]) -> Image.Image:
    """Scale 32-bit grey levels to 0-255.

    Must come before the kernel, which overshoots at edges: 8-bit levels would look like 16-bit levels.
    """
    black, white = levels
    scale = 255.0 / (white - black)
    return image.point(lambda level: level * scale + (0.5 - black * scale)).convert("L")


def _laplacian_variance(luma: Image.Image) -> float:
    """Return the variance of the 4-neighbour Laplacian, a common measure of focus.

    Source: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    width, height = luma.size
    if width < 3 or height < 3:
        return 0.0
    # All pixels side by side in one number, 16 bits each: one addition adds up all of them.
    lanes = bytearray(2 * width * height)
    lanes[::2] = luma.tobytes()
    above = int.from_bytes(lanes, "little")
    row = 16 * width
    around = above + (above >> row - 16) + (above >> row + 16) + (above >> 2 * row)
    shifted = around + _lanes_of(_LAPLACIAN_MOST, width * height) - 4 * (above >> row)
    whole = Image.frombytes("I", luma.size, shifted.to_bytes(len(lanes), "little"), "raw", "I;16")
    # Each row but the last two, without its ends, which wrap around.
    responses = whole.crop((1, 0, width - 1, height - 2))
    squares = ImageMath.lambda_eval(lambda of: of["responses"] * of["responses"], responses=responses)
    # A shift of all responses does not change their variance. Python adds up exactly.
    count = (width - 2) * (height - 2)
    total = sum(memoryview(responses.tobytes()).cast("i")) - _LAPLACIAN_MOST * count
    total_of_squares = (
        sum(memoryview(squares.tobytes()).cast("i"))
        - 2 * _LAPLACIAN_MOST * total
        - _LAPLACIAN_MOST * _LAPLACIAN_MOST * count
    )
    mean = total / count
    return max(total_of_squares / count - mean * mean, 0.0)


@lru_cache(_SIZES_AT_ONCE)
def _lanes_of(value: int, count: int) -> int:
    """Return a number that has a value in each of some lanes of 16 bits."""
    return int.from_bytes(value.to_bytes(2, "little") * count, "little")

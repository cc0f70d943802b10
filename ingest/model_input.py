"""What a model and its endpoint agree on: size, resizing and file format of images, and the answer's type."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image  # a command that only reads a card does without

SQUEEZE, CROP, PAD = "squeeze", "crop", "pad"
RESIZE_MODES = (SQUEEZE, CROP, PAD)
"""The whole picture scaled to the size whatever its shape; its middle in the size's shape; the whole picture
in its own shape, with black at two sides."""
SIZES_PX = range(8, 1025)
"""Widths and heights that a model's input may have."""

SCORES_TYPE = "application/vnd.scones.scores+json"
"""Content type of an endpoint's answer with `unfamiliarity` beside the probabilities."""
PIXELS_TYPE = "application/x-npy"
"""Content type of NumPy's file format, for the pixels of one or many images as one array. Scones' own
container takes it."""
NPY_MAGIC = b"\x93NUMPY\x01\x00"
"""What such a file begins with, in version 1.0."""
STATE_FILE_MAX_BYTES = 150 * 1024
"""Largest image that travels in the state, where its base64 has 200 KB; larger ones go through S3. A state
may have 262,144 bytes. A PNG of 224 × 224 pixels of noise has 151,125."""

_SIZE = re.compile(r"(\d{1,4})(?:x(\d{1,4}))?")


@dataclass(frozen=True)
class ModelInput:
    """Size, resizing and file format of a model's input images."""

    width_px: int
    height_px: int
    resize_mode: str = SQUEEZE
    """One of `RESIZE_MODES`."""
    jpeg_quality: int = 0
    """1 to 100; 0 stands for PNG, which is lossless."""
    content_type: str = "image/png"
    """Content type of the request to the endpoint. With `PIXELS_TYPE`, the file is an array of pixels."""

    @classmethod
    def square(cls, size_px: int) -> "ModelInput":
        """Return a square of this size, and the defaults."""
        return cls(size_px, size_px)

    @classmethod
    def from_mapping(cls, said: Mapping[str, Any]) -> "ModelInput":
        """Read the environment, the template's parameters or a model's card.

        The environment and the template have the same names, with text: `224` or `320x240` (width, height). A
        card has `image_size_px`, a number or a list of both, and may have `resize_mode` and `jpeg_quality`.

        Raises:
            KeyError: the size is missing.
            ValueError: a value is out of its range.
        """
        parameter = said.get("ImageSizePx")
        width_px, height_px = _checked(said["image_size_px"] if parameter is None else _parsed(parameter))
        mode = said.get("ResizeMode", said.get("resize_mode", SQUEEZE))
        if mode not in RESIZE_MODES:
            raise ValueError(f"the resize mode must be one of {', '.join(RESIZE_MODES)}, not {mode!r:.50}")
        jpeg_quality = int(said.get("JpegQuality", said.get("jpeg_quality", 0)))
        if not 0 <= jpeg_quality <= 100:
            raise ValueError(f"the JPEG quality must be 1 to 100, or 0 for PNG, not {jpeg_quality}")
        content_type = said.get("EndpointContentType") or f"image/{'jpeg' if jpeg_quality else 'png'}"
        if jpeg_quality and content_type == PIXELS_TYPE:  # of the model's card, and the quality by hand
            content_type = "image/jpeg"
        return cls(width_px, height_px, mode, jpeg_quality, content_type)

    def to_parameters(self) -> dict[str, str]:
        """Return the template's parameters that a model's card determines."""
        size = f"{self.width_px}" if self.is_square else f"{self.width_px}x{self.height_px}"
        return {"ImageSizePx": size, "ResizeMode": self.resize_mode, "JpegQuality": str(self.jpeg_quality)}

    def to_card(self) -> dict[str, Any]:
        """Return the entries of a model's card from which `from_mapping` reads the same."""
        return {
            "image_size_px": self.width_px if self.is_square else list(self.size_px),
            "resize_mode": self.resize_mode,
            "jpeg_quality": self.jpeg_quality,
        }

    @property
    def is_square(self) -> bool:
        """Whether width and height are the same."""
        return self.width_px == self.height_px

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.width_px, self.height_px

    @property
    def pixel_bytes(self) -> int:
        """Size of an image without compression."""
        return self.width_px * self.height_px * 3

    @property
    def quickest_content_type(self) -> str:
        """The content type for Scones' own container; empty for the usual one.

        Pixels take a third of the time of a PNG, and more room.
        """
        fits = len(self._npy_header) + self.pixel_bytes <= STATE_FILE_MAX_BYTES
        return PIXELS_TYPE if fits and not self.jpeg_quality else ""

    def file_of(self, pixels: "Image.Image") -> bytes:
        """Return pixels as the file that the endpoint gets."""
        if self.content_type == PIXELS_TYPE:
            return self._npy_header + pixels.tobytes()
        return self.picture_of(pixels)

    def picture_of(self, pixels: "Image.Image") -> bytes:
        """Return pixels as a JPEG of the quality, or a PNG: what the model sees, for people."""
        buffer = io.BytesIO()
        if self.jpeg_quality:
            pixels.save(buffer, "JPEG", quality=self.jpeg_quality)
        else:
            # A tenth larger than at the usual level, in half of the time.
            pixels.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    @property
    def _npy_header(self) -> bytes:
        return npy_header((1, self.height_px, self.width_px, 3))


@lru_cache
def npy_header(shape: tuple[int, ...]) -> bytes:
    """Return the header of an `.npy` file of a uint8 array, so that numpy is not needed.

    Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html (version 1.0)
    """
    described = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode("ascii")
    before = len(NPY_MAGIC) + 2
    padding = b" " * (-(before + len(described) + 1) % 64) + b"\n"
    length = (len(described) + len(padding)).to_bytes(2, "little")
    return NPY_MAGIC + length + described + padding


def _parsed(text: str) -> Any:
    found = _SIZE.fullmatch(text)
    return [int(side) for side in (found[1], found[2] or found[1])] if found else text


def _checked(said: Any) -> tuple[int, int]:
    sides = said if isinstance(said, list) else [said, said]
    if len(sides) != 2 or not all(type(side) is int and side in SIZES_PX for side in sides):
        raise ValueError(
            f"image_size_px must be a whole number from {SIZES_PX[0]} to {SIZES_PX[-1]}, or two of them, "
            f"not {said!r:.50}"
        )
    return sides[0], sides[1]

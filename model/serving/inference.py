"""A trained model, run by onnxruntime: `model.onnx` and `card.json` in one folder."""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from ingest.image import prepare_for
from ingest.model_input import NPY_MAGIC, ModelInput
from model.files import MODEL_FILE, PROBABILITIES, RUN_IMAGES, UNFAMILIARITY, UnusableModel, read_card

_HEADERS = 64


class NotPixels(Exception):
    """The bytes are not an array of images of the model's size; `reason` is for machines."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Model:
    """A network, with the facts of its card."""

    session: onnxruntime.InferenceSession
    classes: tuple[str, ...]
    form: ModelInput
    version: str

    @property
    def tells_unfamiliarity(self) -> bool:
        """Whether the network has the second output, which says how unlike its classes an image is."""
        return any(output.name == UNFAMILIARITY for output in self.session.get_outputs())

    @classmethod
    def load(cls, folder: Path, threads: int, warm_up_images: int = RUN_IMAGES) -> "Model":
        """Read a model and run it once, so that the first request is not slow.

        Args:
            folder: has the model and its card.
            threads: that share the work of a run.
            warm_up_images: images of that run. As many as in a later one make that one fast, too.

        Raises:
            UnusableModel: a file is missing, is not what its name says, or the two do not fit together.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle threads sleep: whatever else runs on the machine gets their cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        card = read_card(folder)
        try:
            network = (folder / MODEL_FILE).read_bytes()
            session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
            model = cls(session, tuple(card["classes"]), ModelInput.from_mapping(card), card["model_version"])
            blank = np.zeros((warm_up_images, model.form.height_px, model.form.width_px, 3), np.uint8)
            scores, _ = model.answers(blank)[0]
        except Exception as error:
            # onnxruntime raises a dozen kinds of its own, all as plain exceptions.
            raise UnusableModel(f"no usable model in {folder}: {type(error).__name__}: {error}") from error
        if len(scores) != len(model.classes):
            raise UnusableModel(
                f"no usable model in {folder}: {len(scores)} scores, but classes {model.classes}"
            )
        return model

    def score_file(self, file: bytes) -> tuple[list[float], float | None]:
        """Return the k probabilities and the unfamiliarity, if the network tells it, of an image file.

        Raises:
            RejectedImage: the image is at fault.
        """
        return self.answers(self.pixels_of(file))[0]

    def score_npy(self, file: bytes) -> tuple[list[float], float | None]:
        """Return the same of the image in an `.npy` file.

        Raises:
            NotPixels: it is no such file.
        """
        (scores,) = self.answers(read_npy(file, self.form))
        return scores

    def score_pixels(
        self, images: Sequence[bytes], size_px: tuple[int, int]
    ) -> list[tuple[list[float], float | None]]:
        """Return the same for many images: RGB, width × height × 3 bytes each.

        Raises:
            ValueError: the images are not of the model's size.
        """
        if size_px != self.form.size_px:
            raise ValueError(f"the model takes {self.form.size_px} pixels, not {size_px}")
        pixels = np.frombuffer(b"".join(images), np.uint8)
        return self.answers(pixels.reshape(len(images), self.form.height_px, self.form.width_px, 3))

    def pixels_of(self, file: bytes) -> npt.NDArray[np.uint8]:
        """Return an image file as `(1, height, width, 3)`.

        Raises:
            RejectedImage: the image is at fault.
        """
        return np.asarray(prepare_for(self.form, file).pixels)[np.newaxis]

    def answers(self, images: npt.NDArray[np.uint8]) -> list[tuple[list[float], float | None]]:
        """Return k probabilities, and the unfamiliarity if the network tells it, of each of n images.

        `images` is `(n, height, width, 3)`.
        """
        if not self.tells_unfamiliarity:
            return [(row, None) for row in self.probabilities(images)]
        return [
            pair
            for rows, values in self._run([PROBABILITIES, UNFAMILIARITY], images)
            for pair in zip(rows, values, strict=True)
        ]

    def probabilities(self, images: npt.NDArray[np.uint8]) -> list[list[float]]:
        """Return only the k probabilities of each of n images."""
        return [row for (part,) in self._run([PROBABILITIES], images) for row in part]

    def _run(self, outputs: list[str], images: npt.NDArray[np.uint8]) -> Iterator[list[Any]]:
        """Give the named outputs of a few images at a time, as lists."""
        for start in range(0, len(images), RUN_IMAGES):
            answers = self.session.run(outputs, {"images": images[start : start + RUN_IMAGES]})
            yield [answer.tolist() for answer in answers]


def read_npy(file: bytes, form: ModelInput) -> npt.NDArray[np.uint8]:
    """Return the (n, height, width, 3) uint8 images of an `.npy` file, without copying them.

    Raises:
        NotPixels: it is not such a file. This is checked before anything is allocated.
    """
    start = len(NPY_MAGIC) + 2 + int.from_bytes(file[len(NPY_MAGIC) :][:2], "little")
    try:
        shape, fortran_order, dtype = _described(file[:start])
    except Exception as error:
        # The header is a Python literal: parsing is safe, but can raise any exception.
        first_line = str(error).partition("\n")[0]
        raise NotPixels("corrupt", f"not an .npy file: {first_line[:200]}") from error
    wanted = (form.height_px, form.width_px, 3)
    if dtype != np.uint8 or fortran_order or len(shape) != 4 or shape[1:] != wanted:
        raise NotPixels(
            "wrong_shape", f"expected uint8 (n, {form.height_px}, {form.width_px}, 3), got {dtype} {shape}"
        )
    if isinstance(shape[0], bool) or shape[0] < 0 or len(file) - start != math.prod(shape):
        raise NotPixels("corrupt", f"{len(file):,} bytes are not {shape[0]} images")
    return np.frombuffer(file, np.uint8, offset=start).reshape(shape)


@lru_cache(_HEADERS)
def _described(header: bytes) -> tuple[Any, bool, Any]:
    """Return shape, order and type of the header of an `.npy` file: most requests have the same one."""
    if not header.startswith(NPY_MAGIC):
        raise ValueError("its version is not 1.0")
    described = io.BytesIO(header[len(NPY_MAGIC) :])
    found: tuple[Any, bool, Any] = np.lib.format.read_array_header_1_0(described)
    return found

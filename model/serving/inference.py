"""A trained model, run by onnxruntime: `model.onnx` and `card.json` in one folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from model.files import MODEL_FILE, UnusableModel, read_card

RUN_IMAGES = 64
"""Images per run of the network: more are not faster, and take more memory."""


@dataclass(frozen=True)
class Model:
    """A network, with the facts of its card."""

    session: onnxruntime.InferenceSession
    classes: tuple[str, ...]
    image_size_px: int
    version: str

    @classmethod
    def load(cls, folder: Path, threads: int) -> "Model":
        """Read a model and run it once, so that the first request is not slow.

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
            model = cls(session, tuple(card["classes"]), int(card["image_size_px"]), card["model_version"])
            blank = np.zeros((RUN_IMAGES, model.image_size_px, model.image_size_px, 3), np.uint8)
            scores = model.probabilities(blank)[0]
        except Exception as error:
            # onnxruntime raises a dozen kinds of its own, all as plain exceptions.
            raise UnusableModel(f"no usable model in {folder}: {type(error).__name__}: {error}") from error
        if len(scores) != len(model.classes):
            raise UnusableModel(
                f"no usable model in {folder}: {len(scores)} scores, but classes {model.classes}"
            )
        return model

    def probabilities(self, images: npt.NDArray[np.uint8]) -> list[list[float]]:
        """Return k probabilities for each of n images; `images` is (n, size, size, 3) uint8."""
        scores: list[list[float]] = []
        for start in range(0, len(images), RUN_IMAGES):
            feed = {"images": images[start : start + RUN_IMAGES]}
            scores += self.session.run(["probabilities"], feed)[0].tolist()
        return scores

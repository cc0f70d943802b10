"""A trained model, run by onnxruntime: `model.onnx` and `card.json` in one folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from ingest.model_input import ModelInput
from model.files import MODEL_FILE, PROBABILITIES, RUN_IMAGES, UNFAMILIARITY, UnusableModel, read_card


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
            model = cls(session, tuple(card["classes"]), ModelInput.from_mapping(card), card["model_version"])
            blank = np.zeros((RUN_IMAGES, model.form.height_px, model.form.width_px, 3), np.uint8)
            answered = model.scores(blank)[0] if model.tells_unfamiliarity else model.probabilities(blank)
            scores = answered[0]
        except Exception as error:
            # onnxruntime raises a dozen kinds of its own, all as plain exceptions.
            raise UnusableModel(f"no usable model in {folder}: {type(error).__name__}: {error}") from error
        if len(scores) != len(model.classes):
            raise UnusableModel(
                f"no usable model in {folder}: {len(scores)} scores, but classes {model.classes}"
            )
        return model

    def probabilities(self, images: npt.NDArray[np.uint8]) -> list[list[float]]:
        """Return k probabilities for each of n images; `images` is (n, height, width, 3) uint8."""
        return [row for (part,) in self._run([PROBABILITIES], images) for row in part]

    def scores(self, images: npt.NDArray[np.uint8]) -> tuple[list[list[float]], list[float]]:
        """Return k probabilities and the unfamiliarity, 0 to 1, of each of n images.

        Only a network that `tells_unfamiliarity` can.
        """
        probabilities: list[list[float]] = []
        unfamiliarity: list[float] = []
        for rows, values in self._run([PROBABILITIES, UNFAMILIARITY], images):
            probabilities += rows
            unfamiliarity += values
        return probabilities, unfamiliarity

    def _run(self, outputs: list[str], images: npt.NDArray[np.uint8]) -> Iterator[list[Any]]:
        """Give the named outputs of a few images at a time, as lists."""
        for start in range(0, len(images), RUN_IMAGES):
            answers = self.session.run(outputs, {"images": images[start : start + RUN_IMAGES]})
            yield [answer.tolist() for answer in answers]

"""The nearest training images are found by the features of a model's last layer."""

import shutil

import numpy as np
import pytest

from model.data.dataset import Dataset
from model.files import DEFAULT_MODEL, MODEL_FILE, UnusableModel, read_card
from model.training import neighbours

PIXELS = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), np.uint8)
DATASET = Dataset(
    PIXELS, np.array([0, 1, 0, 1, 0]), ("bicycle", "tulip"), tuple(f"image {number}" for number in range(5))
)


@pytest.fixture
def folder(tmp_path):
    shutil.copy(DEFAULT_MODEL / MODEL_FILE, tmp_path)
    neighbours.write(tmp_path, (tmp_path / MODEL_FILE).read_bytes(), DATASET)
    return tmp_path


def test_an_image_is_nearest_to_itself_and_each_is_named_with_its_class(folder):
    for number in (0, 3):
        found = neighbours.nearest(folder, PIXELS[number], 3)
        assert (found[0].name, found[0].label) == (f"image {number}", ("bicycle", "tulip")[number % 2])
        assert found[0].similarity == pytest.approx(1, abs=1e-3)
        assert len(found) == 3
        assert found == sorted(found, key=lambda each: -each.similarity)


def test_the_default_model_keeps_the_features_of_all_its_training_images():
    with np.load(DEFAULT_MODEL / neighbours.FILE, allow_pickle=False) as file:
        names, labels = file["names"].tolist(), file["labels"].tolist()
    counted = {label: labels.count(label) for label in set(labels)}
    assert counted == read_card(DEFAULT_MODEL)["data"]["images"]
    assert len(set(names)) == len(names)
    assert neighbours.nearest(DEFAULT_MODEL, PIXELS[0], 5)[0].similarity < 0.99


def test_features_of_another_model_are_refused(folder):
    with np.load(folder / neighbours.FILE) as file:
        other = {name: file[name] for name in file.files}
    np.savez_compressed(folder / neighbours.FILE, **{**other, "features": other["features"][:, :50]})
    with pytest.raises(UnusableModel, match="another model"):
        neighbours.nearest(folder, PIXELS[0], 1)


def test_a_model_without_a_last_layer_keeps_none_and_leaves_none_of_an_earlier_one(folder, tmp_path):
    neighbours.write(folder, b"no ONNX file", DATASET)
    with pytest.raises(FileNotFoundError):
        neighbours.nearest(folder, PIXELS[0], 1)


def test_a_corrected_model_has_the_features_of_the_one_that_it_was_made_of(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("learned")
    neighbours.copy(folder, out)
    assert (out / neighbours.FILE).read_bytes() == (folder / neighbours.FILE).read_bytes()
    neighbours.copy(out, out)
    neighbours.copy(tmp_path_factory.mktemp("without"), out)
    assert not (out / neighbours.FILE).exists()

"""Foreign images: drawings of other things, and a user's folder of photos."""

import numpy as np
import pytest
from PIL import Image

from model.data import foreign, unrelated
from model.data.dataset import DataError
from model.data.drawn import drawn, unrelated_drawn

KINDS = ("car", "fish", "house", "page", "screen")


def write(folder, dataset):
    for pixels, label, name in zip(dataset.pixels, dataset.labels, dataset.names, strict=True):
        path = folder / dataset.classes[label] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


def quiet(done, total):
    pass


@pytest.mark.parametrize("kind", unrelated.KINDS)
def test_each_kind_is_drawn_the_same_again_and_differently_each_time(kind):
    one = unrelated_drawn([kind], 6, "test")
    assert (one.pixels == unrelated_drawn([kind], 6, "test").pixels).all()
    assert len({image.tobytes() for image in one.pixels}) >= 5


def test_crops_are_whole_images_of_small_parts():
    pixels = drawn(["poppy"], 3, "test").pixels
    found = unrelated.crops(pixels, np.arange(3), 4, np.random.default_rng(0))
    assert found.shape == (4, 32, 32, 3)
    assert found.std(axis=(1, 2)).mean() < pixels.std(axis=(1, 2)).mean()


def test_a_folder_gives_its_kinds_without_copies_of_known_images(tmp_path):
    others = unrelated_drawn(KINDS, 2, "test")
    known = drawn(["bicycle", "poppy"], 1, "test")
    write(tmp_path, others)
    Image.fromarray(known.pixels[0]).save(tmp_path / "car" / "a bicycle.png")
    Image.fromarray(others.pixels[0]).save(tmp_path / "car" / "the same again.png")
    (tmp_path / "car" / "text.png").write_bytes(b"no image")
    found, dropped = foreign.read(tmp_path, known, quiet)
    assert len(dropped) == len(found.unreadable) == 1
    assert found.classes == KINDS
    assert len(found.labels) == 10
    fold = foreign.fold_of_kinds(found, 5, seed=0)
    assert sorted(fold.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert (fold[::2] == fold[1::2]).all()


def test_a_kind_that_is_a_class_is_refused(tmp_path):
    write(tmp_path, unrelated_drawn(KINDS, 1, "test"))
    with pytest.raises(DataError, match="has a folder 'car', which is a class of the model"):
        foreign.read(tmp_path, unrelated_drawn(["car"], 1, "other"), quiet)


def test_too_few_kinds_to_measure_on_are_refused(tmp_path):
    write(tmp_path, unrelated_drawn(KINDS[:4], 1, "test"))
    with pytest.raises(DataError, match="has 4 folders with images; at least 5 are needed"):
        foreign.read(tmp_path, drawn(["bicycle"], 1, "test"), quiet)

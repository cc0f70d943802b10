"""model.training.run: what happens around the training itself, with either trainer."""

import re
from contextlib import contextmanager

import pytest

from model.data.dataset import DataError
from model.data.drawn import write_archive
from model.files import read_card
from model.training import light
from model.training.run import needed, run

CLASSES = ("bicycle", "motorcycle")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "drawn.tar.gz"
    write_archive(path, CLASSES, each=5)
    return path


@contextmanager
def steps(label):
    yield lambda done, total: None


def train(archive, out, *, classes=(), target_precision=0.99, trainer=None, say=lambda line: None):
    def with_numpy(data, progress):
        return light.train(data, seed=0, target_precision=target_precision, progress=progress)

    return run(
        trainer or with_numpy,
        data=archive,
        download_to=out / "not used",
        classes=classes,
        out=out,
        target_precision=target_precision,
        steps=steps,
        say=say,
    )


def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_trained(archive, tmp_path):
    (tmp_path / "a file").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"cannot write to .*a file: File exists"):
        train(archive, tmp_path / "a file", trainer=lambda *_: pytest.fail("trained"))


def test_data_that_cannot_be_used_is_one_sentence(archive, tmp_path):
    with pytest.raises(DataError, match=r"^drawn\.tar.gz has no class 'bycicle': did you mean bicycle"):
        train(archive, tmp_path, classes=("bycicle", "motorcycle"))


@pytest.mark.parametrize("precision", [1.0, 0.0, 99.0, -0.5])
def test_a_target_precision_is_above_zero_and_below_one(archive, tmp_path, precision):
    with pytest.raises(DataError, match="above 0 and below 1"):
        train(archive, tmp_path, target_precision=precision)


def test_the_data_is_described_before_training_and_the_model_is_written_with_its_card(archive, tmp_path):
    lines: list[str] = []
    trained = train(archive, tmp_path / "model", say=lines.append)
    assert lines[:2] == ["bicycle: 5 images", "motorcycle: 5 images"]
    assert read_card(tmp_path / "model") == trained.card
    assert (tmp_path / "model" / "model.onnx").read_bytes() == trained.file.content


def test_too_few_images_for_the_target_precision_are_reported(archive, tmp_path):
    text = train(archive, tmp_path).text()
    assert "10 images cannot show a precision of 0.99: all would need review" in text
    assert "at least 99 predictions" in text
    assert re.search(r"written to .*: patches-[0-9a-f]{8}, [\d,]+ bytes", text)
    assert needed(0.99) == 99
    assert needed(0.8) == 4

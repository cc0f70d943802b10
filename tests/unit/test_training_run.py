"""model.training.run: what happens around the training itself, with either trainer."""

import random
import re
from contextlib import contextmanager

import pytest

from infra.aws.deploy import parameters_of_model
from ingest.image import prepare_for
from ingest.model_input import CROP, PAD, PIXELS_TYPE, ModelInput
from model.data.dataset import DEFAULT_FORM, DataError
from model.data.drawings import draw
from model.data.drawn import write_archive
from model.data.load import load
from model.files import read_card
from model.serving.inference import Model, read_npy
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


def train(
    archive, out, *, classes=(), form=DEFAULT_FORM, target_precision=0.99, trainer=None, say=lambda line: None
):
    def with_numpy(data, progress):
        return light.train(data, seed=0, target_precision=target_precision, progress=progress)

    return run(
        trainer or with_numpy,
        data=archive,
        download_to=out / "not used",
        classes=classes,
        form=form,
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


@pytest.mark.parametrize("form", [ModelInput(48, 64, CROP), ModelInput(224, 224, PAD, jpeg_quality=70)])
def test_a_model_of_another_size_is_served_the_pixels_that_it_was_trained_on(tmp_path, form):
    rng = random.Random(1)
    for name in CLASSES:
        for number in range(5):
            path = tmp_path / "photos" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(name, 150, 100, rng).save(path)
    seen: dict[str, object] = {}

    def trainer(data, progress):
        seen.update(zip(data.train.names, data.train.pixels, strict=True))
        return light.train(data, seed=0, target_precision=0.9, progress=progress)

    train(tmp_path / "photos", tmp_path / "model", form=form, trainer=trainer)
    stack = ModelInput.from_mapping(parameters_of_model(tmp_path / "model"))
    assert stack.to_card() == form.to_card()
    file = stack.file_of(prepare_for(stack, path.read_bytes()).pixels)
    served = Model.load(tmp_path / "model", threads=1)
    are_pixels = stack.content_type == PIXELS_TYPE
    got = read_npy(file, served.form) if are_pixels else served.pixels_of(file)
    assert (got[0] == seen[f"{name}/{number}.png"]).all()
    scores, _ = served.score_npy(file) if are_pixels else served.score_file(file)
    assert sum(scores) == pytest.approx(1, abs=1e-4)


def test_an_archive_is_enlarged_to_the_model_s_size(archive):
    data = load(archive, CLASSES, lambda done, total: None, ModelInput(40, 48))
    assert data.train.pixels.shape == (10, 48, 40, 3)
    assert data.test is not None
    assert data.test.form == ModelInput(40, 48)


def test_too_few_images_for_the_target_precision_are_reported(archive, tmp_path):
    text = train(archive, tmp_path).text()
    assert "10 images cannot show a precision of 0.99: all would need review" in text
    assert "at least 99 predictions" in text
    assert re.search(r"written to .*: patches-[0-9a-f]{8}, [\d,]+ bytes", text)
    assert needed(0.99) == 99
    assert needed(0.8) == 4

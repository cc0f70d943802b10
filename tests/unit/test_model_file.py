import json

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import calibrate
from model.data.dataset import normalised, statistics
from model.data.drawn import drawn, write_archive
from model.data.load import load
from model.files import read_card
from model.training import card, light, patches
from model.training.classifier_file import BothSides, build
from model.training.onnx_file import Graph
from model.unfamiliarity import Scale, score

CLASSES = ("bicycle", "poppy", "tulip")


def run(content, **inputs):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0], session


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20),
    st.integers(-5, 5).filter(bool),
)
def test_onnxruntime_reads_what_was_written(values, shift):
    graph = Graph("test")
    y = graph.node("Add", ["x", graph.constant(np.array(values, dtype=np.float32))])
    graph.node("Reshape", [y, graph.constant(np.array([-1, len(values)]))], "y", allowzero=0)
    content = graph.to_bytes(
        {"x": ("float32", ["n", len(values)])}, {"y": ("float32", ["n", len(values)])}, {"note": "ä" * 300}
    )
    x = np.full((3, len(values)), shift, dtype=np.float32)
    result, session = run(content, x=x)
    assert (result == x + np.array(values, dtype=np.float32)).all()
    assert session.get_modelmeta().custom_metadata_map == {"note": "ä" * 300}
    assert session.get_inputs()[0].shape == ["n", len(values)]


@pytest.mark.parametrize(("kind", "tolerance"), [("byte_constant", 1 / 254), ("half_constant", 1 / 2048)])
def test_small_constants_come_back_within_their_rounding(kind, tolerance):
    rng = np.random.default_rng(0)
    weight = (rng.normal(0, 1, (6, 5)) * 10.0 ** np.arange(-2, 4)[:, None]).astype(np.float32)
    graph = Graph("test")
    graph.node("Add", ["x", getattr(graph, kind)(weight)], "y")
    content = graph.to_bytes({"x": ("float32", [6, 5])}, {"y": ("float32", [6, 5])}, {})
    result, _ = run(content, x=np.zeros((6, 5), np.float32))
    largest = np.abs(weight).max(axis=1, keepdims=True)
    assert (np.abs(result - weight) <= largest * tolerance * 1.001).all()


@pytest.fixture(scope="module")
def data():
    return drawn(CLASSES, 8, "test of the model file")


@pytest.fixture(scope="module")
def learned(data):
    x = normalised(data.pixels, *statistics(data.pixels))
    return x, patches.learn(x, data.labels, len(CLASSES), 0, (32, 32))


def file_of(body, data, temperature):
    mean, std = statistics(data.pixels)
    return build(
        body, name="small", classes=CLASSES, size_px=(32, 32), mean=mean, std=std, temperature=temperature
    )


def test_a_file_with_a_scale_tells_the_unfamiliarity_of_each_image(data):
    weight = np.random.default_rng(0).normal(0, 1, (3, 5)).astype(np.float32)
    scale = Scale((-1.0, 0.5, 0.75, 3.0), (0.0, 0.25, 0.9, 1.0))

    def body(graph, x):
        means = graph.node("ReduceMean", [x], axes=[2, 3], keepdims=0)
        return graph.node("MatMul", [means, graph.constant(weight)])

    mean, std = statistics(data.pixels)
    file = build(
        BothSides(body, 5),
        name="two",
        classes=CLASSES,
        size_px=(32, 32),
        mean=mean,
        std=std,
        temperature=0.5,
        scale=scale,
    )
    session = onnxruntime.InferenceSession(file.content, providers=["CPUExecutionProvider"])
    probabilities, unfamiliarity = session.run(["probabilities", "unfamiliarity"], {"images": data.pixels})
    logits = normalised(data.pixels, mean, std).mean(axis=(2, 3)) @ weight
    assert probabilities == pytest.approx(calibrate.softmax(logits[:, :3], 0.5), abs=1e-4)
    assert unfamiliarity == pytest.approx(scale(score(logits, 3)), abs=1e-4)
    assert 0 < np.ptp(unfamiliarity) <= 1


def test_the_file_computes_what_was_learned(data, learned):
    x, classifier = learned
    file = file_of(classifier, data, temperature=1.7)
    result, session = run(file.content, images=data.pixels)
    assert result == pytest.approx(calibrate.softmax(classifier.logits(x), 1.7), abs=2e-3)
    assert result.sum(axis=1) == pytest.approx(np.ones(len(x)), abs=1e-5)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == list(CLASSES)
    assert metadata["model_version"] == file.model_version


def test_an_image_and_its_mirror_image_get_the_same_scores(data, learned):
    x, classifier = learned
    file = file_of(BothSides(classifier, len(CLASSES)), data, temperature=1.0)
    result, _ = run(file.content, images=data.pixels)
    mirrored, _ = run(file.content, images=np.ascontiguousarray(data.pixels[:, :, ::-1]))
    assert result == pytest.approx(mirrored, abs=1e-4)
    expected = (classifier.logits(x) + classifier.logits(x[:, :, :, ::-1])) / 2
    assert result == pytest.approx(calibrate.softmax(expected), abs=2e-3)


def test_the_version_changes_with_the_computation_and_with_nothing_else(data, learned):
    _, classifier = learned
    file = file_of(classifier, data, temperature=1.0)
    assert file.model_version.startswith("small-")
    assert file_of(classifier, data, temperature=1.0) == file
    assert file_of(classifier, data, temperature=1.1).model_version != file.model_version


def test_a_light_model_learns_drawn_flowers_from_an_archive(tmp_path):
    write_archive(tmp_path / "drawn.tar.gz", CLASSES, each=10)
    data = load(tmp_path / "drawn.tar.gz", CLASSES, lambda done, total: None)
    file, result = light.train(data, seed=0, target_precision=0.9, progress=lambda done, total: None)
    card.write(tmp_path / "model", file, result)
    assert read_card(tmp_path / "model") == json.loads(json.dumps(result))
    assert result["classes"] == list(CLASSES)
    assert result["out_of_fold"]["accuracy"] >= 0.9
    assert data.test is not None
    scores, _ = run((tmp_path / "model" / "model.onnx").read_bytes(), images=data.test.pixels)
    assert (scores.argmax(axis=1) == data.test.labels).mean() >= 0.8


def test_drawings_for_training_are_not_those_for_testing():
    one, same, other = (drawn(CLASSES[:1], 3, purpose) for purpose in ("training", "training", "test"))
    assert one.sha256() == same.sha256()
    assert not {p.tobytes() for p in one.pixels} & {p.tobytes() for p in other.pixels}

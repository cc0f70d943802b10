"""Other classes and sizes than the default: a model of 224 pixels in the Lambdas; a thousand classes, and
images that are too large for the state."""

import io
import json
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from infra.aws.changes import DeployFailed
from infra.cli.terminal import progress_bar
from infra.laptop.local import running, up
from infra.operations.answers import engine
from infra.operations.drop import drop, settle
from infra.operations.image_folder import read_folder
from infra.operations.load_labels import load_labels
from infra.operations.write_sheet import review
from ingest.aws import MODEL_INPUTS_PREFIX
from ingest.model_input import CROP, ModelInput
from model.data.drawings import draw
from model.data.drawn import drawn
from model.data.load import Data
from model.files import CARD_FILE, MODEL_FILE, read_card
from model.training import card, light
from model.training.onnx_file import Graph
from tests.builders import an_event, image_net_names, noise
from tests.waiting import PATIENCE_S, until
from workflow.classifier import IN_LAMBDA, NO_ENDPOINT
from workflow.policy import KEPT_CLASSES

FLOWERS = ("poppy", "tulip", "willow_tree")
EACH = 8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flowers")
    data = Data(drawn(FLOWERS, 16, "training", ModelInput(224, 224, CROP)), None, ())
    file, result = light.train(data, seed=0, target_precision=0.95, progress=lambda done, total: None)
    card.write(folder / "model", file, result)
    return folder / "model"


def test_drawn_poppies_tulips_and_willows_end_as_rows_with_their_labels(model: Path, tmp_path: Path) -> None:
    rng = random.Random(5)
    for label in FLOWERS:
        for number in range(EACH):
            buffer = io.BytesIO()
            draw(label, 120, 90, rng).save(buffer, "JPEG", quality=92)
            path = tmp_path / "images" / label / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(buffer.getvalue())

    with (
        running(tmp_path / "home", tmp_path / "stack.json", model=model, model_in=IN_LAMBDA) as stack,
        progress_bar(Console(quiet=True)) as progress,
    ):
        dropped = drop(stack, read_folder(tmp_path / "images").files, progress)
        settled = settle(stack, dropped, progress, PATIENCE_S)
        with engine(stack, tmp_path / "results") as answers:
            rows = answers.query(
                "SELECT key, label, cardinality(probabilities) AS classes, model_version, endpoint "
                "FROM outcomes"
            ).frame.to_dict("records")
        assert set(stack.pids) == {"supervisor", "aws"}

    assert settled.missing == []
    assert settled.outcomes["failed"] == settled.outcomes["rejected"] == 0
    assert {row["model_version"] for row in rows} == {read_card(model)["model_version"]}
    assert {row["classes"] for row in rows} == {len(FLOWERS)}
    assert {row["endpoint"] for row in rows} == {NO_ENDPOINT}
    right = Counter(row["key"].split("/")[0] for row in rows if row["key"].startswith(row["label"] + "/"))
    assert len(rows) == EACH * len(FLOWERS)
    assert all(right[label] >= EACH - 2 for label in FLOWERS), right


def test_a_folder_without_a_model_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(DeployFailed, match="is not a folder of a model, as `make train` writes one"):
        up(tmp_path / "home", None, tmp_path / "stack.json", model=tmp_path)
    assert not (tmp_path / "home").exists()


THOUSAND = image_net_names(1_000)


KEPT = """
    SELECT
        upload_id, key, label, outcome, confidence, threshold, cardinality(probabilities) AS kept,
        reduce(map_values(probabilities), 0e0, (s, x) -> s + x, s -> s) + other_probability AS total
    FROM predictions
"""


def rows_beyond(answers: Any, some: int) -> list[dict[str, Any]]:
    """Return all rows if there are more than some, else none."""
    rows: list[dict[str, Any]] = answers.query(KEPT).frame.to_dict("records")
    return rows if len(rows) > some else []


def write_model_of_a_thousand_classes(folder: Path) -> None:
    """Write a stand-in that tells a thousand shades of an image's mean colour apart."""
    graph = Graph("shades")
    pixels = graph.node("Cast", ["images"], to=1)
    means = graph.node("ReduceMean", [pixels], axes=[1, 2], keepdims=0)
    weights = np.random.default_rng(1).normal(0, 0.02, (3, len(THOUSAND))).astype(np.float32)
    graph.node("Softmax", [graph.node("MatMul", [means, graph.constant(weights)])], "probabilities", axis=1)
    outputs: dict[str, tuple[str, list[int | str]]] = {"probabilities": ("float32", ["n", len(THOUSAND)])}
    folder.mkdir()
    content = graph.to_bytes({"images": ("uint8", ["n", 224, 256, 3])}, outputs, {})
    (folder / MODEL_FILE).write_bytes(content)
    thresholds = dict.fromkeys(THOUSAND[::2], 0.001)
    card = {"classes": THOUSAND, "threshold": 0.9, "thresholds": thresholds, "image_size_px": [256, 224]}
    (folder / CARD_FILE).write_text(json.dumps({**card, "model_version": "shades-1"}), encoding="utf-8")


def test_a_thousand_classes_go_the_whole_way_with_no_more_permissions_than_needed(tmp_path: Path) -> None:
    write_model_of_a_thousand_classes(tmp_path / "model")
    (tmp_path / "images").mkdir()
    rng = random.Random(3)
    for number in range(EACH):
        colour = tuple(rng.randrange(256) for _ in range(3))
        Image.new("RGB", (60, 40), colour).save(tmp_path / "images" / f"{number}.png")
    noise(256, 224).save(tmp_path / "images" / "noise.png")
    home, stack_file = tmp_path / "home", tmp_path / "stack.json"
    with (
        running(home, stack_file, model=tmp_path / "model", enforce_iam=True) as stack,
        progress_bar(Console(quiet=True)) as progress,
        engine(stack, tmp_path / "results") as answers,
    ):
        dropped = drop(stack, read_folder(tmp_path / "images").files, progress)
        settled = settle(stack, dropped, progress, PATIENCE_S)
        version = stack.client("s3").head_object(Bucket=stack.incoming_bucket, Key="0.png")["VersionId"]
        batch = {"events": [an_event("0.png", version, bucket=stack.incoming_bucket)], "execution_arn": "one"}
        functions = stack.client("lambda").list_functions()["Functions"]
        (name,) = [each["FunctionName"] for each in functions if "ClassifyBatch" in each["FunctionName"]]
        answer = stack.client("lambda").invoke(FunctionName=name, Payload=json.dumps(batch))
        assert "FunctionError" not in answer, answer["Payload"].read()
        rows = until(lambda: rows_beyond(answers, EACH + 1), "the batch's row")
        listed = stack.client("s3").list_objects_v2(Bucket=stack.results_bucket, Prefix=MODEL_INPUTS_PREFIX)
        (noisy,) = [row["upload_id"] for row in rows if row["key"] == "noise.png"]
        assert [each["Key"] for each in listed["Contents"]] == [MODEL_INPUTS_PREFIX + noisy]
        assert (settled.missing, settled.outcomes["failed"]) == ([], 0)
        for row in rows:
            own = 0.001 if row["label"] in THOUSAND[::2] else 0.9
            assert (row["kept"], row["threshold"]) == (KEPT_CLASSES, own)
            assert row["total"] == pytest.approx(1, abs=1e-5)
            assert (row["outcome"] == "accepted") == (row["confidence"] >= own)
        sheet = review(stack, answers, None, None, EACH, tmp_path / "review").page
        assert sheet
        assert "one of 1,000 classes" in sheet.read_text(encoding="utf-8")
        label = {"upload_id": rows[0]["upload_id"], "key": rows[0]["key"], "label": THOUSAND[-1]}
        line = json.dumps({**label, "labelled_at": datetime.now(UTC).isoformat()})
        (tmp_path / "labels.jsonl").write_text(line, encoding="utf-8")
        assert load_labels(stack, answers, str(tmp_path / "labels.jsonl")).images == 1

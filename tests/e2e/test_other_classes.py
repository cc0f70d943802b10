"""Other classes than the default five: a model trained on an archive, in the Lambdas, asked through S3."""

import io
import random
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from infra.aws.changes import DeployFailed
from infra.cli.terminal import progress_bar
from infra.laptop.local import running, up
from infra.operations.answers import engine
from infra.operations.drop import drop, files_of, settle
from model.data.drawings import draw
from model.data.drawn import write_archive
from model.data.load import load
from model.files import read_card
from model.training import card, light
from tests.waiting import PATIENCE_S
from workflow.classifier import IN_LAMBDA, NO_ENDPOINT

FLOWERS = ("poppy", "tulip", "willow_tree")
EACH = 8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flowers")
    write_archive(folder / "drawn.tar.gz", FLOWERS, each=40)
    data = load(folder / "drawn.tar.gz", FLOWERS, lambda done, total: None)
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
        settled = settle(stack, drop(stack, files_of(tmp_path / "images"), progress), progress, PATIENCE_S)
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

"""`make import-capture`: from capture files in a folder or a bucket to the report, on S3 as moto plays it."""

import base64
import json
import os
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.report.isoweek import IsoWeek
from infra.aws.deploy import parameters_of_model
from infra.cli.main import scones
from infra.operations import import_capture
from infra.operations.answers import engine
from infra.operations.import_capture import CannotImport, judgement
from infra.operations.write_report import report_of
from tests.builders import png_bytes
from workflow.outcome import IMPORTED_BUCKET
from workflow.policy import INFERENCE_ID_PREFIX

WEEK = IsoWeek.parse("2026-W46")
LAYOUT = "my-endpoint/AllTraffic/2026/11"
SCORES = ["[0.99, 0.01, 0, 0, 0]", "[0.02, 0.98, 0, 0, 0]", "[0.6, 0.4, 0, 0, 0]"]


def a_line(number: int, scores: str | None = None) -> str:
    image = base64.b64encode(png_bytes()).decode()
    said = {
        "captureData": {
            "endpointInput": {"observedContentType": "image/png", "data": image, "encoding": "BASE64"},
            "endpointOutput": {"data": scores or SCORES[number % 3], "encoding": "JSON"},
        },
        "eventMetadata": {
            "eventId": f"e-{number}",
            "inferenceTime": f"2026-11-{9 + number % 7:02}T10:00:00Z",
        },
        "eventVersion": "0",
    }
    return json.dumps(said) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as `aws s3 sync` leaves it: 21 requests in three files, a broken line, a stray file."""
    folder = tmp_path / "captured"
    for hour in range(3):
        file = folder / LAYOUT / f"09/{hour:02}" / f"30-45-{hour}.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text("".join(a_line(number) for number in range(hour, 21, 3)), encoding="utf-8")
    broken = folder / LAYOUT / "09/02/30-45-2.jsonl"
    broken.write_text("{}\n\n" + broken.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "readme.txt").write_text("no capture", encoding="utf-8")
    return folder


@pytest.fixture
def stack(s3: Any) -> Any:
    for bucket in ("incoming", "results", "theirs"):
        s3.create_bucket(Bucket=bucket)
    parameters = [
        {"ParameterKey": key, "ParameterValue": value}
        for key, value in {
            **parameters_of_model(),
            "ClassThresholds": "bicycle=0.9",
            "Temperature": "1",
        }.items()
    ]
    clients = {
        "s3": s3,
        "cloudformation": SimpleNamespace(
            describe_stacks=lambda **_: {"Stacks": [{"Parameters": parameters}]}
        ),
        "sqs": boto3.client("sqs"),
    }
    return SimpleNamespace(
        client=clients.__getitem__,
        incoming_bucket="incoming",
        waiting_images_url=clients["sqs"].create_queue(QueueName="waiting")["QueueUrl"],
        key_pattern="*",
        results_bucket="results",
        database="scones",
        name="scones",
        endpoint_url="moto",
    )


def images(stack: Any, folder: Path) -> list[dict[str, Any]]:
    with engine(stack, folder) as answers:
        rows: list[dict[str, Any]] = answers.query("SELECT * FROM outcomes").frame.to_dict("records")
    return rows


def test_a_folder_of_captures_has_its_report(stack: Any, folder: Path, tmp_path: Path) -> None:
    done = import_capture.import_capture(stack, str(folder), judgement(stack))
    assert (done.files, done.lines, done.other_files) == (3, 22, 1)
    assert done.outcomes == {"accepted": 14, "needs_review": 7}
    (bad,) = done.bad
    assert bad.place == f"{folder.resolve()}/{LAYOUT}/09/02/30-45-2.jsonl:1"
    assert "eventMetadata" in bad.why

    with engine(stack, tmp_path / "mirror") as answers:
        report = report_of(stack, answers, WEEK, WEEK.back())
    said = json.loads(report.to_json())
    tally = said["summary"]["tally"]
    assert (tally["images"], tally["accepted"], tally["needs_review"]) == (21, 14, 7)
    complete = said["completeness"]
    assert (complete["uploaded"], complete["imported"], complete["missing"]) == (0, 21, 0)
    assert said["completeness"]["late"] == 0
    assert "my-endpoint" in report.to_html()
    assert "make review" not in report.to_text()  # which has no pictures of them


def test_what_is_imported_twice_counts_once(stack: Any, folder: Path, tmp_path: Path) -> None:
    judged = judgement(stack)
    import_capture.import_capture(stack, str(folder), judged)
    (folder / LAYOUT / "10/00").mkdir(parents=True)
    (folder / LAYOUT / "10/00/new.jsonl").write_text(
        a_line(99) + a_line(0), encoding="utf-8"
    )  # other files of rows than before
    import_capture.import_capture(stack, str(folder), judged)
    import_capture.import_capture(stack, str(folder / LAYOUT / "10/00/new.jsonl"), judged)
    assert len(images(stack, tmp_path / "mirror")) == 22


def test_what_is_imported_again_with_another_threshold_is_decided_by_that(
    stack: Any, folder: Path, tmp_path: Path
) -> None:
    import_capture.import_capture(stack, str(folder), judgement(stack))
    import_capture.import_capture(stack, str(folder), judgement(stack, threshold="0.5"))
    assert Counter(row["outcome"] for row in images(stack, tmp_path / "mirror")) == {"accepted": 21}
    import_capture.import_capture(stack, str(folder), judgement(stack))
    assert Counter(row["outcome"] for row in images(stack, tmp_path / "mirror"))["needs_review"] == 7


def test_a_second_import_says_what_was_there_before(
    stack: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted(source: Path) -> tuple[int, int]:
        done = import_capture.import_capture(stack, str(source), judgement(stack))
        with engine(stack, tmp_path / "mirror") as answers:
            return import_capture.new_and_known(answers, done)

    assert counted(folder) == (21, 0)
    assert counted(folder) == (0, 21)
    (folder / LAYOUT / "10/00").mkdir(parents=True)
    new = folder / LAYOUT / "10/00/new.jsonl"
    new.write_text(a_line(99) + a_line(0) + a_line(98) + a_line(98), encoding="utf-8")
    monkeypatch.setattr(import_capture, "ROWS_AT_ONCE", 1)  # a copy that is written apart
    assert counted(new) == (2, 1)
    new.write_text("{}\n", encoding="utf-8")
    assert counted(new) == (0, 0)


def test_a_bucket_is_read_like_a_folder(stack: Any, s3: Any, folder: Path, tmp_path: Path) -> None:
    for file in folder.rglob("*.*"):
        s3.upload_file(str(file), "theirs", f"capture#1?/{file.relative_to(folder)}")
    s3.upload_file(str(file), "theirs", "capture/of-another.jsonl")
    s3.put_object(Bucket="theirs", Key="capture#1?/", Body=b"")  # as the console makes a folder
    done = import_capture.import_capture(stack, "s3://theirs/capture#1?/", judgement(stack))
    assert (done.files, len(done.bad), done.other_files) == (3, 1, 1)
    assert done.bad[0].place == f"s3://theirs/capture#1?/{LAYOUT}/09/02/30-45-2.jsonl:1"
    rows = images(stack, tmp_path / "mirror")
    assert Counter(row["model_version"] for row in rows) == {"my-endpoint/AllTraffic": 21}
    assert {row["bucket"] for row in rows} == {IMPORTED_BUCKET}


def test_what_we_asked_the_endpoint_ourselves_has_a_row_already(stack: Any, tmp_path: Path) -> None:
    theirs, ours = json.loads(a_line(1)), json.loads(a_line(2))
    theirs["eventMetadata"]["inferenceId"] = "of-their-own"
    ours["eventMetadata"]["inferenceId"] = f"{INFERENCE_ID_PREFIX}1f0c"
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(theirs)}\n{json.dumps(ours)}\n", encoding="utf-8")
    done = import_capture.import_capture(stack, str(tmp_path), judgement(stack))
    assert (done.lines, done.outcomes.total(), done.on_record, done.bad) == (2, 1, 1, [])


def test_more_than_fits_in_memory_is_written_bit_by_bit(
    stack: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_capture, "ROWS_AT_ONCE", 2)
    done = import_capture.import_capture(stack, str(folder), judgement(stack))
    assert done.outcomes.total() == 21
    assert len(images(stack, tmp_path / "mirror")) == 21


def test_a_line_without_an_end_is_not_held_whole(
    stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = len(a_line(1)) + 1
    (tmp_path / "a.jsonl").write_text("x" * int(3.5 * most) + "\n" + a_line(1), encoding="utf-8")
    monkeypatch.setattr(import_capture, "LINE_MAX_BYTES", most)
    done = import_capture.import_capture(stack, str(tmp_path), judgement(stack))
    assert [line.place.rpartition(":")[2] for line in done.bad] == ["1"]
    assert done.outcomes.total() == 1


SOUND = {a_line(number).encode() for number in range(9)}
sound = st.sampled_from(sorted(SOUND))
anything = st.binary(max_size=30) | st.sampled_from(
    [b"{}", b"[]", b"  ", b"\xef\xbb\xbf{", b"\x1f\x8b\x08", b'"\xff"']
)
cut = st.builds(lambda line, at: line[:at], sound, st.integers(1, 300))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(sound | cut | anything.map(lambda data: data.replace(b"\n", b"") + b"\n"), max_size=6))
def test_every_line_is_a_row_or_is_named(stack: Any, tmp_path: Path, lines: list[bytes]) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines))
    written: list[dict[str, Any]] = []
    keeps = SimpleNamespace(write=lambda path, table: written.extend(table.to_pylist()))
    with patch.object(import_capture, "ResultsBucket", lambda *_: keeps):
        done = import_capture.import_capture(stack, str(tmp_path), judgement(stack))
    whole = [line for line in b"".join(lines).split(b"\n") if line.strip()]
    events = Counter(json.loads(line)["eventMetadata"]["eventId"] for line in whole if line + b"\n" in SOUND)
    assert {row["key"] for row in written} == set(events)
    assert len(written) == done.outcomes.total()
    assert (done.lines, len(done.bad)) == (len(whole), len(whole) - events.total())


def test_another_endpoint_s_classes_are_given(stack: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(a_line(1, "[0.1, 0.1, 0.8]") + a_line(2), encoding="utf-8")
    judged = judgement(stack, ["poppy", "tulip", "willow_tree"], "0.75")
    done = import_capture.import_capture(stack, str(tmp_path), judged)
    assert done.outcomes == {"accepted": 1}
    assert "expected 3 probabilities" in done.bad[0].why


def test_the_stack_s_thresholds_decide_unless_one_is_given(stack: Any) -> None:
    assert judgement(stack).policy.class_thresholds
    assert judgement(stack, threshold="0.5").policy.threshold_of("bicycle") == 0.5


def test_what_cannot_be_imported_is_named(stack: Any, tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "a.txt").write_text("", encoding="utf-8")
    judged = judgement(stack)
    for source, said in (
        (tmp_path, rf"no \.jsonl file under {tmp_path}, and 1 other: name SageMaker's capture folder"),
        (tmp_path / "none", f"there is no file or folder {tmp_path}/none"),
        ("s3://theirs/capture", "no \\.jsonl file under s3://theirs/capture: name"),
        ("s3://nobodys/capture", "there is no bucket nobodys on the laptop: bring its files into a folder"),
    ):
        with pytest.raises(CannotImport, match=said):
            import_capture.import_capture(stack, str(source), judged)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"threshold": "2"}, "THRESHOLD=2: a threshold must be from 0 to 1"),
        ({"threshold": "high"}, "THRESHOLD=high: a threshold must be from 0 to 1"),
        ({"classes": ["poppy", "poppy"]}, "CLASSES=poppy,poppy: class names must be distinct"),
        (
            {"classes": ["a", "b"], "threshold": "nan"},
            "CLASSES=a,b THRESHOLD=nan: a threshold must be from 0 to 1",
        ),
    ],
)
def test_what_cannot_be_judged_by_is_named(stack: Any, given: dict[str, str], said: str) -> None:
    with pytest.raises(CannotImport, match=said):
        judgement(stack, **given)


def test_a_file_may_have_any_name(stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / os.fsdecode(b"\xff\x1b[2J.jsonl")
    file.write_text("{}\n", encoding="utf-8")
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: stack)
    monkeypatch.setenv("SCONES_HOME", str(tmp_path))
    result = CliRunner().invoke(scones, ["import-capture", str(tmp_path)])
    assert isinstance(result.exception, SystemExit)
    assert "��[2J.jsonl:1: eventMetadata" in result.output
    assert "[2J.jsonl:1: eventMetadata" in (tmp_path / "import-capture.txt").read_text(encoding="utf-8")


def test_the_command_says_what_it_did_and_which_lines_it_did_not(
    stack: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: stack)
    monkeypatch.setenv("SCONES_HOME", str(folder))
    monkeypatch.setattr("infra.cli.words._SHOWN", 0)
    result = CliRunner().invoke(scones, ["import-capture", str(folder)])
    assert result.exit_code == 3
    assert "22 lines of 3 files" in result.output
    assert re.search(r"other files, not read\W+1\b", result.output)
    assert re.search(r"accepted\W+14\b", result.output)
    assert re.search(r"new in the table\W+21\b", result.output)
    assert re.search(r"known before, decided again\W+0\b", result.output)
    assert (folder / "import-capture.txt").read_text(encoding="utf-8").count("eventMetadata") == 1

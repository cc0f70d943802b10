"""From images that wait to a measured precision: a real browser, the file, the table, the report."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from PIL import Image

from analytics.lake.aws import ResultsBucket
from analytics.lake.schema import LABELS_SCHEMA, partition, to_table
from analytics.report.build import WeeklyReport, build_report
from analytics.report.isoweek import IsoWeek
from analytics.review.labels import UnusableLabels
from infra.cli.main import main, scones
from infra.operations.answers import engine
from infra.operations.load_labels import Loaded, load_labels
from infra.operations.write_sheet import Reviewed, review
from ingest import class_names
from model.files import DEFAULT_MODEL, read_card
from model.serving.inference import Model
from tests.builders import jpeg_bytes, noise
from tests.builders_table import a_label, a_row
from tests.chromium import CHROMIUM, Page, browsing

NASTY = "van-07/</script><script>document.title='broken'</script>\"'.jpg"
LONG = "a-folder-of-a-very-long-name-without-any-space/" * 6 + "image.jpg"
NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
YESTERDAY = NOW - timedelta(days=1)
CLASSES = {"bicycle": 0.5, "motorcycle": 0.3, "willow_tree": 0.2}

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="There is no Chromium here; apt-get install chromium brings one."
)


def unsure(number: int, confidence: float, key: str) -> dict[str, Any]:
    scores = {name: share * confidence / 0.5 for name, share in CLASSES.items()}
    scores["bicycle"] = confidence
    return a_row(
        number,
        key=key,
        version_id=None,
        outcome="needs_review",
        confidence=confidence,
        probabilities=scores,
        uploaded_at=YESTERDAY,
    )


ROWS = [
    unsure(1, 0.50, NASTY),
    unsure(2, 0.55, LONG),
    unsure(3, 0.60, "van-01/gone.jpg"),
    unsure(4, 0.65, "van-01/4.jpg"),
    unsure(5, 0.70, "van-01/5.jpg"),
    *(a_row(n, version_id=None, uploaded_at=YESTERDAY) for n in range(10, 16)),
]


@pytest.fixture
def stack(s3) -> Any:
    """What the commands need of a stack, in moto: six of the images were accepted."""
    for bucket in ("scones-incoming", "results"):
        s3.create_bucket(Bucket=bucket)
    for row in ROWS:
        if "gone" not in row["key"]:
            s3.put_object(Bucket="scones-incoming", Key=row["key"], Body=jpeg_bytes(noise(48, 32)))
    results = ResultsBucket(s3, "results")
    for dt, of_day in groupby(sorted(ROWS, key=partition), key=partition):
        results.write(f"predictions/dt={dt}/rows.parquet", to_table(of_day))
    return a_stack(s3)


def a_stack(s3: Any, **parameters: str) -> Any:
    said = {"ClassNames": ",".join(CLASSES), "Threshold": "0.9", "ClassThresholds": "", **parameters}
    stacks = [{"Parameters": [{"ParameterKey": key, "ParameterValue": said[key]} for key in said]}]
    clients = {"s3": s3, "cloudformation": SimpleNamespace(describe_stacks=lambda **_: {"Stacks": stacks})}
    return SimpleNamespace(
        client=clients.__getitem__,
        name="scones",
        results_bucket="results",
        database="scones",
        endpoint_url="http://of-moto",
    )


@pytest.fixture
def answers(stack: Any, tmp_path: Path) -> Iterator[Any]:
    with engine(stack, tmp_path / "mirror") as answers:
        yield answers


def reviewed(stack: Any, answers: Any, folder: Path, sample: int = 0) -> Reviewed:
    return review(stack, answers, None, None, sample, folder)


def a_file(path: Path, labels: dict[int, str | None], at: datetime = NOW) -> Path:
    """Write a labels file about `ROWS`, by their places."""
    path.write_text(
        "".join(
            json.dumps(
                {
                    "upload_id": ROWS[place]["upload_id"],
                    "key": ROWS[place]["key"],
                    "label": label,
                    "labelled_at": f"{at.isoformat()}Z",
                }
            )
            + "\n"
            for place, label in labels.items()
        ),
        encoding="utf-8",
    )
    return path


def labelled(answers: Any) -> dict[str, str | None]:
    frame = answers.query("SELECT key, true_label FROM true_labels").frame
    return dict(zip(frame["key"], frame["true_label"], strict=True))


def report_of_the_week(answers: Any) -> WeeklyReport:
    return build_report(answers, IsoWeek.of(YESTERDAY.date()), None)


# ── the file and the table ─────────────────────────────────────────────────────────────────────────────────


def test_a_file_that_is_loaded_twice_counts_once(stack, answers, tmp_path):
    file = a_file(tmp_path / "labels.jsonl", {0: "bicycle", 1: None, 6: "motorcycle"})
    assert report_of_the_week(answers).numbers.measured is None
    assert load_labels(stack, answers, str(file)) == Loaded(3, 3)
    once = answers.query("SELECT count(*) AS rows FROM labels").frame["rows"][0]
    assert load_labels(stack, answers, str(file)) == Loaded(3, 0)
    assert answers.query("SELECT count(*) AS rows FROM labels").frame["rows"][0] == once == 3
    assert labelled(answers) == {NASTY: "bicycle", LONG: None, ROWS[6]["key"]: "motorcycle"}


def test_a_later_label_wins_whenever_it_is_loaded(stack, answers, tmp_path):
    later = a_file(tmp_path / "later.jsonl", {0: "motorcycle"}, NOW)
    earlier = a_file(tmp_path / "earlier.jsonl", {0: "bicycle", 1: "bicycle"}, NOW - timedelta(hours=1))
    for file in (later, earlier):
        load_labels(stack, answers, str(file))
    assert labelled(answers) == {NASTY: "motorcycle", LONG: "bicycle"}


def test_a_file_comes_from_a_bucket_too(stack, answers, tmp_path, s3):
    body = a_file(tmp_path / "labels.jsonl", {0: "bicycle"}).read_bytes()
    s3.put_object(Bucket="results", Key="from/him & her?#.jsonl", Body=body)
    assert load_labels(stack, answers, "s3://results/from/him & her?#.jsonl") == Loaded(1, 1)
    with pytest.raises(ClientError, match="NoSuchKey"):
        load_labels(stack, answers, "s3://results/nothing.jsonl")


def test_of_a_file_with_one_bad_line_nothing_is_loaded(stack, answers, tmp_path):
    file = a_file(tmp_path / "labels.jsonl", {0: "bicycle", 1: "tulip"})
    with pytest.raises(UnusableLabels) as raised:
        load_labels(stack, answers, str(file))
    classes = "bicycle, motorcycle, willow_tree"
    assert str(raised.value) == (f"{file}: line 2: 'tulip' is not a class: {classes}. Nothing was loaded.")
    assert labelled(answers) == {}


def test_a_file_that_is_too_large_is_not_read(stack, answers, tmp_path, monkeypatch):
    monkeypatch.setattr("infra.operations.load_labels.MAX_BYTES", 100)
    file = a_file(tmp_path / "labels.jsonl", {0: "bicycle"})
    with pytest.raises(UnusableLabels, match="split it"):
        load_labels(stack, answers, str(file))


def test_what_is_labelled_is_not_on_the_next_sheet(stack, answers, tmp_path):
    load_labels(stack, answers, str(a_file(tmp_path / "labels.jsonl", {0: "bicycle", 1: None})))
    done = reviewed(stack, answers, tmp_path / "review")
    assert {image.key for image in done.queue.images} == {"van-01/gone.jpg", "van-01/4.jpg", "van-01/5.jpg"}
    load_labels(stack, answers, str(a_file(tmp_path / "more.jsonl", dict.fromkeys((2, 3, 4)))))
    assert reviewed(stack, answers, tmp_path / "review").page is None


def test_the_commands_say_where_the_sheet_is_and_what_was_loaded(stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: stack)
    said = CliRunner().invoke(scones, ["review", "--sample", "2", "--out", "sheets"])
    assert "without a label: 5" in said.output
    assert "a random sample of 2 accepted images" in said.output
    assert "Open sheets/review.html" in said.output
    assert (tmp_path / "sheets" / "review.html").is_file()
    a_file(tmp_path / "labels.jsonl", {0: "bicycle", 1: None})
    for new in (2, 0):
        loaded = CliRunner().invoke(scones, ["label", "labels.jsonl"]).output
        assert f"Labels of 2 images loaded; {new} of them had none before." in loaded
    loaded = CliRunner().invoke(scones, ["label", "labels.jsonl", "--json"]).stdout
    assert json.loads(loaded) == {"images": 2, "new": 0}
    assert "a date is like" in CliRunner().invoke(scones, ["review", "--since", "monday"]).output


def test_what_is_wrong_with_a_file_is_one_line_whatever_is_in_it(stack, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: stack)
    a_file(tmp_path / "labels.jsonl", {0: "[/bold]\x1b[2J"})
    monkeypatch.setattr("sys.argv", ["scones", "label", "labels.jsonl"])
    with pytest.raises(SystemExit, match="1"):
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: labels.jsonl: line 1: '[/bold]\\x1b[2J' is not a class: bicycle,")


# ── learning and certifying ────────────────────────────────────────────────────────────────────────────────


SERVED = read_card(DEFAULT_MODEL)["model_version"]


def shades(
    stack: Any, count: int, model_version: str = SERVED, dark: str | None = "bicycle"
) -> list[dict[str, Any]]:
    """Record images that are dark or bright, of which the table says that all are bicycles; label them."""
    rng = np.random.default_rng(1)
    s3, results = stack.client("s3"), ResultsBucket(stack.client("s3"), "results")
    rows, labels = [], []
    for number in range(count):
        is_dark = number % 2 == 0
        pixels = rng.integers(0, 90, (32, 32, 3)) + (0 if is_dark else 160)
        row = a_row(
            number,
            key=f"shade/{number}.png",
            version_id=None,
            uploaded_at=YESTERDAY,
            model_version=model_version,
        )
        s3.put_object(Bucket="scones-incoming", Key=row["key"], Body=png_of(pixels))
        rows.append(row)
        labels.append(a_label(row, dark if is_dark else "motorcycle", source="sample"))
    dt = partition(rows[0])
    results.write(f"predictions/dt={dt}/rows.parquet", to_table(rows))
    results.write(f"labels/dt={dt}/labels.parquet", pa.Table.from_pylist(labels, LABELS_SCHEMA))
    return rows


def png_of(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_labels_teach_a_model_that_can_be_served(stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: stack)
    monkeypatch.setenv("SCONES_HOME", str(tmp_path / "home"))
    rows = shades(stack, 60)
    done = CliRunner().invoke(scones, ["learn", "--out", "learned", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["labels"], said["is_better"], said["left_out"]) == (60, True, 0)
    assert said["right"] >= 55 > said["right_before"]
    model = Model.load(tmp_path / "learned", threads=1)
    card = read_card(tmp_path / "learned")
    assert model.version == card["model_version"] == said["model_version"]
    assert card["learned"]["from"] == SERVED
    assert not {"data", "training", "test", "foreign", "drawings"} & set(card)
    s3 = stack.client("s3")
    bodies = [s3.get_object(Bucket="scones-incoming", Key=row["key"])["Body"].read() for row in rows]
    pixels = np.array([np.asarray(Image.open(io.BytesIO(body))) for body in bodies])
    answers = np.array(model.probabilities(pixels)).argmax(axis=1)
    right = np.where(
        np.arange(60) % 2 == 0, card["classes"].index("bicycle"), card["classes"].index("motorcycle")
    )
    assert np.mean(answers == right) > 0.9


def test_a_few_labels_teach_nothing(stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: stack)
    monkeypatch.setenv("SCONES_HOME", str(tmp_path / "home"))
    shades(stack, 10)
    done = CliRunner().invoke(scones, ["learn"])
    assert "10 labelled images from" in str(done.exception)
    assert not (tmp_path / "home" / "learned").exists()


def test_labels_of_which_hardly_any_shows_a_class_teach_nothing(stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: stack)
    monkeypatch.setenv("SCONES_HOME", str(tmp_path / "home"))
    shades(stack, 30, dark=None)
    done = CliRunner().invoke(scones, ["learn"])
    assert "15 labelled images from" in str(done.exception)


def test_a_model_that_the_stack_does_not_serve_is_not_taught(stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: stack)
    monkeypatch.setenv("SCONES_HOME", str(tmp_path / "home"))
    shades(stack, 60, model_version="learned-1")
    done = CliRunner().invoke(scones, ["learn", "--out", "learned"])
    assert "the latest image was decided by the model learned-1, and " in str(done.exception)
    assert not (tmp_path / "learned").exists()


def test_certify_says_what_is_sure_and_which_images_are_next(stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: stack)
    week = str(IsoWeek.of(YESTERDAY.date()))
    done = CliRunner().invoke(scones, ["certify", "--week", week, "--out", "sheets", "--json"])
    assert done.exit_code == 3
    said = json.loads(done.stdout)
    assert (said["images"], said["labels"], said["state"], said["to_go"]) == (6, 0, "open", 6)
    accepted = sorted(row["upload_id"] for row in ROWS[5:])
    assert [each["upload_id"] for each in said["next"]] == accepted
    assert "What do these images show?" in (tmp_path / "sheets" / "certify.html").read_text(encoding="utf-8")
    lines = [
        json.dumps(
            {
                "upload_id": row["upload_id"],
                "key": row["key"],
                "label": "bicycle",
                "labelled_at": f"{NOW.isoformat()}Z",
                "source": "sample",
            }
        )
        for row in ROWS[5:]
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert CliRunner().invoke(scones, ["label", "labels.jsonl"]).exit_code == 0
    done = CliRunner().invoke(scones, ["certify", "--week", week])
    assert done.exit_code == 0
    assert "Certified: at least 99" in done.output


# ── the sheet ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sheet(stack, answers, tmp_path) -> Path:
    page = reviewed(stack, answers, tmp_path / "review", sample=6).page
    assert page
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with browsing() as page:
        yield page


def shown(page: Page, selector: str) -> int:
    """Count the elements that take space."""
    return int(
        page.evaluate(f"[...document.querySelectorAll('{selector}')].filter(e => e.offsetParent).length")
    )


def kept(page: Page) -> int:
    return int(page.evaluate("localStorage.length"))


@needs_browser
def test_keys_label_images_and_the_saved_file_measures_precision(stack, answers, sheet, browser, tmp_path):
    browser.look(1280)
    browser.open(sheet)
    assert browser.evaluate("document.title") == "11 images to review · Scones"
    assert browser.text("#where") == "Image 1 of 11"
    order = browser.evaluate("[...document.querySelectorAll('#sheet li')].map(image => image.dataset.name)")
    assert set(order) == {row["key"] for row in ROWS}
    says = {row["key"]: f"bicycle, {100 * row['confidence']:.1f}\u00a0%" for row in ROWS}
    assert shown(browser, ".answer") == 0
    assert order[0] in browser.text("#status")
    assert "says" not in browser.text("#status")
    browser.press("1")  # bicycle
    assert shown(browser, "#sheet .model.answer") == 1
    assert browser.text("#reveal") == f"You: bicycle. The model says {says[order[0]]}."
    browser.press("m")  # by its first letter
    browser.press("0")  # none of these
    assert browser.text("#count") == "3 of 11 labelled"
    assert browser.text("#status") == (
        f"none of these. The model says {says[order[2]]}. Image 4 of 11: {order[3]}."
    )
    browser.press("ArrowLeft")  # what is labelled shows the model's answer
    assert browser.text("#status") == f"Image 3 of 11: {order[2]}, the model says {says[order[2]]}."
    assert shown(browser, "#current .model.answer") == 1
    browser.press("ArrowRight")
    assert shown(browser, "#current .answer") == 0
    browser.press("3")
    browser.press("Backspace")
    assert browser.text("#where") == "Image 4 of 11"
    assert browser.text("#count") == "3 of 11 labelled"

    browser.reload()
    assert browser.text("#count") == "3 of 11 labelled"
    assert browser.text("#where") == "Image 4 of 11"
    browser.press("ArrowRight")  # skips it
    browser.press("B")
    browser.press("ArrowLeft")
    browser.press("ArrowLeft")
    assert browser.text("#where") == "Image 4 of 11"
    browser.press("x")
    assert browser.text("#count") == "4 of 11 labelled"
    browser.click('#answers [data-name="motorcycle"]')
    browser.click("#sheet li:nth-child(6) button")
    for number in range(6, 12):
        assert browser.text("#where") == f"Image {number} of 11"
        browser.press("2" if number == 6 else "1")
    assert browser.evaluate("!document.querySelector('#done').hidden")
    assert "All images are labelled." in browser.text("#status")
    browser.evaluate("document.querySelector('#name').value = 'Ada'; 0")

    file = browser.downloaded(tmp_path, lambda: browser.click("#save"))
    assert file.suffix == ".jsonl"
    assert browser.said == []
    assert load_labels(stack, answers, str(file)).images == 11
    said = ["bicycle", "motorcycle", None, "motorcycle", "bicycle", "motorcycle", *["bicycle"] * 5]
    assert labelled(answers) == dict(zip(order, said, strict=True))
    rows = answers.query("SELECT key, source, labelled_by, draw_probability FROM true_labels").frame
    assert set(rows["labelled_by"]) == {"Ada"}
    assert set(rows["draw_probability"]) == {1.0}
    unsure_keys = {row["key"] for row in ROWS[:5]}
    assert {
        key for key, source in zip(rows["key"], rows["source"], strict=True) if source != "sample"
    } == unsure_keys
    correct = sum(
        label == "bicycle" for key, label in zip(order, said, strict=True) if key not in unsure_keys
    )
    assert reviewed(stack, answers, tmp_path / "review").page is None
    report = report_of_the_week(answers)
    measured = report.numbers.measured
    assert measured
    assert (measured.images, measured.accepted, measured.correct) == (11, 6, correct)
    text = report.to_html().replace("\u00a0", " ")
    assert f"People checked 6 accepted images: {100 * correct / 6:.1f} % are right" in text
    assert 'id="reliability-title"' in text


@needs_browser
def test_a_class_of_a_thousand_is_found_by_typing(s3, stack, answers, browser, tmp_path):
    names = ["bicycle", "motorcycle", "willow_tree", *(f"class, {number:03}" for number in range(997))]
    of_many = a_stack(s3, ClassNames=class_names.join(names))
    browser.open(reviewed(of_many, answers, tmp_path / "review").page)
    browser.evaluate("localStorage.clear()")
    browser.reload()
    assert shown(browser, "#answers button") == 1  # none of these
    browser.press("w")  # goes to the field, and is typed there
    assert browser.evaluate("document.activeElement.id") == "find"
    browser.call("Input.insertText", text="illow")
    assert browser.text("#found") == "willow_tree"
    browser.press("Enter")
    assert browser.text("#reveal").startswith("You: willow_tree.")
    assert browser.text("#where") == "Image 2 of 5"
    browser.call("Input.insertText", text="class, 00")
    assert shown(browser, "#found button") == 9
    browser.click("#found button:nth-child(8)")
    assert browser.text("#reveal").startswith("You: class, 007.")
    assert browser.text("#found") == "class, 007willow_tree"  # those said last
    browser.press("0")  # the field is empty: a key
    browser.call("Input.insertText", text="no such class")
    browser.press("Enter")
    assert browser.text("#count") == "3 of 5 labelled"
    browser.press("Escape")
    browser.press("Backspace")
    assert browser.text("#count") == "2 of 5 labelled"
    file = browser.downloaded(tmp_path, lambda: browser.click("#save"))
    assert load_labels(of_many, answers, str(file)).images == 2
    assert set(labelled(answers).values()) == {"willow_tree", "class, 007"}
    assert browser.said == []


@needs_browser
def test_two_people_in_one_browser_do_not_see_each_others_labels(sheet, browser, tmp_path):
    browser.open(sheet)
    browser.evaluate("localStorage.clear()")
    browser.reload()
    set_name = "name.value = '{}'; name.dispatchEvent(new Event('change')); 0"
    for name, key, done in (("Ada", "1", 0), ("Ben", "2", 0), ("Ada", "1", 1)):
        browser.evaluate(f"{{ const name = document.querySelector('#name'); {set_name.format(name)} }}")
        assert browser.text("#count") == f"{done} of 11 labelled"
        browser.press(key)
    browser.reload()
    assert browser.text("#count") == "2 of 11 labelled"
    file = browser.downloaded(tmp_path, lambda: browser.click("#save"))
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(line["labelled_by"], line["label"]) for line in lines] == [("Ada", "bicycle")] * 2


@needs_browser
def test_undo_goes_back_through_what_was_said_before_a_reload(sheet, browser):
    browser.look(1280)
    browser.open(sheet)
    browser.evaluate("localStorage.clear()")
    browser.reload()
    browser.press("1")
    browser.press("2")
    browser.press("ArrowLeft")
    browser.press("3")  # changes its mind about the second
    browser.press("Backspace")
    assert browser.text("#sheet li:nth-child(2) .said") == "motorcycle"
    browser.reload()
    for left in (1, 0):
        browser.press("Backspace")
        assert browser.text("#count") == f"{left} of 11 labelled"
    assert browser.evaluate("document.querySelector('#undo').disabled")
    assert kept(browser) == 0
    browser.press("Backspace")
    assert browser.said == []


@needs_browser
def test_a_browser_that_keeps_nothing_is_warned_of_and_saves_all_the_same(sheet, browser, tmp_path):
    browser.open(sheet)
    browser.evaluate("localStorage.clear()")
    browser.reload()
    browser.evaluate("Object.defineProperty(window, 'localStorage', {get() { throw new Error(); }}); 0")
    browser.press("1")
    assert not browser.evaluate("document.querySelector('#unkept').hidden")
    assert browser.text("#count") == "1 of 11 labelled"
    file = browser.downloaded(tmp_path, lambda: browser.click("#save"))
    assert [json.loads(line)["label"] for line in file.read_text(encoding="utf-8").splitlines()] == [
        "bicycle"
    ]
    assert browser.text("#status").startswith("1 label saved as ")


@needs_browser
def test_the_sheet_is_for_screen_readers_too(sheet, browser):
    browser.look(1280)
    browser.open(sheet)
    browser.evaluate("localStorage.clear()")
    browser.reload()
    buttons = browser.accessible_names("button")
    assert {"bicycle", "motorcycle", "willow_tree", "none of these", "back", "undo", "skip"} <= set(buttons)
    assert "Save the labels" in buttons
    (name,) = [name for name in buttons if "van-01/4.jpg" in name]
    assert "bicycle" not in name  # the model's answer
    assert browser.accessible_names("progressbar") == ["0 of 11 labelled"]
    first = browser.evaluate("document.querySelector('#sheet li').dataset.name")
    assert browser.accessible_names("image") == [first]


@needs_browser
def test_a_held_key_labels_one_image(sheet, browser):
    browser.open(sheet)
    browser.evaluate("localStorage.clear()")
    browser.reload()
    browser.evaluate(
        "for (let n = 0; n < 5; n++)"
        "document.dispatchEvent(new KeyboardEvent('keydown', {key: '1', repeat: n > 0}))"
    )
    browser.evaluate("document.dispatchEvent(new KeyboardEvent('keydown', {key: '1', ctrlKey: true}))")
    assert browser.text("#count") == "1 of 11 labelled"


@needs_browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_has_two_themes_and_fits_any_screen(sheet, browser, tmp_path, theme):
    for width_px in (360, 768, 1280):
        browser.look(width_px, theme=theme)
        browser.open(sheet)
        browser.press("0")
        wide = browser.evaluate(
            "[...document.body.querySelectorAll('*')]"
            f".filter(e => e.getBoundingClientRect().right > {width_px + 1})"
            ".map(e => e.tagName + '.' + e.className)"
        )
        assert wide == []
        assert browser.evaluate("document.documentElement.scrollWidth") == width_px
        shot = np.asarray(Image.open(browser.screenshot(tmp_path / "shot.png")).convert("L"))
        corner = shot[-20:, :8].mean()
        assert corner > 200 if theme == "light" else corner < 60
    assert browser.said == []

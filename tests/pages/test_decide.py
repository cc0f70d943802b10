"""One image's story, review, questions and reports, in a real browser, on a real system."""

import io
import json
import random
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as parquet
import pytest
from rich.console import Console

from infra.cli.terminal import progress_bar
from infra.operations.drop import Dropped, settle, version_of
from infra.stack import Stack
from model.data.drawings import LABELS, draw
from tests.builders import png_bytes
from tests.chromium import Page
from tests.pages.axe import violations
from tests.waiting import PATIENCE_S, until

HOSTILE = "<img src=x onerror=document.title=1>\u202egnp.png"
_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def dropped(stack: Stack) -> list[Dropped]:
    rng = random.Random(8)
    s3 = stack.client("s3")
    some = []
    for key in [HOSTILE, "a/" * 400 + "long.png", *(f"decide/{label}.png" for label in LABELS)]:
        body = png_bytes(draw(rng.choice(LABELS), 64, 64, rng))
        some.append(Dropped(key, version_of(s3.put_object(Bucket=stack.incoming_bucket, Key=key, Body=body))))
    with progress_bar(Console(quiet=True)) as progress:
        assert settle(stack, some, progress, PATIENCE_S).missing == []
    return some


def go(page: Page, path: str) -> None:
    page.open_url(page.evaluate("location.origin") + path)


def labels(stack: Stack) -> list[dict[str, Any]]:
    s3 = stack.client("s3")
    listed = s3.list_objects_v2(Bucket=stack.results_bucket, Prefix="labels/").get("Contents", [])
    files = [s3.get_object(Bucket=stack.results_bucket, Key=each["Key"])["Body"].read() for each in listed]
    return [row for file in files for row in parquet.read_table(io.BytesIO(file)).to_pylist()]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_fits_any_width_and_axe_finds_nothing(
    page: Page, dropped: list[Dropped], theme: str
) -> None:
    paths = [f"/image?key={quote(each.key)}" for each in dropped[:2]]
    for path in [*paths, "/image", "/image?key=decide/nothing.png", "/review", "/ask", "/reports"]:
        for width_px in (360, 768, 1280):
            page.look(width_px, theme=theme)
            go(page, path)
            assert page.evaluate(_OVERFLOW) <= 0, (path, width_px)
            assert violations(page) == [], (path, width_px)
    assert page.evaluate("document.title") != "1"


def test_on_paper_nothing_is_dark_or_cut_and_a_list_is_as_long_as_its_rows(
    page: Page, dropped: list[Dropped]
) -> None:
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.look(720)
    page.call("Emulation.setEmulatedMedia", media="print", features=dark)
    try:
        go(page, f"/image?key={quote(dropped[1].key)}")
        assert page.evaluate(_OVERFLOW) <= 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.querySelector('.wide')).overflow") == "visible"
        go(page, "/")
        page.wait_until("document.querySelector('#list .row')")
        page.evaluate("document.getElementById('list').style.height = '99999px'; 0")
        height_px = page.evaluate("document.getElementById('list').offsetHeight")
        assert 0 < height_px < 9_999
    finally:
        page.call("Emulation.setEmulatedMedia", media="", features=[])


def begin(page: Page, name: str) -> None:
    """Begin to review, and wait for the first picture."""
    go(page, "/review")
    page.evaluate(f"document.getElementById('name').value = '{name}'; 0")
    page.click("#begin")
    page.wait_until("document.getElementById('picture').naturalWidth === 256")


def test_a_label_takes_one_key_and_is_in_the_table_until_it_is_taken_back(
    page: Page, dropped: list[Dropped], stack: Stack
) -> None:
    begin(page, "Ada")
    assert violations(page) == []
    assert page.evaluate("document.getElementById('reveal').hidden")
    first = page.text("#key")
    page.press("1")
    page.wait_until("!document.getElementById('reveal').hidden")
    assert page.text("#before-key") == first
    assert page.text("#you").startswith("You: bicycle")
    assert page.text("#model").startswith("Model: ")
    (label,) = until(lambda: labels(stack), "a label")
    assert (label["true_label"], label["labelled_by"]) == ("bicycle", "Ada")
    page.press("Backspace")
    until(lambda: not labels(stack), "no label")
    assert page.text("#key") == first
    page.press("ArrowRight")
    page.press("0")
    (label,) = until(lambda: labels(stack), "a label")
    assert (label["true_label"], label["labelled_by"]) == (None, "Ada")
    assert page.text("#fault") == ""


def test_the_last_image_of_a_queue_is_labelled_and_taken_back_like_the_others(
    page: Page, dropped: list[Dropped], stack: Stack
) -> None:
    begin(page, "Grace")
    while len({*page.text("#where").removeprefix("Image ").split(" of ")}) == 2:
        page.press("ArrowRight")
    key = page.text("#key")
    page.press("2")
    page.wait_until("!!document.querySelector('#done #you')?.offsetParent")
    assert page.text("#before-key") == key
    assert violations(page) == []
    page.press("Backspace")
    page.wait_until("!document.getElementById('stage').hidden")
    assert page.text("#key") == key
    until(lambda: "Grace" not in {label["labelled_by"] for label in labels(stack)}, "no label")


def test_a_class_of_a_thousand_is_found_by_typing(page: Page) -> None:
    go(page, "/review")
    names = ["willow_tree", *(f"class {number:03}" for number in range(999))]
    queue = {
        "images": [{"id": each, "key": f"{each}.png", "version": ""} for each in "ab"],
        "keys": {name: [] for name in names},
        "waiting": 2,
    }
    model = {"label": "class 007", "confidence": 0.5, "threshold": 0.9, "scores": {}, "is_accepted": False}
    page.evaluate(
        "window.sent = []; window.fetch = async (path, { body } = {}) => { sent.push(body);"
        f"return new Response(JSON.stringify(body ? {json.dumps(model)} : {json.dumps(queue)})); }}; 0"
    )
    page.evaluate("document.getElementById('name').value = 'Ada'; 0")
    page.click("#begin")
    page.wait_until("document.activeElement.id === 'find'")
    for letter in "willow":
        page.press(letter)
    offered = "[...document.querySelectorAll('#answers span')].map((each) => each.textContent)"
    assert page.evaluate(offered) == ["willow_tree"]
    assert violations(page) == []
    page.press("Enter")
    page.wait_until("sent.length === 2")
    assert json.loads(page.evaluate("sent[1]")) == {"id": "a", "label": "willow_tree", "by": "Ada"}


def test_one_kind_of_images_alone_is_labelled(page: Page, dropped: list[Dropped], stack: Stack) -> None:
    go(page, "/review")
    page.evaluate("document.getElementById('name').value = 'Emmy'; 0")
    for kind in ("unlike", "unsure", "sample"):
        page.evaluate(
            f"document.getElementById('only').value = '{kind}';"
            "document.getElementById('only').dispatchEvent(new Event('change')); 0"
        )
        assert violations(page) == [], kind
        assert page.evaluate("document.getElementById('sampling').hidden") == (kind != "sample")
    page.click("#begin")
    page.wait_until("document.getElementById('picture').naturalWidth === 256")
    page.press("1")
    page.wait_until("document.getElementById('model').textContent.endsWith('(accepted)')")
    until(lambda: {each["source"] for each in labels(stack) if each["labelled_by"] == "Emmy"}, "a label")


def test_a_question_is_answered_on_the_page_and_its_csv_is_a_file(
    page: Page, dropped: list[Dropped], tmp_path: Path
) -> None:
    go(page, "/ask")
    sql = "SELECT key FROM outcomes WHERE key LIKE '<img%'"
    page.evaluate(f"document.getElementById('sql').value = {json.dumps(sql)}; 0")
    page.click("#ask button.main")
    page.wait_until("!!document.getElementById('answer')")
    assert page.text("td") == HOSTILE.replace("\u202e", "�")
    assert violations(page) == []
    file = page.downloaded(tmp_path, lambda: page.click("button[value=csv]"))
    assert file.read_text(encoding="utf-8") == f"key\n{HOSTILE}\n"

"""The console's pages of one image, of review, of questions and of reports."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pyarrow.parquet as parquet
import pytest

from analytics.athena.local import LocalEngine
from analytics.lake.aws import ResultsBucket
from analytics.questions.queries import saved_queries, views
from analytics.review.labels import Classified
from infra.console.pages import reports
from infra.operations.load_labels import LabelsOneByOne
from tests.builders_table import a_row, write_rows
from tests.console import MadeUp, a_client

HOSTILE = "<script>alert(1)</script>\u202e\"'&.png"
NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)


class Bucket:
    """The results and the incoming bucket in memory, as far as the pages use them."""

    def __init__(self, folder, **objects):
        self.folder = folder
        self.objects = objects

    class exceptions:
        NoSuchKey = KeyError

    def list_object_versions(self, **_):
        return {}

    def list_objects_v2(self, Prefix, **_):
        below = {"van/": {"Contents": [{"Key": "van/a&c.png"}]}, "": {"CommonPrefixes": [{"Prefix": "van/"}]}}
        return below[Prefix]

    def put_object(self, Key, Body, **_):
        path = self.folder / Key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Body)

    def delete_objects(self, Delete, **_):
        for each in Delete["Objects"]:
            (self.folder / each["Key"]).unlink()
        return {}

    def get_object(self, Key, **_):
        return {"Body": io.BytesIO(self.objects[Key])}

    def head_object(self, **_):
        return {"LastModified": datetime(2026, 11, 16, 9, 31, tzinfo=UTC)}

    def get_paginator(self, _):
        return self

    def paginate(self, **_):
        contents = [{"Key": key, "LastModified": datetime(2026, 11, 16, tzinfo=UTC)} for key in self.objects]
        return [{"Contents": contents}]


class NoMessages:
    """SQS, with empty queues."""

    def get_queue_attributes(self, AttributeNames, **_):
        return {"Attributes": dict.fromkeys(AttributeNames, "0")}


class Deployed:
    """CloudFormation, with the parameters of one stack."""

    def describe_stacks(self, **_):
        said = {
            "ClassNames": "bicycle,motorcycle",
            "Threshold": "0.94",
            "ClassThresholds": "",
            "ImageSizePx": "32",
        }
        parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in said.items()]
        return {"Stacks": [{"Parameters": parameters}]}


ROWS = [
    a_row(1, key=HOSTILE, uploaded_at=NOW - timedelta(minutes=3)),
    a_row(2, outcome="needs_review", confidence=0.6, uploaded_at=NOW - timedelta(minutes=2)),
    a_row(
        3, outcome="needs_review", confidence=0.5, label="motorcycle", uploaded_at=NOW - timedelta(minutes=1)
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for number, row in enumerate(ROWS):
        write_rows(folder, [row], f"part-{number}")
    return folder


@pytest.fixture(scope="module")
def engine(folder):
    answers = LocalEngine(folder, views())
    yield answers
    answers.close()


@pytest.fixture
def browser(folder, engine, tmp_path):
    objects = {
        "reports/2026-W47/report.html": b"<h1>Week 47</h1>",
        "reports/elsewhere/report.html": b"no week",
    }
    clients = {"s3": Bucket(folder, **objects), "cloudformation": Deployed(), "sqs": NoMessages()}
    with a_client(MadeUp(tmp_path, clients, engine)) as client:
        yield client


def ask(browser, **form):
    return browser.post("/ask", content=urlencode(form))


def test_a_hostile_key_is_text_on_the_page_of_its_image(browser):
    page = browser.get("/image", params={"key": HOSTILE})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "\u202e" not in page.text
    assert "Accepted as bicycle." in page.text
    assert "This version is no longer in the bucket." in page.text
    assert "2026-11-16 09:31:00" in page.text  # when its file was written


def test_an_unknown_key_leads_to_those_like_it(browser, folder):
    page = browser.get("/image", params={"key": "van/a&b.png"})
    assert "Never seen" in page.text
    assert 'href="/image?key=van%2Fa%26c.png"' in page.text


def test_an_sql_answer_is_a_table_and_a_file_and_its_error_a_sentence(browser):
    page = ask(browser, sql="SELECT key, 'ä\u202e' AS said, 1 AS number FROM outcomes ORDER BY uploaded_at")
    assert page.status_code == 200
    assert "3 rows" in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "<script>alert" not in page.text
    file = ask(browser, sql="SELECT key FROM outcomes ORDER BY uploaded_at", format="csv")
    assert file.headers["content-type"].startswith("text/csv")
    assert list(csv.reader(io.StringIO(file.text)))[1] == [HOSTILE]
    wrong = ask(browser, sql="SELECT nothing FROM outcomes")
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (422, True)
    refused = ask(browser, sql="DROP TABLE outcomes")
    assert refused.status_code == 422
    assert browser.get("/ask", params={"sql": "SELECT 1"}).text.count("<table") == 0


def test_a_saved_question_is_answered_for_a_week_and_stands_in_the_box(browser):
    page = ask(browser, saved="volume_by_day", week="2026-W47")
    assert page.status_code == 200
    assert "&#39;2026-11-16&#39; AND &#39;2026-11-22&#39;" in page.text
    assert all(name in page.text for name in saved_queries())
    assert ask(browser, saved="volume_by_day", week="next").status_code == 422
    assert ask(browser, saved="../secrets").status_code == 422


def test_a_browser_says_where_the_form_comes_from(browser):
    assert browser.get("/ask").headers["referrer-policy"] == "same-origin"


def labels_in(folder):
    return [
        row
        for path in sorted(folder.glob("labels/**/*.parquet"))
        for row in parquet.read_table(path).to_pylist()
    ]


def test_a_label_is_in_the_table_at_once_with_who_said_it_and_can_be_taken_back(browser, folder):
    queue = browser.get("/review/queue").json()
    assert [set(each) for each in queue["images"]] == [{"id", "key", "version"}] * 2, "no answer of the model"
    assert queue["keys"] == {"bicycle": ["1", "b"], "motorcycle": ["2", "m"]}
    first, second = queue["images"]
    model = browser.post("/review/labels", json={"id": first["id"], "label": "bicycle", "by": "Ada"}).json()
    assert set(model) == {"label", "confidence", "threshold", "scores", "is_accepted"}
    browser.post("/review/labels", json={"id": second["id"], "label": None, "by": "Ada"})
    assert len(list(folder.glob("labels/**/*.parquet"))) <= 2  # one for each day of images
    said = {row["upload_id"]: row for row in labels_in(folder)}
    assert said[first["id"]]["true_label"] == "bicycle"
    assert said[second["id"]]["true_label"] is None
    assert {(row["labelled_by"], row["source"], row["draw_probability"]) for row in said.values()} == {
        ("Ada", "below_threshold", 1.0)
    }
    assert browser.get("/review/queue").json()["images"] == []
    back = {"id": first["id"], "by": "Ada"}
    assert browser.post("/review/labels/taken-back", json={**back, "by": "Grace"}).status_code == 409
    assert browser.post("/review/labels/taken-back", json=back).status_code == 200
    assert [row["upload_id"] for row in labels_in(folder)] == [second["id"]]
    assert browser.post("/review/labels/taken-back", json={**back, "id": second["id"]}).status_code == 200
    assert labels_in(folder) == []


@pytest.mark.parametrize(
    "said",
    [
        "no JSON",
        "[]",
        json.dumps({"id": "0" * 64, "label": "bicycle", "by": "Ada"}),
        json.dumps({"id": ROWS[1]["upload_id"], "label": "<b>", "by": "Ada"}),
        json.dumps({"id": ROWS[1]["upload_id"], "by": "Ada"}),
        json.dumps({"id": ROWS[1]["upload_id"], "label": ["bicycle"], "by": "Ada"}),
        json.dumps({"id": ROWS[1]["upload_id"], "label": "bicycle", "by": "\u202e"}),
    ],
)
def test_what_is_no_label_of_a_queued_image_is_refused_with_a_reason(browser, folder, said):
    browser.get("/review/queue")
    answer = browser.post("/review/labels", content=said)
    assert answer.status_code in (409, 422)
    assert answer.json()["detail"]
    assert labels_in(folder) == []


def test_a_sample_has_one_of_the_sizes_that_the_page_offers(browser):
    assert browser.get("/review/queue", params={"sample": "20"}).json()["sampled"] == 1
    assert browser.get("/review/queue", params={"sample": "1000000"}).status_code == 422


def test_a_person_chooses_the_kind_of_images(browser):
    def asked(only):
        return browser.get("/review/queue", params={"sample": "20", "only": only})

    found = {only: len(asked(only).json()["images"]) for only in ("", "unsure", "unlike", "sample")}
    assert found == {"": 3, "unsure": 2, "unlike": 0, "sample": 1}
    assert asked("anything").status_code == 422


def test_a_label_that_cannot_be_written_is_not_remembered(folder):
    class Full(ResultsBucket):
        def write(self, path, table):
            raise OSError("full")

        def delete(self, paths):
            raise AssertionError("nothing is there")

    labels = LabelsOneByOne(Full(None, "results"))
    image = Classified("a.png", "2026-11-16", ["bicycle"])
    with pytest.raises(OSError, match="full"):
        labels.give({"upload_id": "0" * 64, "label": "bicycle", "labelled_by": "Ada"}, image)
    assert not labels.take_back("0" * 64, "Ada")


def test_reports_are_listed_by_week_and_shown_in_a_sandbox(browser, tmp_path, monkeypatch):
    monkeypatch.setenv("SCONES_HOME", str(tmp_path))
    (tmp_path / "report" / "2026-W46").mkdir(parents=True)
    (tmp_path / "report" / "2026-W46" / reports.PAGE).write_text("<h1>Week 46</h1>", encoding="utf-8")
    page = browser.get("/reports").text
    assert page.index("/reports/in-bucket/2026-W47") < page.index("/reports/here/2026-W46")
    assert "elsewhere" not in page
    for path, week in (("in-bucket/2026-W47", "Week 47"), ("here/2026-W46", "Week 46")):
        shown = browser.get(f"/reports/{path}")
        assert week in shown.text
        assert shown.headers["content-security-policy"].startswith("sandbox; default-src 'none';")
    for path in ("here/2026-W45", "in-bucket/2026-W45", "here/..%2f..", "here/report"):
        assert browser.get(f"/reports/{path}").status_code == 404

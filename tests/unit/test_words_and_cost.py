"""analytics.text and analytics.report.cost: numbers as people read them, and what a week costs."""

from datetime import date

import pytest

from analytics import text as words
from analytics.report.cost import PRICES, query_usd, weekly_cost


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.percent(0.7123), "71.2 %"),
        (words.percent(None), "–"),
        (words.percent(0), "0.0 %"),
        (words.percent(1), "100.0 %"),
        (words.percent(0.0001), "< 0.1 %"),
        (words.percent(0.9999), "> 99.9 %"),
        (words.seconds(840), "840 ms"),
        (words.seconds(1_449), "1.4 s"),
        (words.seconds(999.6), "1.0 s"),
        (words.seconds(7_200_000), "120 min"),
        (words.seconds(8 * 3_600_000), "8 h"),
        (words.seconds(30 * 86_400_000), "30 days"),
        (words.seconds(None), "–"),
        (words.size(0), "0 B"),
        (words.size(999), "999 B"),
        (words.size(53_500), "53.5 kB"),
        (words.size(999_600), "1 MB"),
        (words.size(5e15), "5,000 TB"),
        (words.significant(0), "0"),
        (words.significant(0.01234), "0.0123"),
        (words.significant(12_345.6), "12,346"),
        (words.significant(1e-9), "0"),
        (words.size(2e12), "2 TB"),
        (words.dollars(0), "$0.00"),
        (words.dollars(0.0027), "$0.00270"),
        (words.dollars(1e-7), "< $0.00001"),
        (words.dollars(1_234.5), "$1,234.50"),
        (words.mostly("corrupt", 1, 1), "corrupt"),
        (words.mostly("corrupt", 3, 3), "all corrupt"),
        (words.mostly("corrupt", 2, 3), "mostly corrupt"),
        (words.mostly("corrupt", 2, 4), "corrupt among others"),
        (words.weekdays([date(2026, 11, 16), date(2026, 11, 18)]), "Mon, Wed"),
        (words.weekdays([date(2026, 11, day) for day in range(16, 23)]), "all seven days"),
        (words.p_value(0.0001), "p < 0.001"),
        (words.p_value(0.5), "p = 0.500"),
        (words.plural(1, "image"), "1 image"),
        (words.plural(2_000, "image"), "2,000 images"),
    ],
)
def test_a_number_is_said_as_people_say_it(said, expected):
    assert said.replace(words.SPACE, " ") == expected


def test_a_million_images_cost_about_six_dollars():
    cost = weekly_cost(1_000_000, serialize_mean_ms=30, classify_mean_ms=70, scanned_bytes=[])
    assert cost.usd == pytest.approx(5.9, abs=0.4)
    assert cost.usd == pytest.approx(sum(line.usd for line in cost.lines))
    assert cost.usd_per_million_images == pytest.approx(cost.usd)


def test_few_images_cost_a_file_each():
    few, many = (weekly_cost(n, 30, 70, []).usd_per_million_images or 0 for n in (100, 10_000_000))
    per_file = PRICES.s3_put + PRICES.lambda_request + 0.5 * PRICES.lambda_arm_gb_s + 1e-6 * PRICES.logs_gb
    assert few - many == pytest.approx(1e6 * per_file, rel=0.01)


def test_no_images_cost_what_the_report_scanned():
    cost = weekly_cost(0, 0.0, 0.0, scanned_bytes=[10**12])
    assert cost.usd == pytest.approx(PRICES.athena_tb)
    assert cost.usd_per_million_images is None


def test_a_query_is_billed_for_10_mb_at_least():
    cost = weekly_cost(0, 0.0, 0.0, scanned_bytes=[1_000, 20_000_000])
    assert cost.usd == pytest.approx(30e6 / 1e12 * PRICES.athena_tb)


def test_slower_steps_cost_more():
    fast, slow = (weekly_cost(1000, ms, ms, []).usd for ms in (10, 1000))
    assert slow > fast


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("willow_tree", "willow_tree"),
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        (" \u202e\x01", "(no name)"),
        ("x" * 1_000, "x" * 59 + "…"),
    ],
)
def test_a_name_that_others_gave_fits_into_a_sentence(name, said):
    assert words.short(name) == said


def test_two_folders_that_differ_in_what_has_no_face_are_told_apart():
    assert words.folder("van-1") == "van-1/"
    assert words.folder("van\u200b-1") == "van�-1/"
    assert [words.folder(name) for name in ("", None)] == ["(no folder)", "all others"]


@pytest.mark.parametrize(("scanned_bytes", "usd"), [(0, 5e-5), (20_000_000, 1e-4)])
def test_a_query_costs_as_much_as_ten_megabytes_at_least(scanned_bytes, usd):
    assert query_usd(scanned_bytes) == pytest.approx(usd)

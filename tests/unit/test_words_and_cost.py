"""analytics.text and analytics.report.cost: numbers as people read them, and what a week costs."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from analytics import text as words
from analytics.report.cost import (
    Endpoint,
    InLambda,
    Instances,
    Load,
    Serverless,
    WayCost,
    at_rest,
    by_challenger,
    challenger_at_rest,
    costs,
    query_usd,
    weekly_cost,
)
from analytics.report.prices import PRICES_FILE, BadPrices, read_prices
from infra.cli.main import scones
from infra.operations.endpoint_cost import endpoint_of
from infra.stack import Stack


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


PRICES = read_prices()
MILLION = Load(1_000_000, serialize_ms=60.0, classify_ms=60.0)


def way(name: str, load: Load = MILLION, endpoint: Endpoint = Serverless()) -> WayCost:  # noqa: B008
    (found,) = (way for way in costs(load, endpoint, PRICES).ways if way.name == name)
    return found


@pytest.mark.parametrize(
    ("name", "budget_usd"), [("events", 6.5), ("backfill", 1.5), ("events, model in the Lambda", 6.0)]
)
def test_a_million_images_cost_no_more_than_their_budget(name, budget_usd):
    cost = way(name).without_endpoint_usd
    assert 0.5 * budget_usd < cost <= budget_usd


def test_the_parts_of_a_cost_are_its_sum():
    for each in costs(MILLION, Instances("ml.m5.large", 2), PRICES).ways:
        parts = [*each.lines, *([each.endpoint] if each.endpoint else [])]
        assert each.usd == pytest.approx(sum(line.usd for line in parts))
        assert each.without_endpoint_usd == pytest.approx(PRICES.of(each.usage))


def test_the_design_that_scones_began_with_costs_sixteen_times_as_much_and_refuses_large_originals():
    seed = way("seed's design")
    assert seed.usd / way("events").usd > 15
    assert not seed.refused
    assert "195,000 bytes" in way("seed's design", Load(size_bytes=200_000)).refused


def test_instances_are_billed_by_the_hour_and_a_serverless_endpoint_by_the_image():
    one, two = (way("events", MILLION, Instances("ml.c5.large", count)).endpoint for count in (1, 2))
    assert one
    assert two
    assert one.usd == pytest.approx(30 * 24 * 0.102)
    assert two.usd == pytest.approx(2 * one.usd)
    few, many = (way("events", Load(images)).endpoint for images in (1_000, 2_000))
    assert few
    assert many
    assert many.usd == pytest.approx(2 * few.usd)
    assert way("events, model in the Lambda").endpoint is None


def test_an_endpoint_without_a_price_is_left_out_and_the_week_says_so():
    cost = weekly_cost(MILLION, [], Instances("ml.new.huge"), PRICES)
    assert cost.endpoint is None
    assert not any("Endpoint, 1" in line.service for line in cost.lines)


def test_a_week_costs_the_sum_of_its_lines_with_the_endpoint_that_exists():
    cost = weekly_cost(MILLION, [], Instances("ml.m5.large", 2), PRICES)
    assert cost.usd == pytest.approx(sum(line.usd for line in cost.lines))
    assert cost.endpoint == "2 × ml.m5.large"
    (line,) = (line for line in cost.lines if line.service == "Endpoint, 2 × ml.m5.large")
    assert line.usd == pytest.approx(2 * 7 * 24 * 0.115)


def test_a_week_with_the_model_in_the_lambda_has_no_endpoint_and_says_so():
    cost = weekly_cost(MILLION, [], InLambda(), PRICES)
    assert cost.endpoint == "the model in the Lambda"
    assert not any("Endpoint" in line.service for line in cost.lines)
    load = Load(serialize_ms=60.0, days=7.0, model_ms=MILLION.classify_ms)
    in_lambda = way("events, model in the Lambda", load)
    assert cost.usd_per_million_images == pytest.approx(in_lambda.usd)


def test_few_images_cost_a_file_each():
    few, many = (
        weekly_cost(Load(n), [], None, PRICES).usd_per_million_images or 0 for n in (100, 10_000_000)
    )
    usd = PRICES.usd
    per_file = usd["s3_put"] + usd["lambda_request"] + 0.1 * usd["lambda_arm_gb_s"]
    per_file += 0.59e-6 * usd["logs_gb"]
    assert few - many == pytest.approx(1e6 * per_file, rel=0.01)


def test_a_challenger_costs_a_dollar_per_million_images_and_is_part_of_a_week_that_it_saw():
    found = costs(MILLION, Instances("ml.c5.large"), PRICES).challenger
    rest_usd = PRICES.of(challenger_at_rest(MILLION.days))
    assert found.without_endpoint_usd - rest_usd == pytest.approx(1.0, abs=0.1)
    assert found.usd - found.without_endpoint_usd == pytest.approx(30 * 24 * 0.102)
    alone, seen = (weekly_cost(MILLION, [], None, PRICES, challenger_images=n) for n in (0, 500_000))
    half = PRICES.of(by_challenger(replace(MILLION, images=500_000, days=7)))
    assert seen.usd - alone.usd == pytest.approx(half + PRICES.of(challenger_at_rest(7)))
    assert (seen.usd_per_million_images or 0) - (alone.usd_per_million_images or 0) == pytest.approx(half)


def test_a_serialize_that_takes_no_time_has_a_cost():
    assert way("backfill", Load(serialize_ms=0)).usd == way("backfill").usd


def test_no_images_cost_what_a_stack_costs_at_rest_and_what_the_report_scanned():
    cost = weekly_cost(Load(0), [10**12], None, PRICES)
    assert cost.usd == pytest.approx(PRICES.usd["athena_tb"] + PRICES.of(at_rest(7)))
    assert cost.usd_per_million_images is None


def test_slower_steps_and_larger_files_cost_more():
    fast, slow, large = (
        way("events", load).usd
        for load in (Load(), Load(serialize_ms=600, classify_ms=600), Load(size_bytes=10**7))
    )
    assert slow > fast
    assert large > fast
    assert way("backfill", Load(size_bytes=10**7)).usd > way("backfill").usd


def test_prices_are_replaced_by_a_file_which_has_all_of_them_or_says_what_to_see_to(tmp_path):
    text = PRICES_FILE.read_text(encoding="utf-8")
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace("s3_put = 5.00e-6", "s3_put = 1"), encoding="utf-8")
    assert read_prices(mine).usd["s3_put"] == 1


@pytest.mark.parametrize(
    ("now", "then", "said"),
    [
        ("s3_get = 0.40e-6", "", "see to s3_get"),
        ("s3_get = 0.40e-6", "s3_get = 0.40e-6\ns3_list = 1", "see to s3_list"),
        ("s3_get = 0.40e-6", "s3_get = -1", "usd.s3_get must be a price"),
        ("s3_get = 0.40e-6", "s3_get = nan", "usd.s3_get must be a price"),
        ('"ml.c5.large" = 0.102', '"ml.c5.large" = "cheap"', "ml.c5.large must be a price"),
        ("as_of = 2026-11-23", "as_of = 2026", "as_of must be the date"),
        ("[usd]", "[usd", "cannot be read as prices"),
    ],
)
def test_a_file_of_prices_that_cannot_be_used_is_refused(tmp_path, now, then, said):
    text = PRICES_FILE.read_text(encoding="utf-8")
    assert now in text
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace(now, then, 1), encoding="utf-8")
    with pytest.raises(BadPrices, match=re.escape(said)):
        read_prices(mine)


@pytest.mark.parametrize(
    ("typed", "amount"),
    [("1e6", "1,000,000"), ("100KB", "100,000"), ("2.5 MB", "2,500,000"), ("1000", "1,000")],
)
def test_amounts_are_typed_as_people_write_them(typed, amount):
    done = CliRunner().invoke(scones, ["cost", f"--size={typed}"])
    assert f"images of {amount} bytes" in done.stdout
    assert "A challenger that sees them, too: " in done.stdout
    assert done.stdout.index("all ") < done.stdout.index("EventBridge")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--images=many"], "an amount is like 1e6"),
        (["--images=0"], "an amount is like 1e6"),
        (["--instances=2"], "say its --instance-type"),
        (["--instance-type=ml.huge"], "There are ml.t2.medium"),
    ],
)
def test_a_cost_that_cannot_be_estimated_says_what_to_type(arguments, said):
    done = CliRunner().invoke(scones, ["cost", *arguments])
    assert done.exit_code == 2
    assert said in done.stderr


def test_the_json_of_a_cost_has_every_input_quantity_and_price():
    done = CliRunner().invoke(scones, ["cost", "--images=2e6", "--model-ms=12", "--json"])
    found = json.loads(done.stdout)
    assert (found["inputs"]["images"], found["inputs"]["model_ms"]) == (2_000_000, 12.0)
    for each in (*found["ways"], found["challenger"]):
        usd = sum(found["prices"]["usd"][item] * quantity for item, quantity in each["usage"].items())
        assert each["without_endpoint_usd"] == pytest.approx(usd)


REAL_TIME = {"InstanceType": "ml.c5.large", "InitialInstanceCount": 1}
THREE = {"ProductionVariants": [{"CurrentInstanceCount": 3}]}


class SageMaker:
    """SageMaker, which has one endpoint, and the stack that asks it."""

    def __init__(
        self, running: Mapping[str, Any] = THREE, model_in: str = "Endpoint", **variant: Any
    ) -> None:
        self._running = running
        self._model_in = model_in
        self._variant = variant

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        parameter = {"ParameterKey": "ModelIn", "ParameterValue": self._model_in}
        return {"Stacks": [{"StackName": StackName, "Parameters": [parameter]}]}

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        if EndpointName != "scones":
            raise ClientError({"Error": {"Code": "ValidationException"}}, "DescribeEndpoint")
        return {"EndpointConfigName": "one", **self._running}

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:
        return {"ProductionVariants": [self._variant]}


@pytest.mark.parametrize(
    ("state", "variant", "name", "found"),
    [
        ({}, REAL_TIME, "scones", Instances("ml.c5.large", 3)),
        ({"running": {}}, REAL_TIME, "scones", Instances("ml.c5.large", 1)),
        ({}, {"ServerlessConfig": {"MemorySizeInMB": 2048}}, "scones", Serverless(2048)),
        ({}, {}, "another", None),
        ({"model_in": "Lambda"}, {}, "scones", InLambda()),
    ],
)
def test_the_endpoint_is_the_one_that_the_stack_asks(state, variant, name, found):
    sagemaker = SageMaker(**state, **variant)
    stack = SimpleNamespace(name="scones", endpoint_url=None, endpoint_name=name, client=lambda _: sagemaker)
    assert endpoint_of(cast(Stack, stack)) == found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("willow_tree", "willow_tree"),
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        (" \u202e\x01", "��"),
        (" \n", "(no name)"),
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

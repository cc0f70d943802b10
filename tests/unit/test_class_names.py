"""Names of classes as one text, and the ways of a name with a comma from a person to a Lambda."""

import re

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.cli.command_line import class_names_in, parameters_in
from ingest import class_names
from tests.builders import image_net_names
from tests.template import template
from workflow.policy import Policy

a_name = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), min_size=1).map(
    str.strip
)
names = st.lists(a_name.filter(bool), min_size=1, max_size=5, unique=True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bicycle,motorcycle", ["bicycle", "motorcycle"]),
        (" a , b ", ["a", "b"]),
        ('"tench, Tinca tinca",goldfish', ["tench, Tinca tinca", "goldfish"]),
        ('a, "b, c" ', ["a", "b, c"]),
        ('"5"" nail"', ['5" nail']),
        ("a,,b", ["a", "", "b"]),
        ("", []),
        (" ", []),
    ],
)
def test_names_are_separated_by_commas_outside_of_quotation_marks(text: str, found: list[str]) -> None:
    assert class_names.split(text) == found


@pytest.mark.parametrize("text", ['"a', 'a"b,c', '"a"b,c', 'a,"b""', '"a" "b"'])
def test_a_quotation_mark_out_of_place_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r'in quotation marks, as in "tabby, tabby cat",dog'):
        class_names.split(text)
    with pytest.raises(ValueError, match="in quotation marks"):
        class_names.split_pairs(f"{text}=0.5")


@settings(max_examples=50)
@given(names)
def test_any_printable_names_survive_as_parameters_that_the_template_allows(found: list[str]) -> None:
    policy = Policy(tuple(found), 0.9, dict.fromkeys(found, 0.75))
    parameters = policy.to_parameters()
    assert Policy.from_mapping(parameters) == policy
    for name in ("ClassNames", "ClassThresholds"):
        assert re.fullmatch(template()["Parameters"][name]["AllowedPattern"], parameters[name])


def test_short_names_are_written_as_they_always_were() -> None:
    assert class_names.join(("bicycle", "willow tree")) == "bicycle,willow tree"
    assert class_names.join_pairs({"bicycle": 0.9, "a b": 1.0}) == "bicycle=0.9,a b=1.0"
    assert class_names.join_pairs({"tabby, tabby cat": 0.9}) == '"tabby, tabby cat"=0.9'


def test_a_file_of_names_has_one_on_each_line(tmp_path) -> None:
    names = image_net_names(1000)
    file = tmp_path / "names.txt"
    file.write_text("\ufeff" + "\r\n".join(names) + "\n\n", encoding="utf-8")
    assert class_names_in(f"@{file}") == names
    typed = parameters_in((f"ClassNames=@{file}", "ImageSizePx=224"))
    assert class_names.split(typed["ClassNames"]) == names
    assert class_names_in('"@home",away') == ["@home", "away"]


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path) -> None:
    (tmp_path / "names").write_bytes(b"\xff\xfe")
    for file in ("none", "names"):
        with pytest.raises(click.ClickException, match=f"{file}"):
            parameters_in((f"ClassNames=@{tmp_path / file}",))
    with pytest.raises(click.ClickException, match="in quotation marks"):
        class_names_in('a,"b')


@pytest.mark.parametrize("text", ['"tabby, cat"x=0.9', '"tabby, cat"', '"tabby, cat"x'])
def test_a_name_in_quotation_marks_is_followed_by_its_value(text: str) -> None:
    with pytest.raises(ValueError, match="in quotation marks"):
        class_names.split_pairs(text)

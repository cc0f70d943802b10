"""What is known of a running system, and what another version left."""

import json
from pathlib import Path

import pytest

from infra.stack import NotUp, Stack
from tests.console import A_STACK


def test_a_stack_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    A_STACK.save(tmp_path / "stack.json")
    assert Stack.load(tmp_path / "stack.json") == A_STACK


@pytest.mark.parametrize("change", [{"waiting_images_url": None}, {"a_later_queue": "url"}])
def test_a_system_that_another_version_started_must_be_started_again(
    tmp_path: Path, change: dict[str, str | None]
) -> None:
    file = tmp_path / "stack.json"
    A_STACK.save(file)
    said = {**json.loads(file.read_text(encoding="utf-8")), **change}
    file.write_text(
        json.dumps({name: value for name, value in said.items() if name not in change or value}),
        encoding="utf-8",
    )
    with pytest.raises(NotUp, match=r"another version of Scones started it: `.*down`, then `.*up`"):
        Stack.load(file)


def test_a_stack_that_an_older_version_deployed_must_be_deployed_again() -> None:
    with pytest.raises(NotUp, match=r"has no output IncomingBucket: another version .* deploy`"):
        Stack.from_outputs({}, region="us-east-1", account_id="111122223333")

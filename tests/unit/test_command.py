import pytest

from model.data.drawn import write_archive
from model.training import command, light

CLASSES = ("bicycle", "motorcycle")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "drawn.tar.gz"
    write_archive(path, CLASSES, each=5)
    return path


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["model.training.light", *map(str, arguments)])
    light.main()


def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_trained(
    monkeypatch, archive, tmp_path
):
    monkeypatch.setattr(light, "train", lambda *_, **__: pytest.fail("trained"))
    (tmp_path / "a file").write_text("", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"error: cannot write to .*a file: File exists"):
        run(monkeypatch, "--data", archive, "--out", tmp_path / "a file")


def test_data_that_cannot_be_used_is_one_sentence(monkeypatch, archive, tmp_path):
    with pytest.raises(
        SystemExit, match=r"error: drawn\.tar.gz has no class 'bycicle': did you mean bicycle"
    ):
        run(monkeypatch, "--data", archive, "--out", tmp_path, "--classes", "bycicle", "motorcycle")


@pytest.mark.parametrize("precision", ["1", "0", "99", "high"])
def test_a_precision_is_a_share_below_one(monkeypatch, capsys, archive, tmp_path, precision):
    with pytest.raises(SystemExit):
        run(monkeypatch, "--data", archive, "--out", tmp_path, "--target-precision", precision)
    assert "more than 0 and less than 1" in capsys.readouterr().err


def test_it_says_when_everything_would_be_reviewed(monkeypatch, capsys, archive, tmp_path):
    run(monkeypatch, "--data", archive, "--out", tmp_path)
    assert (
        "10 images cannot show a precision of 0.99: everything would be reviewed" in capsys.readouterr().out
    )
    assert command.needed(0.99) == 99
    assert command.needed(0.8) == 4

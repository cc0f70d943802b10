import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from model.data import cifar100
from model.data.dataset import DataError, Dataset

CLASSES = ("bicycle", "motorcycle", "poppy")


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    return Dataset(
        pixels=rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8),
        labels=np.arange(12, dtype=np.int64) % 3,
        classes=CLASSES,
        names=tuple(f"image_{i}.png" for i in range(12)),
    )


@pytest.fixture
def archive(tmp_path, dataset):
    path = tmp_path / "small.tar.gz"
    cifar100.write(path, {"train": dataset, "test": dataset.take(np.arange(3))})
    return path


def archive_of(path, parts):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in parts.items():
            entry = tarfile.TarInfo(f"{cifar100.FOLDER}/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


META = pickle.dumps({b"fine_label_names": [b"bicycle", b"motorcycle"]}, protocol=2)


def test_a_written_archive_is_read_back(archive, dataset):
    read = cifar100.read(archive, CLASSES)
    assert read.sha256() == dataset.sha256()
    assert read.names == dataset.names
    assert cifar100.read(archive, CLASSES, "test").counts() == dict.fromkeys(CLASSES, 1)
    assert cifar100.parts_of(archive) == {"meta", "train", "test"}


def test_classes_are_chosen_by_name_and_labelled_in_the_order_asked_for(archive, dataset):
    read = cifar100.read(archive, ["poppy", "bicycle"])
    assert read.classes == ("poppy", "bicycle")
    assert read.counts() == {"poppy": 4, "bicycle": 4}
    assert (read.pixels[read.labels == 1] == dataset.pixels[dataset.labels == 0]).all()


def test_without_names_all_classes_with_images_are_read(tmp_path, dataset):
    path = tmp_path / "two.tar.gz"
    cifar100.write(path, {"train": dataset.take(np.flatnonzero(dataset.labels != 1))})
    assert cifar100.read(path, []).classes == ("bicycle", "poppy")


def test_an_unknown_class_is_named_with_what_it_may_have_meant(archive):
    with pytest.raises(DataError, match="no class 'motorcycles': did you mean motorcycle"):
        cifar100.read(archive, ["motorcycles"])


def test_an_archive_without_a_part_is_refused_with_a_sentence(tmp_path, dataset):
    path = tmp_path / "train-only.tar.gz"
    cifar100.write(path, {"train": dataset})
    with pytest.raises(DataError, match="has no cifar-100-python/test"):
        cifar100.read(path, CLASSES, "test")


def test_a_truncated_archive_is_refused_with_a_sentence(archive):
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"small\.tar\.gz is damaged, cut short or no tar archive"):
        cifar100.read(archive, CLASSES)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x1f\x8b\x08 no gzip"])
def test_a_file_of_another_kind_is_refused_with_a_sentence(tmp_path, content):
    path = tmp_path / "wrong.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged, cut short or no tar archive") as caught:
        cifar100.read(path, CLASSES)
    assert "\n" not in str(caught.value)


def test_one_changed_byte_is_found(archive):
    damaged = bytearray(archive.read_bytes())
    damaged[-8] ^= 1  # gzip's checksum of the content stands here: as if the content had changed
    archive.write_bytes(damaged)
    with pytest.raises(DataError, match=r"small\.tar\.gz is damaged"):
        cifar100.read(archive, CLASSES)


def test_an_archive_with_paths_that_begin_with_a_dot_is_read(archive, tmp_path):
    again = tmp_path / "again.tar.gz"
    with tarfile.open(archive) as old, tarfile.open(again, "w:gz") as new:
        for entry in old:
            content = old.extractfile(entry)
            entry.name = f"./{entry.name}"
            new.addfile(entry, content)
    assert cifar100.read(again, CLASSES).sha256() == cifar100.read(archive, CLASSES).sha256()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        cifar100.read(tmp_path / "none.tar.gz", CLASSES)


class _Attack:
    def __reduce__(self):
        return os.system, ("touch /tmp/owned",)


def test_a_pickle_that_would_run_a_command_is_refused(tmp_path):
    path = archive_of(tmp_path / "evil.tar.gz", {"meta": META, "train": pickle.dumps(_Attack(), protocol=2)})
    with pytest.raises(DataError, match=r"train is not a part of CIFAR-100 \(it asks for posix\.system\)"):
        cifar100.read(path, [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (["no", "dictionary"], "no dictionary"),
        ({b"data": np.zeros((2, 100), np.uint8), b"fine_labels": [0, 1]}, "not rows of 3072 bytes"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"fine_labels": [0]}, "labels .* do not fit"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"fine_labels": [0, 2]}, "labels .* do not fit"),
        ({b"fine_labels": [0, 1]}, "not rows of 3072 bytes"),
        (
            {b"data": np.zeros((2, 3072), np.uint8), b"fine_labels": [0, 1], b"filenames": [b"one"]},
            "2 images, but 1 file names",
        ),
    ],
)
def test_a_part_of_another_shape_is_refused(tmp_path, content, reason):
    train = pickle.dumps(content, protocol=2)
    path = archive_of(tmp_path / "odd.tar.gz", {"meta": META, "train": train})
    with pytest.raises(DataError, match=reason):
        cifar100.read(path, [])


def test_the_pickles_of_python_2_are_read(tmp_path):
    # What Python 2 and its numpy wrote: text keys as byte strings, and numpy's old module name.
    train = (
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R("
        b"K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00" + b"\x07" * 3072 + b"tbU\x0bfine_labels](K\x01eu."
    )
    path = archive_of(tmp_path / "py2.tar.gz", {"meta": META, "train": train})
    read = cifar100.read(path, [])
    assert read.classes == ("motorcycle",)
    assert (read.pixels == 7).all()


def test_entries_that_would_leave_the_archive_are_never_written(tmp_path, dataset):
    path = tmp_path / "climbing.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("../../climbed")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"evil"))
        link = tarfile.TarInfo(f"{cifar100.FOLDER}/train")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DataError, match="has no cifar-100-python/meta"):
        cifar100.read(path, [])
    assert not (tmp_path.parent.parent / "climbed").exists()


def test_a_part_far_larger_than_the_official_one_is_refused(archive, monkeypatch):
    monkeypatch.setattr(cifar100, "PART_MAX_BYTES", 1000)
    with pytest.raises(DataError, match="far more than it should"):
        cifar100.read(archive, CLASSES)

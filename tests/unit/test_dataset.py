import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ingest.image import prepare
from model.data import folder
from model.data.dataset import (
    DataError,
    Dataset,
    near_pairs,
    normalised,
    report,
    split,
    statistics,
    without_duplicates,
)
from model.data.load import load


def images(count, seed=0):
    """Smooth random pictures: no two are alike, unlike noise, whose thumbnails are all grey."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return small.repeat(4, axis=1).repeat(4, axis=2)


def dataset(pixels, labels):
    names = tuple(f"image_{i}" for i in range(len(labels)))
    return Dataset(pixels, np.array(labels, dtype=np.int64), ("bicycle", "motorcycle"), names)


def test_one_of_each_image_is_kept():
    pixels = images(3)
    clean, dropped = without_duplicates(dataset(pixels[[0, 1, 0, 2, 1]], [0, 0, 0, 1, 0]))
    assert clean.names == ("image_0", "image_1", "image_3")
    assert dropped == ("image_2: the same image as image_0", "image_4: the same image as image_1")


def test_an_image_with_two_labels_is_not_kept_at_all():
    pixels = images(2)
    clean, dropped = without_duplicates(dataset(pixels[[0, 1, 0]], [0, 0, 1]))
    assert clean.names == ("image_1",)
    assert dropped[0] == "image_0: the same image is labelled bicycle and motorcycle"
    assert len(dropped) == 2


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=1, max_size=30))
def test_after_deduplication_every_image_is_there_once_and_has_one_label(drawn):
    pixels, labels = images(6)[[which for which, _ in drawn]], [label for _, label in drawn]
    clean, dropped = without_duplicates(dataset(pixels, labels))
    assert len(clean.labels) + len(dropped) == len(drawn)
    labels_of = {which: {label for w, label in drawn if w == which} for which, _ in drawn}
    assert len(clean.labels) == sum(len(found) == 1 for found in labels_of.values())


def test_a_brighter_and_a_mirrored_copy_are_nearly_the_same_and_another_picture_is_not():
    pixels = images(4)
    pixels[1] = np.clip(pixels[0].astype(int) + 3, 0, 255)
    pixels[3] = pixels[2, :, ::-1]
    assert near_pairs(pixels) == [(0, 1), (2, 3)]
    assert near_pairs(pixels[:1], pixels[1:]) == [(0, 0)]


def test_folds_spread_each_class_evenly_and_keep_near_duplicates_together():
    pixels = np.concatenate([images(40), images(20) // 2 + 100])
    pixels[1] = np.clip(pixels[0].astype(int) + 3, 0, 255)
    data = dataset(pixels, [0] * 40 + [1] * 20)
    fold = split(data, 5, seed=0)
    assert fold[0] == fold[1]
    for label, each in ((0, 8), (1, 4)):
        counts = np.bincount(fold[data.labels == label], minlength=5)
        assert abs(counts - each).max() <= 1
    assert (split(data, 5, seed=0) == fold).all()
    assert (split(data, 5, seed=1) != fold).any()


def test_a_class_with_fewer_images_than_folds_is_named():
    with pytest.raises(DataError, match="'motorcycle' has 2 images; training needs at least 5"):
        split(dataset(images(12), [0] * 10 + [1] * 2), 5, seed=0)


def test_the_report_says_what_is_wrong_with_the_data():
    data = dataset(images(12), [0] * 10 + [1] * 2)
    lines = report(data, ["image_9: the same image as image_1"], data)
    assert "bicycle: 10 images" in lines
    assert "unbalanced: the largest class has 5.0 × the smallest" in lines
    assert "1 duplicates left out (e.g. image_9: the same image as image_1)" in lines
    many = Dataset(data.pixels, data.labels, tuple(f"class {i}" for i in range(1_000)), data.names)
    assert "… of 1,000 classes with 0 to 10 images each" in report(many, [], None)
    assert len(report(many, [], None)) < 30
    assert lines[-1].startswith(
        "12 pairs of nearly the same images across training and test (e.g. image_0 and"
    )


def test_the_hash_depends_on_pixels_labels_and_classes_but_not_on_names():
    data = dataset(images(3), [0, 1, 0])
    renamed = Dataset(data.pixels, data.labels, data.classes, ("x", "y", "z"))
    assert renamed.sha256() == data.sha256()
    assert dataset(images(3), [0, 1, 1]).sha256() != data.sha256()
    assert dataset(images(3, seed=1), [0, 1, 0]).sha256() != data.sha256()


def test_normalised_pixels_have_mean_0_and_deviation_1():
    pixels = images(20)
    x = normalised(pixels, *statistics(pixels))
    assert x.shape == (20, 3, 32, 32)
    assert x.mean((0, 2, 3)) == pytest.approx([0, 0, 0], abs=1e-4)
    assert x.std((0, 2, 3)) == pytest.approx([1, 1, 1], abs=1e-3)


def quiet(done, total):
    pass


@pytest.fixture
def photos(tmp_path):
    for name, count in (("bicycle", 3), ("motorcycle", 2)):
        (tmp_path / name).mkdir()
        for i, pixels in enumerate(images(count, seed=count)):
            Image.fromarray(pixels).resize((64, 48)).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_images_of_a_folder_are_prepared_like_images_to_classify(photos):
    data = folder.read(photos, [], "train", quiet)
    assert data.counts() == {"bicycle": 3, "motorcycle": 2}
    served = prepare((photos / "bicycle" / "1.png").read_bytes(), 32).pixels
    assert (data.pixels[data.names.index("bicycle/1.png")] == np.asarray(served)).all()


def test_a_file_that_is_not_an_image_is_listed_and_left_out(photos):
    (photos / "bicycle" / "notes.txt").write_text("not an image", encoding="utf-8")
    (photos / "bicycle" / ".DS_Store").write_bytes(b"\0")
    (photos / "motorcycle" / "cut.png").write_bytes((photos / "motorcycle" / "0.png").read_bytes()[:200])
    data = folder.read(photos, [], "train", quiet)
    assert len(data.labels) == 5
    assert [line.partition(":")[0] for line in data.unreadable] == ["bicycle/notes.txt", "motorcycle/cut.png"]


def test_a_class_without_a_folder_is_named_with_those_that_have_one(photos):
    with pytest.raises(DataError, match="no folder for the class 'tulip'; it has bicycle, motorcycle"):
        folder.read(photos, ["tulip"], "train", quiet)


def test_a_folder_without_images_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "bicycle").mkdir()
    with pytest.raises(DataError, match="no readable image of bicycle"):
        folder.read(tmp_path, [], "train", quiet)
    with pytest.raises(DataError, match="there is no folder"):
        folder.read(tmp_path / "none", [], "train", quiet)


def test_a_split_folder_gives_a_training_and_a_test_part(photos, tmp_path_factory):
    root = tmp_path_factory.mktemp("split")
    for part in ("train", "test"):
        (root / part).symlink_to(photos)
    data = load(root, [], quiet)
    assert data.test is not None
    assert data.test.counts() == data.train.counts() == {"bicycle": 3, "motorcycle": 2}
    assert any(line.startswith("5 pairs of nearly the same images across") for line in data.report)


def test_an_unsplit_folder_has_no_test_part(photos):
    assert load(photos, [], quiet).test is None


@pytest.mark.parametrize("name", [" car", "car ", "tab\there"])
def test_a_class_name_that_a_stack_would_not_take_is_refused(photos, name):
    (photos / "motorcycle").rename(photos / name)
    with pytest.raises(DataError, match=r"has a space at an end or a character .*: rename it"):
        load(photos, [], quiet)


@pytest.mark.parametrize("name", ["red car", "tabby, tabby cat", "a=b", "摩托车", "it's", "C&A", "50%"])
def test_a_class_may_have_any_other_name(photos, name):
    (photos / "motorcycle").rename(photos / name)
    assert name in load(photos, [], quiet).train.classes


def test_at_least_two_classes_are_needed(photos):
    with pytest.raises(DataError, match="only the class 'bicycle'; at least two"):
        load(photos, ["bicycle"], quiet)


def test_a_class_that_is_named_twice_is_refused(photos):
    with pytest.raises(DataError, match="the class 'bicycle' is named twice"):
        load(photos, ["bicycle", "motorcycle", "bicycle"], quiet)


def test_data_without_any_usable_image_is_refused(photos):
    for name in ("bicycle", "motorcycle"):
        for file in (photos / name).iterdir():
            Image.new("RGB", (32, 32)).save(file)
    with pytest.raises(
        DataError, match=r"no image is left.*the same image is labelled bicycle and motorcycle"
    ):
        load(photos, [], quiet)


def test_files_of_a_hidden_folder_are_not_read(photos):
    (photos / "bicycle" / ".thumbnails").mkdir()
    (photos / "bicycle" / "deep" / "er").mkdir(parents=True)
    Image.fromarray(images(1, seed=9)[0]).save(photos / "bicycle" / ".thumbnails" / "small.png")
    Image.fromarray(images(1, seed=8)[0]).save(photos / "bicycle" / "deep" / "er" / "one.png")
    names = folder.read(photos, [], "train", quiet).names
    assert "bicycle/deep/er/one.png" in names
    assert not any(".thumbnails" in name for name in names)


def test_a_link_that_leads_nowhere_is_listed_as_unreadable(photos):
    (photos / "bicycle" / "gone.png").symlink_to(photos / "nowhere")
    assert folder.read(photos, [], "train", quiet).unreadable[0].startswith("bicycle/gone.png: ")


def test_a_link_to_a_folder_is_named_and_not_read(photos):
    (photos / "bicycle" / "more").symlink_to(photos / "motorcycle")
    (photos / "bicycle" / ".hidden").symlink_to(photos)
    data = folder.read(photos, [], "train", quiet)
    assert data.notes == ("links to folders, not read: bicycle/more/",)
    assert data.counts() == {"bicycle": 3, "motorcycle": 2}


def split_into(root, photos, *parts):
    for number, part in enumerate(parts):
        for name in ("bicycle", "motorcycle"):
            (root / part / name).mkdir(parents=True)
            for i, pixels in enumerate(images(2, seed=10 * number + len(name))):
                Image.fromarray(pixels).save(root / part / name / f"{i}.png")
    return root


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val", "Testing"])
def test_without_a_folder_test_the_validation_images_are_the_test(tmp_path, photos, name):
    root = split_into(tmp_path / "split", photos, "train", name)
    data = load(root, [], quiet)
    assert data.test is not None
    assert data.test.counts() == {"bicycle": 2, "motorcycle": 2}
    assert f"the test images are those of {name}/" in data.report


def test_folders_beside_the_parts_are_named(tmp_path, photos):
    root = split_into(tmp_path / "split", photos, "train", "test", "val", "extra")
    data = folder.read(root, [], "test", quiet)
    assert data.notes == ("not read, beside train/ and test/: extra/, val/",)


def test_a_folder_of_test_images_alone_can_be_tested_on_and_not_trained_on(tmp_path, photos):
    root = split_into(tmp_path / "split", photos, "test")
    assert folder.parts_of(root) == {"test"}
    assert len(folder.read(root, ["bicycle", "motorcycle"], "test", quiet).labels) == 4
    with pytest.raises(DataError, match=r"there is no folder .*train"):
        load(root, [], quiet)


def test_a_class_may_be_called_train(photos):
    (photos / "bicycle").rename(photos / "train")
    assert folder.parts_of(photos) == {"train"}
    assert folder.read(photos, [], "train", quiet).counts() == {"motorcycle": 2, "train": 3}


def test_a_flat_folder_is_told_how_to_be_sorted(photos):
    for file in (photos / "bicycle").iterdir():
        file.rename(photos / f"flat-{file.name}")
    (photos / "bicycle").rmdir()
    data = folder.read(photos, [], "train", quiet)
    assert data.notes == ("3 files in no folder of a class, not read: flat-0.png, flat-1.png, flat-2.png",)
    flat = photos / "motorcycle"
    for classes in ([], ["bicycle"]):
        with pytest.raises(
            DataError, match="no folders at all, but 2 files: put the images of each class into"
        ):
            folder.read(flat, classes, "train", quiet)


def test_files_of_operating_systems_are_neither_classes_nor_images(photos):
    small = (photos / "bicycle" / "0.png").read_bytes()
    for name in ("__MACOSX/bicycle/._0.png", "@eaDir/x.png", "bicycle/@eaDir/0.png/SYNOPHOTO_THUMB_M.png"):
        (photos / name).parent.mkdir(parents=True)
        (photos / name).write_bytes(small)
    for name in (".DS_Store", "bicycle/.DS_Store", "motorcycle/.DS_Store", "bicycle/Thumbs.db"):
        (photos / name).write_bytes(b"\0")
    data = folder.read(photos, [], "train", quiet)
    assert data.counts() == {"bicycle": 3, "motorcycle": 2}
    assert data.unreadable == ()
    left = "hidden files and those of operating systems, not read: "
    assert data.notes == (left + ".DS_Store, @eaDir, __MACOSX", left + ".DS_Store (2), @eaDir, Thumbs.db")


def test_a_class_is_found_however_its_accents_are_written(photos):
    (photos / "bicycle").rename(photos / "ve\u0301lo")
    assert folder.read(photos, [], "train", quiet).classes == ("motorcycle", "v\u00e9lo")
    assert folder.read(photos, ["v\u00e9lo"], "train", quiet).counts() == {"v\u00e9lo": 3}


def test_two_folders_that_look_the_same_are_named(photos):
    (photos / "bicycle").rename(photos / "ve\u0301lo")
    (photos / "motorcycle").rename(photos / "v\u00e9lo")
    with pytest.raises(DataError, match=r"2 folders named .* Unicode normalisation .*\\u0301.*: merge them"):
        folder.read(photos, [], "train", quiet)

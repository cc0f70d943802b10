import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageChops, ImageStat

from model.data.drawings import LABELS, draw

any_label = pytest.mark.parametrize("label", LABELS)


def test_all_five_classes_are_drawn():
    assert LABELS == ("bicycle", "motorcycle", "poppy", "tulip", "willow_tree")


@any_label
def test_the_same_seed_draws_the_same_image_and_another_seed_another(label):
    first, again, other = (draw(label, 32, 32, random.Random(seed)) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@any_label
@settings(max_examples=15, deadline=None)
@given(width_px=st.integers(16, 200), height_px=st.integers(16, 200), seed=st.integers(0, 10**6))
def test_any_size_and_shape_can_be_drawn(label, width_px, height_px, seed):
    image = draw(label, width_px, height_px, random.Random(seed))
    assert (image.mode, image.size) == ("RGB", (width_px, height_px))


def test_twelve_megapixels_can_be_drawn():
    assert draw("tulip", 4000, 3000, random.Random(1)).size == (4000, 3000)


@any_label
def test_something_stands_out_from_the_background(label):
    for seed in range(20):
        grey = draw(label, 32, 32, random.Random(seed)).convert("L").tobytes()
        assert max(grey) - min(grey) > 60


@any_label
def test_drawings_of_a_class_vary(label):
    images = [draw(label, 32, 32, random.Random(seed)) for seed in range(20)]
    for one, other in pairwise(images):
        assert sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) > 20


def test_an_unknown_label_is_refused():
    with pytest.raises(KeyError, match="scooter"):
        draw("scooter", 32, 32, random.Random(1))

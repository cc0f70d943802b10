"""The boxes of an AVIF are read in every form that their standards allow, and within limits."""

import struct
from dataclasses import dataclass

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ingest.av1 import MAX_PARTS, AvifBoxes, TooManyParts

SEQUENCE_HEADER, FRAME_HEADER, FRAME, PADDING = 1, 3, 6, 15


def box(kind: bytes, *content: bytes, size_in: str = "4 bytes") -> bytes:
    """Return a box, whose size is in 4 bytes, in 8, or in none: it goes to the end of the file."""
    whole = b"".join(content)
    if size_in == "8 bytes":
        return struct.pack(">I4sQ", 1, kind, 16 + len(whole)) + whole
    return struct.pack(">I4s", 0 if size_in == "none" else 8 + len(whole), kind) + whole


def unit(
    type_: int, content: bytes, length_bytes: int = 1, extension: bytes = b"", reserved: int = 0
) -> bytes:
    """Return a unit (OBU) with its length in a number of bytes; 0 for a last one, which needs none."""
    said = len(content)
    length = bytearray()
    for _ in range(length_bytes):
        length.append(said & 0x7F | 0x80)
        said >>= 7
    if 0 < length_bytes < 8:
        length[-1] &= 0x7F  # the eighth byte is the last one, whatever it says
    head = type_ << 3 | (4 if extension else 0) | (2 if length_bytes else 0) | reserved
    return bytes([head]) + extension + bytes(length) + content


def locations(items, version=0, sizes=(4, 4, 0, 0), reserved=0):
    """Return the content of an `iloc` box.

    Args:
        items: (is inside `idat`, base, extents of (offset, length)) for each.
        version: of the box.
        sizes: bytes of an offset, a length, a base and an index.
        reserved: what version 0 has in place of the size of an index.
    """
    offset_bytes, length_bytes, base_bytes, index_bytes = sizes
    number_bytes = 2 if version < 2 else 4
    parts = [bytes([version, 0, 0, 0, offset_bytes << 4 | length_bytes])]
    parts.append(bytes([base_bytes << 4 | (index_bytes if version else reserved)]))
    parts.append(len(items).to_bytes(number_bytes, "big"))
    for number, (is_inside, base, extents) in enumerate(items, 1):
        parts.append(number.to_bytes(number_bytes, "big"))
        if version:
            parts.append(struct.pack(">H", is_inside))
        parts.append(bytes(2) + base.to_bytes(base_bytes, "big") + struct.pack(">H", len(extents)))
        for offset, length in extents:
            parts.append(b"\x01" * index_bytes if version else b"")
            parts.append(offset.to_bytes(offset_bytes, "big") + length.to_bytes(length_bytes, "big"))
    return b"".join(parts)


@dataclass(frozen=True)
class SequenceHeader:
    """A sequence header, and the pixels of the largest frame that it allows."""

    data: bytes
    pixels: int


@st.composite
def sequence_headers(draw):
    """Draw one as section 5.5 of the AV1 bitstream specification has them."""

    def any_of(bits):
        return f"{draw(st.integers(1 << bits, (2 << bits) - 1)):b}"[1:]

    def flag():
        return draw(st.sampled_from([True, False]))

    bits = any_of(3) + any_of(1)
    if not flag():
        bits += "1" + any_of(5)
    else:
        has_model, delay_bits = False, 0
        bits += "0"
        if flag():
            bits += "1" + any_of(64)
            if flag():
                zeros = draw(st.sampled_from([0, 1, 5, 31, 32]))
                bits += "1" + "0" * zeros + ("1" + any_of(zeros) if zeros < 32 else "")
            else:
                bits += "0"
            has_model = flag()
            bits += f"{has_model:b}"
            if has_model:
                delay_bits = draw(st.integers(1, 32))
                bits += f"{delay_bits - 1:05b}" + any_of(42)
        else:
            bits += "0"
        has_delay = flag()
        points = draw(st.sampled_from([1, 2, 3, 32]))
        bits += f"{has_delay:b}{points - 1:05b}"
        for _ in range(points):
            level = draw(st.sampled_from([0, 7, 8, 31]))
            bits += any_of(12) + f"{level:05b}" + (any_of(1) if level > 7 else "")
            if has_model:
                bits += "1" + any_of(2 * delay_bits + 1) if flag() else "0"
            if has_delay:
                bits += "1" + any_of(4) if flag() else "0"
    width_bits, height_bits = draw(st.integers(1, 16)), draw(st.integers(1, 16))
    width_px = draw(st.integers(1, 1 << width_bits))
    height_px = draw(st.integers(1, 1 << height_bits))
    bits += f"{width_bits - 1:04b}{height_bits - 1:04b}"
    bits += f"{width_px - 1:0{width_bits}b}{height_px - 1:0{height_bits}b}" + any_of(20)
    bits += "0" * (-len(bits) % 8)
    return SequenceHeader(int(bits, 2).to_bytes(len(bits) // 8, "big"), width_px * height_px)


@st.composite
def units_of_an_item(draw, headers):
    """Draw the units of an item with these sequence headers, and the number of its frames."""
    types = [SEQUENCE_HEADER] * len(headers) + draw(
        st.lists(st.sampled_from([2, FRAME_HEADER, 4, 5, FRAME, 7, PADDING]), max_size=4)
    )
    whole, left = b"", [header.data for header in headers]
    types = draw(st.permutations(types))
    for number, type_ in enumerate(types):
        # Read as units of their own, they would be frames.
        content = (unit(FRAME, b"") * 150)[: draw(st.sampled_from([1, 127, 128, 300]))]
        if type_ == SEQUENCE_HEADER:
            content = left.pop()
        is_last = number == len(types) - 1
        fewest = 1 if len(content) < 128 else 2
        length_bytes = draw(st.sampled_from([fewest, fewest + 1, 8] + [0] * is_last))
        extension, reserved = draw(st.sampled_from([b"", b"\x08"])), draw(st.sampled_from([0, 1]))
        whole += unit(type_, content, length_bytes, extension, reserved)
    return whole, types.count(FRAME_HEADER) + types.count(FRAME)


@given(st.data())
@settings(max_examples=50, phases=[Phase.generate])  # shrinking a failure would take minutes
def test_sizes_and_frames_are_found_in_any_form_of_boxes_items_and_units(data):
    headers = data.draw(st.lists(sequence_headers(), min_size=1, max_size=3))
    version = data.draw(st.sampled_from([0, 1, 2]))
    base_bytes = data.draw(st.sampled_from([0, 4, 8]))
    offset_bytes = data.draw(st.sampled_from([4, 8]))
    length_bytes, index_bytes = data.draw(st.sampled_from([4, 8])), data.draw(st.sampled_from([0, 4, 8]))
    sizes = (offset_bytes, length_bytes, base_bytes, index_bytes)
    is_inside = version > 0 and data.draw(st.booleans())
    place = b"Exif" * data.draw(st.integers(0, 3))
    items, frames = [], 0
    before = box(b"ftyp", b"avif\0\0\0\0avif")
    content_at = 0 if is_inside else len(before) + 16
    for header in headers:
        whole, some = data.draw(units_of_an_item([header]))
        frames += some
        cut = data.draw(st.integers(0, len(whole) - 1))
        base = data.draw(st.integers(0, content_at + len(place))) if base_bytes else 0
        extents = []
        for part in [whole] if cut == 0 else [whole[:cut], whole[cut:]]:
            place += b"\x0a"
            extents.append((content_at + len(place) - base, len(part)))
            place += part
        items.append((is_inside, base, extents))
    pieces = [
        box(b"iinf", b"\0\0\0\0\0\1", box(b"infe", b"Exif")),
        box(b"idat", place if is_inside else b""),
        box(b"iloc", locations(items, version, sizes, reserved=data.draw(st.integers(0, 15)))),
    ]
    meta = b"\0\0\0\0" + b"".join(data.draw(st.permutations(pieces)))
    ends = data.draw(st.sampled_from(["4 bytes", "8 bytes", "none"]))
    file = (
        before
        + box(b"mdat", b"" if is_inside else place, size_in="8 bytes")
        + box(b"meta", meta, size_in=ends)
    )
    boxes = AvifBoxes(file)
    assert boxes.coded_px == max(header.pixels for header in headers)
    assert boxes.frames == frames
    assert boxes.metadata_bytes == len(meta)
    assert boxes.plain == file.replace(b"infeExif", b"infeexif")


def with_item(units: bytes) -> bytes:
    """Return an AVIF with an item of these units."""
    before = box(b"ftyp", b"avif\0\0\0\0avif")
    items = locations([(False, 0, [(len(before) + 8, len(units))])])
    return before + box(b"mdat", units) + box(b"meta", bytes(4), box(b"iloc", items))


REDUCED = unit(
    SEQUENCE_HEADER, int(f"0001100000{3:04b}{3:04b}{9:04b}{7:04b}".ljust(32, "0"), 2).to_bytes(4, "big")
)
"""The sequence header of a picture of 10 × 8 pixels."""


@pytest.mark.parametrize("places", [b"stco", b"co64"])
@pytest.mark.parametrize("is_even", [True, False])
def test_of_an_animation_the_first_sample_of_each_track_is_read(places, is_even):
    """Samples of one size have no list of their sizes."""
    first = REDUCED + unit(FRAME, b"")
    sizes = (len(first), 2) if is_even else (0, 2, len(first), 99)
    number = ">I" if places == b"stco" else ">Q"
    beyond = struct.pack(number, 20 + (1 << 8 * struct.calcsize(number) - 8))
    tracks = [
        box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", chunks, box(b"stsz", bytes(4), said)))))
        for chunks, said in (
            (
                box(places, struct.pack(">II", 0, 1), struct.pack(number, 20)),
                struct.pack(f">{len(sizes)}I", *sizes),
            ),
            (box(places, struct.pack(">II", 0, 1), beyond), struct.pack(">III", 0, 1, 1)),
        )
    ]
    file = box(b"ftyp", b"avis") + box(b"mdat", first, first) + box(b"moov", *tracks) + box(b"meta", bytes(4))
    boxes = AvifBoxes(file)
    assert (boxes.coded_px, boxes.frames) == (80, 1)
    assert boxes.metadata_bytes == sum(map(len, tracks)) + 4


@pytest.mark.parametrize(("sample_bytes", "pixels"), [(len(REDUCED), 80), (0, 0)])
def test_the_size_of_even_samples_may_be_the_end_of_the_file(sample_bytes, pixels):
    chunks = box(b"stco", struct.pack(">III", 0, 1, 8))
    boxes = AvifBoxes(box(b"mdat", REDUCED) + chunks + box(b"stsz", struct.pack(">II", 0, sample_bytes)))
    assert boxes.coded_px == pixels


@pytest.mark.parametrize("length_bytes", [0, 4])
def test_an_extent_without_a_length_goes_to_the_end_of_the_file(length_bytes):
    def meta(offset):
        items = locations([(False, 0, [(offset, 0)])], sizes=(4, length_bytes, 0, 0))
        return box(b"meta", bytes(4), box(b"iloc", items))

    pixels = REDUCED + unit(FRAME, b"") + unit(FRAME_HEADER, bytes(3), 0)
    boxes = AvifBoxes(meta(len(meta(0)) + 8) + box(b"mdat", pixels))
    assert (boxes.coded_px, boxes.frames) == (80, 2)


def test_an_item_whose_extents_go_beyond_its_box_is_not_read():
    items = locations([(False, 0, [(8, len(REDUCED)), (8, 0)])])
    cut = box(b"iloc", items[:-8]) + struct.pack(">II", 8, 5)
    boxes = AvifBoxes(box(b"mdat", REDUCED) + box(b"meta", bytes(4), cut))
    assert (boxes.coded_px, boxes.frames) == (0, 0)


@pytest.mark.parametrize("reserved", [0, 1])
def test_the_last_unit_needs_no_length(reserved):
    header = REDUCED[2:]
    assert AvifBoxes(with_item(unit(SEQUENCE_HEADER, header, 0, reserved=reserved))).coded_px == 80


@pytest.mark.parametrize("cut_bytes", [1, 2, 3])
def test_a_unit_that_is_cut_off_is_the_last_one(cut_bytes):
    whole = REDUCED + unit(FRAME, bytes(200), 2)[:cut_bytes]
    boxes = AvifBoxes(with_item(whole))
    assert (boxes.coded_px, boxes.frames) == (80, cut_bytes > 1)


def test_as_many_parts_as_the_limit_are_read():
    plain = with_item(REDUCED + unit(FRAME, b""))
    parts = len(["ftyp", "mdat", "meta", "iloc", "the extent", "the sequence header", "the frame"])
    others = box(b"free") * (MAX_PARTS - parts)
    assert AvifBoxes(plain + others).frames == 1
    with pytest.raises(TooManyParts):
        AvifBoxes(plain + others + box(b"free"))


def test_extents_that_are_joined_are_together_no_larger_than_the_file():
    def file(length):
        items = [(False, 0, [(0, 40), (0, 20)]), (False, 0, [(0, 1), (0, length)])]
        return box(b"meta", bytes(4), box(b"iloc", locations(items)))

    left = len(file(0)) - 40 - 20 - 1
    AvifBoxes(file(left))
    with pytest.raises(TooManyParts):
        AvifBoxes(file(left + 1))

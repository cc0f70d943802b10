"""A TIFF in any form that the format allows gets a directory that says the same, and its cost is known."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ingest.errors import RejectedImage
from ingest.tiff import MAX_ENTRIES, orientation_of, plain_tiff

LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
VALUE_BITS = {1: 8, 3: 16, 4: 32, 6: 7, 8: 15, 9: 31, 13: 32, 16: 64, 17: 63, 18: 64}
"""Bits of the largest value of a type. 16 to 18 are BigTIFF's."""
BYTES, RATIONAL = 7, 5


class Entry(NamedTuple):
    """A tag of a directory. Rationals are twice as many values."""

    tag: int
    type: int
    values: Sequence[int] | bytes


def a_directory(entries: Sequence[Entry], order: str = "<", is_big: bool = False) -> bytes:
    """Return a TIFF without pixels: its directory, and the values that have no place in it."""
    offset, number, inline_bytes, at = ("Q", "Q", 8, 16) if is_big else ("I", "H", 4, 8)
    entry = f"{order}HH{offset}"
    outside_at = at + struct.calcsize(f"={number}") + len(entries) * (4 + 2 * inline_bytes) + inline_bytes
    table, outside = struct.pack(f"{order}{number}", len(entries)), b""
    for tag, type_, values in entries:
        count = len(values) // 2 if type_ == RATIONAL else len(values)
        if isinstance(values, bytes):
            packed = values
        else:
            packed = struct.pack(f"{order}{len(values)}{LETTERS.get(type_, 'I')}", *values)
        if len(packed) > inline_bytes:
            outside += packed
            packed = struct.pack(f"{order}{offset}", outside_at + len(outside) - len(packed))
        table += struct.pack(entry, tag, type_, count) + packed.ljust(inline_bytes, b"\0")
    said = (43, 8, 0, at) if is_big else (42, at)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H{'HHQ' if is_big else 'I'}", *said)
    return head + table + bytes(inline_bytes) + outside


def read_directory(data: bytes) -> dict[int, tuple[int, ...] | bytes]:
    """Return the tags of a small TIFF as section 2 of TIFF 6.0 has them."""
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    magic, at = struct.unpack_from(f"{order}HI", data, 2)
    (entries,) = struct.unpack_from(f"{order}H", data, at)
    assert (magic, at % 2) == (42, 0)
    tags: dict[int, tuple[int, ...] | bytes] = {}
    before = 0
    for place in range(at + 2, at + 2 + 12 * entries, 12):
        tag, type_, count, inline = struct.unpack_from(f"{order}HHI4s", data, place)
        assert tag > before
        size_bytes = count * struct.calcsize(f"={LETTERS.get(type_, 'Q' if type_ == RATIONAL else 'B')}")
        if size_bytes > 4:
            (value_at,) = struct.unpack(f"{order}I", inline)
            assert value_at % 2 == 0
            inline = data[value_at : value_at + size_bytes]
            assert len(inline) == size_bytes
        if type_ == BYTES:
            tags[tag] = inline[:size_bytes]
        elif type_ == RATIONAL:
            tags[tag] = struct.unpack(f"{order}{2 * count}I", inline)
        else:
            tags[tag] = struct.unpack(f"{order}{count}{LETTERS[type_]}", inline[:size_bytes])
        before = tag
    assert data[at + 2 + 12 * entries :][:4] == bytes(4)
    return tags


class Kind(NamedTuple):
    """Photometric interpretation, bits, sample format and extra samples of pixels."""

    photometric: int
    bits: tuple[int, ...]
    sample_format: int = 1
    extra: tuple[int, ...] = ()


KINDS = [
    *(Kind(photometric, (bits,)) for photometric in (0, 1) for bits in (1, 4, 8, 12, 16)),
    Kind(0, (32,), 3),
    Kind(1, (32,), 2),
    Kind(1, (8, 8), 1, (2,)),
    Kind(2, (8, 8, 8)),
    Kind(2, (16, 16, 16, 16), 1, (0,)),
    Kind(3, (1,)),
    Kind(3, (4,)),
    Kind(5, (8, 8, 8, 8)),
    Kind(6, (8, 8, 8)),
    Kind(8, (8, 8, 8)),
]
COMPRESSIONS = [1, 2, 3, 4, 5, 8, 32_773, 32_946, 34_925, 50_000]
DEFAULTS = {258: (1,), 259: (1,), 262: (0,), 277: (1,), 284: (1,), 266: (1,)}
ONE_VALUE = {256, 257, 259, 262, 266, 277, 278, 284, 292, 293, 317, 322, 323, 531}
OTHER_TAGS = [Entry(282, RATIONAL, (72, 1)), Entry(305, 2, b"a program\0"), Entry(34_675, BYTES, b"ICC" * 9)]


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@settings(max_examples=3, phases=[Phase.generate])  # shrinking a failure would take minutes
def test_the_new_directory_says_what_the_old_one_said_and_what_it_costs(kind, data):
    draw = data.draw
    order, is_big = draw(st.sampled_from("<>")), draw(st.booleans())
    is_deep = kind.bits[0] > 8 and kind.photometric < 2
    is_raw_only = order == ">" and (kind.sample_format != 1 or kind.bits[0] > 16)
    compression = 1 if is_raw_only or draw(st.booleans()) else draw(st.sampled_from(COMPRESSIONS))
    can_be_in_planes = kind.photometric in {2, 5} and kind.bits[0] == 8
    planar = draw(st.sampled_from([1, 2])) if can_be_in_planes else 1
    width_px, height_px = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    is_tiled = draw(st.booleans())
    if is_tiled:
        piece_px = draw(st.integers(1, 8)) * 16, draw(st.integers(1, 8)) * 16
    else:
        piece_px = width_px, draw(st.integers(1, height_px))

    # The pixels: each plane, from the top and from the left, in a file where any piece may be the last one.
    planes = [kind.bits] if planar == 1 else [(bits,) for bits in kind.bits]
    sizes = []
    for bits in planes:
        for top_px in range(0, height_px, piece_px[1]):
            for _ in range(0, width_px, piece_px[0]):
                # Nobody reads what a raw tile has below the image.
                rows = min(piece_px[1], height_px - top_px)
                sizes.append((piece_px[0] * sum(bits) + 7) // 8 * rows)
    said_sizes = sizes
    if compression == 1:
        said_sizes = [draw(st.sampled_from([0, 2**32 - 1]))] * len(sizes)

    tags: dict[int, tuple[int, ...]] = {
        256: (width_px,),
        257: (height_px,),
        259: (compression,),
        262: (kind.photometric,),
    }
    tags |= {258: kind.bits, 277: (len(kind.bits),)}
    if kind.extra:
        tags[338] = kind.extra
    expected: dict[int, tuple[int, ...] | bytes] = {**tags}
    if kind.sample_format != 1 or draw(st.booleans()):
        undefined = kind.sample_format == 1 and draw(st.booleans())
        tags[339] = (4 if undefined else kind.sample_format,) * len(kind.bits)
    expected[339] = (kind.sample_format,) * len(kind.bits)
    if len(set(kind.bits)) == 1 and draw(st.booleans()):
        tags[258] = kind.bits[:1]
    if is_deep:
        expected[262] = (1,)
    if planar == 2 or draw(st.booleans()):
        tags[284] = (planar,)
        if len(kind.bits) > 1:
            expected[284] = (planar,)
    more: dict[int, tuple[int, ...]] = {
        266: (1,),
        317: (2,),
        292: (4,),
        293: (0,),
        531: (2,),
        512: (1,),
        521: (7, 8, 9),
    }
    more |= {322: piece_px[:1], 323: piece_px[1:]} if is_tiled else {}
    some = {tag: values for tag, values in more.items() if tag in {322, 323, 266} or draw(st.booleans())}
    if not is_tiled and (piece_px[1] < height_px or draw(st.booleans())):
        some[278] = (
            piece_px[1:] if piece_px[1] < height_px else (draw(st.sampled_from([height_px, 2**32 - 1])),)
        )
    if kind.photometric == 6 and (compression == 1 or draw(st.booleans())):
        some[530] = (1, 1)
    if kind.photometric == 3:
        levels = 3 << kind.bits[0]
        top = draw(st.sampled_from([255, 256, 65_535]))
        colours = (0, *[17] * (levels - 2), top)
        tags[320] = colours + draw(st.sampled_from([(), (70_000,)]))
        expected[320] = tuple(257 * colour for colour in colours) if top == 255 else colours
    tags |= some
    expected |= some
    raw: dict[int, tuple[int, ...] | bytes] = {
        347: draw(st.sampled_from([b"tables" * 3, b"table", b"tab"])),
        529: (299, 1_000, 587, 1_000, 114, 1_000),
        532: (0, 1, 255, 1) * 3,
    }
    raw = {tag: values for tag, values in raw.items() if draw(st.booleans())}
    expected |= raw
    orientation = draw(st.sampled_from([None, 1, 6, 8]))
    if orientation:
        tags[274] = (orientation,)

    for tag, value in DEFAULTS.items():
        if tags.get(tag) == value and draw(st.booleans()):
            del tags[tag]
            if tag != 258 and not (tag == 262 and is_deep):
                expected.pop(tag, None)
    for tag in ONE_VALUE & set(tags):
        tags[tag] += draw(st.sampled_from([(), (3,)]))

    places = (324, 325) if is_tiled else (273, 279)
    tags |= {places[0]: (0,) * len(sizes), places[1]: tuple(said_sizes)}

    def with_type(tag, values):
        fit = [
            type_ for type_, bits in VALUE_BITS.items() if max(values) < 1 << bits and (is_big or type_ < 16)
        ]
        return draw(st.sampled_from(fit if tag not in places else [4, 13]))

    types = {tag: with_type(tag, values) for tag, values in tags.items()}
    others = draw(st.sampled_from([OTHER_TAGS, []]))
    before, after = draw(st.sampled_from([([Entry(256, 99, b"odd type")], [Entry(256, 3, (9,))]), ([], [])]))

    def file_head(offsets):
        entries = [Entry(tag, types[tag], offsets if tag == places[0] else tags[tag]) for tag in tags]
        entries += [Entry(tag, BYTES if tag == 347 else RATIONAL, values) for tag, values in raw.items()]
        return a_directory([*before, *sorted([*entries, *others]), *after], order, is_big)

    at = len(file_head((0,) * len(sizes)))
    offsets = [0] * len(sizes)
    for number in draw(st.permutations(range(len(sizes)))):
        offsets[number] = at
        at += sizes[number]
    head = file_head(tuple(offsets))
    file = head + bytes(at - len(head))
    expected |= {places[0]: tuple(offsets), places[1]: tuple(said_sizes)}

    tiff = plain_tiff(file)
    assert read_directory(tiff.data) == expected
    assert tiff.data[8 : len(file)] == file[8:]
    assert (tiff.width_px, tiff.height_px, tiff.orientation) == (width_px, height_px, orientation or 1)
    image_bytes, piece_bytes = 4 * width_px * height_px, piece_px[0] * piece_px[1] * sum(kind.bits) // 8
    assert tiff.decoded_px == max(width_px * height_px, (image_bytes + piece_bytes) // 8)
    assert tiff.tiles_px == (len(sizes) // len(planes) * piece_px[0] * piece_px[1] if is_tiled else 0)
    assert tiff.white == (4_095.0 if kind.bits == (12,) else None)
    assert tiff.is_inverted == (is_deep and kind.photometric == 0)
    assert tiff.is_opaque == (compression in {34_925, 50_000})
    assert not tiff.is_cut_off
    assert plain_tiff(file[:-1]).is_cut_off


GREY: dict[int, Entry] = {
    tag: Entry(tag, 4, values)
    for tag, values in {256: (1,), 257: (1,), 258: (8,), 262: (1,), 273: (8,), 279: (1,)}.items()
}
"""The directory of one grey pixel, which lies somewhere in the file's head."""


def grey_with(*entries: Entry) -> bytes:
    """Return the TIFF of one grey pixel with these tags; those without values are left out."""
    whole = GREY | {entry.tag: entry for entry in entries}
    return a_directory([entry for _, entry in sorted(whole.items()) if entry.values])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("type_", sorted({*LETTERS} - {16, 17, 18}))
def test_the_orientation_in_exif_is_read_in_any_type_and_none_is_none(order, type_):
    camera = Entry(271, 2, b"a camera\0")
    assert orientation_of(a_directory([camera, Entry(274, type_, (6, 1))], order)) == 6
    assert orientation_of(a_directory([Entry(274, type_, (0,))], order)) is None
    assert orientation_of(a_directory([camera], order)) is None


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (Entry(256, 3, ()), "tag 256 is missing"),
        (Entry(256, RATIONAL, (1, 1)), "the values of tag 256 are not integers"),
        (Entry(317, 11, (1,)), "the values of tag 317 are not integers"),
        (Entry(317, 12, (1, 1)), "the values of tag 317 are not integers"),
        (Entry(259, 3, (12_345,)), "compression 12345 is unknown"),
        *(
            (Entry(tag, 3, values), "the layout of its samples is unknown")
            for tag, values in (
                (258, (0,)),
                (258, (65,)),
                (262, (777,)),
                (262, (2,)),
                (262, (5,)),
                (262, (8,)),
                (266, (3,)),
                (277, (0,)),
                (284, (3,)),
                (339, (7,)),
            )
        ),
        (Entry(277, 4, (1 << 16,)), "the layout of its samples is unknown"),
        (Entry(322, 3, (0,)), "its tiles have no size"),
        (Entry(323, 3, (0,)), "its tiles have no size"),
    ],
)
def test_the_damage_of_a_directory_is_named(entry, said):
    tiles = [Entry(tag, 3, (1,)) for tag in (322, 323, 324, 325)] if entry.tag in {322, 323} else []
    assert plain_tiff(grey_with(*tiles)).height_px == 1
    with pytest.raises(ValueError, match=f"^{said}$"):
        plain_tiff(grey_with(*tiles, entry))


def test_values_that_end_with_the_file_are_read_and_a_byte_less_is_damage():
    file = grey_with(Entry(521, 3, (1, 2, 3)))
    assert read_directory(plain_tiff(file).data)[521] == (1, 2, 3)
    with pytest.raises(ValueError, match="the values of tag 521 lie beyond its end"):
        plain_tiff(file[:-1])


def test_as_many_tags_strips_and_tiles_as_the_limit_are_read():
    head = b"II*\0\x08\0\0\0"
    with pytest.raises(struct.error):  # as they are not there
        plain_tiff(head + struct.pack("<H", MAX_ENTRIES))
    with pytest.raises(RejectedImage, match="corrupt: TIFF: more than 50,000 pieces"):
        plain_tiff(head + struct.pack("<H", MAX_ENTRIES + 1))
    for tag in (273, 279, 324, 325):
        assert plain_tiff(
            grey_with(Entry(322, 3, (1,)), Entry(323, 3, (1,)), Entry(tag, 1, b"\1" * MAX_ENTRIES))
        )
        with pytest.raises(RejectedImage, match="corrupt: TIFF: more than 50,000 pieces"):
            plain_tiff(grey_with(Entry(tag, 1, b"\1" * (MAX_ENTRIES + 1))))


@pytest.mark.parametrize("value", [65_535, 65_536, 2**32 - 1])
def test_a_value_that_needs_more_than_two_bytes_has_them(value):
    assert read_directory(plain_tiff(grey_with(Entry(521, 4, (value,)))).data)[521] == (value,)


def test_a_tag_without_values_has_none():
    data = a_directory([*GREY.values(), Entry(521, 3, b"")])
    assert read_directory(plain_tiff(data).data)[521] == ()


def test_a_large_strip_counts_in_pixels_of_8_bytes_rounded_down():
    sides = [
        Entry(256, 3, (3,)),
        Entry(257, 3, (3,)),
        Entry(258, 3, (16,)),
        Entry(262, 3, (2,)),
        Entry(277, 3, (4,)),
    ]
    assert plain_tiff(grey_with(*sides)).decoded_px == (9 * 4 + 9 * 8) // 8
    tile = [Entry(322, 3, (3,)), Entry(323, 3, (5,)), Entry(324, 3, (8,)), Entry(325, 3, (1,))]
    assert plain_tiff(grey_with(Entry(258, 3, (1,)), *tile)).decoded_px == 1


def test_a_compressed_strip_that_does_not_state_its_size_is_not_cut_off():
    assert not plain_tiff(grey_with(Entry(259, 3, (8,)), Entry(279, 3, ()))).is_cut_off


def test_each_plane_has_strips_of_its_own_the_last_of_which_may_be_shorter():
    tags = [Entry(256, 3, (10,)), Entry(257, 3, (5,)), Entry(278, 3, (2,)), Entry(284, 3, (2,))]
    tags += [Entry(258, 3, (8,)), Entry(262, 3, (2,)), Entry(277, 3, (3,)), Entry(279, 4, (0,) * 9)]
    at = len(grey_with(*tags, Entry(273, 4, (0,) * 9)))
    offsets = tuple(at + plane * 50 + top * 10 for plane in range(3) for top in (0, 2, 4))
    file = grey_with(*tags, Entry(273, 4, offsets)) + bytes(150)
    assert not plain_tiff(file).is_cut_off
    assert plain_tiff(file[:-1]).is_cut_off
    assert plain_tiff(grey_with(*tags, Entry(273, 4, offsets[:-1])) + bytes(150)).is_cut_off


def test_a_jpeg_of_the_old_style_is_colours_whose_pieces_may_lie_elsewhere():
    tiff = plain_tiff(grey_with(Entry(259, 3, (6,)), Entry(262, 3, ()), Entry(273, 4, (10**6,))))
    assert read_directory(tiff.data)[258] == (8, 8, 8)
    assert (tiff.is_opaque, tiff.is_cut_off) == (True, False)


def test_a_strip_of_no_rows_has_one():
    file = grey_with(Entry(278, 3, (0,)), Entry(257, 3, (3,)), Entry(273, 3, (8, 8, 8)))
    assert not plain_tiff(file).is_cut_off
    assert plain_tiff(grey_with(Entry(278, 3, (0,)), Entry(257, 3, (3,)), Entry(273, 3, (8, 8)))).is_cut_off


def a_jpeg(frame: int, precision: int = 8, sampling: bytes = b"\x11", before: bytes = b"") -> bytes:
    """Return the beginning of a JPEG: a segment of tables, `before`, and its frame (ITU T.81, B.2.2)."""
    components = b"".join(bytes([number, each, 0]) for number, each in enumerate(sampling))
    content = struct.pack(">BHHB", precision, 16, 16, len(sampling)) + components
    frame_segment = struct.pack(">BBH", 0xFF, frame, len(content) + 2) + content
    return b"\xff\xd8\xff\xdb\0\x04\0\0" + before + frame_segment + bytes(11 - len(content) + 20)


def a_tiff_of(jpeg: bytes, *entries: Entry, is_tiled: bool = False) -> bytes:
    """Return a TIFF of one strip or tile, which is this JPEG."""
    places = (Entry(324, 4, (0,)), Entry(325, 4, (len(jpeg),))) if is_tiled else ()
    tags = [Entry(259, 3, (7,)), *places, *(Entry(tag, 3, (16,)) for tag in (322, 323) if is_tiled), *entries]
    place = Entry(324 if is_tiled else 273, 4, (len(grey_with(*tags)),))
    return grey_with(*tags, place) + jpeg


@pytest.mark.parametrize("is_tiled", [False, True])
def test_a_jpeg_that_libtiff_does_not_read_is_found_by_its_frame(is_tiled):
    read = [a_jpeg(frame) for frame in (0xC0, 0xC1, 0xC2, 0xC5, 0xC6, 0xC9, 0xCA, 0xCD, 0xCE)]
    # What begins with the marker of Huffman tables, of an extension or of arithmetic coding is no frame.
    others = [struct.pack(">BBH", 0xFF, marker, 10) + bytes(8) for marker in (0xC4, 0xC8, 0xCC)]
    read += [a_jpeg(0xC0, before=other) for other in others]
    for jpeg in read:
        assert plain_tiff(a_tiff_of(jpeg, is_tiled=is_tiled)).is_opaque
    lossless = [a_jpeg(frame) for frame in (0xC3, 0xC7, 0xCB, 0xCF)]
    refused = [(jpeg, "lossless JPEG compression") for jpeg in lossless]
    refused += [(a_jpeg(0xC0, before=other, precision=12), "12-bit JPEG compression") for other in others]
    refused += [(a_jpeg(0xC1, sampling=b"\x21"), "grey samples in a subsampled JPEG")]
    for jpeg, said in refused:
        with pytest.raises(RejectedImage, match=f"unsupported_format: TIFF with {said} is not supported"):
            plain_tiff(a_tiff_of(jpeg, is_tiled=is_tiled))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_any_component_that_is_subsampled_counts_unless_the_colours_are_ycbcr(place):
    sampling = bytes(0x21 if number == place else 0x11 for number in range(3))
    samples = [Entry(277, 3, (3,)), Entry(258, 3, (8,))]
    assert plain_tiff(a_tiff_of(a_jpeg(0xC0, sampling=sampling), *samples, Entry(262, 3, (6,))))
    assert plain_tiff(a_tiff_of(a_jpeg(0xC0, sampling=b"\x11" * 3), *samples, Entry(262, 3, (2,))))
    with pytest.raises(RejectedImage, match="RGB samples in a subsampled JPEG"):
        plain_tiff(a_tiff_of(a_jpeg(0xC0, sampling=sampling), *samples, Entry(262, 3, (2,))))


def test_the_frame_of_a_jpeg_is_looked_for_in_a_thousand_segments_until_the_end_of_the_file():
    comment = b"\xff\xfe\0\2"
    lossless = a_jpeg(0xC3, before=comment * 998)
    with pytest.raises(RejectedImage):
        plain_tiff(a_tiff_of(lossless))
    assert plain_tiff(a_tiff_of(a_jpeg(0xC3, before=comment * 999)))
    frame_at = lossless.index(b"\xff\xc3")
    with pytest.raises(RejectedImage):
        plain_tiff(a_tiff_of(lossless[: frame_at + 11]))
    assert plain_tiff(a_tiff_of(lossless[: frame_at + 10]))
    assert plain_tiff(grey_with(Entry(259, 3, (7,)), Entry(273, 4, ()), Entry(279, 4, ()))).is_cut_off


@pytest.mark.parametrize("place", [-1, -3, -(10**6)])
def test_a_strip_before_the_file_is_damage(place):
    with pytest.raises((struct.error, IndexError)):
        plain_tiff(grey_with(Entry(259, 3, (7,)), Entry(273, 9, (place,))))


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({339: (2,)}, "1 × 8-bit signed grey samples"),
        ({262: (0,), 266: (2,)}, "1 × 8-bit grey samples"),
        ({258: (8, 9), 277: (2,)}, "2 × 8/9-bit grey samples"),
        ({258: (8,), 277: (3,), 262: (2,), 339: (1, 2, 1)}, "3 × 8-bit RGB samples"),
        ({258: (8, 8), 277: (3,), 262: (2,)}, "3 × 8-bit RGB samples"),
        ({258: (64,), 339: (3,)}, "1 × 64-bit floating-point grey samples"),
        ({258: (16,) * 3, 277: (3,), 262: (2,), 284: (2,)}, "3 × 16-bit RGB samples in planes"),
        ({258: (8,), 277: (2,), 338: (2,), 284: (2,)}, "2 × 8-bit grey samples in planes"),
        (
            {258: (8,), 277: (3,), 262: (6,), 259: (8,), 284: (2,)},
            "3 × 8-bit YCbCr samples in planes, subsampled,",
        ),
        ({258: (8,), 277: (3,), 262: (6,)}, "3 × 8-bit YCbCr samples, subsampled,"),
        ({258: (8,), 277: (3,), 262: (6,), 530: (2, 1)}, "3 × 8-bit YCbCr samples, subsampled,"),
        ({258: (8,), 277: (3,), 262: (6,), 530: (1, 2)}, "3 × 8-bit YCbCr samples, subsampled,"),
    ],
)
@pytest.mark.parametrize("order", "<>")
def test_samples_that_pillow_does_not_read_or_misreads_are_refused(order, tags, said):
    entries = GREY | {tag: Entry(tag, 3, values) for tag, values in tags.items()}
    data = a_directory([entry for _, entry in sorted(entries.items())], order)
    name = f"{'big' if order == '>' else 'little'}-endian TIFF with {said} is not supported"
    with pytest.raises(RejectedImage, match=f"unsupported_format: {name}"):
        plain_tiff(data)


@pytest.mark.parametrize(
    "tags",
    [
        {262: (6,)},
        {258: (8,), 277: (3,), 262: (6,), 530: (1, 1, 9)},
        {258: (8,), 277: (3,), 262: (6,), 259: (8,)},
        {258: (1,), 262: (0,), 266: (2,)},
        {284: (2,)},
        {258: (8, 9, 10), 277: (1,)},
        *({259: (compression,)} for compression in COMPRESSIONS),
        {258: (8,), 277: (5,), 262: (2,), 338: (2, 0)},
    ],
)
def test_samples_that_pillow_reads_are_read(tags):
    assert plain_tiff(grey_with(*(Entry(tag, 3, values) for tag, values in tags.items()))).width_px == 1


@pytest.mark.parametrize(("sample_format", "bits"), [(2, 16), (2, 32), (3, 32)])
def test_deep_samples_in_big_endian_order_are_read_unless_they_are_compressed(sample_format, bits):
    entries = GREY | {258: Entry(258, 3, (bits,)), 339: Entry(339, 3, (sample_format,))}
    assert plain_tiff(a_directory([entry for _, entry in sorted(entries.items())], ">")).width_px == 1
    entries[259] = Entry(259, 3, (8,))
    with pytest.raises(RejectedImage, match="grey samples, compressed is not supported"):
        plain_tiff(a_directory([entry for _, entry in sorted(entries.items())], ">"))
    assert plain_tiff(a_directory([entry for _, entry in sorted(entries.items())], "<")).width_px == 1

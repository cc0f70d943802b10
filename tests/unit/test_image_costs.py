"""Bytes never cost much, and end as a picture or a rejection, whatever they make a decoder do."""

import faulthandler
import io
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from PIL import AvifImagePlugin, Image, ImageFile, TiffImagePlugin

from infra.installation import PROJECT
from ingest import decode_limits, isolation
from ingest.av1 import AvifBoxes, TooManyParts
from ingest.decode_limits import Claim, claim_of
from ingest.errors import MAX_BYTES, REJECT_REASONS, RejectedImage
from ingest.image import prepare
from ingest.isolation import Crashed, TooCostly, run_isolated
from tests.builders import a_picture, encoded, jpeg_bytes, noise, png_bytes
from tests.corpus import fuzzed
from tests.odd_tiffs import a_tiff, tiff

MANY = 3_800_000
"""Rationals: 30 MB of them."""


def rejection_of(data):
    with pytest.raises(RejectedImage) as caught:
        prepare(data, 32)
    return caught.value.reason


@pytest.fixture
def quick():
    """Fail a test that takes more than 1 s of CPU."""
    started = time.process_time()
    yield
    assert time.process_time() - started < 1


# ── TIFF and EXIF ──────────────────────────────────────────────────────────────────────────────────────────


def rationals(tag, order="<"):
    """Return a directory with one tag of millions of rationals, for a place 8 bytes into a file."""
    entry = struct.pack(f"{order}HHII", tag, 5, MANY, 26)
    return struct.pack(f"{order}H", 1) + entry + bytes(4) + struct.pack(f"{order}II", 72, 1) * MANY


def tiff_with(tag, type_=5, count=MANY):
    data = a_tiff("<", 1, 1, 8)
    at = struct.unpack_from("<I", data, 4)[0]
    (entries,) = struct.unpack_from("<H", data, at)
    table = data[at + 2 : at + 2 + 12 * entries]
    new = struct.pack("<HHII", tag, type_, count, 8)
    rows = sorted(
        [table[12 * n : 12 * n + 12] for n in range(entries)] + [new], key=lambda row: row[:2][::-1]
    )
    moved = struct.pack("<H", len(rows)) + b"".join(rows) + bytes(4)
    whole = data + bytes(8 * count - len(data) if len(data) < 8 * count else 0)
    return whole[:4] + struct.pack("<I", len(whole)) + whole[8:] + moved


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("tag", [282, 270, 305, 700, 34665, 33432, 50_000, 274])
def test_a_tiff_with_a_tag_of_millions_of_values_is_read_without_it(tag):
    assert prepare(tiff_with(tag), 16).brightness == 127.5


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("tag", [256, 258, 273, 279, 320, 338, 339, 529])
def test_a_tiff_whose_size_has_millions_of_values_is_read_or_rejected(tag):
    try:
        prepare(tiff_with(tag), 16)
    except RejectedImage as rejected:
        if rejected.reason not in {"corrupt", "unsupported_format"}:
            raise


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("image", "tile"), [((65_520, 380), (16, 1_500_000)), ((380, 65_520), (1_500_000, 16))]
)
def test_tiles_that_reach_far_beyond_their_image_are_refused(image, tile):
    tiles = -(-image[0] // tile[0]) * -(-image[1] // tile[1])
    sides = {256: image[0], 257: image[1], 258: 8, 259: 8, 262: 1, 277: 1, 322: tile[0], 323: tile[1]}
    assert rejection_of(tiff(sides, [zlib.compress(bytes(16))] * tiles)) == "too_many_pixels"


def test_tiles_that_reach_a_little_beyond_their_image_are_read():
    sides = {256: 5_000, 257: 4_900, 258: 8, 259: 8, 262: 1, 277: 1, 322: 512, 323: 512}
    assert prepare(tiff(sides, [zlib.compress(bytes(512 * 512))] * 100), 32).height_px == 4_900


@pytest.mark.parametrize(("rows", "is_read"), [(10, True), (5_000, False)])
def test_a_large_strip_of_16_bit_colours_counts_as_what_it_takes(rows, is_read):
    sides = {256: 4_000, 257: 5_000, 258: [16] * 4, 259: 8, 262: 2, 277: 4, 278: rows}
    strip = zlib.compress(bytes(4_000 * rows * 8), 1)
    data = tiff(sides, [strip] * (5_000 // rows))
    if is_read:
        assert prepare(data, 32).width_px == 4_000
    else:
        assert rejection_of(data) == "too_many_pixels"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("tag", [282, 274, 0x8769])
def test_a_jpeg_whose_exif_has_millions_of_values_is_read_without_them(tag):
    exif = b"II*\0\x08\0\0\0" + rationals(tag)
    parts = [exif[at : at + 65_000] for at in range(0, len(exif), 65_000)]
    segments = [b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts]
    plain = jpeg_bytes()
    rest = plain[4 + struct.unpack(">H", plain[4:6])[0] :]  # no resolution: Pillow would look for it in EXIF
    data = plain[:2] + b"".join(segments) + rest
    assert prepare(data, 32).pixels.tobytes() == prepare(plain, 32).pixels.tobytes()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("tag", [282, 274])
@pytest.mark.parametrize("format_", ["PNG", "WEBP", "AVIF"])
def test_exif_of_millions_of_values_is_not_parsed(format_, tag):
    exif = b"Exif\0\0II*\0\x08\0\0\0" + rationals(tag)
    options = {"WEBP": {"lossless": True}}.get(format_, {})
    # AVIF's own encoder parses it.
    data = encoded(
        a_picture(),
        format_,
        exif=b"Exif\0\0II*\0\x08\0\0\0" + bytes(6) if format_ == "AVIF" else exif,
        **options,
    )
    if format_ == "AVIF":
        plain = AvifBoxes(data).plain
        assert b"Exif" in data
        assert b"Exif" not in plain[: plain.index(b"mdat")]
    assert prepare(data, 32).width_px == 40


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("49492b0008000000ffffffffffffffff"),
        bytes.fromhex("4d4d002b00080000ffffffffffffffff"),
        bytes.fromhex("49492a00ffffffff"),
        bytes.fromhex("49492a0008000000ffff"),
        bytes.fromhex("49492b00080000001000000000000000ffffffffffffffff"),
    ],
)
def test_a_directory_beyond_the_end_is_corrupt(data):
    assert rejection_of(data) == "corrupt"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("samples", [70_000, 419_503_104, 0xFFFFFFFF])
def test_millions_of_samples_to_a_pixel_are_corrupt_and_take_no_memory(samples):
    tracemalloc.start()
    try:
        assert rejection_of(a_tiff("<", 1, 1, 8, tags={277: samples, 258: 1})) == "corrupt"
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_an_orientation_before_damage_counts():
    entries = struct.pack("<HHHII", 9, 0x0112, 3, 1, 3)
    data = jpeg_bytes(exif=b"Exif\0\0II*\0\x08\0\0\0" + entries + b"cut")
    turned = prepare(jpeg_bytes(), 32).pixels.transpose(Image.Transpose.ROTATE_180)
    assert prepare(data, 32).pixels.tobytes() == turned.tobytes()


# ── PNG and JPEG ───────────────────────────────────────────────────────────────────────────────────────────


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("at", [33, -12])
def test_one_colour_profile_of_a_png_is_parsed(at):
    profile = png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1_000_000), 9))
    plain = png_bytes()
    data = plain[:at] + profile * 29_000 + plain[at:]
    assert prepare(data, 32).pixels.tobytes() == prepare(plain, 32).pixels.tobytes()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("marker", [0xC0, 0xDB])
def test_a_jpeg_of_very_many_tables_is_corrupt(marker):
    plain = jpeg_bytes()
    at = plain.index(bytes([0xFF, marker]))
    content = plain[at + 4 : at + 2 + struct.unpack_from(">H", plain, at + 2)[0]]
    segment = bytes([0xFF, marker]) + struct.pack(">H", 65_002)
    segment += (content[:65] * 1_000)[:65_000] if marker == 0xDB else content.ljust(65_000, b"\0")
    assert rejection_of(plain[:at] + segment * 470 + plain[at:]) == "corrupt"


def test_a_gif_s_frame_is_found_behind_extensions_and_stray_bytes():
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    before = b"\x21\xfe\x03abc\x02de\0" + b"\0\0"
    data = head + before + b"\x2c" + struct.pack("<HHHHB", 0, 0, 4_000, 3_000, 0)
    claim = claim_of(data, "GIF")
    assert (claim.width_px, claim.height_px) == (4_000, 3_000)


# ── AVIF ───────────────────────────────────────────────────────────────────────────────────────────────────


def avif_that_claims(width_px, height_px, image):
    data = encoded(image, "AVIF", speed=10)
    real = struct.pack(">II", *image.size)
    assert real in data
    return data.replace(real, struct.pack(">II", width_px, height_px))


@pytest.mark.parametrize("animated", [False, True])
def test_an_avif_whose_container_lies_about_its_frame_is_refused(animated):
    image = Image.new("L", (5_000, 3_000), 90)
    data = encoded(image, "AVIF", speed=10, save_all=animated, append_images=[image] if animated else [])
    data = data.replace(struct.pack(">II", 5_000, 3_000), struct.pack(">II", 64, 64))
    started = time.process_time()
    assert rejection_of(data) == "too_many_pixels"
    assert time.process_time() - started < 0.1


@pytest.mark.parametrize("size", [(1, 1), (64, 48), (640, 480), (300, 7_000)])
@pytest.mark.parametrize("options", [{}, {"quality": 100, "subsampling": "4:4:4"}, {"save_all": True}])
def test_the_size_of_an_avif_is_that_of_its_frames(size, options):
    more = [Image.new("RGB", size)] * 3 if "save_all" in options else []
    boxes = AvifBoxes(encoded(Image.new("RGB", size), "AVIF", speed=10, append_images=more, **options))
    assert boxes.coded_px == size[0] * size[1]
    assert 1 <= boxes.frames <= 4


def a_box(kind, content, version=None):
    head = b"" if version is None else bytes([version, 0, 0, 0])
    return struct.pack(">I4s", 8 + len(head) + len(content), kind) + head + content


def avif_of_extents(*items, data=b""):
    """Return the boxes of an AVIF whose items are extents of (offset, length)."""
    located = b"".join(
        struct.pack(">HHH", number, 0, len(extents)) + b"".join(struct.pack(">II", *each) for each in extents)
        for number, extents in enumerate(items, 1)
    )
    meta = a_box(b"iloc", b"\x44\0" + struct.pack(">H", len(items)) + located, version=0)
    return a_box(b"ftyp", b"avif\0\0\0\0avif") + a_box(b"meta", meta, version=0) + data


def test_an_avif_of_many_parts_is_corrupt_before_they_are_all_read():
    started = time.process_time()
    extents = [[(0, 4_000_000)] * 4] * 12_000
    with pytest.raises(TooManyParts):
        AvifBoxes(avif_of_extents(*extents, data=bytes(4_000_000)))
    with pytest.raises(TooManyParts):
        AvifBoxes(avif_of_extents([(100, 4_000_000)], data=b"\x0a\x00" * 2_000_000))
    with pytest.raises(TooManyParts):
        AvifBoxes(a_box(b"ftyp", b"avif") + a_box(b"free", b"") * 60_000)
    assert rejection_of(avif_of_extents([(100, 900_000)], data=b"\x0a\x00" * 450_000)) == "corrupt"
    assert time.process_time() - started < 2


def test_a_sequence_header_that_is_split_or_late_is_found():
    plain = encoded(Image.new("L", (5_000, 3_000)), "AVIF", speed=10)
    item = plain[plain.index(b"mdat") + 4 :]
    padding = b"\x7a\x03abc" * 5
    for shift in (0, 1, 3):
        data = padding + item
        at = len(avif_of_extents([(0, 0)] * 2))
        extents = [(at, shift or 1), (at + (shift or 1), len(data) - (shift or 1))]
        assert AvifBoxes(avif_of_extents(extents, data=data)).coded_px == 15_000_000


@pytest.mark.parametrize("kind", [b"stco", b"co64"])
def test_the_first_picture_of_an_animation_is_found_without_its_item(kind):
    image = Image.new("L", (64, 48))
    data = encoded(image, "AVIF", speed=10, save_all=True, append_images=[image]).replace(b"iloc", b"free")
    (at,) = struct.unpack_from(">I", data, data.index(b"stco") + 12)
    without = data.replace(b"stco", b"free")
    if kind == b"co64":
        data = without + a_box(kind, struct.pack(">IQ", 1, at), version=0)
    assert AvifBoxes(data).coded_px == 64 * 48
    assert AvifBoxes(without).coded_px == 0


@pytest.mark.parametrize("operating_points", [1, 2])
def test_the_size_is_found_behind_all_that_a_sequence_header_may_have(operating_points):
    timing = "1" + "01" * 32 + "1" + "0001" + "101" + "1" + f"{9:05b}" + "10" * 21
    point = "1" * 12 + f"{8:05b}" + "1" + "1" + "01" * 10 + "1" + "1" + "1010"
    plain_point = "1" * 12 + f"{7:05b}" + "0" + "0"
    points = f"{operating_points - 1:05b}" + point + plain_point * (operating_points - 1)
    size = f"{12:04b}{11:04b}{5_000 - 1:013b}{3_000 - 1:012b}"
    bits = "0000" + "0" + timing + "1" + points + size
    header = int(bits.ljust(512, "1"), 2).to_bytes(64, "big")
    at = len(avif_of_extents([(0, 0)]))
    for unit in (b"\x0a" + bytes([len(header)]) + header, b"\x08" + header):  # the last one may say no length
        assert AvifBoxes(avif_of_extents([(at, len(unit))], data=unit)).coded_px == 15_000_000


def test_an_avif_of_many_hidden_frames_is_bounded():
    plain = encoded(Image.new("L", (2_000, 1_000)), "AVIF", speed=10)
    item = plain[plain.index(b"mdat") + 4 :]
    at = len(avif_of_extents([(0, 0)]))
    many = item + b"\x32\x00" * 400
    assert rejection_of(avif_of_extents([(at, len(many))], data=many)) == "too_many_pixels"


def test_the_decoder_of_avif_takes_one_thread():
    assert AvifImagePlugin.DEFAULT_MAX_THREADS == 1


# ── a process of its own ───────────────────────────────────────────────────────────────────────────────────


def test_work_in_a_process_of_its_own_returns_its_bytes():
    assert run_isolated(lambda: b"x" * 1_000_000) == b"x" * 1_000_000


def test_work_that_takes_too_long_ends(monkeypatch):
    monkeypatch.setattr(isolation, "MAX_CPU_S", 0.1)

    def endless():
        while True:
            pass

    with pytest.raises(TooCostly, match=r"0\.1 s"):
        run_isolated(endless)


def test_work_that_takes_too_much_memory_ends(monkeypatch):
    monkeypatch.setattr(isolation, "MAX_MEMORY_BYTES", 50 << 20)
    with pytest.raises(TooCostly, match="50 MB"):
        run_isolated(lambda: bytes(bytearray(200 << 20)))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit of memory holds on Linux alone")
def test_a_lower_limit_of_the_user_s_own_holds():
    def within_a_limit():
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
        most = pages * resource.getpagesize() + (100 << 20)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        return run_isolated(lambda: b"%d" % (most - resource.getrlimit(resource.RLIMIT_DATA)[0]))

    assert run_isolated(within_a_limit) == b"0"


def ended_by(number):
    faulthandler.disable()  # pytest's would print where this process ended
    os.kill(os.getpid(), number)
    return b""


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_work_that_crashes_ends_its_own_process_alone(number):
    with pytest.raises(Crashed):
        run_isolated(lambda: ended_by(number))


def test_work_that_the_system_kills_was_too_costly():
    with pytest.raises(TooCostly):
        run_isolated(lambda: ended_by(signal.SIGKILL))


LEAVES_NOTHING = """
import os
from ingest.isolation import run_isolated

os.close(before := os.dup(0))
for _ in range(3):
    run_isolated(bytes)
os.close(after := os.dup(0))
assert after == before, "a pipe is left"
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("nothing is left")
"""


def test_no_process_and_no_pipe_is_left():
    """In a process of its own, which has no children of other tests."""
    done = subprocess.run([sys.executable, "-c", LEAVES_NOTHING], cwd=PROJECT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("nothing is left\n", "")


@pytest.fixture
def isolated(monkeypatch):
    monkeypatch.setattr(decode_limits, "MAX_SHARED_WORK", 0)


@pytest.mark.usefixtures("isolated")
@pytest.mark.parametrize("format_", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"])
def test_in_a_process_of_its_own_an_image_is_read_the_same(format_, monkeypatch):
    data = encoded(noise(60, 40), format_)
    alone = prepare(data, 32)
    monkeypatch.undo()
    assert alone == prepare(data, 32)


@pytest.mark.usefixtures("isolated")
@pytest.mark.parametrize("data", [png_bytes()[:80], jpeg_bytes()[:300]])
def test_in_a_process_of_its_own_an_image_is_rejected_the_same(data, monkeypatch):
    said = []
    for _ in range(2):
        with pytest.raises(RejectedImage, match="corrupt") as caught:
            prepare(data, 32)
        said.append(str(caught.value))
        monkeypatch.undo()
    assert said[0] == said[1]


@pytest.mark.usefixtures("isolated")
def test_a_decoder_that_takes_too_much_is_a_rejection(monkeypatch):
    monkeypatch.setattr(isolation, "MAX_CPU_S", 0.1)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: [0 for _ in iter(int, 1)])
    assert rejection_of(png_bytes()) == "too_costly"
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: bytearray(1 << 40))
    assert rejection_of(png_bytes()) == "too_costly"


@pytest.mark.usefixtures("isolated")
def test_a_decoder_that_crashes_is_a_rejection(monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: ended_by(signal.SIGSEGV))
    assert rejection_of(png_bytes()) == "corrupt"


@pytest.mark.usefixtures("isolated")
def test_images_are_read_in_many_threads_at_once():
    data = encoded(noise(60, 40), "PNG")
    found = []
    threads = [threading.Thread(target=lambda: found.append(prepare(data, 32))) for _ in range(8)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 8
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("image", [Image.new("RGB", (640, 480)), noise(640, 480)])
@pytest.mark.parametrize("format_", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"])
def test_an_ordinary_image_needs_no_process_of_its_own(format_, image):
    assert not claim_of(encoded(image, format_), format_).is_costly


@pytest.mark.parametrize("compression", ["jpeg", "lzma", "zstd"])
def test_what_says_for_itself_how_much_it_takes_has_a_process_of_its_own(compression):
    assert claim_of(encoded(noise(64, 64), "TIFF", compression=compression), "TIFF").is_costly


# ── any error ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "error",
    [OverflowError, AttributeError, ZeroDivisionError, AssertionError, RecursionError, NotImplementedError],
)
def test_whatever_pillow_raises_is_a_rejection(error, monkeypatch):
    def load(self):
        raise error("odd")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    assert rejection_of(png_bytes()) == "corrupt"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("Failed to decode frame 0: Out of memory")])
def test_memory_that_is_not_there_is_too_costly(error, monkeypatch):
    def load(self):
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    assert rejection_of(png_bytes()) == "too_costly"


def test_each_input_of_the_fuzzer_is_a_picture_or_rejected_and_costs_little():
    assert len(fuzzed()) > 100
    for data in fuzzed():
        started = time.process_time()
        try:
            assert prepare(data, 32).pixels.size == (32, 32)
        except RejectedImage as rejected:
            if rejected.reason not in REJECT_REASONS:
                raise
        assert time.process_time() - started < 1, data


# ── what is used of Pillow beyond its documentation ────────────────────────────────────────────────────────


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_pillow_reads_pixels_through_load_read_as_many_as_it_was_told(format_):
    asked: list[int] = []
    with Image.open(io.BytesIO(encoded(noise(200, 200), format_))) as opened:
        image: Any = opened
        read = image.fp.read

        def load_read(wanted: int) -> bytes:
            asked.append(wanted)
            return read(max(wanted, 4_096))  # type: ignore[no-any-return]

        image.decodermaxblock = MAX_BYTES
        image.load_read = load_read
        image.load()
    assert asked
    assert format_ == "TIFF" or asked == [MAX_BYTES]


def test_pillow_s_table_of_tiffs_has_the_kinds_that_are_written():
    assert TiffImagePlugin.OPEN_INFO[b"II", 1, (1,), 1, (8,), ()] == ("L", "L")
    assert TiffImagePlugin.OPEN_INFO[b"II", 1, (1,), 1, (12,), ()] == ("I;16", "I;12")


def test_the_claims_of_a_file_are_those_of_pillow():
    sizes = defaultdict(list)
    for format_ in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        for size in ((1, 1), (40, 30), (300, 2)):
            claim = claim_of(encoded(noise(*size), format_), format_)
            sizes[format_].append((claim.width_px, claim.height_px))
    assert all(found == [(1, 1), (40, 30), (300, 2)] for found in sizes.values())
    assert Claim(b"", 10, 10).work == 100

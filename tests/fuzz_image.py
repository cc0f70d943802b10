"""Fuzz the image step, guided by the coverage of Pillow's Python code and of `ingest`.

    python -m tests.fuzz_image build/fuzz -max_total_time=3600

The arguments are libFuzzer's: a folder that keeps the inputs that reached new code, and options. It needs
the extra `fuzz`. A finding is an input that ends in anything but a picture or a rejection, that takes more
than `MAX_CPU_S` or `MAX_MEMORY_MB`, or that crashes a decoder. libFuzzer writes it to `crash-…`.
"""

import resource
import shutil
import struct
import sys
import time
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "ingest"]):
    from ingest.decode_limits import Claim
    from ingest.errors import REJECT_REASONS, RejectedImage
    from ingest.image import prepare

from tests.corpus import fuzzed, small_odd_images
from tests.odd_tiffs import odd_tiffs

MAX_CPU_S = 1.0
MAX_MEMORY_MB = 600
LONGEST_SEED_BYTES = 4_096
SIZE_PX = 32
SEEDS = Path("build") / "fuzz-seeds"


class TooMuch(Exception):
    """An input that costs more than any may."""


def try_one(data: bytes) -> None:
    started = time.process_time()
    try:
        prepared = prepare(data, SIZE_PX)
        assert (prepared.pixels.mode, prepared.pixels.size) == ("RGB", (SIZE_PX, SIZE_PX))
    except RejectedImage as rejected:
        if rejected.reason not in REJECT_REASONS:
            raise
    used_s = time.process_time() - started
    if used_s > MAX_CPU_S:
        raise TooMuch(f"{used_s:.1f} s of CPU")


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Mutate as libFuzzer does; then mend the checksums of a PNG, without which little of it is read."""
    mutated = bytes(atheris.Mutate(data, max_size))
    return with_checksums(mutated)[:max_size] if seed % 4 and mutated[:4] == b"\x89PNG" else mutated


def with_checksums(png: bytes) -> bytes:
    mended, at = bytearray(png), 8
    while at + 12 <= len(mended):
        end = at + 8 + int.from_bytes(mended[at : at + 4], "big")
        if end + 4 > len(mended):
            break
        mended[end : end + 4] = struct.pack(">I", zlib.crc32(mended[at + 4 : end]))
        at = end + 4
    return bytes(mended)


def main() -> None:
    # In a process of its own, no decoder would be covered, and its costs not be seen.
    Claim.is_costly = property(lambda _: False)  # type: ignore[method-assign, assignment]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Not a temporary folder: libFuzzer ends the process, and nothing is left to delete it.
    shutil.rmtree(SEEDS, ignore_errors=True)
    SEEDS.mkdir(parents=True)
    made = [*(each.data for each in small_odd_images()), *(each.data for each in odd_tiffs())]
    seeds = [data for data in (*made, *fuzzed()) if len(data) <= LONGEST_SEED_BYTES]
    for number, data in enumerate(seeds):
        (SEEDS / str(number)).write_bytes(data)
    options = [
        f"-rss_limit_mb={MAX_MEMORY_MB}",
        "-timeout=120",
        "-report_slow_units=60",
        f"-max_len={LONGEST_SEED_BYTES}",
    ]
    atheris.Setup([sys.argv[0], *options, *sys.argv[1:], str(SEEDS)], try_one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Functions of texts and bytes."""

import binascii
import re
import struct
import unicodedata
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import quote_from_bytes, unquote_to_bytes

from localathena.scalars.failures import Failed, Refused

_UNRESERVED = "*-._"


def url_encode(text: str) -> str:
    """Return `url_encode`: as a form's value."""
    return quote_from_bytes(text.encode(), safe=_UNRESERVED + " ").replace("~", "%7E").replace(" ", "+")


def url_decode(text: str) -> str:
    """Return `url_decode`."""
    for part in text.split("%")[1:]:
        if len(part) < 2 or not all(digit in "0123456789abcdefABCDEF" for digit in part[:2]):
            raise Failed(f"url_decode: Illegal hex characters in escape (%) pattern in {text[:100]!r}")
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


def normalize(text: str, form: Literal["NFC", "NFD", "NFKC", "NFKD"]) -> str:
    """Return `normalize`."""
    return unicodedata.normalize(form, text)


def reverse(text: str) -> str:
    """Return `reverse`, by code points."""
    return text[::-1]


def replace_empty(text: str, replacement: str) -> str:
    """Return `replace` of the empty text: the replacement stands around each character."""
    return replacement + "".join(character + replacement for character in text)


def upper(text: str) -> str:
    """Return `upper`: each code point on its own, so that `ß` stays."""
    return "".join(letter.upper() if len(letter.upper()) == 1 else letter for letter in text)


def hamming(a: str, b: str) -> int:
    """Return `hamming_distance`."""
    if len(a) != len(b):
        raise Failed("The input strings to hamming_distance function must have the same length")
    return sum(x != y for x, y in zip(a, b, strict=True))


def levenshtein(a: str, b: str) -> int:
    """Return `levenshtein_distance`."""
    if len(a) * (len(b) - 1) > 1_000_000:
        raise Failed("The combined inputs for Levenshtein distance are too large")
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def from_base(text: str, radix: int) -> int:
    """Return `from_base`: a whole number in base 2 to 36."""
    if not 2 <= radix <= 36:
        raise Failed("Radix must be between 2 and 36")
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"[:radix]
    try:
        if not re.fullmatch(f"[+-]?[{digits}]+", text.lower(), re.ASCII):
            raise ValueError
        value = int(text, radix)
    except ValueError:
        raise Failed(f"Not a valid base-{radix} number: {text}") from None
    if not -(2**63) <= value < 2**63:
        raise Failed(f"Not a valid base-{radix} number: {text}")
    return value


def to_base(value: int, radix: int) -> str:
    """Return `to_base`."""
    if not 2 <= radix <= 36:
        raise Failed("Radix must be between 2 and 36")
    digits, rest = "", abs(value)
    while rest:
        rest, digit = divmod(rest, radix)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return ("-" if value < 0 else "") + (digits or "0")


_SOUNDS = {
    letter: code
    for code, letters in enumerate(("BFPV", "CGJKQSXZ", "DT", "L", "MN", "R"), 1)
    for letter in letters
}


def soundex(text: str) -> str:
    """Return `soundex`."""
    if not text.isascii() or any(not c.isalpha() for c in text):
        raise Refused("soundex of other than the letters a to z is not supported")
    word = text.upper()
    if not word:
        return ""
    code, last = word[0], _SOUNDS.get(word[0])
    for letter in word[1:]:
        sound = _SOUNDS.get(letter)
        if sound and sound != last:
            code += str(sound)
        if letter not in "HW":
            last = sound
    return code[:4].ljust(4, "0")


def from_utf8(data: bytes) -> str:
    """Return `from_utf8`: what is not UTF-8 becomes U+FFFD."""
    return data.decode("utf-8", "replace")


def from_base64(text: str) -> bytes:
    """Return `from_base64`, as Java's decoder reads it: padding is complete or missing, and ends the text."""
    digits = text.rstrip("=")
    illegal = re.search("[^A-Za-z0-9+/]", digits)
    if illegal:
        raise Failed(f"Illegal base64 character {ord(illegal[0]):x}")
    padding = len(text) - len(digits)
    if len(digits) % 4 == 1 or padding not in (0, -len(digits) % 4):
        raise Failed("Input byte array has wrong 4-byte ending unit")
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))


def crc32(data: bytes) -> int:
    """Return `crc32`."""
    return zlib.crc32(data)


def sha512(data: bytes) -> bytes:
    """Return `sha512`."""
    import hashlib

    return hashlib.sha512(data).digest()


_MASK = 2**64 - 1
_PRIMES = (
    11400714785074694791,
    14029467366897019727,
    1609587929392839161,
    9650029242287828579,
    2870177450012600261,
)


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK


def _round(state: int, lane: int) -> int:
    return _rotated((state + lane * _PRIMES[1]) & _MASK, 31) * _PRIMES[0] & _MASK


def xxhash64(data: bytes) -> bytes:
    """Return `xxhash64`. Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md"""
    one, two, three, four, five = _PRIMES
    at = 0
    if len(data) >= 32:
        states = [(one + two) & _MASK, two, 0, -one & _MASK]
        while at <= len(data) - 32:
            for lane in range(4):
                states[lane] = _round(states[lane], int.from_bytes(data[at : at + 8], "little"))
                at += 8
        value = sum(_rotated(state, bits) for state, bits in zip(states, (1, 7, 12, 18), strict=True)) & _MASK
        for state in states:
            value = ((value ^ _round(0, state)) * one + four) & _MASK
    else:
        value = five
    value = (value + len(data)) & _MASK
    while at <= len(data) - 8:
        value ^= _round(0, int.from_bytes(data[at : at + 8], "little"))
        value = (_rotated(value, 27) * one + four) & _MASK
        at += 8
    if at <= len(data) - 4:
        value ^= int.from_bytes(data[at : at + 4], "little") * one & _MASK
        value = (_rotated(value, 23) * two + three) & _MASK
        at += 4
    for byte in data[at:]:
        value = _rotated(value ^ (byte * five & _MASK), 11) * one & _MASK
    value = (value ^ (value >> 33)) * two & _MASK
    value = (value ^ (value >> 29)) * three & _MASK
    return (value ^ (value >> 32)).to_bytes(8, "big")


def _as_signed(value: int) -> int:
    return int.from_bytes((value & _MASK).to_bytes(8, "little"), "little", signed=True)


def checksum_of_bytes(data: bytes) -> int:
    """Return what a value adds to `checksum`; NULL adds the prime alone."""
    return _as_signed(int.from_bytes(xxhash64(data), "big") * _PRIMES[0])


def checksum_of_integer(value: int) -> int:
    """Return what a whole number adds to `checksum`, or another value by its number."""
    return checksum_of_bytes(value.to_bytes(8, "little", signed=True))


def checksum_of_double(value: float) -> int:
    """Return what a double adds to `checksum`."""
    return checksum_of_bytes(struct.pack("<d", value + 0.0))  # 0 and -0 are equal


def checksum(total: str) -> bytes:
    """Return `checksum`: the sum of what each value adds."""
    return (int(total) & _MASK).to_bytes(8, "little")


def big_endian(data: bytes, size: int) -> int:
    """Return `from_big_endian_64` or `_32`."""
    if len(data) != size:
        raise Failed(f"expected {size}-byte input, but got instead: {len(data)}")
    return int.from_bytes(data, "big", signed=True)


def to_big_endian(value: int, size: int) -> bytes:
    """Return `to_big_endian_64` or `_32`."""
    return value.to_bytes(size, "big", signed=True)


def luhn_check(text: str) -> bool:
    """Return `luhn_check`: whether the last digit is the check digit of the others."""
    if not re.fullmatch("[0-9]*", text):
        raise Failed("Input contains non-digit character")
    doubled = [sum(map(int, str(int(digit) * 2))) for digit in text[-2::-2]]
    return bool(text) and (sum(map(int, text[-1::-2])) + sum(doubled)) % 10 == 0


def is_unicode_stable(text: str) -> bool:
    """Tell whether each character has had its category since Unicode 3.2, so that all tables agree on it."""
    return text.isascii() or all(
        unicodedata.category(letter) == unicodedata.ucd_3_2_0.category(letter) for letter in text
    )


def padded(text: str, width: int) -> str:
    """Return a text padded as by Java's `%5s`, in UTF-16 units; a negative width pads on the right."""
    missing = " " * (abs(width) - len(text.encode("utf-16-le")) // 2)
    return text + missing if width < 0 else missing + text


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], str]] = {
    "big_endian": (big_endian, "blob, integer -> bigint"),
    "checksum": (checksum, "varchar -> blob"),
    "checksum_of_bytes": (checksum_of_bytes, "blob -> bigint"),
    "checksum_of_double": (checksum_of_double, "double -> bigint"),
    "checksum_of_integer": (checksum_of_integer, "bigint -> bigint"),
    "crc32": (crc32, "blob -> bigint"),
    "from_base": (from_base, "varchar, bigint -> bigint"),
    "from_base64": (from_base64, "varchar -> blob"),
    "from_utf8": (from_utf8, "blob -> varchar"),
    "hamming": (hamming, "varchar, varchar -> bigint"),
    "is_unicode_stable": (is_unicode_stable, "varchar -> boolean"),
    "levenshtein": (levenshtein, "varchar, varchar -> bigint"),
    "luhn_check": (luhn_check, "varchar -> boolean"),
    "normalize": (normalize, "varchar, varchar -> varchar"),
    "format_upper": (str.upper, "varchar -> varchar"),  # unlike upper(), it makes SS of ß
    "padded": (padded, "varchar, integer -> varchar"),
    "replace_empty": (replace_empty, "varchar, varchar -> varchar"),
    "reverse": (reverse, "varchar -> varchar"),
    "sha512": (sha512, "blob -> blob"),
    "soundex": (soundex, "varchar -> varchar"),
    "to_base": (to_base, "bigint, bigint -> varchar"),
    "to_big_endian": (to_big_endian, "bigint, integer -> blob"),
    "upper": (upper, "varchar -> varchar"),
    "url_decode": (url_decode, "varchar -> varchar"),
    "url_encode": (url_encode, "varchar -> varchar"),
    "xxhash64": (xxhash64, "blob -> blob"),
}

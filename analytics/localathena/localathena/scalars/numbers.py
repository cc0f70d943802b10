"""Numbers as texts, the way Java and Trino write and read them."""

import math
import struct
from decimal import Decimal

_PLAIN_FROM, _PLAIN_TO = 1e-3, 1e7


def double_text(value: float, *, is_cast: bool = False) -> str:
    """Return a double as Java writes it, or as a cast to varchar does: always with E."""
    return _number_text(
        value, _double_digits(value, is_strict=is_cast) if math.isfinite(value) else "", is_cast
    )


def real_text(value: float, *, is_cast: bool = False) -> str:
    """Return a real as Java writes it, or as a cast to varchar does."""
    return _number_text(value, _real_digits(value) if math.isfinite(value) else "", is_cast)


def cast_double(value: float) -> str:
    """Return `CAST(value AS varchar)` of a double."""
    return double_text(value, is_cast=True)


def cast_real(value: float) -> str:
    """Return `CAST(value AS varchar)` of a real."""
    return real_text(value, is_cast=True)


def _number_text(value: float, digits: str, is_cast: bool) -> str:
    if math.isnan(value):
        return "NaN"
    sign = "-" if math.copysign(1, value) < 0 else ""
    if math.isinf(value):
        return f"{sign}Infinity"
    if value == 0:
        return f"{sign}0E0" if is_cast else f"{sign}0.0"
    exact = Decimal(digits)
    if not is_cast and _PLAIN_FROM <= abs(value) < _PLAIN_TO:
        plain = f"{exact:f}"
        return plain if "." in plain else f"{plain}.0"
    first, *others = exact.normalize().as_tuple().digits
    fraction = "".join(map(str, others)) or "0"
    return f"{sign}{first}.{fraction}E{exact.adjusted()}"


def _double_digits(value: float, *, is_strict: bool) -> str:
    """Return the shortest decimal that stands for a double, of two digits at least.

    A cast takes none that lies in the middle between two doubles: 1e23 is 9.999999999999999E22.
    """
    shortest = repr(value)
    if len(shortest) < 8 and "e" in shortest:
        two = f"{value:.1e}"
        shortest = two if float(two) == value else shortest
    if is_strict and abs(value) > 1e22:
        exact = Decimal(shortest)
        for other in (math.nextafter(value, math.inf), math.nextafter(value, -math.inf)):
            if math.isfinite(other) and exact * 2 == Decimal(value) + Decimal(other):
                digits = (f"{value:.{places}e}" for places in range(17))
                return next(text for text in digits if float(text) == value and Decimal(text) != exact)
    return shortest


def _real_digits(value: float) -> str:
    for places in range(1, 9):
        text = f"{value:.{places}e}"
        if struct.unpack("f", struct.pack("f", float(text)))[0] == value:
            return text
    return repr(value)


def decimal_text(text: str) -> str:
    """Return a decimal's digits as Java's BigDecimal writes them: with E below a millionth."""
    value = Decimal(text)
    return str(value).replace("e", "E")


def interval_text(milliseconds: int) -> str:
    """Return an interval of days to seconds as a cast writes it: `1 02:03:04.005`."""
    seconds, ms = divmod(abs(milliseconds), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    sign = "-" if milliseconds < 0 else ""
    return f"{sign}{days} {hours:02}:{minutes:02}:{seconds:02}.{ms:03}"


def months_text(months: int) -> str:
    """Return an interval of years to months as a cast writes it: `1-2`."""
    years, rest = divmod(abs(months), 12)
    return f"{'-' if months < 0 else ''}{years}-{rest}"

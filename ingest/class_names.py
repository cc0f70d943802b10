"""Names of classes as one text, separated by commas: in parameters, options and environments. Pure.

    bicycle,motorcycle
    "tabby, tabby cat",dog

A name with a comma, a quotation mark or an equals sign is in quotation marks, and a quotation mark in it is
doubled, as in a row of CSV. Spaces around a name are dropped.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

_PART = re.compile(r'\s*("(?:[^"]|"")*")?([^",]*)(,|$)')
"""A name in quotation marks, or none; what is beside it; the separator."""


def split(text: str) -> list[str]:
    """Return the names in a text; of an empty one, none.

    Raises:
        ValueError: a quotation mark is out of place.
    """
    if not text.strip():
        return []
    parts = list(_parts(text))
    if any(name is not None and rest for name, rest in parts):
        raise _odd(text)
    return [rest if name is None else name for name, rest in parts]


def join(names: Iterable[str]) -> str:
    """Return names as one text, which `split` reads."""
    return ",".join(map(_quoted, names))


def split_pairs(text: str) -> list[tuple[str, str]]:
    """Return the names and values of a text like `cat=0.9,"tabby, tabby cat"=0.8`; no value is empty.

    Raises:
        ValueError: a quotation mark is out of place.
    """
    pairs = []
    for name, rest in _parts(text):
        if name is None and rest:
            before, _, value = rest.rpartition("=")
            pairs.append((before.strip(), value.strip()))
        elif name is not None:
            before, equals, value = rest.partition("=")
            if before or not equals:
                raise _odd(text)
            pairs.append((name, value.strip()))
    return pairs


def join_pairs(pairs: Mapping[str, float]) -> str:
    """Return names and their values as one text, which `split_pairs` reads."""
    return ",".join(f"{_quoted(name)}={value}" for name, value in pairs.items())


def _parts(text: str) -> Iterator[tuple[str | None, str]]:
    place = 0
    while True:
        found = _PART.match(text, place)
        if found is None:
            raise _odd(text)
        quoted, rest, separator = found.groups()
        yield quoted and quoted[1:-1].replace('""', '"').strip(), rest.strip()
        if not separator:
            return
        place = found.end()


def _quoted(name: str) -> str:
    if not any(mark in name for mark in '",='):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _odd(text: str) -> ValueError:
    return ValueError(
        'a name with a comma or a quotation mark must be in quotation marks, as in "tabby, tabby cat",dog: '
        f"{text[:200]!r}"
    )

"""Parts of URLs, as java.net.URI reads them."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from localathena.scalars.texts import url_decode

_URL = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL
)
_ILLEGAL = re.compile(r'[\x00-\x20\x7f-\xa0"<>\\^`{|}]|%(?![0-9a-fA-F]{2})|#.*#', re.DOTALL)
_HOST = re.compile(
    r"(?:[^@]*@)?((?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?"
    r"|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\])(?::(\d*))?"
)
_EMPTY = ("", "", "", "", "")


def _parts(url: str) -> tuple[str, str, str, str, str] | None:
    """Return scheme, authority, path, query and fragment, None if the text is not a URL."""
    found = _URL.fullmatch(url)
    if found is None or _ILLEGAL.search(url) or (found[1] and not (found[2] or found[3])):
        return None
    scheme, authority, path, query, fragment = (part or "" for part in found.groups())
    if re.search(r"[\[\]]", path) or (not scheme and not authority and ":" in path.partition("/")[0]):
        return None
    if scheme and not authority and not path.startswith("/"):
        return scheme, "", "", "", fragment  # of mailto:a@b, Java reads no more
    return scheme, authority, path, query, fragment


def _authority(url: str) -> "re.Match[str] | None":
    return _HOST.fullmatch((_parts(url) or _EMPTY)[1])


def _part(position: int) -> Callable[[str], str | None]:
    def read(url: str) -> str | None:
        parts = _parts(url)
        return None if parts is None else unquote(parts[position])

    return read


def _host(url: str) -> str | None:
    found = _authority(url)
    return None if _parts(url) is None else found[1] if found else ""


def _port(url: str) -> int | None:
    found = _authority(url)
    return int(found[2]) if found and found[2] else None


def _parameter(url: str, name: str) -> str | None:
    query = (_parts(url) or _EMPTY)[3]
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key == name:
            return url_decode(value)
    return None


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], str]] = {
    "url_fragment": (_part(4), "varchar -> varchar"),
    "url_host": (_host, "varchar -> varchar"),
    "url_parameter": (_parameter, "varchar, varchar -> varchar"),
    "url_path": (_part(2), "varchar -> varchar"),
    "url_port": (_port, "varchar -> bigint"),
    "url_protocol": (_part(0), "varchar -> varchar"),
    "url_query": (_part(3), "varchar -> varchar"),
}

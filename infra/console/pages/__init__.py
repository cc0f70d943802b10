"""The pages of the console, in the order of the navigation."""

from collections.abc import Sequence
from typing import Protocol

from starlette.routing import BaseRoute

from infra.console.pages import ask, image, picture, reports, review, watch
from infra.console.system import System


class Page(Protocol):
    """A module of this folder."""

    TITLE: str
    """Name in the navigation; empty: it is not in it."""
    PATH: str
    """Where it is."""

    def routes(self, system: System) -> Sequence[BaseRoute]:
        """Return the page's routes."""
        ...


PAGES: tuple[Page, ...] = (watch, review, image, ask, reports, picture)
"""Every page."""

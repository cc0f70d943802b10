"""The terminal that commands print to: much of what they print was written by others."""

import os
from typing import Any

from rich.console import Console
from rich.text import Text

from analytics.text import visible

WIDEST = 10_000
"""Columns of what is no terminal: nothing is cut or broken in a file or a pipe."""


class Terminal(Console):
    """A console that text cannot command: of what it is given, it shows what can be seen, and lines."""

    def __init__(self, **options: Any) -> None:
        """Take rich's options; `:x:` and `[bold]` stay what they are."""
        super().__init__(emoji=False, markup=False, **options)
        if not self.is_terminal and "width" not in options and "COLUMNS" not in os.environ:
            self.width = WIDEST

    def render_str(self, text: str, **options: Any) -> Text:
        """Return text as rich shows it, with a � for each character that has no face."""
        return super().render_str(visible(text), **options)

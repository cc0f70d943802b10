"""What axe-core finds on a page.

Source: https://github.com/dequelabs/axe-core/blob/develop/doc/API.md
"""

from functools import cache

from infra.installation import PROJECT
from tests.chromium import Page

_SCRIPT = PROJECT / "build" / "pages" / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page) -> list[str]:
    """Return what is wrong for people who do not see, hear or point: rule, and first element."""
    page.evaluate(_script())
    found = page.evaluate(
        "axe.run().then((found) => found.violations.map((each) => `${each.id}: ${each.nodes[0].html}`))"
    )
    return [str(each) for each in found]


@cache
def _script() -> str:
    return _SCRIPT.read_text(encoding="utf-8") + ";0"

"""The saved queries in the template: a section of it that is written from `analytics/questions`.

A test holds the two together; `make fix` writes the section anew:

    python -m infra.aws.generate
"""

import json

from analytics.questions.queries import console_query, question, saved_queries
from infra.aws.package import TEMPLATE

BEGIN = "  # ── Saved queries: `make fix` writes them from analytics/questions ──\n"
END = "  # ── End of the saved queries ──\n"


def main() -> None:
    """Write the section into the template."""
    TEMPLATE.write_text(with_section(TEMPLATE.read_text(encoding="utf-8")), encoding="utf-8")


def with_section(template: str) -> str:
    """Return the template's text with the section as it should be.

    Raises:
        ValueError: the template has not one section between its two lines.
    """
    before, begin, rest = template.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{TEMPLATE} lacks {BEGIN.strip()!r} or, after it, {END.strip()!r}")
    return before + begin + section() + end + after


def section() -> str:
    """Return one resource for each saved query, as the template writes them."""
    return "".join(map(_resource, saved_queries()))


def _resource(name: str) -> str:
    logical_id = "".join(map(str.capitalize, name.split("_"))) + "Query"
    sql = "".join(f"        {line}\n" for line in console_query(name).splitlines())
    return (
        f"  {logical_id}:\n"
        "    Type: AWS::Athena::NamedQuery\n"
        "    Properties:\n"
        f"      Name: {name}\n"
        f"      Description: {json.dumps(question(name), ensure_ascii=False)}\n"
        "      Database: !Ref Database\n"
        "      WorkGroup: !Ref Workgroup\n"
        "      QueryString: |\n"
        f"{sql}"
    )


if __name__ == "__main__":
    main()

"""Tables in the pages: the prose stands in the Markdown file, what a program writes stands between two marks.

<!-- table NAME -->
| … |
<!-- /table NAME -->
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

__all__ = ["fill_tables", "markdown_table"]

MARKED = re.compile(r"(<!-- table (?P<name>[\w-]+) -->\n)(?P<body>.*?)(<!-- /table (?P=name) -->)", re.DOTALL)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def fill_tables(page: Path, tables: Mapping[str, str], *, check: bool = False) -> list[str]:
    """Write tables into a page, and leave its prose as it is.

    Args:
        page: The Markdown file. It has a pair of marks for each table, and no others.
        tables: The Markdown of each table, by name.
        check: Compare only; write nothing.

    Returns:
        The names of the tables that were not yet as they should be.

    Raises:
        ValueError: A mark without a table, or a table without a mark.
    """
    text = page.read_text(encoding="utf-8")
    present = {match["name"]: match["body"].strip("\n") for match in MARKED.finditer(text)}
    if present.keys() != tables.keys():
        raise ValueError(f"{page.name} has marks for {sorted(present)}, but the tables are {sorted(tables)}")
    if not check:
        text = MARKED.sub(lambda match: f"{match[1]}{tables[match['name']]}\n{match[4]}", text)
        page.write_text(text, encoding="utf-8")
    return [name for name, body in present.items() if body != tables[name]]

"""How are rows shown to people: as tables on a terminal, as plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title; one without columns is a paragraph of lines."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def plain(tables: Iterable[Table]) -> str:
    """Lines that a pipe or a log can take: columns apart by two blanks, nothing cut."""
    return "\n".join(line for table in tables for line in _plain(table))


def _plain(table: Table) -> list[str]:
    lines = [printable(table.title)]
    rows = [table.columns, *table.rows] if table.columns else table.rows
    grid = [[printable(cell) for cell in row] for row in rows]
    widths = [max((len(row[place]) for row in grid), default=0) for place in range(len(grid[0]) if grid else 0)]
    for row in grid:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def printable(text: str) -> str:
    """On one line, and without what a terminal would obey: names and messages may be anybody's."""
    return "".join(character if character.isprintable() else " " for character in text)


def rich(tables: Iterable[Table]) -> RenderableType:
    """The same for a terminal."""
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    shown: list[RenderableType] = []
    for table in tables:
        shown.append(Text(printable(table.title), style="bold"))
        if table.rows:
            grid = RichTable(box=None, show_header=bool(table.columns), header_style="dim", padding=(0, 2, 0, 0))
            for name in table.columns or [""] * len(table.rows[0]):
                grid.add_column(name, overflow="fold")
            for row in table.rows:
                grid.add_row(*(Text(printable(cell)) for cell in row))
            shown.append(grid)
    return Group(*shown)


def amount_of_bytes(count: float) -> str:
    """As people read it: 0 B, 12.3 MB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"


def duration(seconds: float) -> str:
    """As people read it: 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def fine_duration(seconds: float) -> str:
    """The same where less than a second matters: 42 ms, 4.2 s."""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else duration(seconds)

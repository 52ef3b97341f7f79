"""What is shown of libraries: where each is loaded, how many calls workers have of it, and what failed?"""

from __future__ import annotations

from typing import Any

from vine.views.tables import Table, duration

_rows_shown_max = 20


def libraries(found: dict[str, Any]) -> Table | None:
    """Nothing for the many runs that have none."""
    rows = [
        [
            library["name"],
            ", ".join(library["functions"][:3]) + (", ..." if len(library["functions"]) > 3 else ""),
            "one a core" if library["slots"] is None else str(library["slots"]),
            _where(library),
            str(library["calls"]),
            _trouble(library),
        ]
        for library in found.get("libraries", [])[:_rows_shown_max]
    ]
    columns = ("library", "functions", "slots a worker", "loaded on", "calls", "trouble")
    return Table("libraries:", columns, rows) if rows else None


def _where(library: dict[str, Any]) -> str:
    where = f"{library['loaded_on']} workers"
    if library["load_s"] is not None:
        where += f", in {duration(library['load_s'])} at most"
    return where + (f"; {library['loading_on']} load it" if library["loading_on"] else "")


def _trouble(library: dict[str, Any]) -> str:
    if library["broken"]:
        return f"it is not tried any more: {library['trouble']}"
    return library["trouble"] if library["failures"] else ""

"""What is shown of factories: how their fleets stand, and what trouble they have?"""

from __future__ import annotations

from typing import Any

from vine.views.tables import Table

_rows_shown_max = 20


def factories(found: dict[str, Any]) -> Table | None:
    """Nothing for runs whose workers come by themselves."""
    rows = [
        [
            factory["name"],
            factory["batch_type"],
            f"{factory['min_workers']} to {factory['max_workers']}",
            *(str(factory[state]) for state in _STATES),
            factory["message"],
        ]
        for factory in found.get("factories", [])[:_rows_shown_max]
    ]
    columns = ("factory", "batch system", "workers", "in its queue", "starting", "connected", "let go", "trouble")
    return Table("factories:", columns, rows) if rows else None


_STATES = ("pending", "starting", "running", "draining")

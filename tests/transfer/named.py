"""Sources by their names, as the plans of tests have them."""

from __future__ import annotations

from vine.names import WorkerId
from vine.wire.parts import Role, SourceEdge


def edge(name: str) -> SourceEdge:
    return SourceEdge(WorkerId(name), Role.WORKER, f"tcp://{name}:7000", name.encode().ljust(16, b"-"))


def edges(names: str) -> tuple[SourceEdge, ...]:
    """One source a letter."""
    return tuple(edge(name) for name in names)


def backups(names: str) -> tuple[SourceEdge | None, ...]:
    """One backup a letter, or none for a dot."""
    return tuple(None if name == "." else edge(name) for name in names)

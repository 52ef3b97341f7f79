"""May this body begin here: is all that it reads complete and good, and is there room for it beside the others?"""

from __future__ import annotations

from benchmarks.simulator.faults.store import FaultyStore
from vine.names import AttemptId, FileId, ObjectId
from vine.wire.parts import Assignment, Resources
from vine_worker.attempts import needed_objects

_ROUNDING = 1e-6


class BodyWatch:
    """What runs on one worker, as its processors and its disk see it."""

    def __init__(self, name: str, store: FaultyStore, capacity: Resources) -> None:
        self._name = name
        self._store = store
        self._capacity = capacity
        self._running: dict[AttemptId, Assignment] = {}
        self.folders: set[ObjectId] = set()  # unpacked archives
        self.begun = 0

    def begins(self, assignment: Assignment) -> None:
        attempt, store = assignment.attempt, self._store
        assert attempt not in self._running, f"{attempt} begins on {self._name} while it runs there"
        for key in needed_objects(assignment):
            assert key in store.manifests or key in self.folders, f"{attempt} begins on {self._name} without {key}"
            assert key not in store.damaged, f"{attempt} begins on {self._name} with {key}, which nobody has verified"
            assert key not in store.altered, f"{attempt} begins on {self._name} with {key}, into which another wrote"
        self._running[attempt] = assignment
        self.begun += 1
        for name in Resources.__struct_fields__:
            taken, there = sum(self._taken(name)), getattr(self._capacity, name)
            assert taken <= there + _ROUNDING, f"{taken} of {there} {name} are taken on {self._name}"

    def _taken(self, name: str) -> list[float]:
        """By each that runs; the calls of a library take together what one of them was given."""
        alone = [each.allotment for each in self._running.values() if each.library is None]
        libraries: dict[FileId, Resources] = {
            each.library.number: each.allotment for each in self._running.values() if each.library is not None
        }
        return [getattr(allotment, name) for allotment in (*alone, *libraries.values())]

    def running(self, attempt: AttemptId) -> Assignment | None:
        return self._running.get(attempt)

    def ends(self, attempt: AttemptId) -> None:
        self._running.pop(attempt, None)

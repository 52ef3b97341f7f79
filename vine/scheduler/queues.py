"""Which task is next of those that wait: the one of the highest priority that has waited longest."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

from vine.names import TaskId

Entry = tuple[float, int, TaskId]  # -priority, sequence, task


class Queue:
    """Entries, the least of them at the head.

    They mostly come in order, and then neither coming nor going costs more in a long queue than in a short one, as
    it would if all were kept in one heap; those that come out of order are.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._line: deque[Entry] = deque(sorted(entries))
        self._others: list[Entry] = []  # a heap
        self.head: Entry | None = self._line[0] if self._line else None  # Far more often asked for than changed.

    def push(self, entry: Entry) -> None:
        if not self._line or entry > self._line[-1]:
            self._line.append(entry)
        else:
            heapq.heappush(self._others, entry)
        if self.head is None or entry < self.head:
            self.head = entry

    def pop(self) -> Entry:
        """Take the head out."""
        line, others = self._line, self._others
        popped = heapq.heappop(others) if others and others[0] is self.head else line.popleft()
        self.head = line[0] if line else None
        if others and (self.head is None or others[0] < self.head):
            self.head = others[0]
        return popped

    def __bool__(self) -> bool:
        return self.head is not None

    def __len__(self) -> int:
        return len(self._line) + len(self._others)

    def __iter__(self) -> Iterator[Entry]:
        """In no order."""
        return chain(self._line, self._others)

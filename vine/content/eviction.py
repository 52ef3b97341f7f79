"""Which complete objects may go when room is needed, and which of them goes first?"""

from __future__ import annotations

from collections import Counter, OrderedDict

from vine.names import ObjectId


class Shelf:
    """The objects that may be spared, least recently used first, and what is in use whatever is said of it.

    Nothing is spare by itself: only who knows of other copies can say so. Pins count, and may come before
    their object.
    """

    def __init__(self) -> None:
        self._spare: OrderedDict[ObjectId, int] = OrderedDict()  # sizes
        self._pins: Counter[ObjectId] = Counter()

    def spare(self, key: ObjectId, size: int) -> None:
        """There are other copies: this one may go. Saying so counts as a use."""
        self._spare[key] = size
        self._spare.move_to_end(key)

    def keep(self, key: ObjectId) -> None:
        """It may not go (any more), or is gone."""
        self._spare.pop(key, None)

    def is_spare(self, key: ObjectId) -> bool:
        return key in self._spare

    def used(self, key: ObjectId) -> None:
        """Others have been waiting for longer."""
        if key in self._spare:
            self._spare.move_to_end(key)

    def pin(self, key: ObjectId) -> None:
        self._pins[key] += 1

    def unpin(self, key: ObjectId) -> None:
        assert self._pins[key] > 0, "every unpin follows its pin"
        self._pins[key] -= 1
        if not self._pins[key]:
            del self._pins[key]
            self.used(key)  # Until now.

    def is_pinned(self, key: ObjectId) -> bool:
        return key in self._pins

    def clear(self) -> None:
        self._spare.clear()
        self._pins.clear()

    @property
    def free_able_bytes(self) -> int:
        return sum(size for key, size in self._spare.items() if key not in self._pins)

    def give_up(self, wanted_bytes: int) -> list[ObjectId]:
        """What goes to make room for so many bytes; nothing at all if that is not enough."""
        going: list[ObjectId] = []
        for key, size in self._spare.items():
            if wanted_bytes <= 0:
                break
            if size and key not in self._pins:
                going.append(key)
                wanted_bytes -= size
        if wanted_bytes > 0:
            return []
        for key in going:
            del self._spare[key]
        return going

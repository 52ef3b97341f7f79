"""Which objects are complete here, who still needs them, and which may be removed?"""

from __future__ import annotations

from collections.abc import Hashable

from vine.names import ObjectId

User = Hashable  # an attempt, a host or an unpacking


class Inventory:
    """The objects as the core knows them; the bytes are the store's business.

    Users that need the same are one group: calls with the same inputs cost as much as calls with one.
    """

    def __init__(self) -> None:
        self.held: set[ObjectId] = set()
        self._groups: dict[tuple[ObjectId, ...], set[User]] = {}  # who uses just these
        self._users: dict[ObjectId, set[tuple[ObjectId, ...]]] = {}  # the groups that use it
        self._doomed: set[ObjectId] = set()  # not needed any more, but in use

    def use(self, user: User, object_ids: tuple[ObjectId, ...]) -> set[ObjectId]:
        """Notes the user; returns what is not here yet."""
        group = self._groups.get(object_ids)
        if group is None:
            group = self._groups[object_ids] = set()
            for object_id in object_ids:
                self._users.setdefault(object_id, set()).add(object_ids)
        group.add(user)
        return set() if self.held.issuperset(object_ids) else set(object_ids) - self.held

    def release(self, user: User, object_ids: tuple[ObjectId, ...]) -> list[ObjectId]:
        """The user needs them no more; returns what is to be removed now."""
        removable: list[ObjectId] = []
        group = self._groups.get(object_ids)
        if group is None:
            return removable
        group.discard(user)
        if group:
            return removable
        del self._groups[object_ids]
        for object_id in object_ids:
            self._users[object_id].discard(object_ids)
            if not self._users[object_id]:
                del self._users[object_id]
                if object_id in self._doomed:
                    removable += self._forget(object_id)
        return removable

    def arrived(self, object_id: ObjectId) -> list[User]:
        """It is complete here; returns who uses it."""
        self.held.add(object_id)
        return self.users(object_id)

    def users(self, object_id: ObjectId) -> list[User]:
        return [user for object_ids in self._users.get(object_id, ()) for user in self._groups[object_ids]]

    def drop(self, object_id: ObjectId, arriving: bool) -> list[ObjectId]:
        """It is to go, as soon as nobody uses it; returns what is to be removed now."""
        if object_id in self._users or arriving:
            self._doomed.add(object_id)
        return [] if object_id in self._users else self._forget(object_id)

    def wanted_again(self, object_id: ObjectId) -> None:
        """It may stay after all."""
        self._doomed.discard(object_id)

    def doomed(self, object_id: ObjectId) -> bool:
        """Whether it is to go."""
        return object_id in self._doomed

    def refused(self, object_id: ObjectId) -> bool:
        """Whether it has arrived in vain: it was to go meanwhile, and nobody uses it."""
        if object_id not in self._doomed or object_id in self._users:
            return False
        self._doomed.discard(object_id)
        return True

    def lost(self, object_id: ObjectId) -> list[User]:
        """It is not here any more; returns who uses it."""
        self.held.discard(object_id)
        return self.users(object_id)

    def _forget(self, object_id: ObjectId) -> list[ObjectId]:
        if object_id in self.held:
            self._doomed.discard(object_id)
            self.held.remove(object_id)
        return [object_id]  # One that is arriving is to stop doing so.

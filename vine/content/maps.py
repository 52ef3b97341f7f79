"""When may the file of a complete object be read by a map of it, and which maps are there?"""

from __future__ import annotations

import mmap
import threading
from collections import OrderedDict
from pathlib import Path

from vine import config
from vine.content.ledger import Ledger
from vine.names import ObjectId


class Maps:
    """The maps by which one store serves, as many as were used last. Safe for several threads.

    Reading under a map from a file that is cut would kill us: so there are none unless the tasks of all stores
    that share the folder cannot write to objects.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._harmless = False  # This store's user cannot write to objects ...
        self._allowed = False  # ... and no mate's can.
        self._views: OrderedDict[ObjectId, memoryview] = OrderedDict()
        self._lock = threading.Lock()

    def call_harmless(self) -> None:
        """The tasks of this store's user cannot write to objects."""
        with self._ledger.writing():
            self._ledger.call_harmless()
        self._harmless = True
        self.look_at_others()

    def look_at_others(self) -> None:
        """Find out whether all of them say so, too."""
        if self._harmless:
            with self._ledger.writing():
                self._allowed = self._ledger.all_harmless()
            if not self._allowed:
                with self._lock:
                    self._views.clear()

    def view_of(self, key: ObjectId, path: Path) -> memoryview | None:
        """The whole file; None where that is not to be. FileNotFoundError if it is not there."""
        if not self._allowed:
            return None
        with self._lock:
            view = self._views.get(key)
            if view is None:
                with path.open("rb") as file:
                    view = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
                self._views[key] = view
                if len(self._views) > config.mapped_objects_max:
                    self._views.popitem(last=False)  # What is being sent from it keeps it alive.
            self._views.move_to_end(key)
            return view

    def forget(self, key: ObjectId) -> None:
        """The object goes."""
        with self._lock:
            self._views.pop(key, None)

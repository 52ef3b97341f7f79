"""Is a copy that somebody doubts hashed again, and what comes of it told?"""

from __future__ import annotations

import queue
from pathlib import Path

from vine.content.store import Store
from vine.names import ObjectId
from vine_worker.actions import Verified, Verify
from vine_worker.verifying import Verifying


def test_good_copies_are_told_from_bad_ones_and_from_those_that_are_not_here(tmp_path: Path) -> None:
    # given three objects, one of which was written to
    store = Store(tmp_path / "store")
    keys = []
    for name in ("good", "bad"):
        (tmp_path / name).write_bytes(name.encode() * 100_000)
        keys.append(store.adopt(tmp_path / name)[0])
    bad = store.path(keys[1])
    bad.chmod(0o600)
    bad.write_bytes(b"x" * bad.stat().st_size)
    # when they are verified
    reports: queue.Queue[object] = queue.Queue()
    verifying = Verifying(store, reports.put)
    for key in (*keys, ObjectId("0" * 64)):
        verifying.start(Verify(key))
    # then each is told for what it is
    found = [reports.get(timeout=20) for _ in range(3)]
    assert found == [Verified(keys[0], True), Verified(keys[1], False), Verified(ObjectId("0" * 64), False)]
    verifying.close()
    store.leave()

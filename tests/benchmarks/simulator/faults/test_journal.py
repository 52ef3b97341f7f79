"""What outlives a manager: what was written, and nothing of what waits to be."""

from __future__ import annotations

import pytest

from benchmarks.simulator.faults.journal import MemoryJournal, Staging
from vine.names import TaskId
from vine.scheduler.records import Record, TaskAccepted
from vine.wire.parts import TaskKind, TaskSpec


def accepted(number: int) -> tuple[Record, ...]:
    return (TaskAccepted(TaskSpec(TaskId(number), TaskKind.CALL)),)


def test_each_manager_that_writes_has_an_epoch_of_its_own() -> None:
    journal = MemoryJournal()
    assert journal.is_new
    assert [journal.begin(0.0), journal.begin(1.0)] == [1, 2] and journal.replay().epoch == 2
    assert not journal.is_new


def test_what_is_written_is_found_and_what_waits_would_be() -> None:
    written: list[Record] = []
    journal = MemoryJournal(written.append)
    journal.begin(0.0)
    for number in (1, 2, 3):
        journal.record(accepted(number), 0.0)
    journal.commit(steps=2)
    assert list(journal.replay().tasks) == [1, 2] and list(journal.would_be().tasks) == [1, 2, 3]
    assert [*accepted(1), *accepted(2)] == written and journal.waiting == 1
    journal.begin(1.0)
    journal.commit()
    assert list(journal.replay().tasks) == [1, 2], "what had waited died with its manager"


def test_who_waits_is_called_when_all_is_written_that_was_there_when_it_asked() -> None:
    journal, called = MemoryJournal(), list[str]()
    journal.begin(0.0)
    journal.record(accepted(1), 0.0)
    journal.when_written(lambda: called.append("first"))
    journal.record(accepted(2), 0.0)
    journal.when_written(lambda: called.append("second"))
    journal.commit(steps=1)
    assert called == ["first"]
    journal.commit()
    assert called == ["first", "second"]


def test_nothing_is_read_or_copied_that_is_not_there() -> None:
    staging = Staging()
    staging.put("/run/staging/a")
    staging.copy("/run/staging/a", "/run/staging/b")
    staging.copy("/data/users", "/data/users-too")
    staging.take("/run/staging/b")
    with pytest.raises(AssertionError, match="where nothing is"):
        staging.take("/run/staging/b")
    with pytest.raises(AssertionError, match="is copied, and is not there"):
        staging.copy("/run/staging/b", "/run/staging/c")

"""Does the future of a broadcast end as the manager says, and is what is asked for what was meant?"""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from vine import errors
from vine.client.broadcasts import Broadcasts, request_of
from vine.client.manager import Manager
from vine.names import FileId
from vine.wire.messages import FileSpread, PruneFiles, ReplicateFile, SpreadFile
from vine.wire.parts import Outcome

FILE = FileId(7)


def at_once(callback: Any, future: Any) -> None:
    callback(future)


# --- what is meant by `workers` ---


@pytest.mark.parametrize(
    ("workers", "count", "names"),
    [("all", None, ()), (3, 3, ()), (["w1", "w2"], None, ("w1", "w2")), (iter(["w1", "w1"]), None, ("w1",))],
)
def test_all_a_number_or_names(workers: Any, count: int | None, names: tuple[str, ...]) -> None:
    assert request_of(1, FILE, workers) == SpreadFile(1, FILE, count, names)  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", ["w1", 0, -1, 10**9, True, 1.5, None, [], [1], [""], ["w" * 300]])
def test_what_names_nobody_is_refused(workers: Any) -> None:
    with pytest.raises(errors.UsageError, match="give 'all'"):
        request_of(1, FILE, workers)


# --- how futures end ---


def test_each_answer_is_for_the_future_of_its_number() -> None:
    broadcasts = Broadcasts(at_once)
    first, second = broadcasts.expect(1), broadcasts.expect(2)
    broadcasts.heard(FileSpread(2, 5))
    assert second.result(0) == 5 and not first.done()
    broadcasts.heard(FileSpread(2, 6))  # Nobody waits for it any more.
    assert broadcasts.open_numbers() == [1]


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome.INPUT_MISSING, errors.FileMissing),
        (Outcome.INPUT_CHANGED, errors.FileChanged),
        (Outcome.DISK_FULL, errors.DiskFull),
        (Outcome.DEPENDENCY_FAILED, errors.DependencyFailed),
        (Outcome.WORKER_LOST, errors.BroadcastFailed),
        (Outcome.TRANSFER_FAILED, errors.BroadcastFailed),
        (Outcome.CANCELLED, errors.BroadcastFailed),
    ],
)
def test_what_cannot_be_is_a_typed_error(outcome: Outcome, kind: type[errors.VineError]) -> None:
    broadcasts = Broadcasts(at_once)
    future = broadcasts.expect(1)
    broadcasts.heard(FileSpread(1, 0, outcome, "why"))
    assert type(future.exception(0)) is kind and str(future.exception(0)) == "why"


def test_a_future_that_was_cancelled_is_left_alone() -> None:
    broadcasts = Broadcasts(at_once)
    answered, broken = broadcasts.expect(1), broadcasts.expect(2)
    assert answered.cancel() and broken.cancel()
    broadcasts.heard(FileSpread(1, 5))
    broadcasts.broken(2, errors.ManagerLost("gone"))
    with pytest.raises(CancelledError):
        answered.result(0)
    assert not broadcasts.open_numbers()


# --- from the user to the manager and back ---


def test_a_broadcast_is_asked_for_and_its_future_resolved(scripted: ScriptedManager, manager: Manager) -> None:
    file = manager.declare_buffer(b"data")
    future = manager.broadcast(file, 2)
    scripted.say(FileSpread(1, 2))
    assert future.result(30) == 2
    manager.close()  # By then it has been said.
    assert scripted.all(SpreadFile) == [SpreadFile(1, file.file_id, count=2)]


def test_a_file_of_another_manager_is_refused(manager: Manager) -> None:
    with pytest.raises(errors.UsageError, match="is no file of this manager"):
        manager.broadcast("data.bin")  # type: ignore[arg-type]
    with pytest.raises(errors.UsageError, match="is no file of this manager"):
        manager.replicate("data.bin", 2)  # type: ignore[arg-type]
    with pytest.raises(errors.UsageError, match="is no file of this manager"):
        manager.prune_file("data.bin")  # type: ignore[arg-type]


def test_closing_the_manager_breaks_the_broadcasts_that_wait(scripted: ScriptedManager, manager: Manager) -> None:
    future = manager.broadcast(manager.declare_buffer(b"data"))
    manager.close()
    assert isinstance(future.exception(30), errors.ManagerLost)
    with pytest.raises(errors.ManagerLost):
        manager.broadcast(manager.declare_buffer(b"data"))


def test_copies_are_asked_for_and_files_pruned(scripted: ScriptedManager, manager: Manager) -> None:
    temp = manager.declare_temp()
    manager.replicate(temp, 3)
    manager.prune_file(temp)
    manager.close()  # By then it has been said.
    assert scripted.all(ReplicateFile) == [ReplicateFile(temp.file_id, 3)]
    assert scripted.all(PruneFiles) == [PruneFiles((temp.file_id,))]


@pytest.mark.parametrize("copies", [0, -1, True, 1.5, "2", 10**9])
def test_what_is_no_number_of_copies_is_refused(manager: Manager, copies: Any) -> None:
    with pytest.raises(errors.UsageError, match="is no number of copies"):
        manager.replicate(manager.declare_temp(), copies)

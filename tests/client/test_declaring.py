"""Does a manager tell the run of each file what its user has said of it, and refuse what is not its own?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from vine import errors
from vine.client.manager import Manager
from vine.names import FileId
from vine.wire.messages import ForgetFiles, PruneFiles, ReplicateFile
from vine.wire.parts import CacheLevel, FileKind


def test_cache_and_sharing_are_told_of_every_kind(scripted: ScriptedManager, manager: Manager, tmp_path: Path) -> None:
    named: dict[str, Any] = {"cache": "forever", "peer_transfer": False}
    archive = manager.declare_file(tmp_path / "x.tar", **named)
    files = [
        archive,
        manager.declare_buffer("text", **named),
        manager.declare_url("https://example.org/x", **named),
        manager.declare_temp(**named),
        manager.declare_untar(archive, **named),
    ]
    scripted.until(lambda: all(file.file_id in scripted.files for file in files))
    specs = [scripted.files[file.file_id] for file in files]
    assert {(spec.cache, spec.peer_transfer) for spec in specs} == {(CacheLevel.FOREVER, False)}
    kinds = [FileKind.LOCAL, FileKind.BUFFER, FileKind.URL, FileKind.TEMP, FileKind.UNTAR]
    assert [spec.kind for spec in specs] == kinds


def test_sharing_may_be_left_off_for_all_that_is_declared_from_then_on(
    scripted: ScriptedManager, manager: Manager
) -> None:
    files = [manager.declare_buffer("before")]
    manager.disable_peer_transfers()
    files += [manager.declare_buffer("without"), manager.declare_temp()]
    manager.enable_peer_transfers()
    files.append(manager.declare_temp())
    scripted.until(lambda: all(file.file_id in scripted.files for file in files))
    assert [scripted.files[file.file_id].peer_transfer for file in files] == [True, False, False, True]


def test_a_buffer_of_nothing_is_for_an_output_and_a_number_is_no_content(manager: Manager) -> None:
    assert manager.declare_buffer().kind is FileKind.TEMP
    number: Any = 5
    with pytest.raises(errors.UsageError, match="5 is no content"):
        manager.declare_buffer(number)


def test_temps_have_as_many_copies_as_was_tuned(scripted: ScriptedManager, manager: Manager) -> None:
    before = manager.declare_temp()
    manager.tune("temp-replica-count", 2)
    after = manager.declare_temp()
    scripted.until(lambda: scripted.all(ReplicateFile))
    assert scripted.all(ReplicateFile) == [ReplicateFile(after.file_id, 2)]
    assert before.file_id != after.file_id


def test_pruning_and_undeclaring_are_told(scripted: ScriptedManager, manager: Manager) -> None:
    file = manager.declare_temp()
    manager.prune_file(file)
    manager.undeclare_file(file)
    scripted.until(lambda: scripted.all(ForgetFiles))
    assert scripted.all(PruneFiles) == [PruneFiles((file.file_id,))]
    assert scripted.all(ForgetFiles) == [ForgetFiles((FileId(file.file_id),))]


@pytest.mark.parametrize("method", ["fetch_file", "broadcast", "prune_file", "undeclare_file", "check_own"])
def test_what_is_no_file_of_this_manager_is_refused(manager: Manager, method: str) -> None:
    with pytest.raises(errors.UsageError, match="'x' is no file of this manager"):
        getattr(manager, method)("x")


@pytest.mark.parametrize("copies", [0, True, 1.5])
def test_copies_are_a_whole_number_from_one_on(manager: Manager, copies: Any) -> None:
    with pytest.raises(errors.UsageError, match="is no number of copies"):
        manager.replicate(manager.declare_temp(), copies)

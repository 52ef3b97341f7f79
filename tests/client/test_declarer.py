"""Do declared files reach the manager as what they are?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.client.staged import FakeSession
from vine import config, errors
from vine.client.declarer import Declarer
from vine.client.files import File
from vine.client.stager import Stager
from vine.names import FileId, TaskId
from vine.wire.messages import DeclareFiles, FileBound, ForgetFiles
from vine.wire.parts import CacheLevel, FileKind, FileSpec, Mount, TaskKind, TaskSpec


def test_arguments_are_declared_then_submitted_then_staged_then_forgotten(session: Any, stager: Stager) -> None:
    steps: list[object] = []
    data = b"a" * (config.inline_bytes_max + 1)
    Declarer(session, stager).payload(data, "arguments", lambda file_id: steps.append((file_id, len(session.declared))))
    bound, forgotten = session.wait_for(2)
    assert steps == [(1, 1)]
    assert isinstance(bound, FileBound)
    assert Path(bound.path).read_bytes() == data
    assert forgotten == ForgetFiles((FileId(1),))


@pytest.mark.parametrize("path", ["a" * 5000, "nul\0", "bad\udc80"])
def test_a_path_that_cannot_travel_is_refused(session: Any, stager: Stager, path: str) -> None:
    with pytest.raises(errors.UsageError, match="too long, or not valid UTF-8"):
        Declarer(session, stager).path(path, True, True)


def test_what_is_to_come_to_a_path_is_not_what_is_there(session: Any, stager: Stager, tmp_path: Path) -> None:
    (there := tmp_path / "out").write_text("old")
    Declarer(session, stager).path(there, True, True, exists=False)
    (spec,) = session.declared
    assert (spec.path, spec.exists, session.said) == (str(there), False, [])


def test_a_url_is_declared_without_being_asked_and_without_its_secrets_in_the_label(
    session: Any, stager: Stager
) -> None:
    file = Declarer(session, stager).url("https://me:secret@example.org/data.tar?token=secret", "forever", False)
    (spec,) = session.declared
    assert spec == FileSpec(
        FileId(1),
        FileKind.URL,
        CacheLevel.FOREVER,
        "https://example.org/data.tar?...",
        peer_transfer=False,
        url="https://me:secret@example.org/data.tar?token=secret",
    )
    assert "secret" not in repr(file)
    assert session.said == []


def test_untar_needs_a_file_of_the_same_manager(session: Any, stager: Stager) -> None:
    declarer = Declarer(session, stager)
    archive = declarer.buffer(b"tar")
    assert declarer.untar(archive, True, True).kind is FileKind.UNTAR
    other: Any = FakeSession()
    with pytest.raises(errors.UsageError, match="is no file of this manager"):
        declarer.untar(File(other, session.declared[0]), True, True)
    with pytest.raises(errors.UsageError, match="unpacked already"):
        declarer.untar(declarer.untar(archive, True, True), True, True)
    assert not any(isinstance(message, DeclareFiles) for message in session.said)


def test_what_is_no_archive_is_told_how_to_be_declared(session: Any, stager: Stager, tmp_path: Path) -> None:
    declarer = Declarer(session, stager)
    archive: Any
    for archive, cure in (
        ("http://host/a.tar", r"declare_url\(\)"),
        ("a.tar", r"declare_file\(\)"),
        (declarer.path(tmp_path, True, True), r"is a folder.*without declare_untar\(\)"),
    ):
        with pytest.raises(errors.UsageError, match=cure):
            declarer.untar(archive, True, True)


def test_what_is_to_go_with_its_last_use_is_told_so(session: Any, stager: Stager, tmp_path: Path) -> None:
    Declarer(session, stager).path(tmp_path / "spool", False, True, unlink=True)
    (spec,) = session.declared
    assert (spec.unlink, spec.cache, spec.exists) == (True, CacheLevel.TASK, False)


def test_a_file_with_a_task_of_its_own_brings_its_description(session: Any, stager: Stager) -> None:
    def recipe_for(file_id: FileId) -> TaskSpec:
        return TaskSpec(TaskId(5), TaskKind.COMMAND, "make", outputs=(Mount(file_id, "made"),))

    file = Declarer(session, stager).minitask("made of make", True, False, recipe_for)
    (spec,) = session.declared
    assert (file.kind, file.label, spec.peer_transfer) == (FileKind.MINITASK, "made of make", False)
    assert spec.recipe is not None and spec.recipe.outputs == (Mount(file.file_id, "made"),)


def test_a_path_without_a_name_is_refused(session: Any, stager: Stager) -> None:
    with pytest.raises(errors.UsageError, match="has no name"):
        Declarer(session, stager).path("/", "workflow", True, exists=False)

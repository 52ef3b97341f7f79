"""Do declared files reach the manager as what they are, whatever happens on the way?"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from vine import config, errors
from vine.client.declarer import Declarer
from vine.client.files import File
from vine.client.stager import Stager
from vine.names import FileId
from vine.wire.messages import DeclareFiles, FileBound, FileUnreadable, ForgetFiles
from vine.wire.parts import CacheLevel, FileKind, FileSpec


class FakeSession:
    """Collects what is declared and said; `wait_for` returns when so much has been said."""

    def __init__(self) -> None:
        self.declared: list[FileSpec] = []
        self.said: list[Any] = []
        self._changed = threading.Condition()

    def number_file(self) -> FileId:
        return FileId(len(self.declared) + 1)

    def declare(self, spec: FileSpec) -> None:
        self.declared.append(spec)

    def say(self, message: Any) -> None:
        with self._changed:
            self.said.append(message)
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[Any]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.said) >= count, 30)
        return self.said


@pytest.fixture
def session() -> Any:
    return FakeSession()


@pytest.fixture
def stager(session: Any, tmp_path: Path) -> Stager:
    return Stager(session, str(tmp_path))


def test_arguments_are_declared_then_submitted_then_staged_then_forgotten(session: Any, stager: Stager) -> None:
    steps: list[object] = []
    data = b"a" * (config.inline_bytes_max + 1)
    Declarer(session, stager).payload(data, "arguments", lambda file_id: steps.append((file_id, len(session.declared))))
    bound, forgotten = session.wait_for(2)
    assert steps == [(1, 1)]
    assert isinstance(bound, FileBound)
    assert Path(bound.path).read_bytes() == data
    assert forgotten == ForgetFiles((FileId(1),))


def test_a_made_file_is_bound_when_it_is_made_and_a_failure_is_told(
    session: Any, stager: Stager, tmp_path: Path
) -> None:
    declarer = Declarer(session, stager)

    def fail(path: str) -> None:
        raise errors.FileMissing(f"no\npython in {path}")

    def pack(path: str) -> None:
        Path(path).write_bytes(b"packed")

    declarer.made("environment", "env", pack, "workflow")
    (bound,) = session.wait_for(1)
    assert Path(bound.path).read_bytes() == b"packed"
    declarer.made("environment", "env", fail, "workflow")
    word = session.wait_for(2)[1]
    assert isinstance(word, FileUnreadable)
    assert word.message.startswith("no python in ")


def test_large_values_wait_for_room_instead_of_filling_the_memory(
    session: Any, stager: Stager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "unstaged_bytes_max", 10)
    monkeypatch.setattr(config, "inline_bytes_max", 0)
    gate = threading.Event()

    def make_slowly(path: str) -> None:
        gate.wait(30)
        Path(path).touch()

    declarer = Declarer(session, stager)
    for _ in range(config.staging_threads):
        declarer.made("slow", "slow", make_slowly, "task")
    declarer.buffer(b"x" * 20)
    second = threading.Thread(target=lambda: declarer.buffer(b"y" * 20))
    second.start()
    second.join(0.05)
    assert second.is_alive()
    gate.set()
    second.join()
    session.wait_for(config.staging_threads + 2)


def test_a_closed_stager_holds_nobody_up(session: Any, stager: Stager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "unstaged_bytes_max", -1)
    stager.close()
    stager.stage_bytes(FileSpec(FileId(1), FileKind.BUFFER, None, "buffer", path="/none"), b"x")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["a" * 5000, "nul\0", "bad\udc80"])
def test_a_path_that_cannot_travel_is_refused(session: Any, stager: Stager, path: str) -> None:
    with pytest.raises(errors.UsageError, match="too long, or not valid UTF-8"):
        Declarer(session, stager).path(path, True, True)


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

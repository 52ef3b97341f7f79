"""Is what was declared read and told in the background, whatever happens on the way?"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from vine import config, errors
from vine.client.declarer import Declarer
from vine.client.stager import Stager
from vine.names import FileId
from vine.wire.messages import FileUnreadable
from vine.wire.parts import FileKind, FileSpec


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
    assert bound.signature is None, "another run that takes the same archive changes its times"
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

"""Is a sandbox used again only if nothing of its last body is in it?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vine.names import AttemptId, ObjectId, TaskId
from vine.wire.parts import Assignment, Resources, TaskKind
from vine_worker.sandbox import Sandbox
from vine_worker.spares import Spares

BODY = Assignment(AttemptId(1, 1), TaskId(1), TaskKind.COMMAND, Resources())


def nowhere(key: ObjectId) -> Path:
    raise AssertionError("the body has no inputs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a worker makes its sandboxes."""
    made = tmp_path / "sandboxes"
    made.mkdir()
    return made


def used(folder: Path, spares: Spares) -> Sandbox:
    """A sandbox whose body has said something."""
    sandbox = Sandbox(folder)
    sandbox.make(BODY, nowhere, spares.give)
    sandbox.stdout.write_bytes(b"said")
    sandbox.stderr.touch()
    return sandbox


def test_a_sandbox_that_is_as_it_was_made_is_the_next_one(folder: Path) -> None:
    spares = Spares(folder, 1)
    first = used(folder / "first", spares)
    inode = first.work.stat().st_ino
    assert spares.keep(first)
    assert not first.folder.exists(), "it is known by the name of the body that it had"
    second = used(folder / "second", spares)
    assert second.work.stat().st_ino == inode


def test_no_more_are_kept_than_may_be(folder: Path) -> None:
    spares = Spares(folder, 1)
    first, second = used(folder / "first", spares), used(folder / "second", spares)
    assert spares.keep(first)
    assert not spares.keep(second)
    assert second.folder.exists()


def _link_stream(sandbox: Sandbox) -> None:
    os.link(sandbox.stdout, sandbox.folder.parent / "kept")


def _replace_stream(sandbox: Sandbox) -> None:
    sandbox.stderr.unlink()
    sandbox.stderr.symlink_to("/etc/passwd")


def _replace_folder(sandbox: Sandbox) -> None:
    sandbox.work.rmdir()
    sandbox.work.symlink_to(sandbox.folder.parent)


@pytest.mark.parametrize(
    "change",
    [
        lambda sandbox: (sandbox.work / "result").touch(),
        lambda sandbox: (sandbox.scratch / ".hidden").touch(),
        lambda sandbox: (sandbox.folder / "beside").touch(),
        lambda sandbox: sandbox.work.chmod(0o500),
        lambda sandbox: sandbox.scratch.chmod(0o1777),
        lambda sandbox: sandbox.folder.chmod(0o711),
        lambda sandbox: sandbox.stdout.chmod(0o400),
        lambda sandbox: sandbox.stdout.unlink(),
        lambda sandbox: sandbox.scratch.rmdir(),
        _link_stream,
        _replace_stream,
        _replace_folder,
    ],
)
def test_a_sandbox_that_its_body_has_changed_is_not_used_again(
    folder: Path, change: Callable[[Sandbox], object]
) -> None:
    spares = Spares(folder, 9)
    sandbox = used(folder / "first", spares)
    change(sandbox)
    assert not spares.keep(sandbox)
    assert not spares.give(Sandbox(folder / "second"))

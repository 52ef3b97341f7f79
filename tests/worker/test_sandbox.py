"""Does a sandbox show the inputs, keep names inside, and give up the outputs and nothing else?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vine import config
from vine.errors import FileMissing, UsageError
from vine.names import AttemptId, FileId, ObjectId, TaskId
from vine.wire.parts import Assignment, Mount, ObjectMount, Resources, TaskKind
from vine_worker.sandbox import Sandbox, check_names

DATA = ObjectId("d" * 64)


def made(folder: Path, inputs: tuple[str, ...] = (), outputs: tuple[str, ...] = ()) -> Sandbox:
    (folder / "data").write_bytes(b"stored")
    sandbox = Sandbox(folder / "sandbox")
    mounts = tuple(ObjectMount(DATA, name) for name in inputs)
    promised = tuple(Mount(FileId(1), name) for name in outputs)
    assignment = Assignment(AttemptId(1, 1), TaskId(1), TaskKind.COMMAND, Resources(), inputs=mounts, outputs=promised)
    sandbox.make(assignment, lambda key: folder / "data")
    return sandbox


def test_inputs_and_the_folders_of_outputs_are_there(tmp_path: Path) -> None:
    sandbox = made(tmp_path, inputs=("a/b/data", "c"), outputs=("out/x",))
    assert (sandbox.work / "a/b/data").read_bytes() == b"stored"
    assert (sandbox.work / "c").is_symlink()
    assert (sandbox.work / "out").is_dir()


@pytest.mark.parametrize("name", ["/etc/passwd", "../out", "a/../../b", "a//b", "", "a\0b", "."])
def test_names_that_leave_the_sandbox_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="relative names"):
        check_names([], [name])


def test_nothing_can_be_named_into_an_input() -> None:
    with pytest.raises(UsageError, match="lies within the input 'data'"):
        check_names(["data"], ["data/new"])


def test_an_output_that_was_not_made_is_missed_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="no output there"):
        made(tmp_path).take_output("there")


def test_an_output_that_is_a_link_to_an_input_is_copied(tmp_path: Path) -> None:
    sandbox = made(tmp_path, inputs=("data",))
    os.symlink("data", sandbox.work / "out")
    taken = sandbox.take_output("out")
    taken.write_bytes(b"changed")
    assert (tmp_path / "data").read_bytes() == b"stored"


def test_an_output_that_is_another_name_of_an_input_is_copied(tmp_path: Path) -> None:
    sandbox = made(tmp_path)
    os.link(tmp_path / "data", sandbox.work / "out")
    assert not sandbox.take_output("out").samefile(tmp_path / "data")


def test_an_output_that_is_a_link_to_nothing_is_told_as_that(tmp_path: Path) -> None:
    sandbox = made(tmp_path)
    os.symlink("nowhere", sandbox.work / "out")
    with pytest.raises(FileMissing, match="a link to nowhere"):
        sandbox.take_output("out")


def test_long_streams_are_cut_and_said_to_be(tmp_path: Path) -> None:
    sandbox = made(tmp_path)
    sandbox.stdout.write_bytes(b"x" * (config.stdio_bytes_max + 1))
    sandbox.stderr.write_bytes(b"y")
    stdout, stderr, cut = sandbox.read_streams()
    assert (len(stdout), stderr, cut) == (config.stdio_bytes_max, b"y", True)


def test_nothing_is_left_even_of_folders_that_were_made_read_only(tmp_path: Path) -> None:
    sandbox = made(tmp_path, inputs=("data",))
    (sandbox.work / "closed").mkdir()
    (sandbox.work / "closed" / "file").touch()
    (sandbox.work / "closed").chmod(0o500)
    sandbox.remove()
    assert not sandbox.folder.exists()
    assert (tmp_path / "data").exists()


def test_an_output_behind_a_link_is_copied_and_stays_where_it_is(tmp_path: Path) -> None:
    sandbox = made(tmp_path)
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "result").write_bytes(b"the user's own")
    (sandbox.work / "out").symlink_to(tmp_path / "scratch")
    taken = sandbox.take_output("out/result")
    taken.rename(tmp_path / "moved")
    assert (tmp_path / "scratch" / "result").read_bytes() == b"the user's own"
    assert (tmp_path / "moved").read_bytes() == b"the user's own"


def test_an_output_that_is_a_link_to_a_device_is_refused(tmp_path: Path) -> None:
    sandbox = made(tmp_path)
    (sandbox.work / "out").symlink_to("/dev/null")
    with pytest.raises(FileMissing, match="neither a file nor a folder"):
        sandbox.take_output("out")


def test_a_sandbox_in_which_nothing_was_left_but_its_streams_goes(tmp_path: Path) -> None:
    sandbox = made(tmp_path)
    sandbox.stdout.write_bytes(b"said")
    sandbox.stderr.touch()
    assert sandbox.remove_if_bare()
    assert not sandbox.folder.exists()


@pytest.mark.parametrize("left", ["work/result", "tmp/scratch", "beside"])
def test_what_was_left_in_a_sandbox_stays_until_that_is_removed(tmp_path: Path, left: str) -> None:
    sandbox = made(tmp_path)
    for path in (sandbox.stdout, sandbox.stderr, sandbox.folder / left):
        path.touch()
    assert not sandbox.remove_if_bare()
    assert (sandbox.folder / left).exists()
    sandbox.remove()
    assert not sandbox.folder.exists()

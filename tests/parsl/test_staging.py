"""Are an app's files declared once, found by it, and known to those that take them afterwards?"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from parsl.data_provider.files import File

from vine.parsl.staging import FileStaging, Staged, places


class Declared:
    """A file of the run, by what it was declared as."""

    def __init__(self, file_id: int, path: str, **said: Any) -> None:
        self.file_id, self.path, self.said = file_id, path, said


class Declarations:
    """A manager that notes what is declared to it."""

    def __init__(self) -> None:
        self.session = self
        self.files: list[Declared] = []
        self.outputs: list[Declared] = []
        self.undeclared: list[Declared] = []

    def number_file(self) -> int:
        return 1000 + len(self.outputs)

    def declare_file(self, path: str, **said: Any) -> Declared:
        self.files.append(Declared(len(self.files), path, **said))
        return self.files[-1]

    def declare_output(self, path: str, **said: Any) -> Declared:
        self.outputs.append(Declared(100 + len(self.outputs), path, **said))
        return self.outputs[-1]

    def undeclare_file(self, file: Declared) -> None:
        self.undeclared.append(file)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run() -> Any:
    return Declarations()


@pytest.fixture
def staging(run: Any, here: Path) -> FileStaging:
    (here / "spool").mkdir()
    return FileStaging(run, str(here / "spool"), places(False, workers_are_here=True))


def staged(staging: FileStaging, *args: Any, **kwargs: Any) -> Staged:
    found = staging.stage(args, kwargs)
    assert found is not None
    return found


def write(path: Path | str, content: str) -> str:
    """Under another name first, as the manager does."""
    Path(f"{path}.new").write_text(content)
    os.replace(f"{path}.new", path)
    return str(path)


def test_a_call_without_files_is_left_alone(staging: FileStaging) -> None:
    assert staging.stage((1, "in.txt"), {"inputs": [2], "outputs": [], "stdout": None, "x": {"a": 1}}) is None


def test_inputs_are_found_wherever_parsl_looks_for_them(staging: FileStaging, run: Any) -> None:
    for name in ("a", "b", "c"):
        write(name, name)
    found = staged(staging, File("a"), 1, inputs=[File("b"), 2], other=File("c"), more=3)
    assert [mount.name for mount in found.inputs] == ["b", "c", "a"]
    assert [os.path.basename(file.path) for file in run.files] == ["b", "c", "a"]
    assert [file.said for file in run.files] == [{"peer_transfer": True}] * 3
    assert (found.args[1], found.kwargs["inputs"][1], found.kwargs["more"]) == (1, 2, 3)
    assert not found.outputs


def test_a_file_is_declared_once_until_it_changes(staging: FileStaging, run: Any) -> None:
    write("in", "one")
    first = staged(staging, File("in"), inputs=[File("in")])
    assert len(first.inputs) == 1
    assert staged(staging, File("in")).inputs == first.inputs
    write("in", "two")
    assert staged(staging, File("in")).inputs != first.inputs
    assert (len(run.files), run.undeclared) == (2, [run.files[0]])


def test_a_folder_has_changed_when_a_file_in_it_has(staging: FileStaging, run: Any, here: Path) -> None:
    (here / "data" / "deep").mkdir(parents=True)
    write("data/deep/in", "one")
    staged(staging, File("data"))
    staged(staging, File("data"))
    assert len(run.files) == 1
    write("data/deep/in", "two")
    staged(staging, File("data"))
    assert len(run.files) == 2


def test_what_is_not_here_is_left_to_the_app(staging: FileStaging) -> None:
    found = staged(staging, File("/nowhere/at/all"))
    assert (found.inputs, found.args[0].filepath) == ((), "/nowhere/at/all")


def test_absolute_files_are_found_in_the_sandbox_and_the_users_objects_stay(
    staging: FileStaging, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = File(write(here / "in", "content"))
    found = staged(staging, given)
    (sandbox := here / "sandbox").mkdir()
    sent = pickle.dumps(found.args[0])
    monkeypatch.chdir(sandbox)
    assert pickle.loads(sent).filepath == str(sandbox / found.inputs[0].name)
    assert (given.filepath, given.local_path) == (str(here / "in"), None)


def test_an_output_is_an_input_of_its_next_call_without_being_read_here(
    staging: FileStaging, run: Any, here: Path
) -> None:
    made = staged(staging, outputs=[File("out")])
    assert [(mount.name, mount.optional) for mount in made.outputs] == [("out", True)]
    write(here / "out", "made")
    made.arrived()
    taken = staged(staging, File("out"))
    assert taken.inputs[0].file_id == made.outputs[0].file_id
    assert (run.files, run.undeclared) == ([], [])


@pytest.mark.parametrize("before", [None, "old"])
def test_an_output_that_was_not_made_is_no_input_of_anybody(
    staging: FileStaging, run: Any, here: Path, before: str | None
) -> None:
    if before is not None:
        write(here / "out", before)
    made = staged(staging, outputs=[File("out")])
    made.arrived()
    assert run.undeclared == run.outputs
    if before is not None:
        assert staged(staging, File("out")).inputs[0].file_id == run.files[0].file_id


def test_a_call_that_failed_leaves_no_declaration_behind(staging: FileStaging, run: Any) -> None:
    staged(staging, outputs=[File("out")], stdout="o.txt").given_up()
    assert run.undeclared == run.outputs


def test_streams_are_kept_nowhere_and_come_where_they_were_named(staging: FileStaging, run: Any, here: Path) -> None:
    (here / "o.txt").write_text("old,")
    found = staged(staging, stdout="o.txt", stderr=(str(here / "logs" / "e.txt"), "w"))
    assert [file.said for file in run.outputs] == [{"cache": "task", "peer_transfer": False}] * 2
    assert found.kwargs["stdout"] == "o.txt"
    assert pickle.loads(pickle.dumps(found.kwargs["stderr"]))[1] == "w"
    for file, content in zip(run.outputs, ("out", "err"), strict=True):
        Path(file.path).write_text(content)
    found.arrived()
    assert (here / "o.txt").read_text() == "old,out"
    assert (here / "logs" / "e.txt").read_text() == "err"
    assert run.undeclared == run.outputs
    assert not list((here / "spool").iterdir())


def test_both_streams_may_be_one_file(staging: FileStaging, run: Any) -> None:
    found = staged(staging, stdout="both", stderr="both")
    assert (len(run.outputs), len(found.streams)) == (1, 1)


def test_a_stream_may_be_a_file_of_parsls(staging: FileStaging) -> None:
    file = File("zip:archive.zip/inside.txt")
    file.local_path = "work/inside.txt"  # as Parsl's provider says
    found = staged(staging, stdout=file)
    assert [mount.name for mount in found.outputs] == ["work/inside.txt"]


@pytest.mark.parametrize("wrong", [("a", "b", "c"), 7])
def test_what_is_no_stream_is_left_to_the_app(staging: FileStaging, wrong: Any) -> None:
    assert staged(staging, stdout=wrong).kwargs["stdout"] == wrong


@pytest.mark.parametrize(
    ("shared_fs", "here", "relative", "absolute"),
    [(True, True, True, True), (False, True, False, False), (None, True, False, True), (None, False, False, False)],
)
def test_which_files_are_used_in_place(shared_fs: bool | None, here: bool, relative: bool, absolute: bool) -> None:
    in_place = places(shared_fs, workers_are_here=here)
    assert (in_place("in.txt"), in_place("/data/in.txt")) == (relative, absolute)


def test_in_place_everything_is_named_by_its_full_path(run: Any, here: Path) -> None:
    write("in", "content")
    shared = FileStaging(run, str(here), places(True, workers_are_here=False))
    found = staged(shared, File("in"), outputs=[File("out")], stdout="o.txt", stderr=("e.txt", "w"))
    assert (found.args[0].filepath, found.kwargs["outputs"][0].filepath) == (str(here / "in"), str(here / "out"))
    assert (found.kwargs["stdout"], found.kwargs["stderr"]) == (str(here / "o.txt"), (str(here / "e.txt"), "w"))
    assert not (found.inputs or found.outputs or run.files or run.outputs)

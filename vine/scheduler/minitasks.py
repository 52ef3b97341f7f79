"""Which files are made by a task of their own, when does that run, and which of them are the same?

The task runs when something first needs its file: on one worker, like any other, and whoever else needs the file gets
it from there. Files whose definitions are equal, command for command and content for content, are made once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from vine.content.manifest import derived_id
from vine.errors import MalformedMessage
from vine.names import FileId, ObjectId, TaskId, client_index_of
from vine.scheduler import collecting, downloads, existence, keeping, recovery, submission, upkeep
from vine.scheduler.files import FileRecord
from vine.scheduler.peers import ClientRecord
from vine.scheduler.records import ObjectBound, ResultsForgotten
from vine.scheduler.tasks import added, input_files
from vine.wire.parts import FileKind, FileSpec, Outcome, TaskKind, TaskSpec

if TYPE_CHECKING:
    from vine.scheduler.state import State

_MADE_AFRESH = frozenset({TaskKind.COMMAND, TaskKind.PYTHON})
_READ_BY_CLIENT = frozenset({FileKind.LOCAL, FileKind.BUFFER})  # Their content is known soon, and then stays.


@dataclass(slots=True)
class Definition:
    """What is made in one way: the file whose task makes it, and those that are to be the same."""

    maker: FileId
    others: dict[FileId, None] = field(default_factory=dict)


class Minitasks:
    """The definitions that are in use."""

    def __init__(self) -> None:
        self.by_key: dict[str, Definition] = {}
        self.key_of: dict[FileId, str] = {}  # since the file was first needed
        self.held: dict[FileId, tuple[FileId, ...]] = {}  # inputs that stay for the file's sake


def check(client: ClientRecord, spec: FileSpec) -> None:
    """MalformedMessage if this is no file of its kind."""
    recipe = spec.recipe
    if (spec.kind is FileKind.MINITASK) != (recipe is not None):
        raise MalformedMessage("declare-files: a mini-task without its kind, or the kind without a task")
    if recipe is None:
        return
    if [mount.file_id for mount in recipe.outputs] != [spec.file_id] or client_index_of(recipe.task_id) != client.index:
        raise MalformedMessage("declare-files: a mini-task makes its own file and no other")
    if recipe.kind not in _MADE_AFRESH or recipe.depends:
        raise MalformedMessage("declare-files: a mini-task is a command or a fresh interpreter, and takes no results")


def declared(state: State, file: FileRecord) -> None:
    """Its inputs stay for it, be they undeclared or not, until it goes itself."""
    inputs = input_files(_recipe(file))
    for file_id in inputs:
        needed = state.files.by_id.get(file_id)
        if needed is None or needed.client != file.client or needed.forgotten or needed is file:
            message = f"file {file_id}, which the task that makes {file.spec.label} takes, is not declared (any more)"
            existence.file_failed(state, file, Outcome.INPUT_MISSING, message)
            return
    hold(state, file)


def hold(state: State, file: FileRecord) -> None:
    """Its inputs, which are there, stay for it."""
    inputs = input_files(_recipe(file))
    state.minitasks.held[file.file_id] = inputs
    for file_id in inputs:
        state.files.by_id[file_id].users += 1


def dropped(state: State, file: FileRecord) -> None:
    """The file has gone: others of its definition may have to be made by their own tasks."""
    _let_inputs_go(state, file)
    key = state.minitasks.key_of.pop(file.file_id, None)
    if key is None:
        return
    definition = state.minitasks.by_key[key]
    if definition.maker != file.file_id:
        definition.others.pop(file.file_id, None)
        return
    del state.minitasks.by_key[key]
    for other_id in definition.others:
        del state.minitasks.key_of[other_id]
    for other in [state.files.by_id[other_id] for other_id in definition.others]:
        if not state.files.is_available(other.file_id) and downloads.is_waited_for(state, other):
            recovery.remake(state, other)  # It may have been there before, and lost.


def _let_inputs_go(state: State, file: FileRecord) -> None:
    for file_id in state.minitasks.held.pop(file.file_id, ()):
        needed = state.files.by_id[file_id]
        needed.users -= 1
        upkeep.drop_if_unneeded(state, needed)


def taken_up(state: State, file: FileRecord) -> None:
    """Its task has run, or was to, when the manager was restarted: others of its definition are the same again."""
    if file.producer is None or _unread(state, _recipe(file)):
        return
    key = state.minitasks.key_of[file.file_id] = _key(state, file)
    definition = state.minitasks.by_key.setdefault(key, Definition(file.file_id))
    if definition.maker != file.file_id:
        definition.others[file.file_id] = None


def want(state: State, file: FileRecord) -> None:
    """The file is needed, and its task has not run: let it, or that of an equal one."""
    recipe, minitasks = _recipe(file), state.minitasks
    if file.failure is not None:
        return
    unread = _unread(state, recipe)
    for each in unread:
        each.recipes = added(each.recipes, file.file_id)
    if unread:
        return  # What is the same is known only then.
    key = minitasks.key_of.get(file.file_id)
    if key is None:
        key = minitasks.key_of[file.file_id] = _key(state, file)
    definition = minitasks.by_key.setdefault(key, Definition(file.file_id))
    if definition.maker == file.file_id:
        _make(state, file, recipe)
        return
    definition.others[file.file_id] = None
    maker = state.files.by_id[definition.maker]
    if maker.failure is not None:
        existence.file_failed(state, file, *maker.failure)
    elif state.files.is_available(maker.file_id):
        _be_the_same(state, file, maker)
    else:
        recovery.remake(state, maker)  # It was made before, and lost, or is in the making.


def _make(state: State, file: FileRecord, recipe: TaskSpec) -> None:
    client = state.clients.get(file.client)
    if client is None or recipe.task_id in state.tasks.by_id:
        state.strange += client is not None
        message = f"{file.spec.label} has a task of its own no more: its client has left, or has used its number twice"
        existence.file_failed(state, file, Outcome.INPUT_MISSING, message)
        return
    record = submission.accept(state, client, recipe)
    record.result_forgotten = True  # Its file is all that anybody wants of it.
    state.record(ResultsForgotten((recipe.task_id,)))
    file.producer = recipe.task_id
    submission.begin(state, record)


def awaited(state: State, file: FileRecord) -> FileRecord:
    """What a needed file waits for that is not made by its own task: an input to be read, or an equal one's making."""
    unread = _unread(state, _recipe(file))
    if unread:
        return unread[0]
    return state.files.by_id[state.minitasks.by_key[state.minitasks.key_of[file.file_id]].maker]


def made(state: State, maker: FileRecord) -> None:
    """The file has its content: so have all of its definition that are waited for, or had what it was."""
    key = state.minitasks.key_of.get(maker.file_id)
    definition = None if key is None else state.minitasks.by_key[key]
    if definition is None or definition.maker != maker.file_id:
        return
    for other in [state.files.by_id[other_id] for other_id in definition.others]:
        if other.failure is None:
            _be_the_same(state, other, maker)


def look_again(state: State, maker: FileRecord) -> None:
    """Nobody will bring the file back: those of its definition that are waited for need it made again."""
    key = state.minitasks.key_of.get(maker.file_id)
    definition = None if key is None else state.minitasks.by_key[key]
    for other in [] if definition is None else [state.files.by_id[other_id] for other_id in definition.others]:
        if other.object_id is None and downloads.is_waited_for(state, other):
            want(state, other)


def failed(state: State, maker: FileRecord) -> None:
    """It cannot be made, and so neither can those of its definition."""
    _let_inputs_go(state, maker)
    key = state.minitasks.key_of.get(maker.file_id)
    definition = None if key is None else state.minitasks.by_key[key]
    if definition is None or definition.maker != maker.file_id or maker.failure is None:
        return
    for other in [state.files.by_id[other_id] for other_id in definition.others]:
        if other.failure is None:
            existence.file_failed(state, other, *maker.failure)


def input_settled(state: State, needed: FileRecord) -> None:
    """What an input is has become known, or that it will never be: those that waited for it can be made, or fail."""
    waiting, needed.recipes = sorted(needed.recipes), frozenset()
    for file_id in waiting:
        file = state.files.by_id.get(file_id)
        if file is not None and file.failure is None and downloads.is_waited_for(state, file):
            want(state, file)


def _be_the_same(state: State, file: FileRecord, maker: FileRecord) -> None:
    known = state.files.object_of(maker.file_id)
    assert known is not None and known.manifest is not None, "what a task has made has a manifest"
    if file.object_id != known.object_id:
        collecting.replace(state, file)
        keeping.bind(state, file, known.object_id, known.manifest)
        state.record(ObjectBound(file.file_id, known.object_id, known.manifest))  # The other may go first.
    existence.file_exists(state, file)


def _unread(state: State, recipe: TaskSpec) -> list[FileRecord]:
    return [each for each in map(state.files.by_id.__getitem__, input_files(recipe)) if _is_being_read(each)]


def _is_being_read(file: FileRecord) -> bool:
    comes = file.spec.kind is FileKind.BUFFER or file.spec.exists
    return file.spec.kind in _READ_BY_CLIENT and comes and file.object_id is None and file.failure is None


def _key(state: State, file: FileRecord) -> str:
    """The same for equal definitions only. What is made by tasks, or downloaded, stands for itself."""
    recipe = _recipe(file)
    mounts = [(mount.name, _identity(state, mount.file_id)) for mount in recipe.inputs]
    others = [recipe.function, recipe.payload_file, recipe.environment, *recipe.shared]
    identities = [None if file_id is None else _identity(state, file_id) for file_id in others]
    fixed = msgspec.structs.replace(
        recipe, task_id=TaskId(0), function=None, payload_file=None, inputs=(), outputs=(), environment=None, shared=()
    )
    definition = msgspec.json.encode((fixed, mounts, identities, recipe.outputs[0].name))
    return derived_id("minitask", ObjectId(definition.hex()))


def _identity(state: State, file_id: FileId) -> str:
    file = state.files.by_id[file_id]
    if file.failure is not None:
        return f"file {file_id}"  # What it was to be made of may be gone.
    if file.spec.kind in _READ_BY_CLIENT and file.object_id is not None:
        return file.object_id
    if file.spec.source is not None:
        return f"unpacked {_identity(state, file.spec.source)}"
    if file.spec.url is not None:
        return f"url {file.spec.url}"
    return f"file {file_id}" if file.spec.recipe is None else _key(state, file)


def _recipe(file: FileRecord) -> TaskSpec:
    assert file.spec.recipe is not None, f"file {file.file_id} is made by no task of its own"
    return file.spec.recipe

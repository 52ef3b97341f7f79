"""What does a client want: its files and tasks are taken in, cancelled, and forgotten."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import check_object, object_id
from vine.errors import MalformedMessage
from vine.names import MANAGER, NUMBER_BITS, FileId, TaskId, client_index_of
from vine.scheduler import (
    appointments,
    broadcasting,
    collecting,
    completion,
    dispatch,
    downloads,
    existence,
    gates,
    installing,
    keeping,
    minitasks,
    producers,
    recovery,
    results,
    upkeep,
)
from vine.scheduler.actions import PeerKey, Serve
from vine.scheduler.categories import Category, CategoryKey
from vine.scheduler.files import FileRecord, is_output_only
from vine.scheduler.peers import ClientRecord
from vine.scheduler.records import (
    CancelAsked,
    CategorySet,
    ClientLeft,
    FileDeclared,
    FilesForgotten,
    ObjectBound,
    ResultsForgotten,
    TaskAccepted,
)
from vine.scheduler.tasks import TaskRecord, TaskState, share_what_is_alike
from vine.wire.messages import FileBound, FileUnreadable
from vine.wire.parts import CategorySpec, FileKind, FileSpec, Outcome, TaskKind, TaskSpec, When

if TYPE_CHECKING:
    from vine.scheduler.state import State

Number = TypeVar("Number", TaskId, FileId)


def check(state: State, client: ClientRecord, spec: FileSpec) -> None:
    """MalformedMessage if no client of ours would declare such a file."""
    path = spec.path or ""
    if spec.kind is FileKind.LOCAL and not (path.startswith("/") and path.strip("/")):
        raise MalformedMessage("declare-files: a local file without an absolute path that ends in a name")
    if spec.kind is FileKind.BUFFER and path and client.same_host and not _is_staged(state, path):
        raise MalformedMessage("declare-files: a buffer that does not lie in the staging folder")
    if (spec.kind is FileKind.URL) != (spec.url is not None):
        raise MalformedMessage("declare-files: a URL without its kind, or the kind without a URL")
    if spec.url is not None and (spec.path, spec.data, spec.source) != (None, None, None):
        raise MalformedMessage("declare-files: a URL that has content from elsewhere, too")
    minitasks.check(client, spec)


def _is_staged(state: State, path: str) -> bool:
    """Whether it lies in the staging folder itself, where it is removed when nobody needs it any more."""
    folder, _, name = path.rpartition("/")
    return folder == state.settings.staging_dir and name not in ("", ".", "..")


def declare(state: State, client: ClientRecord, spec: FileSpec) -> None:
    """A file, which has been checked, exists from now on; small buffers have their content at once."""
    if client_index_of(spec.file_id) != client.index or spec.file_id in state.files.by_id:
        state.strange += 1
        return
    record = state.files.declare(spec, client.peer)
    state.record(FileDeclared(spec))
    if spec.path is not None and not client.same_host:
        message = f"{spec.label} lies on another host than the manager: run the client on the manager's host"
        existence.file_failed(state, record, Outcome.INPUT_MISSING, message)
    elif spec.data is not None:
        manifest = manifest_of_bytes(spec.data)
        keeping.bind(state, record, object_id(manifest), manifest, data=spec.data)
    elif spec.kind is FileKind.UNTAR:
        _declare_unpacked(state, record)
    elif spec.kind is FileKind.URL:
        downloads.share(state, record)
    elif spec.recipe is not None:
        minitasks.declared(state, record)


def _declare_unpacked(state: State, record: FileRecord) -> None:
    archive = None if record.spec.source is None else state.files.by_id.get(record.spec.source)
    if archive is None or archive is record or archive.client != record.client or archive.forgotten:
        existence.file_failed(
            state, record, Outcome.INPUT_MISSING, f"the archive of {record.spec.label} is not declared"
        )
        return
    if archive.spec.kind is FileKind.UNTAR:
        message = f"{archive.spec.label} is a folder, and no archive: declare the archive that is in it by itself"
        existence.file_failed(state, record, Outcome.INPUT_MISSING, message)
        return
    archive.unpacked.append(record.file_id)
    if archive.failure is not None:
        existence.file_failed(state, record, *archive.failure)
    elif archive.object_id is not None:
        existence.bind_unpacked(state, record, archive.object_id)


def bind(state: State, client: ClientRecord, message: FileBound) -> None:
    """The client has hashed a declared file: the manager's node serves it from now on."""
    record = own_file(state, client, message.file_id)
    if record is None or record.object_id is not None or record.failure is not None:
        return
    try:
        check_object(message.object_id, message.manifest)
        if message.path != record.spec.path:
            raise MalformedMessage("it is not at the path that was declared")
    except MalformedMessage as malformed:
        state.strange += 1
        existence.file_failed(state, record, Outcome.INPUT_MISSING, f"{record.spec.label} cannot be taken: {malformed}")
        return
    known = keeping.bind(state, record, message.object_id, message.manifest)
    record.path = message.path
    if MANAGER not in known.holders and known.data is None:
        keeping.manager_has(state, known)
        state.do(Serve(message.object_id, message.manifest, message.path, message.signature))
    state.record(ObjectBound(record.file_id, message.object_id, message.manifest, signature=message.signature))
    existence.file_exists(state, record)


def unreadable(state: State, client: ClientRecord, message: FileUnreadable) -> None:
    record = own_file(state, client, message.file_id)
    if record is not None and record.object_id is None and record.failure is None:
        existence.file_failed(state, record, Outcome.INPUT_MISSING, message.message)


def own_file(state: State, client: ClientRecord, file_id: FileId) -> FileRecord | None:
    record = state.files.by_id.get(file_id)
    if record is None or record.client != client.peer:
        state.strange += 1
        return None
    return record


def submit(state: State, client: ClientRecord, spec: TaskSpec) -> None:
    """Take a task in. It is accepted from here on: it will end, with a result or a cause."""
    if client_index_of(spec.task_id) != client.index or spec.task_id in state.tasks.by_id:
        state.strange += 1
        return
    if state.forgotten_tasks is not None and spec.task_id in state.forgotten_tasks:
        return  # It was taken in, and had ended, before the manager was restarted.
    record = accept(state, client, spec)
    trouble = _trouble(state, record)
    for mount in spec.outputs:
        file = state.files.by_id.get(mount.file_id)
        if file is not None and file.client == client.peer:
            producers.name(state, file, spec.task_id, fails=trouble is not None)
    if trouble is not None:
        _reject(state, record, *trouble)
        return
    begin(state, record)


def accept(state: State, client: ClientRecord, spec: TaskSpec) -> TaskRecord:
    """The task is known, and its client's."""
    share_what_is_alike(spec)
    record = TaskRecord(spec, client.peer, state.now)
    if spec.policy is not None and spec.policy.category:
        record.category = category_of(state, client, spec.policy.category)
    state.tasks.add(record)
    state.record(TaskAccepted(spec))
    return record


def begin(state: State, record: TaskRecord) -> None:
    """It waits for what it needs, or is ready."""
    upkeep.hold_inputs(state, record)
    dispatch.wait_for_missing(state, record)
    appointments.make(state, record)
    gates.hold(state, record)
    if not record.unmet:
        dispatch.make_ready(state, record, is_news=False)


def _trouble(state: State, record: TaskRecord) -> tuple[Outcome, str] | None:
    """Why the task can never run, if that is known already."""
    if record.spec.kind is TaskKind.LIBRARY and (trouble := installing.trouble_of(state, record.spec)) is not None:
        return trouble
    spec, files = record.spec, state.files.by_id
    outputs = [mount.file_id for mount in spec.outputs] if spec.outputs else ()
    for file_id in outputs:
        file = files.get(file_id)
        if file is None or file.forgotten or file.client != record.client:
            return _undeclared(file_id)
        if (trouble := _trouble_with_output(file)) is not None:
            return trouble
    if outputs and (doubled := _left_twice(spec)) is not None:
        label = files[doubled].spec.label
        return Outcome.OUTPUT_MISSING, f"{label} is two outputs of the task: declare a file for each"
    for file_id in record.inputs:
        file = files.get(file_id)
        if file is None or file.forgotten or file.client != record.client:
            return _undeclared(file_id)
        if file.object_id is not None and file.failure is None:
            continue  # As most.
        if (trouble := _trouble_with_input(file, file_id in outputs)) is not None:
            return trouble
    strict = () if spec.policy is None else spec.policy.strict
    if strict and not {mount.file_id for mount in spec.inputs}.issuperset(strict):
        return Outcome.INPUT_MISSING, "a strict input is no input of the task: add it as one"
    return _trouble_with_results(state, record) if spec.depends else None


def _undeclared(file_id: FileId) -> tuple[Outcome, str]:
    return Outcome.INPUT_MISSING, f"file {file_id} is not declared (any more): declare it before the task"


def _left_twice(spec: TaskSpec) -> FileId | None:
    """A file that one end of the task would make of two outputs; one for its success may be one for its failure."""
    for end in (When.SUCCESS, When.FAILURE):
        left = [mount.file_id for mount in spec.outputs if mount.when in (end, When.ALWAYS)]
        if len(set(left)) < len(left):
            return next(file_id for file_id, times in Counter(left).items() if times > 1)
    return None


def _trouble_with_output(file: FileRecord) -> tuple[Outcome, str] | None:
    if file.spec.kind is FileKind.UNTAR:
        return Outcome.OUTPUT_MISSING, f"{file.spec.label} is unpacked by workers and no task's output: use a temp"
    if file.spec.kind is FileKind.URL:
        return Outcome.OUTPUT_MISSING, f"{file.spec.label} is downloaded and no task's output: use a temp"
    if file.spec.kind is FileKind.MINITASK:
        return Outcome.OUTPUT_MISSING, f"{file.spec.label} is made by its own task and by no other: use a temp"
    return file.failure if file.spec.kind is FileKind.LOCAL else None


def _trouble_with_input(file: FileRecord, is_made: bool) -> tuple[Outcome, str] | None:
    """What may be wrong with one that is not there; `is_made`: the task that takes it makes it itself."""
    if is_made and file.object_id is None:
        message = f"the task takes {file.spec.label}, which it makes itself: declare another file for its output"
        return Outcome.INPUT_MISSING, message
    if file.failure is None and file.spec.kind is FileKind.LOCAL and is_output_only(file) and file.producer is None:
        message = f"input file {file.spec.label} does not exist: create it before it is declared"
        return Outcome.INPUT_MISSING, message
    return file.failure


def _trouble_with_results(state: State, record: TaskRecord) -> tuple[Outcome, str] | None:
    for task_id in record.spec.depends:
        needed = state.tasks.by_id.get(task_id)
        if needed is None or needed is record or needed.client != record.client or needed.result_forgotten:
            return Outcome.DEPENDENCY_FAILED, f"the result of task {task_id}, which it takes, is gone: keep its future"
        if needed.state in (TaskState.FAILED, TaskState.CANCELLED):
            ended = "" if needed.outcome is None else needed.outcome.value
            message = f"task {task_id} ({needed.spec.label}), whose result it takes, ended with {ended}"
            return Outcome.DEPENDENCY_FAILED, f"{message}: {needed.message}".rstrip(": ")
    return None


def _reject(state: State, record: TaskRecord, outcome: Outcome, message: str) -> None:
    """End a task that holds nothing yet."""
    kept = [file_id for file_id in record.inputs if file_id in state.files.by_id]
    for file_id in kept:
        state.files.by_id[file_id].users += 1  # `release_inputs` takes it back.
    completion.end(state, record, outcome, message)


def cancel(state: State, client: ClientRecord, task_id: TaskId, unless_running: bool = False) -> None:
    record = state.tasks.by_id.get(task_id)
    if record is None or record.client != client.peer or record.state.ended or record.recovering:
        return
    if unless_running and record.state in (TaskState.RUNNING, TaskState.COLLECTING):
        return
    if record.attempt is not None:
        state.record(CancelAsked(task_id))
    stop(state, record)


def stop(state: State, record: TaskRecord) -> None:
    """End a task that has not ended, as what it is `cancelled_as`; what is being collected has ended."""
    record.cancel_requested = True
    if record.attempt is None:
        state.doom(record.task_id, *record.cancelled_as)
    elif record.state is not TaskState.COLLECTING:
        state.cancel(record.attempt.worker, record.attempt.attempt_id)


def category_of(state: State, client: ClientRecord, name: str) -> Category:
    """The client's category of this name, of which it need not have said anything."""
    key = CategoryKey(client.index, name)
    found = state.categories.get(key)  # Every task of one asks, and making it anew costs a tenth of taking a task in.
    if found is None:
        found = state.categories[key] = Category(CategorySpec(name))
    return found


def set_category(state: State, client: ClientRecord, spec: CategorySpec) -> None:
    category = category_of(state, client, spec.name)
    category.set(spec)
    state.placement.category_changed(category)
    state.record(CategorySet(client.index, spec))


def forget_files(state: State, client: ClientRecord, file_ids: tuple[FileId, ...]) -> None:
    state.record(FilesForgotten(_own(client, file_ids)))
    for file_id in file_ids:
        _forget_file(state, client, file_id)


def _own(client: ClientRecord, numbers: tuple[Number, ...]) -> tuple[Number, ...]:
    index = client.index
    return tuple([number for number in numbers if number >> NUMBER_BITS == index])  # Each result is forgotten once.


def _forget_file(state: State, client: ClientRecord, file_id: FileId) -> None:
    record = own_file(state, client, file_id)
    if record is not None:
        record.forgotten = True
        if state.copies.broadcasts:
            broadcasting.undeclared(state, record)
        upkeep.drop_if_unneeded(state, record)


def keep_result(state: State, client: ClientRecord, task_id: TaskId) -> None:
    record = state.tasks.by_id.get(task_id)
    if record is not None and record.client == client.peer:
        record.keep_result = True


def forget_results(state: State, client: ClientRecord, task_ids: tuple[TaskId, ...]) -> None:
    state.record(ResultsForgotten(_own(client, task_ids)))
    for task_id in task_ids:
        record = state.tasks.by_id.get(task_id)
        if record is not None and record.client == client.peer:
            record.result_forgotten = True
            results.forgotten(state, record)
            upkeep.forget_if_unneeded(state, record)


def client_left(state: State, peer: PeerKey) -> None:
    """Its tasks end, its results and files are dropped, except files of cache level `worker` on workers."""
    client = state.clients.pop(peer)
    state.clients_left.add(client.index)
    state.record(ClientLeft(client.index))
    for key in [key for key in state.categories if key.client_index == client.index]:
        del state.categories[key]
    for record in state.tasks.of_client(client.index):
        record.result_forgotten = True
        record.recovering = False if record.state.ended else record.recovering
        if record.state.ended:
            upkeep.forget_if_unneeded(state, record)
            continue
        if record.attempt is not None:
            _stop_attempt(state, record)
        state.doom(record.task_id, Outcome.CANCELLED, "its client has left")
    installing.client_left(state, peer)
    for file in list(state.files.of_client(peer)):
        file.forgotten = True
        broadcasting.undeclared(state, file)
        if file.file_id in state.files.by_id:
            upkeep.drop_if_unneeded(state, file)


def _stop_attempt(state: State, record: TaskRecord) -> None:
    if record.state is TaskState.COLLECTING:
        collecting.stop_collecting(state, record)
        state.drop_attempt(record)
    else:
        recovery.withdraw(state, record)

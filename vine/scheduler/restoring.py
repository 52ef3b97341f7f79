"""How does a run go on whose manager has died: the scheduler's tables, made again from what the journal says?

What was learnt is learnt anew: how long tasks last, what categories use, whom to trust as a source. Who holds which
object is not known either: workers say so when they come back (`returning`), and until then nothing is made again
that one of them may have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

from vine import config
from vine.content.hashing import manifest_of_bytes
from vine.content.manifest import object_id
from vine.names import MANAGER, FileId, ObjectId, client_index_of
from vine.scheduler import (
    appointments,
    dispatch,
    existence,
    installing,
    keeping,
    minitasks,
    producers,
    returning,
    submission,
    suspects,
    upkeep,
)
from vine.scheduler.actions import PeerKey, Serve
from vine.scheduler.categories import Category
from vine.scheduler.files import FileRecord, ObjectRecord
from vine.scheduler.libraries import LibraryRecord
from vine.scheduler.numbers import Numbers
from vine.scheduler.peers import AwaitedWorker, ClientRecord
from vine.scheduler.records import AttemptEnded, HostsSet, TaskEndedAgain, TaskWaits
from vine.scheduler.replayed import ReplayedClosing, ReplayedFile, ReplayedRun, ReplayedTask
from vine.scheduler.tasks import TaskRecord, TaskState, added, input_files, share_what_is_alike
from vine.wire.parts import FileKind, FileSpec, Outcome, TaskKind, TaskSpec

if TYPE_CHECKING:
    from vine.scheduler.state import State

_END_STATE = {Outcome.SUCCESS: TaskState.DONE, Outcome.CANCELLED: TaskState.CANCELLED}
_GIVEN_BACK = (Outcome.DISK_FULL, Outcome.UNPREPARED, Outcome.TRANSFER_FAILED)
# Ends that are not counted against a task's retries.
_NO_FAULT = frozenset({Outcome.SUCCESS, Outcome.CANCELLED, Outcome.WORKER_LOST, *_GIVEN_BACK})


def restore(state: State, run: ReplayedRun, staged: Collection[str]) -> None:
    """Fill the empty tables; `staged` are the paths of all files in the staging folder."""
    assert not state.clients and not state.tasks.by_id, "a run is restored before anything happens in it"
    assert run.epoch < state.settings.epoch, "each manager of a run has an epoch of its own"
    _Restoration(state, run, frozenset(staged)).restore()


class _Restoration:
    def __init__(self, state: State, run: ReplayedRun, staged: frozenset[str]) -> None:
        self._state = state
        self._run = run
        self._staged = staged
        self._ahead_s = state.settings.wall_clock_ahead_s
        self._lease_ends_at = state.now + self._lease_left_s()
        self._peers: dict[int, PeerKey] = {}  # of clients that are yet to come back, by index
        self._forgotten_tasks = Numbers(run.forgotten_tasks)
        self._forgotten_files = Numbers(run.forgotten_files)
        self._taken = {task_id for task in run.tasks.values() if task.result is None for task_id in task.spec.depends}

    def restore(self) -> None:
        state, run = self._state, self._run
        state.forgotten_tasks = self._forgotten_tasks
        state.attempts_written = run.attempts_max
        self._await_workers()
        state.dispatches_from = state.now + config.return_grace_s
        for index in run.clients:
            self._await_client(index)
        state.clients_seen = run.clients_seen + config.clients_unwritten_max
        state.clients_left.update(run.clients_left)
        for key, spec in run.categories.items():
            state.categories[key] = Category(spec)
        for name, closing in run.closed_hosts.items():
            self._close(name, closing)
        needed = self._needed_files()
        for file_id, file in run.files.items():
            if file_id in needed and client_index_of(file_id) in self._peers:
                self._file(file)
        for number, library in run.libraries.items():
            if client_index_of(number) in self._peers:
                state.libraries[number] = LibraryRecord(library.spec, self._peer(number), library.removed)
        for name, count in run.past.items():
            if TaskState(name).ended:  # The others went with clients that left, and no state was written of these.
                state.tasks.counts[TaskState(name)] += count
        open_tasks = [record for task in run.tasks.values() if (record := self._task(task)) is not None]
        for record in state.tasks.by_id.values():
            self._link(record)
        for made in state.files.by_id.values():
            if made.spec.recipe is not None:
                minitasks.taken_up(state, made)
        for record in list(state.tasks.by_id.values()):
            if record.task_id in state.tasks.by_id:  # Else it went with one that was made from it.
                upkeep.forget_if_unneeded(state, record)
        for held in list(state.files.by_id.values()):
            self._hold_file(held)
        for record in open_tasks:
            self._go_on(record, run.tasks[record.task_id])

    def _lease_left_s(self) -> float:
        """Of the leases that began when the last manager died. The wall clock may have been set since, either way:
        whoever lives is given time to come back, and nobody is waited for longer than a lease from now on."""
        settings = self._state.settings
        silent_s = self._state.now + self._ahead_s - self._run.written_s
        return min(settings.lease_s, max(settings.lease_s - silent_s, settings.client_lost_after_s))

    def _close(self, name: str, closing: ReplayedClosing) -> None:
        """Nor is a host closed for longer from now on than was asked for, if the wall clock was set back."""
        state, until = self._state, None
        if closing.until_s is not None and closing.for_s is not None:
            until = closing.until_s - self._ahead_s
            if until > state.now + closing.for_s:
                until = state.now + closing.for_s
                state.record(HostsSet((name,), closing.standing, closing.for_s, until + self._ahead_s))
        state.closed_hosts[name] = (closing.standing, until)

    def _peer(self, number: int) -> PeerKey:
        return self._peers[client_index_of(number)]

    # --- who is waited for ------------------------------------------------------------------------------

    def _await_workers(self) -> None:
        run, awaited = self._run, self._state.awaited
        for worker_id in run.workers:
            awaited[worker_id] = AwaitedWorker(self._lease_ends_at)
        for file in run.files.values():
            if file.object_id is not None and file.worker_id in awaited:
                awaited[file.worker_id].objects.add(file.object_id)
        for task in run.tasks.values():
            if task.result is not None and task.value_object is not None and task.result.worker_id in awaited:
                awaited[task.result.worker_id].objects.add(task.value_object)

    def _await_client(self, index: int) -> None:
        """It is given as long as workers to come back; nothing is sent to it until then."""
        state, client = self._state, self._run.clients[index]
        peer = self._peers[index] = PeerKey(f"client {index}, not back yet")
        heard_at = self._lease_ends_at - state.settings.client_lost_after_s
        state.clients[peer] = ClientRecord(
            peer, client.client_id, index, heard_at, same_host=False, key_digest=client.key_digest, owed={}
        )

    # --- files -----------------------------------------------------------------------------------------

    def _needed_files(self) -> set[FileId]:
        """Those that clients may still name, those that tasks hold, and all that these are made of."""
        needed = {file_id for file_id in self._run.files if file_id not in self._forgotten_files}
        for task in self._run.tasks.values():
            if task.result is None or task.generations:
                needed.update(input_files(task.spec))
        unseen = list(needed)
        while unseen:
            file = self._run.files.get(unseen.pop())
            made_of = () if file is None else _made_of(file.spec)
            unseen += [file_id for file_id in made_of if file_id not in needed]
            needed.update(made_of)
        return needed

    def _file(self, file: ReplayedFile) -> None:
        state, spec = self._state, file.spec
        record = state.files.declare(spec, self._peer(spec.file_id))
        record.forgotten = spec.file_id in self._forgotten_files
        record.failure = file.failure
        if spec.recipe is not None and record.failure is None:
            minitasks.hold(state, record)
        if spec.source is not None:
            self._unpacked(record, spec.source)
        elif spec.data is not None:
            manifest = manifest_of_bytes(spec.data)
            keeping.bind(state, record, object_id(manifest), manifest, data=spec.data)
        elif file.object_id is not None:
            known = keeping.bind(state, record, file.object_id, self._run.manifests[file.object_id])
            if spec.url is not None:
                state.files.content_of_url[spec.url] = file.object_id
            elif file.attempt is None and spec.path is not None:
                self._serve_declared(record, known, spec.path, file)

    def _unpacked(self, record: FileRecord, source: FileId) -> None:
        archive = self._state.files.by_id.get(source)
        if archive is None or archive.spec.kind is FileKind.UNTAR:
            return  # It has failed.
        archive.unpacked.append(record.file_id)
        if archive.object_id is not None and record.failure is None:
            existence.bind_unpacked(self._state, record, archive.object_id)

    def _serve_declared(self, record: FileRecord, known: ObjectRecord, path: str, file: ReplayedFile) -> None:
        """As when the client had hashed it; what it had staged for us may be lost with the folder."""
        record.path = path
        if record.spec.kind is FileKind.BUFFER and path not in self._staged:
            return
        if MANAGER not in known.holders:
            self._serve(known, path, file)

    def _serve(self, known: ObjectRecord, path: str, file: ReplayedFile | None = None) -> None:
        assert known.manifest is not None
        keeping.manager_has(self._state, known)
        self._state.do(Serve(known.object_id, known.manifest, path, None if file is None else file.signature))

    def _hold_file(self, file: FileRecord) -> None:
        if file.forgotten:
            upkeep.drop_if_unneeded(self._state, file)

    # --- tasks -----------------------------------------------------------------------------------------

    def _task(self, task: ReplayedTask) -> TaskRecord | None:
        """The record of a task as it was; returns it if it is still owed."""
        state, spec = self._state, task.spec
        share_what_is_alike(spec)
        peer = self._peer(spec.task_id)
        record = TaskRecord(spec, peer, task.accepted_s - self._ahead_s)
        client = state.clients[peer]
        if spec.policy is not None and spec.policy.category:
            record.category = submission.category_of(state, client, spec.policy.category)
        for mount in spec.outputs:
            file = state.files.by_id.get(mount.file_id)
            if file is not None and file.client == peer:
                outcome = None if task.result is None else task.result.outcome
                producers.name(state, file, spec.task_id, fails=outcome not in (None, Outcome.SUCCESS))
                file.earlier = () if outcome is Outcome.SUCCESS else file.earlier
        ended = task.result is not None and not (self._is_lost(task) and self._can_run(spec))
        if ended:
            self._end(record, client, task)
        else:
            self._count_attempts(record, task)
        record.result_forgotten = spec.task_id in self._forgotten_tasks
        state.tasks.add(record)
        return None if ended else record

    def _is_lost(self, task: ReplayedTask) -> bool:
        """Whether a large result lay in the staging folder, and is gone: its task runs again if it is needed."""
        if task.value_path is None or task.value_path in self._staged:
            return False
        return task.spec.task_id not in self._forgotten_tasks or task.spec.task_id in self._taken

    def _can_run(self, spec: TaskSpec) -> bool:
        files = self._state.files.by_id
        return all(number in files for number in input_files(spec)) and all(n in self._run.tasks for n in spec.depends)

    def _end(self, record: TaskRecord, client: ClientRecord, task: ReplayedTask) -> None:
        state, result = self._state, task.result
        assert result is not None and client.owed is not None
        record.state = _END_STATE.get(result.outcome, TaskState.FAILED)
        record.outcome, record.message, record.value = result.outcome, result.message, result.value
        record.attempts = result.attempts
        client.owed[record.task_id] = result
        for attempt in task.attempts:  # It ran again for what had been lost; it does once more if that is needed.
            state.record(AttemptEnded(attempt.attempt_id, Outcome.WORKER_LOST, "the manager was restarted"))
        if task.state != record.state.value:
            state.record(TaskEndedAgain(record.task_id, result.outcome))
        is_staged = task.value_path is not None and task.value_path in self._staged
        if task.value_object is None or not (is_staged or (task.value_path is None and task.generations)):
            return
        known = self._result_object(record, task.value_object, peer_transfer=bool(task.generations))
        if task.value_path is not None and is_staged:
            record.value_path = task.value_path
            self._serve(known, task.value_path)
        else:
            record.generation = task.generations

    def _result_object(self, record: TaskRecord, identity: ObjectId, peer_transfer: bool) -> ObjectRecord:
        new = ObjectRecord(
            identity, self._run.manifests[identity], f"result of task {record.task_id}", peer_transfer=peer_transfer
        )
        known = self._state.files.objects.setdefault(identity, new)
        known.results.add(record.task_id)
        record.value_object = identity
        return known

    def _count_attempts(self, record: TaskRecord, task: ReplayedTask) -> None:
        """What its tries have cost it. (Of those that workers gave back, all count as crowded out.)"""
        if not task.ended_attempts:  # As of most: they have only just been submitted.
            record.attempts = len(task.attempts)
            return
        ended = Counter(task.ended_attempts)
        record.attempts = ended.total() + len(task.attempts)
        record.losses = ended[Outcome.WORKER_LOST]
        record.crowded_out = sum(ended[outcome] for outcome in _GIVEN_BACK)
        record.failures = sum(count for outcome, count in ended.items() if outcome not in _NO_FAULT)
        if record.spec.kind is TaskKind.LIBRARY:
            record.losses += ended[Outcome.LIBRARY_FAILED]
            record.failures -= ended[Outcome.LIBRARY_FAILED]
        suspects.isolate(record)
        category = record.category
        if category is not None and any(category.has_more(outcome, record.spec.request) for outcome in ended):
            record.take_maximum()
            record.failures -= 1

    def _link(self, record: TaskRecord) -> None:
        """Let it hold what it needs: now, or should its result have to be made again."""
        state = self._state
        if not record.state.ended:
            upkeep.hold_inputs(state, record)
        elif record.generation:
            for file_id in record.inputs:
                state.files.by_id[file_id].users += 1
            for task_id in record.spec.depends:
                needed = state.tasks.by_id[task_id]
                needed.heirs = added(needed.heirs, record.task_id)

    def _go_on(self, record: TaskRecord, task: ReplayedTask) -> None:
        """A task that is owed waits, is ready, or is held back for the worker that may be running it."""
        state = self._state
        if record.state.ended:
            return
        appointments.make(state, record)
        held = [attempt for attempt in task.attempts if attempt.worker_id in state.awaited]
        for attempt in task.attempts:
            if attempt in held:
                returning.hold_back(state, record, attempt)
            else:
                state.record(AttemptEnded(attempt.attempt_id, Outcome.WORKER_LOST, "its worker is gone"))
        if task.cancelled:
            state.doom(record.task_id, *record.cancelled_as)
        elif not held and (trouble := self._trouble(record, task)) is not None:
            state.doom(record.task_id, *trouble)
        elif not held:
            dispatch.wait_for_missing(state, record)
        if not record.unmet and record.task_id not in state.doomed:
            dispatch.make_ready(state, record, is_news=task.state != TaskState.READY.value)
        elif record.unmet and not held and task.state != TaskState.WAITING.value:
            state.record(TaskWaits(record.task_id))  # Workers have yet to say that they have what it takes.

    def _trouble(self, record: TaskRecord, task: ReplayedTask) -> tuple[Outcome, str] | None:
        """Why a call of a library is not gone on with. One whose value was on its way had run in time: it may again."""
        if record.spec.kind is not TaskKind.LIBRARY or Outcome.SUCCESS in task.ended_attempts:
            return None
        return installing.trouble_of(self._state, record.spec)


def _made_of(spec: FileSpec) -> tuple[FileId, ...]:
    """An unpacked file's archive, and the inputs of a task that makes a file."""
    archive = () if spec.source is None else (spec.source,)
    return archive if spec.recipe is None else (*archive, *input_files(spec.recipe))

"""Which results stay on workers, and what becomes of those: other tasks take them, clients ask, workers lose them.

A result over the inline limit stays where it was made if another task takes it when it is there, or if its client
has asked for that. Such a *remote* result is committed all the same: what it is was decided once, and where it is
lost the task runs again. So a task with a remote result holds its inputs for as long, though it has ended: its files
stay declared, and it is an *heir* of the tasks whose results it takes, which are remembered for it. So that such
lines end, a result that has too many generations before it comes to the manager, as those do that nobody takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine import config
from vine.names import TaskId
from vine.scheduler import actions, dispatch, keeping, recovery, returning, staging, upkeep
from vine.scheduler.files import ObjectRecord
from vine.scheduler.peers import ClientRecord
from vine.scheduler.records import ResultBound, ResultLost
from vine.scheduler.tasks import TaskRecord, TaskState, added, removed
from vine.scheduler.workers import WorkerRecord
from vine.wire.messages import ResultBrought
from vine.wire.parts import Outcome, TaskResult

if TYPE_CHECKING:
    from vine.scheduler.state import State


def is_there(state: State, record: TaskRecord) -> bool:
    """Whether a task that takes the result could be given it now."""
    if not record.generation:
        return record.state.ended or record.recovering  # That is for a file of its: the value was kept.
    known = None if record.value_object is None else state.files.objects.get(record.value_object)
    return known is not None and state.files.can_be_had(known)


# --- a result is made ---


def stays(state: State, record: TaskRecord) -> bool:
    """Whether a large result that has just been made is to stay on its worker."""
    if record.generation:
        return True  # It is made again: its client was told that it is there.
    wanted = record.keep_result or bool(record.dependants)
    return wanted and _generation_of(state, record) <= config.recovery_depth_max


def _generation_of(state: State, record: TaskRecord) -> int:
    return 1 + max((state.tasks.by_id[task_id].generation for task_id in record.spec.depends), default=0)


def keep(state: State, record: TaskRecord, worker: WorkerRecord, known: ObjectRecord) -> None:
    """The result stays: others have it from there."""
    record.generation = record.generation or _generation_of(state, record)
    if record.value_object != known.object_id:
        upkeep.drop_value(state, record)  # Lost, and made again of other bytes though a file was what it ran for.
    record.value_object = known.object_id
    known.results.add(record.task_id)
    if not known.files and not known.peer_transfer:
        known.peer_transfer = True  # Another result of this content has come to the manager, and was to stay nowhere.
        state.transfers.touch(worker.worker_id, known.object_id)
    keeping.made_copy(state, worker, known)


def hold_inputs(state: State, record: TaskRecord) -> None:
    """The task has ended, and may have to run again: it is not among those that wait for results any more."""
    for task_id in record.spec.depends:
        needed = state.tasks.by_id[task_id]
        needed.dependants = removed(needed.dependants, record.task_id)
        needed.heirs = added(needed.heirs, record.task_id)
        upkeep.forget_if_unneeded(state, needed)


def run_again(state: State, record: TaskRecord) -> None:
    """The task, which has ended, needs its inputs once more."""
    record.recovering = True
    if not record.generation:
        upkeep.hold_inputs(state, record)
    for task_id in record.spec.depends if record.generation else ():
        needed = state.tasks.by_id[task_id]
        needed.heirs = removed(needed.heirs, record.task_id)
        needed.dependants = added(needed.dependants, record.task_id)
    state.tasks.move(record, TaskState.WAITING)


def settle(state: State, record: TaskRecord) -> None:
    """The result needs not be made again any more."""
    if record.generation:
        record.generation = 0
        if record.state.ended:
            upkeep.release_inputs(state, record)


# --- a result is lost, and made again ---


def remake(state: State, record: TaskRecord) -> None:
    """Run the task of a lost remote result again, and those of what that needs."""
    if not record.state.ended or is_there(state, record):
        return
    if returning.who_may_have(state, record.value_object) is not None:
        return  # It is made again if that worker does not come back with it.
    if state.awaited and not recovery.can_run_again(state, record):
        return  # Whoever comes back last may have it.
    known = None if record.value_object is None else state.files.objects.get(record.value_object)
    users = [] if known is None else recovery.take_back_users(state, known)
    upkeep.drop_value(state, record)
    _begin_again(state, record)
    for user in users:
        dispatch.reconsider(state, user)


def _begin_again(state: State, record: TaskRecord) -> None:
    if state.remaking >= config.recovery_depth_max:
        _is_gone(state, record, f"and so were {state.remaking} generations of what it is made from")
        return
    if not recovery.can_run_again(state, record):
        _is_gone(state, record, "and its task cannot run again: a file that it takes cannot be had any more")
        return
    run_again(state, record)
    state.remaking += 1
    dispatch.wait_for_missing(state, record)
    state.remaking -= 1
    if not record.unmet:
        dispatch.make_ready(state, record)


def comes_instead(state: State, record: TaskRecord, result: TaskResult) -> bool:
    """Whether a lost result comes with its task's end this time: when it was made before it was large."""
    is_small = result.outcome is Outcome.SUCCESS and result.value is not None
    return is_small and record.generation > 0 and not is_there(state, record)


def made_again(state: State, record: TaskRecord, result: TaskResult) -> None:
    """A task with a remote result has run again, be it for the sake of that or of a file."""
    if comes_instead(state, record, result):
        upkeep.drop_value(state, record)  # It may have run for the sake of a file.
        record.value = result.value
        settle(state, record)
    if is_there(state, record):
        dispatch.requirement_met(state, record.task_id, record.dependants)
        if record.result_wanted:
            bring(state, record)
    else:
        _is_gone(state, record, f"and its task ended with {result.outcome.value} when it ran again: {result.message}")


def _is_gone(state: State, record: TaskRecord, why: str) -> None:
    """Nobody can have the result any more."""
    message = f"the result of task {record.task_id} ({record.spec.label}) was lost, {why}"[: config.text_chars_max]
    record.result_forgotten = True
    state.record(ResultLost(record.task_id))
    if state.forgotten_tasks is not None:  # Its client may be yet to come back, and to submit it once more.
        state.forgotten_tasks = state.forgotten_tasks.with_one_more(record.task_id)
    _answer(state, record, None, message)
    for task_id in sorted(record.dependants):
        dependant = state.tasks.by_id[task_id]
        if dependant.attempt is None and not dependant.state.ended:
            state.doom(task_id, Outcome.DEPENDENCY_FAILED, message)
    settle(state, record)
    upkeep.forget_if_unneeded(state, record)


def is_remote(state: State, known: ObjectRecord) -> bool:
    """Whether it is a result that was to stay on workers."""
    return any(state.tasks.by_id[task_id].generation for task_id in known.results)


def copies_lost(state: State, known: ObjectRecord) -> None:
    """No copy of a remote result is left: those that its clients ask for are made again at once."""
    for task_id in sorted(known.results):
        record = state.tasks.by_id[task_id]
        if record.generation and record.result_wanted:
            remake(state, record)


# --- a client asks for it ---


def asked_for(state: State, client: ClientRecord, task_id: TaskId) -> None:
    """A client wants a result that it was told to be on workers."""
    record = state.tasks.by_id.get(task_id)
    if record is None or record.client != client.peer or record.result_forgotten or not _has_any(record):
        message = f"the result of task {task_id} is gone: keep its future"
        state.send(client.peer, ResultBrought(task_id, None, message))
    else:
        bring(state, record)


def _has_any(record: TaskRecord) -> bool:
    """Whether the task has ended with a result that could be read, though it may have to be made again first."""
    here = record.value is not None or record.value_path is not None
    return (record.state.ended or record.recovering) and (here or record.generation > 0)


def bring(state: State, record: TaskRecord) -> None:
    """The client wants the result at a path that it can read."""
    record.result_wanted = True
    if record.recovering and record.generation:
        return  # When it has been made again.
    known = None if record.value_object is None else state.files.objects.get(record.value_object)
    if record.value is not None:
        path = client_path(state, record)
        state.do(actions.WriteFile(path, record.value))
        _answer(state, record, path)
    elif record.value_path is not None:
        _hand_over(state, record, record.value_path)
    elif known is None or not state.files.can_be_had(known):
        remake(state, record)
    elif (here := own_copy(state, known)) is not None:
        arrived(state, known, here)
    else:
        staging.bring_to_manager(state, known, result_path(state, record))


def forgotten(state: State, record: TaskRecord) -> None:
    """Its client will not ask for it again: if it has asked before, it hears that nothing comes."""
    if record.result_wanted:  # Of most nobody has.
        message = f"the result of task {record.task_id} was forgotten before it came: keep its future"
        _answer(state, record, None, message)


def wanted_path(state: State, known: ObjectRecord) -> str | None:
    """Where a remote result that a client asks for is to lie; None if none does."""
    wanted = (state.tasks.by_id[task_id] for task_id in sorted(known.results))
    return next((result_path(state, record) for record in wanted if record.result_wanted), None)


def arrived(state: State, known: ObjectRecord, path: str) -> None:
    """The manager has a result that clients asked for. It is as safe there as one that was never remote."""
    for task_id in sorted(known.results):
        record = state.tasks.by_id[task_id]
        if not (record.generation and record.result_wanted):
            continue
        record.value_path = result_path(state, record)
        if path != record.value_path:
            state.do(actions.CopyFile(path, record.value_path))
        if known.manifest is not None and not state.files.is_served(known):
            keeping.manager_has(state, known)
            state.do(actions.Serve(known.object_id, known.manifest, record.value_path, None))
        if known.manifest is not None:
            state.record(ResultBound(task_id, known.object_id, known.manifest, value_path=record.value_path))
        _hand_over(state, record, record.value_path)
        settle(state, record)


def cannot_be_brought(state: State, known: ObjectRecord, message: str) -> None:
    for task_id in sorted(known.results):
        record = state.tasks.by_id[task_id]
        if record.generation and record.result_wanted:
            _answer(state, record, None, message)


def own_copy(state: State, known: ObjectRecord) -> str | None:
    """Where the manager keeps these bytes as a result of some task; None if it does not."""
    paths = (state.tasks.by_id[task_id] for task_id in sorted(known.results))
    return next((each.value_path for each in paths if each.state.ended and each.value_path is not None), None)


def result_path(state: State, record: TaskRecord) -> str:
    return f"{state.settings.staging_dir}/result-of-{record.task_id}"


def client_path(state: State, record: TaskRecord) -> str:
    """Of the client's own copy, which it removes."""
    return f"{result_path(state, record)}.client"


def _hand_over(state: State, record: TaskRecord, path: str) -> None:
    second = client_path(state, record)
    state.do(actions.CopyFile(path, second))
    _answer(state, record, second)


def _answer(state: State, record: TaskRecord, path: str | None, message: str = "") -> None:
    if record.result_wanted and record.client in state.clients:
        state.send(record.client, ResultBrought(record.task_id, path, message[: config.text_chars_max]))
    record.result_wanted = False

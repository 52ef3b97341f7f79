"""How does a task end: its result is judged, what it left is collected, and the end is committed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from vine import config
from vine.content.manifest import check_object
from vine.errors import MalformedMessage
from vine.names import AttemptId
from vine.scheduler import (
    closing,
    collecting,
    dispatch,
    existence,
    installing,
    keeping,
    producers,
    recovery,
    results,
    returning,
    upkeep,
)
from vine.scheduler.categories import Category
from vine.scheduler.peers import Failure
from vine.scheduler.records import AttemptEnded, TaskEnded, TaskEndedAgain
from vine.scheduler.tasks import Attempt, TaskRecord, TaskState
from vine.scheduler.workers import WorkerRecord
from vine.wire.parts import AttemptResult, MadeOutput, Measured, Outcome, TaskKind, TaskResult
from vine.wire.worker_messages import DropObjects

if TYPE_CHECKING:
    from vine.scheduler.state import State

_ELSEWHERE = frozenset({Outcome.DISK_FULL, Outcome.UNPREPARED, Outcome.TRANSFER_FAILED})  # not the task's own doing
_SUCCESS, _DISK_FULL, _DONE = Outcome.SUCCESS, Outcome.DISK_FULL, TaskState.DONE
_LIBRARY = TaskKind.LIBRARY
_END_STATE = {Outcome.SUCCESS: TaskState.DONE, Outcome.CANCELLED: TaskState.CANCELLED}


# --- an attempt has ended on its worker ------------------------------------------------------------


def attempt_ended(state: State, worker: WorkerRecord, result: AttemptResult) -> None:
    """A worker reports an attempt's end; one that is not the task's own any more is ignored."""
    record = worker.attempts.get(result.attempt)
    if record is None:
        _drop_leftovers(state, worker, result)
        return
    state.placement.durations.observe(record.body, result.times.run_s)
    state.feeding.ended(result.times.run_s)
    if worker.attempts_max is not None and result.outcome is not _DISK_FULL:
        worker.had_room()
    if worker.misfits and result.outcome not in _ELSEWHERE:
        worker.misfits.pop(record.shape, None)
    if result.outcome is Outcome.UNPREPARED:
        closing.could_not_prepare(state, worker, result.message)
    elif worker.unprepared:
        worker.unprepared = 0
    dispatch.leave(state, worker, record, result.outcome)
    if result.outputs or result.value_object is not None:  # Of most, what is small comes with its end.
        result = _checked(state, worker, result)
    has_left = result.outputs or result.value_object is not None
    is_the_end = result.outcome is _SUCCESS and not (has_left or record.recovering)  # As of most.
    if not is_the_end:
        state.record(AttemptEnded(result.attempt, result.outcome, result.message, result.times, result.measured))
    if record.spec.kind is _LIBRARY:
        installing.call_ended(state, record, result.outcome)
    if result.outcome is _SUCCESS:
        if record.category is not None and result.measured is not None:
            _learn(state, record.category, result.measured, result.times.run_s)
        _succeeded(state, record, worker, result, is_the_end)
    else:
        _did_not_succeed(state, record, worker, result)


def _learn(state: State, category: Category, used: Measured, run_s: float) -> None:
    """What a task has used may be enough for others of its category."""
    if category.observe(used, run_s):
        state.placement.category_changed(category)


def _checked(state: State, worker: WorkerRecord, result: AttemptResult) -> AttemptResult:
    """The result, or that of a worker which cannot say what it has made."""
    try:
        for output in result.outputs:
            check_object(output.object_id, output.manifest)
        if result.value_object is not None and result.value_manifest is not None:
            check_object(result.value_object, result.value_manifest)
        if len({output.file_id for output in result.outputs}) < len(result.outputs):
            raise MalformedMessage("an output is there twice")
    except MalformedMessage as malformed:
        state.strange += 1
        message = f"{worker.worker_id} reported something else than what it had made: {malformed}"
        return AttemptResult(result.attempt, Outcome.TRANSFER_FAILED, message=message, times=result.times)
    return result


def _drop_leftovers(state: State, worker: WorkerRecord, result: AttemptResult) -> None:
    """What an end has left that does not count goes, unless it is one copy more of something known."""
    made = [output.object_id for output in result.outputs]
    if result.value_object is not None:
        made.append(result.value_object)
    left = [object_id for object_id in made if object_id not in state.files.objects]
    if left:
        state.tell_worker(worker.worker_id, DropObjects(tuple(left)))
    for object_id in made:
        known = state.files.objects.get(object_id)
        if known is not None and object_id not in worker.holds:
            keeping.made_copy(state, worker, known)


def _succeeded(state: State, record: TaskRecord, worker: WorkerRecord, result: AttemptResult, is_the_end: bool) -> None:
    attempt = record.attempt
    assert attempt is not None
    ended = attempt.result = _task_result(state, record, attempt, worker, result)
    if is_the_end:
        state.drop_attempt(record)
        commit(state, record, ended, result.attempt)
        return
    for output in result.outputs:
        collecting.take_output(state, record, worker, attempt, output)
    if result.value_object is not None and not (record.recovering and results.is_there(state, record)):
        collecting.take_value(state, record, worker, attempt, result)
    elif record.recovering:
        _drop_leftovers(state, worker, result)
    finish_or_collect(state, record)


def _did_not_succeed(state: State, record: TaskRecord, worker: WorkerRecord, result: AttemptResult) -> None:
    attempt = record.attempt
    assert attempt is not None
    failed_with_library = result.outcome is Outcome.LIBRARY_FAILED and record.spec.kind is _LIBRARY
    if failed_with_library and not record.cancel_requested:
        state.drop_attempt(record)
        installing.call_failed(state, record, result.message)
        return
    if result.outcome in _ELSEWHERE or (result.outcome is Outcome.CANCELLED and not record.cancel_requested):
        state.drop_attempt(record)
        _drop_leftovers(state, worker, result)  # There may have been room for some of its outputs.
        recovery.place_elsewhere(state, record, worker, result.outcome, result.message, attempt.crowded)
        return
    if record.cancel_requested and result.outcome is Outcome.CANCELLED:
        outcome, message = record.cancelled_as
        result = msgspec.structs.replace(result, outcome=outcome, message=message)
    category = record.category
    has_more = category is not None and category.has_more(result.outcome, record.spec.request)
    if has_more and not record.at_maximum and not record.cancel_requested:
        state.drop_attempt(record)
        _drop_leftovers(state, worker, result)
        record.take_maximum()
        dispatch.reconsider(state, record)
        return
    record.failures += 1
    if record.failures <= record.spec.retries and not record.cancel_requested:
        state.drop_attempt(record)
        _drop_leftovers(state, worker, result)
        dispatch.reconsider(state, record)
        return
    attempt.result = _task_result(state, record, attempt, worker, result)
    if record.recovering:
        _drop_leftovers(state, worker, result)
    else:
        for output in _wanted_of_failure(record, result):
            collecting.take_output(state, record, worker, attempt, output)
        collecting.take_value(state, record, worker, attempt, result)
        _drop_leftovers(state, worker, result)
    finish_or_collect(state, record)


def _wanted_of_failure(record: TaskRecord, result: AttemptResult) -> list[MadeOutput]:
    if record.cancel_requested:
        return []
    wanted = {mount.file_id for mount in record.spec.outputs if mount.when.holds(False)}
    return [output for output in result.outputs if output.file_id in wanted]


def _task_result(
    state: State, record: TaskRecord, attempt: Attempt, worker: WorkerRecord, result: AttemptResult
) -> TaskResult:
    return TaskResult(
        task_id=record.task_id,
        outcome=result.outcome,
        exit_code=result.exit_code,
        value=result.value,
        message=result.message,
        stdout=result.stdout,
        stderr=result.stderr,
        spilled=result.spilled,
        worker_id=worker.worker_id,
        hostname=worker.hello.hostname,
        attempts=record.attempts,
        times=result.times,
        task_s=_seconds(state.now - attempt.assigned_at),
        queue_s=_seconds(attempt.assigned_at - record.submitted_at),
        measured=result.measured,
        allotment=None if result.measured is None else attempt.allotment,
    )


def _seconds(passed: float) -> float:
    """What a message can tell of a time between two clocks' readings: the wall clock may have been set meanwhile."""
    return 0.0 if passed < 0 else min(passed, config.told_s_max)


def finish_or_collect(state: State, record: TaskRecord) -> None:
    attempt = record.attempt
    assert attempt is not None
    if attempt.collecting:
        if record.state is not TaskState.COLLECTING:
            state.tasks.move(record, TaskState.COLLECTING)
        return
    result = attempt.result
    assert result is not None
    worker = state.workers.get(attempt.worker)
    if worker is not None and worker.collecting:
        worker.collecting.discard(record.task_id)
    state.drop_attempt(record)
    commit(state, record, result)


# --- the end, committed once ---------------------------------------------------------------------


def end(state: State, record: TaskRecord, outcome: Outcome, message: str) -> None:
    """End a task that has no attempt, with a result of the manager's own making."""
    assert record.attempt is None, f"task {record.task_id} still has an attempt"
    if record.task_id in state.held_back:
        returning.hold_no_more(state, record, "its task has ended before its worker came back")
    queue_s = _seconds((record.first_assigned_at or state.now) - record.submitted_at)
    # Messages quote each other along chains of tasks.
    clipped = message[: config.text_chars_max]
    value = installing.what_was_raised(state, record) if outcome is Outcome.LIBRARY_FAILED else None
    result = TaskResult(
        record.task_id, outcome, value=value, message=clipped, attempts=record.attempts, queue_s=queue_s
    )
    commit(state, record, result)


def commit(state: State, record: TaskRecord, result: TaskResult, attempt: AttemptId | None = None) -> None:
    """The task has ended, and in one with it this attempt: tell its client, and those who wait for it."""
    succeeded = result.outcome is _SUCCESS
    state.tasks.move(record, _DONE if succeeded else _END_STATE.get(result.outcome, TaskState.FAILED))
    if record.generation:
        results.hold_inputs(state, record)
    else:
        upkeep.release_inputs(state, record)
    if record.recovering:
        _recovered(state, record, result)
        return
    record.outcome = result.outcome
    record.message = result.message
    record.value = result.value
    state.record(TaskEnded(result, record.value_path, attempt))
    state.result(record, result)
    if not succeeded and result.outcome not in _END_STATE:
        _note_failure(state, record, result)
    if record.spec.outputs:
        _fail_missing_outputs(state, record, result)
    if record.dependants:
        _wake_dependants(state, record, result)
    if record.result_forgotten:
        upkeep.forget_if_unneeded(state, record)


def _note_failure(state: State, record: TaskRecord, result: TaskResult) -> None:
    worker = None if result.worker_id is None else state.workers.get(result.worker_id)
    log_path = result.spilled or ("" if worker is None else worker.hello.log_path)
    state.failures.append(
        Failure(record.task_id, record.spec.label, result.outcome, result.message, result.worker_id, log_path)
    )


def _recovered(state: State, record: TaskRecord, result: TaskResult) -> None:
    record.recovering = False
    instead = result if results.comes_instead(state, record, result) else None
    state.record(TaskEndedAgain(record.task_id, result.outcome, instead))
    if record.generation:
        results.made_again(state, record, result)
    _fail_missing_outputs(state, record, result)
    if record.task_id in state.tasks.by_id:
        upkeep.forget_if_unneeded(state, record)


def _fail_missing_outputs(state: State, record: TaskRecord, result: TaskResult) -> None:
    for mount in record.spec.outputs:
        file = state.files.by_id.get(mount.file_id)
        if file is None:
            continue
        if result.outcome is _SUCCESS:
            producers.has_made(state, file, record.task_id)
        elif producers.has_failed(state, file, record.task_id):
            continue
        if file.producer != record.task_id or file.failure is not None:
            continue
        if not state.files.is_available(file.file_id):
            maker = f"task {record.task_id} ({record.spec.label}), which makes {file.spec.label},"
            if result.outcome is _SUCCESS:  # An optional one.
                message = f"{maker} has not made it"
            else:
                message = f"{maker} did not succeed: {result.message or result.outcome.value}"
            existence.file_failed(state, file, Outcome.DEPENDENCY_FAILED, message)


def _wake_dependants(state: State, record: TaskRecord, result: TaskResult) -> None:
    if result.outcome is Outcome.SUCCESS:
        dispatch.requirement_met(state, record.task_id, record.dependants)
        return
    message = f"task {record.task_id} ({record.spec.label}), whose result it takes, ended with {result.outcome.value}"
    for task_id in sorted(record.dependants):
        dependant = state.tasks.by_id[task_id]
        if not dependant.state.ended and task_id not in state.doomed:
            state.doom(task_id, Outcome.DEPENDENCY_FAILED, f"{message}: {result.message}".rstrip(": "))

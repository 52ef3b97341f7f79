"""Eighteen bugs, each planted into the true cores: the simulation finds each within a few seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from benchmarks.simulator.faults.run import Run
from vine.manager.lives import Lives
from vine.names import AttemptId, TaskId
from vine.scheduler import completion, mates, recovery, returning, upkeep
from vine.scheduler.files import FileRecord
from vine.scheduler.flows import Transfers
from vine.scheduler.state import State
from vine.scheduler.tasks import Attempt, TaskRecord, TaskTable
from vine.scheduler.workers import WorkerRecord
from vine.transfer.landing import Landing
from vine.wire.link import Link
from vine.wire.parts import AttemptResult, FileKind
from vine.wire.session import Header, Session, Verdict
from vine.wire.worker_messages import FetchObject
from vine_worker.arrivals import Arrivals
from vine_worker.core import WorkerCore

SEEDS_MAX = 40
SEED_FIRST = 25  # Any would do; from here on those that are hard to find take the fewest runs.

Patch = pytest.MonkeyPatch
Mutation = Callable[[Patch], None]
MUTATIONS: list[Mutation] = []


def planted(mutation: Mutation) -> Mutation:
    MUTATIONS.append(mutation)
    return mutation


def nothing(*_arguments: Any, **_named: Any) -> None:
    """Instead of what should be done."""


# --- sessions --------------------------------------------------------------------------------------


@planted
def a_payload_that_comes_twice_is_taken_twice(patch: Patch) -> None:
    receive = Session.receive

    def taken(self: Session, header: Header, now: float) -> Verdict:
        verdict = receive(self, header, now)
        return Verdict.ACCEPT if verdict is Verdict.DUPLICATE else verdict

    patch.setattr(Session, "receive", taken)


@planted
def what_was_lost_is_not_sent_again(patch: Patch) -> None:
    patch.setattr(Session, "_back_to", nothing)


# --- attempts --------------------------------------------------------------------------------------


@planted
def the_result_of_an_attempt_that_was_taken_back_counts(patch: Patch) -> None:
    task_of: dict[AttemptId, TaskId] = {}
    begin, ended = TaskTable.begin, completion.attempt_ended

    def noted(self: TaskTable, record: TaskRecord, attempt: Attempt) -> None:
        task_of[attempt.attempt_id] = record.task_id
        begin(self, record, attempt)

    def unfenced(state: State, worker: WorkerRecord, result: AttemptResult) -> None:
        record = state.tasks.by_id.get(task_of.get(result.attempt, TaskId(-1)))
        attempt = None if record is None else record.attempt
        if attempt is not None and attempt.attempt_id in state.workers[attempt.worker].attempts:
            worker, result = state.workers[attempt.worker], replace(result, attempt=attempt.attempt_id)
        ended(state, worker, result)

    patch.setattr(TaskTable, "begin", noted)
    patch.setattr(completion, "attempt_ended", unfenced)


@planted
def a_failure_is_not_counted_as_one(patch: Patch) -> None:
    judge = completion._did_not_succeed

    def forgiven(state: State, record: TaskRecord, *rest: Any) -> None:
        record.failures = -1
        judge(state, record, *rest)

    patch.setattr(completion, "_did_not_succeed", forgiven)


@planted
def a_worker_does_not_stop_what_it_is_told_to(patch: Patch) -> None:
    patch.setattr(WorkerCore, "_stop", nothing)


# --- resources -------------------------------------------------------------------------------------


@planted
def what_an_attempt_had_is_not_given_back(patch: Patch) -> None:
    patch.setattr(WorkerRecord, "_subtract", nothing)


@planted
def a_flow_takes_its_slot_twice(patch: Patch) -> None:
    add = Transfers.add

    def twice(self: Transfers, transfer: Any) -> None:
        add(self, transfer)
        if transfer.has_slots:
            self.slots.used[transfer.sources[0]] += 1

    patch.setattr(Transfers, "add", twice)


# --- objects ---------------------------------------------------------------------------------------


@planted
def an_object_that_is_only_ordered_counts_as_held(patch: Patch) -> None:
    fetch = Arrivals.fetch

    def hopeful(self: Arrivals, order: FetchObject) -> None:
        fetch(self, order)
        self.arrived(order.object_id)

    patch.setattr(Arrivals, "fetch", hopeful)


@planted
def bytes_are_kept_unseen(patch: Patch) -> None:
    def unchecked(self: Landing, index: int, data: Any) -> bool:
        with self._used() as is_open:
            if is_open:
                self._partial.write(index, data)
            return True

    patch.setattr(Landing, "write", unchecked)


@planted
def what_attempts_need_is_not_pinned(patch: Patch) -> None:
    patch.setattr(WorkerCore, "claims", lambda self, event: ())


@planted
def a_copy_that_was_given_up_still_counts(patch: Patch) -> None:
    patch.setattr(recovery, "object_evicted", nothing)


@planted
def a_lost_file_is_not_made_again(patch: Patch) -> None:
    remake = recovery.remake

    def forgotten(state: State, file: FileRecord) -> None:
        if file.spec.kind is not FileKind.TEMP:
            remake(state, file)

    patch.setattr(recovery, "remake", forgotten)


@planted
def nobody_sees_that_a_mate_has_brought_it(patch: Patch) -> None:
    patch.setattr(mates, "settle", nothing)


@planted
def what_an_end_that_does_not_count_has_left_stays(patch: Patch) -> None:
    patch.setattr(completion, "_drop_leftovers", nothing)


# --- memory ----------------------------------------------------------------------------------------


@planted
def the_journal_misses_the_ends_of_attempts(patch: Patch) -> None:
    patch.setattr(Lives, "_attempt_ended", nothing)


@planted
def a_task_that_nobody_asks_for_is_remembered(patch: Patch) -> None:
    patch.setattr(upkeep, "forget_if_unneeded", nothing)


# --- restarts --------------------------------------------------------------------------------------


@planted
def a_client_does_not_say_again_what_may_not_be_written(patch: Patch) -> None:
    patch.setattr(Link, "send_kept", lambda self, message, again=True: self.send(message))


@planted
def a_task_is_sent_out_again_while_its_worker_may_run_it(patch: Patch) -> None:
    patch.setattr(returning, "hold_back", nothing)


def found() -> tuple[int, str] | None:
    """The first seed that finds something, and what."""
    for seed in range(SEED_FIRST, SEED_FIRST + SEEDS_MAX):
        error = Run(seed).verdict().error
        if error:
            return seed, error
    return None


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_planted_bug_is_found(mutation: Mutation, monkeypatch: Patch) -> None:
    mutation(monkeypatch)
    assert found() is not None, f"{SEEDS_MAX} seeds have not found that {mutation.__name__.replace('_', ' ')}"

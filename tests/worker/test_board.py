"""Does the board keep the state that is common to the core's rooms, and take an attempt's steps as it should?"""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.worker.world import DATA, FINE, TWO, assignment
from vine import config
from vine.names import AttemptId
from vine.wire.parts import ObjectMount, Outcome, TaskKind
from vine.wire.worker_messages import ObjectsEvicted
from vine_worker import actions as act
from vine_worker.attempts import Attempt, State, needed_objects
from vine_worker.board import Board, limit_of

MOUNTS = (ObjectMount(DATA, "data"),)


def accepted(board: Board, number: int, kind: TaskKind = TaskKind.COMMAND, **fields: Any) -> Attempt:
    """An attempt that has all that it needs."""
    given = assignment(number, kind, **fields)
    attempt = Attempt(given, number, board.now, needs=needed_objects(given))
    board.attempts[attempt.attempt_id] = attempt
    board.make_ready(attempt)
    return attempt


def running(board: Board, number: int, kind: TaskKind = TaskKind.COMMAND, **fields: Any) -> Attempt:
    attempt = accepted(board, number, kind, **fields)
    attempt.move(State.RUNNING)
    board.count_time(attempt)
    return attempt


def test_attempts_are_ready_in_the_order_of_their_arrival() -> None:
    board = Board(TWO, inputs_protected=True)
    for number in (3, 1, 2):
        accepted(board, number)
    assert board.ready[0] == (1, AttemptId(1, 1))


def test_one_that_comes_back_has_been_staged_since_the_first_time() -> None:
    board = Board(TWO, inputs_protected=True)
    board.now = 1.0
    attempt = running(board, 1, TaskKind.CALL)
    board.now = 2.0
    board.make_ready(attempt)
    assert attempt.staged_s == 1.0


def test_the_end_of_a_call_that_leaves_nothing_is_its_result() -> None:
    board = Board(TWO, inputs_protected=True)
    board.ended(running(board, 1, TaskKind.CALL), FINE)
    assert [result.outcome for result in board.results] == [Outcome.SUCCESS]
    assert board.actions == []
    assert board.attempts == {}


def test_what_a_body_left_is_collected_before_its_result_goes_out() -> None:
    board = Board(TWO, inputs_protected=True)
    with_input = running(board, 1, TaskKind.CALL, inputs=MOUNTS)
    with_long_value = running(board, 2, TaskKind.CALL)
    board.ended(with_input, FINE)
    board.ended(with_long_value, act.Ending(Outcome.SUCCESS, value_path="/spill/value"))
    assert board.actions == [
        act.Collect(with_input.assignment, True, None, True),
        act.Collect(with_long_value.assignment, True, "/spill/value", True),
    ]
    assert board.results == []


@pytest.mark.parametrize(
    ("stop", "outcome", "wanted"),
    [
        (Outcome.CANCELLED, Outcome.SUCCESS, False),
        (Outcome.TIME_LIMIT, Outcome.SUCCESS, True),
        (None, Outcome.EXIT_CODE, True),
    ],
)
def test_of_what_failed_or_was_stopped_only_outputs_of_a_failure_are_kept(
    stop: Outcome | None, outcome: Outcome, wanted: bool
) -> None:
    board = Board(TWO, inputs_protected=True)
    attempt = running(board, 1)
    attempt.stop = stop
    board.ended(attempt, act.Ending(outcome, value_path="/spill/value"))
    kept = act.Collect(attempt.assignment, False, "/spill/value", stop is None, wanted=wanted)
    assert board.actions == [kept]


def test_inputs_of_a_body_that_has_ended_are_under_check_until_all_who_had_them_are_collected() -> None:
    board = Board(TWO, inputs_protected=False)
    first, second = running(board, 1, inputs=MOUNTS), running(board, 2, inputs=MOUNTS)
    board.ended(first, FINE)
    board.ended(second, FINE)
    board.checked(first)
    assert DATA in board.under_check
    board.checked(second)
    assert DATA not in board.under_check


def test_inputs_that_nobody_can_write_to_are_not_checked() -> None:
    board = Board(TWO, inputs_protected=True)
    attempt = running(board, 1, inputs=MOUNTS)
    board.ended(attempt, FINE)
    assert not board.under_check
    board.checked(attempt)
    assert not board.under_check


def test_a_result_frees_the_objects_that_only_its_attempt_needed() -> None:
    board = Board(TWO, inputs_protected=True)
    attempt = running(board, 1, inputs=MOUNTS)
    board.inventory.arrived(DATA)
    board.inventory.use(attempt.attempt_id, attempt.needs)
    board.inventory.drop(DATA, arriving=False)
    board.now = 7.0
    board.finish(attempt, None)
    assert board.actions == [act.RemoveObjects((DATA,)), act.Send(ObjectsEvicted((DATA,)))]
    assert board.idle_since_s == 7.0


def test_one_that_never_ran_ends_as_it_was_stopped() -> None:
    board = Board(TWO, inputs_protected=True)
    attempt = accepted(board, 1)
    attempt.stop = Outcome.CANCELLED
    board.finish(attempt, None)
    assert [result.outcome for result in board.results] == [Outcome.CANCELLED]


def test_time_is_limited_from_the_start_of_the_body() -> None:
    board = Board(TWO, inputs_protected=True)
    attempt = accepted(board, 1, time_limit_s=3.0)
    assert limit_of(attempt) == math.inf
    attempt.move(State.RUNNING)
    board.now = 10.0
    board.count_time(attempt)
    assert board.limits == [(13.0, attempt.attempt_id)]
    assert limit_of(running(board, 2)) == math.inf
    assert len(board.limits) == 1, "one without a limit has one"


def test_whoever_does_not_end_when_asked_is_made_to_after_its_time_of_grace() -> None:
    board = Board(TWO, inputs_protected=True)
    board.now = 10.0
    for number in (1, 2):  # In one moment: actions cannot be ordered, so the count decides.
        key = AttemptId(1, number)
        board.kill(act.KillBody(key, force=False), act.KillBody(key, force=True), at_once=False)
    assert [action.force for action in board.actions if isinstance(action, act.KillBody)] == [False, False]
    assert [(at_s, kill) for at_s, _count, kill in sorted(board.kills)] == [
        (10.0 + config.stop_grace_s, act.KillBody(AttemptId(1, number), force=True)) for number in (1, 2)
    ]


def test_the_check_finds_resources_that_nobody_gave_back() -> None:
    board = Board(TWO, inputs_protected=True)
    board.check()
    board.ledger.take(TWO)
    with pytest.raises(AssertionError, match="resources leak"):
        board.check()


def test_the_check_finds_an_attempt_that_would_wait_for_ever() -> None:
    board = Board(TWO, inputs_protected=True)
    attempt = accepted(board, 1)
    board.check()
    board.ready.clear()
    with pytest.raises(AssertionError, match="is forgotten"):
        board.check()
    attempt.move(State.STAGING)
    with pytest.raises(AssertionError, match="waits for nothing"):
        board.check()

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manager.journals import RUN, WORKER, call
from vine.manager.journal import Journal, file_name
from vine.manager.replay import open_to_read
from vine.names import AttemptId, TaskId
from vine.scheduler.records import AttemptAssigned, AttemptEnded, AttemptStarted, Record, TaskAccepted
from vine.views.spans import Span, Tracks, label_of, spans
from vine.wire.parts import Outcome, Times

Dated = tuple[float, Record]
UNTOLD = Times()


def found(folder: Path, *records: Dated, now_s: float = 100.0) -> list[Span]:
    journal = Journal(folder / file_name, RUN)
    for at_s, record in records:
        journal.record((record,), at_s)
    journal.close("done")
    connection = open_to_read(folder / file_name)
    try:
        return list(spans(connection, now_s))
    finally:
        connection.close()


def attempt(number: int, assigned_s: float, *then: Dated) -> list[Dated]:
    return [
        (0.0, TaskAccepted(call(number))),
        (assigned_s, AttemptAssigned(AttemptId(1, number), TaskId(number), WORKER)),
        *then,
    ]


def ended(number: int, at_s: float, times: Times = UNTOLD, outcome: Outcome = Outcome.SUCCESS) -> Dated:
    return at_s, AttemptEnded(AttemptId(1, number), outcome, "a cause", times)


def started(number: int, at_s: float) -> Dated:
    return at_s, AttemptStarted(AttemptId(1, number))


def test_a_body_lies_where_its_worker_says_it_ran(tmp_path: Path) -> None:
    # given one that waited for inputs and for its turn, and whose end came late
    records = attempt(1, 10.0, started(1, 13.2), ended(1, 30.0, Times(2.0, 1.0, 4.0, 0.5)))
    (span,) = found(tmp_path, *records)
    assert (span.begun_s, span.ended_s, span.outcome, span.label) == (13.0, 17.0, "success", "inc")
    assert (span.stage_in_s, span.wait_s, span.collect_s) == (2.0, 1.0, 0.5)


def test_a_body_whose_worker_was_lost_lies_where_the_manager_saw_it(tmp_path: Path) -> None:
    records = attempt(1, 10.0, started(1, 11.0), ended(1, 15.0, outcome=Outcome.WORKER_LOST))
    (span,) = found(tmp_path, *records)
    assert (span.begun_s, span.ended_s, span.message) == (11.0, 15.0, "a cause")


def test_a_body_that_runs_ends_now_and_one_that_never_began_is_none(tmp_path: Path) -> None:
    running, never = attempt(1, 10.0, started(1, 11.0)), attempt(2, 10.0, ended(2, 12.0, outcome=Outcome.CANCELLED))
    (span,) = found(tmp_path, *running, *never, now_s=20.0)
    assert (span.task_id, span.begun_s, span.ended_s, span.outcome) == (1, 11.0, 20.0, None)


def test_what_runs_at_once_has_slots_of_its_own_and_what_comes_after_it_takes_them_over(tmp_path: Path) -> None:
    bodies = [(1, 10.0, 5.0), (2, 11.0, 1.0), (3, 12.001, 1.0), (4, 11.999, 9.0)]
    records = [r for n, at_s, s in bodies for r in attempt(n, at_s, ended(n, 50.0, Times(run_s=s)))]
    slots = {span.task_id: span.slot for span in found(tmp_path, *records)}
    assert slots == {1: 0, 2: 1, 4: 1, 3: 2}


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10)), max_size=40))
def test_no_two_things_overlap_on_a_track(things: list[tuple[float, float]]) -> None:
    slots, until_s = Tracks(), {}
    for begun_s, took_s in sorted(things):
        slot, shown_s = slots.take(begun_s, begun_s + took_s)
        assert shown_s >= until_s.get(slot, 0.0)
        assert shown_s == pytest.approx(begun_s, abs=0.011)
        assert all(other in until_s for other in range(slot)), "a lower track was free"
        until_s[slot] = max(shown_s, begun_s + took_s)


def test_a_task_without_a_label_is_called_by_its_kind(tmp_path: Path) -> None:
    found(tmp_path, (0.0, TaskAccepted(call(1))))
    connection = open_to_read(tmp_path / file_name)
    assert [label_of(connection, TaskId(number)) for number in (1, 2)] == ["inc", "task 2"]
    connection.close()

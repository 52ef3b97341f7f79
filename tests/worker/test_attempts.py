"""Is an attempt's one result put together from what came first, with the times that it took?"""

from __future__ import annotations

import pytest

from vine import config
from vine.names import AttemptId, FileId, ObjectId, TaskId
from vine.wire.parts import (
    Assignment,
    DependencyValue,
    MadeOutput,
    Manifest,
    ObjectMount,
    Outcome,
    Resources,
    TaskKind,
    Times,
)
from vine_worker.actions import Collected, Ending
from vine_worker.attempts import Attempt, State, needed_objects, result_of

KEY = AttemptId(1, 1)
DATA, VALUE, CODE = (ObjectId(letter * 64) for letter in "dac")
MANIFEST = Manifest(1, 0, 1, b"")
SUCCESS = Ending(Outcome.SUCCESS, value=b"P1", run_s=2.0)


def attempt(ending: Ending | None = SUCCESS, **fields: object) -> Attempt:
    assignment = Assignment(KEY, TaskId(1), TaskKind.CALL, Resources(), time_limit_s=3.0)
    return Attempt(assignment, 1, arrived_s=1.0, ending=ending, **fields)  # type: ignore[arg-type]


def test_everything_that_an_attempt_names_is_needed_once() -> None:
    assignment = Assignment(
        KEY,
        TaskId(1),
        TaskKind.CALL,
        Resources(),
        function=CODE,
        values=(DependencyValue(TaskId(2), object_id=VALUE), DependencyValue(TaskId(3), value=b"P")),
        inputs=(ObjectMount(DATA, "a"), ObjectMount(DATA, "b")),
    )
    assert needed_objects(assignment) == (CODE, VALUE, DATA)


def test_times_add_up() -> None:
    done = attempt(staged_s=2.0, started_s=4.0, ended_s=7.0)
    assert result_of(done, None, now=7.5).times == Times(stage_in_s=1.0, wait_s=2.0, run_s=2.0, collect_s=0.5)


@pytest.mark.parametrize("kind", [TaskKind.CALL, TaskKind.FORK])
def test_nothing_is_known_of_what_a_short_call_has_used(kind: TaskKind) -> None:
    for run_s, known in [(0.01, False), (1.0, True)]:
        ending = Ending(Outcome.SUCCESS, value=b"P1", run_s=run_s)
        task = Assignment(KEY, TaskId(1), kind, Resources())
        call = Attempt(task, 1, 1.0, staged_s=2.0, started_s=4.0, ending=ending)
        assert (result_of(call, None, now=7.0).measured is not None) == known


def test_an_attempt_that_never_started_has_only_waited() -> None:
    assert result_of(attempt(None, staged_s=2.0), None, now=5.0).times == Times(stage_in_s=1.0, wait_s=3.0)


def test_what_we_stopped_counts_as_stopped_and_keeps_its_streams() -> None:
    stopped = attempt(Ending(Outcome.KILLED, message="killed"), stop=Outcome.TIME_LIMIT)
    result = result_of(stopped, Collected(KEY, stdout=b"so far"), now=9.0)
    assert (result.outcome, result.stdout) == (Outcome.TIME_LIMIT, b"so far")
    assert "time limit of 3 s" in result.message


def test_a_missing_output_takes_the_value_away() -> None:
    collected = Collected(KEY, Outcome.OUTPUT_MISSING, "no out", value_object=VALUE, value_manifest=MANIFEST)
    result = result_of(attempt(), collected, now=9.0)
    assert (result.outcome, result.value, result.value_object) == (Outcome.OUTPUT_MISSING, None, None)


def test_a_success_brings_its_value_and_outputs() -> None:
    output = MadeOutput(FileId(1), DATA, MANIFEST)
    collected = Collected(KEY, outputs=(output,), value_object=VALUE, value_manifest=MANIFEST)
    result = result_of(attempt(), collected, now=9.0)
    assert (result.value, result.value_object, result.outputs) == (b"P1", VALUE, (output,))


def test_no_message_is_too_long_for_the_wire() -> None:
    long = attempt(Ending(Outcome.START_FAILED, message="x" * (config.text_chars_max + 1)))
    assert len(result_of(long, None, now=9.0).message) == config.text_chars_max


def test_an_attempt_does_not_rise_from_the_dead() -> None:
    ended = attempt(state=State.ENDED)
    with pytest.raises(AssertionError, match=r"1\.1 cannot go"):
        ended.move(State.READY)

"""What random tasks ask for, and how they may end by that."""

from __future__ import annotations

import random

from benchmarks.simulator.faults.asking import _HABITS, Asked, Asking, Premises
from vine.names import FileId
from vine.wire.parts import Outcome, Policy, Resources, When

CAPACITY = Resources(2, 1000, 1000, 2)


def asking(*habits: str) -> Asking:
    made = Asking(random.Random(1), Premises(CAPACITY, 4, ("h0",), True, lambda: 1e9))
    made.habits = frozenset(habits)
    return made


def tasks(*habits: str) -> list[Asked]:
    made = asking(*habits)
    return [made.task() for _ in range(200)]


def test_each_run_has_some_of_the_habits_and_over_many_runs_all_are_there() -> None:
    habits = [Asking(random.Random(seed), asking().premises).habits for seed in range(40)]
    assert {habit for each in habits for habit in each} == set(_HABITS)
    assert all(each < set(_HABITS) for each in habits)


def test_who_has_no_habits_asks_for_cores_and_may_only_succeed() -> None:
    for asked in tasks():
        request = asked.fields["request"]
        assert 1 <= request.cores <= 2 and (request.memory_mb, request.gpus, request.disk_mb) == (None, None, None)
        assert not asked.ends and asked.fields.get("policy", None) in (None, Policy(category="a"), Policy(category="b"))


def test_nobody_asks_for_more_than_a_worker_has() -> None:
    for asked in tasks(*_HABITS):
        request = asked.fields["request"]
        for name in Resources.__struct_fields__:
            assert (getattr(request, name) or 0) <= getattr(CAPACITY, name)


def test_who_uses_more_memory_than_it_asks_for_may_be_killed_for_that_and_nobody_else() -> None:
    made = tasks("memory")
    killed = [asked for asked in made if Outcome.MEMORY_LIMIT in asked.ends]
    assert killed and all((asked.fields["request"].memory_mb or 0) < asked.behaviour.memory_mb for asked in killed)
    assert any(asked.behaviour.memory_mb and not asked.ends for asked in made)


def test_times_are_those_of_the_wall_and_only_of_one_that_nobody_sets() -> None:
    policies = [asked.fields.get("policy") for asked in tasks("times")]
    assert any(
        policy is not None and policy.starts_at_s is not None and policy.starts_at_s >= 1e9 for policy in policies
    )
    made = Asking(random.Random(1), Premises(CAPACITY, 4, ("h0",), True, None))
    made.habits = frozenset({"times"})
    given = [made.task().fields.get("policy") for _ in range(200)]
    assert all(policy is None or (policy.starts_at_s, policy.ends_at_s) == (None, None) for policy in given)


def test_an_output_that_is_promised_and_not_made_is_how_its_task_may_end() -> None:
    made = asking("paths")
    for _ in range(200):
        asked = made.task()
        mount = made.output(asked, FileId(1), 0, at_path=True)
        assert (Outcome.OUTPUT_MISSING in asked.ends) == (bool(asked.behaviour.unmade) and not mount.optional)
        plain = made.output(asked, FileId(2), 1, at_path=False)
        assert (plain.when, plain.watched, plain.optional) == (When.SUCCESS, False, False)

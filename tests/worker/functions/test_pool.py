"""Does the right host get a call?"""

from __future__ import annotations

from vine import config
from vine.names import AttemptId, ObjectId
from vine.wire.parts import Resources
from vine_worker.functions.pool import HostKind, HostPool, HostRecord
from vine_worker.resources import Grant

ONE = Resources(cores=1)
PLAIN = HostKind(None, 1, ())
PACKED = HostKind(ObjectId("e" * 64), 1, ())
FORKING = HostKind(None, 1, (), forks=True)


def busy(pool: HostPool, *calls: int, kind: HostKind = PLAIN) -> HostRecord:
    host = pool.add(kind, now=0.0)
    host.ready = True
    host.grant = Grant(ONE)
    host.calls.extend(AttemptId(1, number) for number in calls)
    return host


def idle(pool: HostPool, kind: HostKind = PLAIN) -> HostRecord:
    host = pool.add(kind, now=0.0)
    pool.rest(host)
    return host


def test_the_host_that_was_used_last_is_used_first() -> None:
    pool = HostPool(4)
    _first, second, _other = idle(pool), idle(pool), idle(pool, PACKED)
    assert pool.take_idle(PLAIN) is second


def test_the_host_that_was_used_longest_ago_makes_room_for_another() -> None:
    pool = HostPool(2)
    first = idle(pool)
    assert pool.surplus() is None
    idle(pool)
    assert pool.surplus() is first


def test_the_shortest_queue_takes_a_call_ahead_of_time() -> None:
    pool = HostPool(2)
    busy(pool, 1, 2)
    shorter = busy(pool, 3)
    assert pool.to_hand_ahead(None, False, ONE, depth_max=10, now=0.0) is shorter


def test_no_call_is_handed_ahead_to_a_host_of_other_kind_depth_or_pace() -> None:
    pool = HostPool(2)
    host = busy(pool, 1)
    assert pool.to_hand_ahead(PACKED.environment, False, ONE, 10, now=0.0) is None
    assert pool.to_hand_ahead(None, False, Resources(cores=2), 10, now=0.0) is None
    assert pool.to_hand_ahead(None, False, ONE, 0, now=0.0) is None
    assert pool.to_hand_ahead(None, False, ONE, 10, now=config.calls_ahead_s) is None
    assert pool.to_hand_ahead(None, True, ONE, 10, now=0.0) is None
    host.recalled = True
    assert pool.to_hand_ahead(None, False, ONE, 10, now=0.0) is None


def test_hosts_whose_call_is_long_are_overdue_only_while_others_wait_for_them() -> None:
    pool = HostPool(2)
    waiting = busy(pool, 1, 2)
    busy(pool, 3)
    assert pool.next_deadline() == config.calls_ahead_s
    assert list(pool.overdue(config.calls_ahead_s)) == [waiting]


def test_who_is_due_by_the_deadline_is_overdue_at_it_however_times_are_rounded() -> None:
    # given a host whose call began at a time at which the sum and the difference are rounded to different sides
    pool = HostPool(1)
    host = busy(pool, 1, 2)
    host.started_s = 617.447461667
    deadline = pool.next_deadline()
    assert deadline is not None and deadline - host.started_s < config.calls_ahead_s
    # then at that deadline its waiting calls are asked back, and no more are handed to it
    assert list(pool.overdue(deadline)) == [host]
    assert pool.to_hand_ahead(None, False, ONE, 10, now=deadline) is None


def test_hosts_of_an_environment_are_found_and_given_no_calls_any_more() -> None:
    pool = HostPool(2)
    host = idle(pool, PACKED)
    assert PACKED.environment is not None
    assert pool.idle_of(PACKED.environment) == [host]
    assert pool.take_idle(PACKED) is None


def test_only_of_hosts_that_fork_for_each_call_is_known_how_long_they_are_busy() -> None:
    pool = HostPool(4)
    idle(pool)
    assert pool.busy_s() == 0
    busy(pool, 1, 2, 3, 4, kind=FORKING)
    busy(pool, 5, 6, 7, kind=FORKING)
    assert pool.busy_s() == 2 * config.fork_s, "then the second one has but the call that it runs"
    busy(pool, 8, 9, 10)
    assert pool.busy_s() == 0

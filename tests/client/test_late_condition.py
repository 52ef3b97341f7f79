"""Is a lock that becomes a condition once somebody waits as good as one that is a condition from the start?"""

from __future__ import annotations

import threading

import pytest

from tests.waiting import until
from vine.client.late_condition import LateCondition


def test_all_who_wait_are_woken_by_one_word() -> None:
    condition, changed, seen = LateCondition(), False, []

    def wait() -> None:
        with condition:
            while not changed:
                condition.wait(30)
            seen.append(threading.current_thread())

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: condition._waiting == 3, "all three wait")
    with condition:
        changed = True
        condition.notify_all()
    for thread in threads:
        thread.join(30)
    assert set(seen) == set(threads)


def test_who_is_not_woken_goes_on_in_time_and_has_the_lock_again() -> None:
    condition = LateCondition()
    with condition:
        assert not condition.wait(0.001)
        condition.release()
        with pytest.raises(RuntimeError):
            condition.release()
        condition.acquire()


def test_who_has_it_may_take_it_again() -> None:
    condition = LateCondition()
    with condition, condition:
        condition.notify_all()


def test_when_nobody_waits_any_more_nothing_is_left_that_refers_to_itself() -> None:
    condition = LateCondition()
    with condition:
        condition.wait(0.001)
    assert condition._condition is None


def test_who_waits_without_the_lock_is_told() -> None:
    with pytest.raises(RuntimeError):
        LateCondition().wait(0)

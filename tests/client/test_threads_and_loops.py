"""May any thread, and any event loop, use one executor at once?"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from concurrent.futures import Future

import pytest

from tests.client.scripted import ScriptedManager
from tests.waiting import until
from vine.client.executor import Executor

pytestmark = pytest.mark.live


def double(number: int) -> int:
    return 2 * number


def held() -> str:
    return "held"


def test_several_threads_submit_at_once(executor: Executor) -> None:
    gate = threading.Barrier(4)

    def submit(first: int) -> list[Future[int]]:
        gate.wait()
        return [executor.submit(double, number) for number in range(first, first + 50)]

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        futures = [future for part in threads.map(submit, range(0, 200, 50)) for future in part]
    assert [future.result(30) for future in futures] == [2 * number for number in range(200)]


def test_several_threads_wait_for_one_result(executor: Executor, scripted: ScriptedManager) -> None:
    scripted.held.add("held")
    future = executor.submit(held)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(future.result, 60) for _ in range(4)]
        scripted.release("held")
        assert [one.result() for one in waiting] == ["held"] * 4


def test_a_shutdown_amid_submissions_lets_each_end_or_refuses_it(executor: Executor) -> None:
    """No call is lost between the two."""
    submitted: list[Future[int]] = []

    def submit_until_refused() -> None:
        with pytest.raises(RuntimeError, match="after shutdown"):
            while True:
                submitted.append(executor.submit(double, len(submitted)))

    thread = threading.Thread(target=submit_until_refused)
    thread.start()
    until(lambda: len(submitted) > 10, "some are submitted")
    executor.shutdown(wait=True)
    thread.join()
    assert [future.result(30) for future in submitted] == [2 * number for number in range(len(submitted))]


def test_an_event_loop_runs_calls_in_it(executor: Executor) -> None:
    """loop.run_in_executor(executor, func, *args): the executor should be a concurrent.futures.Executor instance."""

    async def several() -> list[int]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*[loop.run_in_executor(executor, double, number) for number in range(5)])

    assert asyncio.run(several()) == [0, 2, 4, 6, 8]


def test_cancelling_what_an_event_loop_awaits_cancels_the_call(executor: Executor, scripted: ScriptedManager) -> None:
    """asyncio.wrap_future(): cancelling the one cancels the other."""
    scripted.held.add("held")
    future = executor.submit(held)

    async def give_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(future), timeout=0.001)

    asyncio.run(give_up())
    assert future.cancelled()
    until(lambda: not scripted.tasks, "the manager was told")

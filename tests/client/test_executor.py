"""Is our executor a `concurrent.futures.Executor` in every respect that its users rely on?"""

from __future__ import annotations

import concurrent.futures
import functools
import threading
from concurrent.futures import Future
from contextlib import nullcontext
from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from tests.waiting import until
from vine import config, errors
from vine.client.executor import Executor
from vine.client.futures import RemoteTraceback, VineFuture
from vine.client.manager import Manager
from vine.wire.messages import CancelTasks, ForgetFiles, ForgetResults
from vine.wire.parts import CacheLevel, Policy, Request, TaskKind, TaskSpec

pytestmark = pytest.mark.live


def add(left: Any, right: Any = 1) -> Any:
    return left + right


def divide(left: float, right: float) -> float:
    return left / right


def blob(size: int) -> bytes:
    return b"v" * size


def wait_here() -> str:
    return "waited"


def submitted(scripted: ScriptedManager) -> list[TaskSpec]:
    from vine.wire.messages import SubmitTasks

    return [spec for message in scripted.all(SubmitTasks) for spec in message.tasks]


def test_calls_come_back_with_their_values(executor: Executor) -> None:
    futures = [executor.submit(add, number, right=2) for number in range(50)]
    assert [future.result(30) for future in futures] == [number + 2 for number in range(50)]
    assert list(executor.map(add, range(5), range(5))) == [0, 2, 4, 6, 8]


def test_a_function_is_declared_once_however_often_it_is_called(executor: Executor, scripted: ScriptedManager) -> None:
    calls = [executor.submit(add, 1), executor.submit(functools.partial(add, 5), 6), executor.submit(add, 2)]
    assert [call.result(30) for call in calls] == [2, 11, 3]
    assert len(scripted.files) == 1
    assert len({spec.function for spec in submitted(scripted)}) == 1


def test_futures_are_arguments_wherever_they_are_nested(executor: Executor, scripted: ScriptedManager) -> None:
    first = executor.submit(add, 1, 1)
    second = executor.submit(add, [first], [first])
    assert executor.submit(add, {"k": second}["k"], [3]).result(30) == [2, 2, 3]
    assert isinstance(first, VineFuture)
    assert submitted(scripted)[1].depends == (first.task_id,)


def test_an_exception_comes_back_as_itself(executor: Executor) -> None:
    future = executor.submit(divide, 1, 0)
    with pytest.raises(ZeroDivisionError) as caught:
        future.result(30)
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "divide" in str(caught.value.__cause__)
    with pytest.raises(errors.DependencyFailed):
        executor.submit(add, future).result(30)


def test_long_arguments_and_values_go_by_files_that_do_not_stay(executor: Executor, scripted: ScriptedManager) -> None:
    size = config.inline_bytes_max + 1
    assert executor.submit(len, b"a" * size).result(30) == size
    assert executor.submit(blob, size).result(30) == blob(size)
    scripted.until(lambda: scripted.all(ForgetFiles))
    (payload,) = (spec.payload_file for spec in submitted(scripted) if spec.payload_file is not None)
    assert scripted.files[payload].cache is CacheLevel.TASK
    assert scripted.all(ForgetFiles) == [ForgetFiles((payload,))]
    assert list(scripted.staging.iterdir()) == []


def test_an_open_future_from_elsewhere_is_waited_for_here(executor: Executor, scripted: ScriptedManager) -> None:
    plain: Future[int] = Future()
    waiting = executor.submit(add, plain, right=2)
    after = executor.submit(add, waiting)
    assert executor.submit(add, 1).result(30) == 2
    assert not waiting.done()
    plain.set_result(40)
    assert waiting.result(30) == 42
    assert after.result(30) == 43


def test_a_failed_future_from_elsewhere_fails_the_call_with_its_cause(executor: Executor) -> None:
    plain: Future[int] = Future()
    waiting = executor.submit(add, plain)
    plain.set_exception(OSError("over there"))
    for future in (waiting, executor.submit(add, plain)):
        with pytest.raises(errors.DependencyFailed, match="'add' takes the result of") as caught:
            future.result(30)
        assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    "error", [OSError("the staging folder is full"), errors.UsageError("shared in a closed run"), KeyboardInterrupt()]
)
def test_a_call_that_cannot_be_sent_once_a_future_from_elsewhere_is_done_fails_with_the_cause(
    executor: Executor, manager: Manager, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*args: Any) -> None:
        raise error

    plain: Future[int] = Future()
    waiting = executor.submit(add, plain)
    monkeypatch.setattr(manager.calls, "submit", fail)
    with pytest.raises(KeyboardInterrupt) if isinstance(error, KeyboardInterrupt) else nullcontext():  # It is not lost.
        plain.set_result(1)
    assert waiting.exception(30) is error


def test_a_cancelled_call_that_waits_for_a_future_from_elsewhere_is_never_sent(
    executor: Executor, scripted: ScriptedManager
) -> None:
    plain: Future[int] = Future()
    waiting = executor.submit(add, plain)
    assert waiting.cancel()
    plain.set_result(1)
    assert executor.submit(add, 1).result(30) == 2
    assert len(submitted(scripted)) == 1


def test_cancel_stops_a_call_wherever_it_is(executor: Executor, scripted: ScriptedManager) -> None:
    scripted.held.add("wait_here")
    future = executor.submit(wait_here)
    assert future.cancel()
    assert future.cancelled()
    assert concurrent.futures.wait([future], 30).done == {future}
    scripted.until(lambda: scripted.all(CancelTasks))
    assert scripted.all(CancelTasks)[0].task_ids == (future.task_id,)  # type: ignore[attr-defined]


def test_callbacks_run_and_a_failing_one_harms_nobody(executor: Executor, caplog: pytest.LogCaptureFixture) -> None:
    seen = threading.Event()
    future = executor.submit(add, 1)
    future.add_done_callback(lambda done: 1 / 0)
    future.add_done_callback(lambda done: seen.set())
    assert seen.wait(30)
    assert executor.submit(add, 2).result(30) == 3


def test_a_callback_may_submit_and_wait_may_be_for_the_first(executor: Executor, scripted: ScriptedManager) -> None:
    scripted.held.add("wait_here")
    slow = executor.submit(wait_here)
    chained: Future[Any] = Future()
    quick = executor.submit(add, 1)
    quick.add_done_callback(
        lambda done: executor.submit(add, done.result()).add_done_callback(lambda end: chained.set_result(end.result()))
    )
    assert chained.result(30) == 3
    done, pending = concurrent.futures.wait([slow, quick], 30, concurrent.futures.FIRST_COMPLETED)
    assert (done, pending) == ({quick}, {slow})
    with pytest.raises(concurrent.futures.TimeoutError):
        slow.result(0.01)
    scripted.release("wait_here")
    assert slow.result(30) == "waited"


def test_options_are_of_the_calls_made_with_them(
    executor: Executor, manager: Manager, scripted: ScriptedManager
) -> None:
    data = manager.declare_buffer(b"data")
    special = executor.options(cores=2, memory=100, inputs={"./in/data": data}, priority=3, retries=1, time_limit=60)
    more = special.options(gpus=1, features=["a100", "big"])
    for one in (executor, special, more):
        assert one.submit(add, 1).result(30) == 2
    plain, first, second = submitted(scripted)
    assert plain.request == Request(cores=1.0)
    assert (first.request, first.priority, first.retries) == (Request(cores=2.0, memory_mb=100.0), 3, 1)
    assert first.time_limit_s == 60
    assert [(mount.file_id, mount.name) for mount in second.inputs] == [(data.file_id, "in/data")]
    assert second.request == Request(cores=2.0, memory_mb=100.0, gpus=1.0)
    assert (first.features, second.features) == ((), ("a100", "big"))


def test_calls_of_a_category_say_so_and_may_leave_their_core_to_it(
    executor: Executor, scripted: ScriptedManager
) -> None:
    fits = executor.options(category="fit", cores=None)
    for one in (fits, fits.options(priority=1), fits.options(category=None)):
        assert one.submit(add, 1).result(30) == 2
    first, second, third = submitted(scripted)
    assert (first.policy, second.policy, third.policy) == (Policy(category="fit"), Policy(category="fit"), None)
    assert first.request == Request()


def test_isolation_is_the_kind_of_task_that_a_call_becomes(executor: Executor, scripted: ScriptedManager) -> None:
    for isolation in ("shared", "fork", "process"):
        assert executor.options(isolation=isolation).options(priority=1).submit(add, 1).result(30) == 2
    assert executor.submit(add, 1).result(30) == 2
    kinds = [spec.kind for spec in submitted(scripted)]
    assert kinds == [TaskKind.CALL, TaskKind.FORK, TaskKind.PYTHON, TaskKind.CALL]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"isolation": "thread"}, "give 'shared', 'fork' or 'process'"),
        ({"cores": -1}, "cores=-1 is no amount"),
        ({"time_limit": -1.0}, "time_limit=-1.0 is no amount"),
        ({"features": 5}, "5 are no names of features"),
        ({"features": [""]}, "no name of a feature"),
        ({"retries": "many"}, "retries='many' is no number of more tries"),
        ({"inputs": ["a.txt"]}, "is no mapping"),
        ({"inputs": {"/etc/passwd": None}}, "is no file of this manager"),
        ({"environment": "env.tar"}, "is no file of this manager"),
        ({"category": 7}, "7 is no name of a category"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_at_once(
    executor: Executor, options: dict[str, Any], match: str
) -> None:
    with pytest.raises(errors.UsageError, match=match):
        executor.options(**options)


def test_an_argument_that_cannot_be_sent_is_told_at_once(executor: Executor) -> None:
    with pytest.raises(errors.NotSerialisable, match="argument 1 of 'add'"):
        executor.submit(add, (x for x in range(2)))
    with pytest.raises(errors.UsageError, match="cannot be called"):
        executor.submit(42)  # type: ignore[arg-type]


def test_shutdown_waits_for_the_calls_and_takes_no_more(executor: Executor, scripted: ScriptedManager) -> None:
    scripted.held.add("wait_here")
    future = executor.submit(wait_here)
    scripted.release("wait_here")
    executor.shutdown()
    assert future.done()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(add, 1)


def test_shutdown_without_waiting_lets_the_calls_end(executor: Executor, scripted: ScriptedManager) -> None:
    scripted.held.add("wait_here")
    future = executor.submit(wait_here)
    executor.shutdown(wait=False)
    assert not future.done()
    scripted.release("wait_here")
    assert future.result(30) == "waited"


def test_shutdown_can_cancel_what_is_open(executor: Executor, scripted: ScriptedManager) -> None:
    scripted.held.add("wait_here")
    future = executor.submit(wait_here)
    executor.shutdown(cancel_futures=True)
    assert future.cancelled()


def test_a_ctrl_c_inside_of_its_block_cancels_what_is_open(manager: Manager, scripted: ScriptedManager) -> None:
    scripted.held.add("wait_here")
    with pytest.raises(KeyboardInterrupt), Executor(manager) as executor:
        future = executor.submit(wait_here)
        raise KeyboardInterrupt
    assert future.cancelled()


def test_any_other_exception_inside_of_its_block_lets_the_calls_end(
    manager: Manager, scripted: ScriptedManager
) -> None:
    with pytest.raises(ZeroDivisionError), Executor(manager) as executor:
        future = executor.submit(wait_here)
        raise ZeroDivisionError
    assert future.result(0) == "waited"


def test_a_ctrl_c_while_it_waits_for_the_calls_cancels_them(
    executor: Executor, scripted: ScriptedManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(futures: list[Future[Any]]) -> None:
        raise KeyboardInterrupt

    scripted.held.add("wait_here")
    future = executor.submit(wait_here)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(concurrent.futures, "wait", interrupted)
        executor.shutdown()
    assert future.cancelled()


def test_what_stays_in_the_program_is_refused_as_an_argument(
    executor: Executor, manager: Manager, scripted: ScriptedManager
) -> None:
    for mine, word in (
        (manager.declare_buffer(b""), "inputs="),
        (manager, "Manager stays"),
        (executor, "Executor stays"),
    ):
        with pytest.raises(errors.NotSerialisable, match=word):
            executor.submit(add, mine)
    with pytest.raises(errors.NotSerialisable, match="Executor stays"):
        executor.submit(lambda: executor.submit(add, 1))


def test_a_connection_file_is_no_manager() -> None:
    with pytest.raises(errors.UsageError, match=r"give Manager\(connection='run'\)"):
        Executor("run")  # type: ignore[arg-type]


def test_two_executors_of_one_manager_end_each_for_itself(manager: Manager, scripted: ScriptedManager) -> None:
    scripted.held.add("wait_here")
    first, second = Executor(manager), Executor(manager)
    slow = first.submit(wait_here)
    second.shutdown()
    assert not slow.done()
    assert first.submit(add, 1).result(30) == 2
    scripted.release("wait_here")
    first.shutdown()
    assert slow.result() == "waited"


def test_results_of_dropped_futures_are_forgotten(executor: Executor, scripted: ScriptedManager) -> None:
    future = executor.submit(add, 1)
    future.result(30)
    task_id = future.task_id  # type: ignore[attr-defined]
    del future
    executor.submit(add, 2).result(30)
    scripted.until(lambda: any(task_id in message.task_ids for message in scripted.all(ForgetResults)))


def test_a_submission_that_was_interrupted_is_not_waited_for(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(spec: TaskSpec) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(executor.manager.session.outbox, "put_task", interrupted)
    with pytest.raises(KeyboardInterrupt):
        executor.submit(add, 1)
    assert executor.manager.session.open_tasks() == []


_reading, _may_be_read = threading.Event(), threading.Event()


def read_slowly() -> str:
    _reading.set()
    _may_be_read.wait()
    return "read"


class SlowToRead:
    def __reduce__(self) -> Any:
        return read_slowly, ()


def make_slow() -> SlowToRead:
    return SlowToRead()


def test_shutdown_waits_for_results_that_are_being_unpickled(executor: Executor) -> None:
    future = executor.submit(make_slow)
    assert _reading.wait(30)
    done: list[bool] = []
    shutdown = threading.Thread(target=lambda: (executor.shutdown(), done.append(future.done())))
    shutdown.start()
    until(lambda: executor._pool.closed, "the shutdown has begun")
    shutdown.join(0.1)
    too_early = bool(done)
    _may_be_read.set()
    shutdown.join(30)
    assert (too_early, done) == (False, [True])

"""What a user's program may look like to a type checker: it is checked, and never run."""

from __future__ import annotations

import concurrent.futures
import math
from pathlib import Path
from typing import Any

import parsl

import vine
from vine import errors
from vine.parsl import FactoryConfig, ManagerConfig, VineExecutor


def square(x: int) -> int:
    return x * x


def load(path: str) -> dict[str, object]:
    return {"text": Path(path).read_text()}


def infer(x: int) -> bool:
    return bool(vine.load_variable_from_library("text")) and x > 0


def files(manager: vine.Manager) -> list[vine.File]:
    archive = manager.declare_url("https://example.org/a.tar.zst", cache="forever", peer_transfer=False)
    made: vine.File = manager.declare_minitask(vine.Task("make > out"), "out")
    found = [
        manager.declare_file(Path("here"), unlink_when_done=True),
        manager.declare_buffer(b"bytes"),
        manager.declare_temp(cache=True),
        manager.declare_untar(archive),
        manager.declare_environment(["numpy"]),
        manager.declare_poncho({"conda": {}}),
        made,
    ]
    workers: int = manager.broadcast(made, workers=2).result()
    manager.replicate(made, workers)
    raw: bytes = manager.fetch_file(made, timeout=10)
    length: Any = made.contents(len)
    manager.prune_file(made)
    manager.undeclare_file(archive)
    print(raw, length, made.source(), made.type(), made.path().name)
    return found


def tasks(manager: vine.Manager, given: list[vine.File]) -> None:
    task = vine.Task("sort < in > out", tag="sort", cores=1, inputs={given[0]: "in"})
    task.add_output(given[2], "out", watch=False, failure_only=None, success_only=True)
    task.set_memory(100)
    task.set_retries(2)
    task.set_priority(0.5)
    task.set_env_var("LANG", "C")
    task.set_time_max(60)
    task.add_feature("big")
    task.add_environment(given[4])
    number: int = manager.submit(task)
    call = vine.PythonTask(square, 4)
    call.enable_temp_output()
    manager.submit(call)
    library = manager.create_library_from_functions("lib", infer, context=(load, ["x"]), hoisting_modules=[math])
    library.set_function_slots(2)
    manager.install_library(library)
    manager.submit(vine.FunctionCall("lib", "infer", 3))
    ended: vine.Task | None = manager.wait_for_task_id(number, 5) or manager.wait_for_tag("sort", 5)
    while (ended := manager.wait("wait_forever")) is not None:
        code: int | None = ended.exit_code
        text: str = ended.std_output
        memory: float | None = ended.resources_measured.memory
        result: str | None = ended.result
        if isinstance(ended.error, errors.LimitExceeded):
            print(code, text, memory, result, ended.times.run_s)
    everything: dict[str, Any] = manager.status()
    workers: list[dict[str, Any]] = manager.status("workers")
    print(everything, workers, manager.stats.tasks_running, manager.hungry(), manager.empty(), call.output_file)


def whole_run(manager: vine.Manager) -> None:
    manager.tune("wait-for-workers", 2)
    manager.set_category_mode("fit", "max")
    manager.set_category_resources_max("fit", {"memory": 500})
    manager.set_category_max_concurrent("fit", 3)
    manager.block_host_with_timeout("node7", 60)
    cancelled: int = manager.cancel_all_by_tag("sort") + manager.cancel_all() + manager.cancel_by_category("fit")
    was_open: bool = manager.cancel_by_task_id(7) or manager.cancel_by_task_tag("sort")
    squares: list[int] = manager.map(square, [1, 2], chunksize=2)
    sums: list[int] = manager.pair(sum, [1, 2], [3, 4])
    most: int = manager.tree_reduce(max, [1, 2, 3])
    print(cancelled, was_open, squares, sums, most)


def fleet(manager: vine.Manager) -> None:
    factory = vine.Factory("slurm", manager=manager, max_workers=50, cores=8, batch_option=["--partition=main"])
    factory.min_workers = 2
    with factory as running:
        running.max_workers = 100
        print(running.log_path)


@parsl.python_app
def cubed(x: int) -> int:
    return x**3


def apps() -> None:
    executor = VineExecutor(
        "mine",
        worker_launch_method="factory",
        manager_config=ManagerConfig(
            env_vars={"NAME": "value"}, max_retries=None, tune_parameters={"hungry-minimum": 5}
        ),
        factory_config=FactoryConfig(max_workers=2, cores=1, batch_options="--partition=main"),
    )
    with parsl.load(parsl.Config(executors=[executor])):
        submitted: int = executor.manager.stats.tasks_submitted
        print(cubed(2).result(), submitted, executor.connection_file)


def calls(executor: vine.Executor, table: vine.File) -> None:
    future: concurrent.futures.Future[int] = executor.submit(square, 3)
    value: int = future.result(timeout=5)
    # What is wrong is found: were any of these of no known type, this would be an ignore too many.
    wrong: str = executor.submit(square, value).result()  # type: ignore[assignment]
    wrong = next(executor.map(square, [1]))  # type: ignore[assignment]
    sized = executor.options(cores=2, memory=500, inputs={"table": table}, isolation="fork", time_limit=60)
    values: list[int] = list(sized.map(square, range(3), chunksize=2))
    shared = vine.share(values)
    vine.remote_value(future)
    try:
        sized.submit(len, shared).result()
    except vine.VineError as error:
        print(error, wrong)
    done, _ = concurrent.futures.wait([future])
    print(len(done))


def main() -> None:
    with (
        vine.Manager(port=(9000, 9100), name="typed", run_info_path=Path("runs")) as manager,
        vine.Executor(manager, min_workers=1, max_workers=2, cores=2) as executor,
        vine.FuturesExecutor(manager=manager, factory=False) as theirs,
    ):
        given = files(manager)
        tasks(manager, given)
        whole_run(manager)
        fleet(manager)
        apps()
        calls(executor, given[0])
        prepared = theirs.future_task(square, 2)
        prepared.set_cores(1)
        called = theirs.submit(theirs.future_funcall("lib", "infer", 3))
        theirs.set("max-workers", 3)
        print(theirs.submit(prepared).result(), called.result(), theirs.get("cores"), theirs.port)
        print(manager.run_directory.name, manager.connection_file)


vine.register_serialiser(complex, lambda value: [value.real, value.imag], lambda parts: complex(*parts))
if __name__ == "__main__":
    main()

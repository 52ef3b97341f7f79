"""What does the program of a run want: random graphs of tasks and files, and all else that a client may say."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.simulator.bodies import Body
from benchmarks.simulator.faults.client import FaultyClient
from benchmarks.simulator.faults.weather import Weather
from vine.names import AttemptId, FileId, TaskId
from vine.wire import messages as wire
from vine.wire.parts import (
    Assignment,
    CacheLevel,
    CategoryMode,
    CategorySpec,
    FileKind,
    FileSpec,
    HostStanding,
    LibrarySpec,
    Mount,
    Outcome,
    Policy,
    Request,
    TaskKind,
    TaskSpec,
)

_CHUNK = 256 << 10
_LEVELS = (CacheLevel.TASK, CacheLevel.WORKFLOW, CacheLevel.WORKFLOW, CacheLevel.WORKER, CacheLevel.FOREVER)
_KINDS = (TaskKind.COMMAND, TaskKind.PYTHON, TaskKind.CALL, TaskKind.CALL, TaskKind.FORK)
_FAILURES = (Outcome.EXCEPTION, Outcome.KILLED, Outcome.DISK_FULL)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the body of a task does each time that it runs."""

    run_s: float
    value_bytes: int = 0
    output_bytes: int = 0


class Behaviours:
    """The bodies of all tasks of a run: each attempt has its own, and always the same one."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self.of_task: dict[TaskId, Behaviour] = {}
        self._bodies: dict[AttemptId, Body] = {}

    def body(self, assignment: Assignment) -> Body:
        body = self._bodies.get(assignment.attempt)
        if body is None:
            body = self._bodies[assignment.attempt] = self._make(assignment)
        return body

    def _make(self, assignment: Assignment) -> Body:
        behaviour = self.of_task[assignment.task_id]
        outcome = Outcome.SUCCESS
        if self._weather.strikes(self._weather.rates.body_failure_share):
            outcome = self._weather.dice.choice(_FAILURES)
        return Body(
            run_s=behaviour.run_s,
            outcome=outcome,
            value=f"{assignment.task_id} {assignment.attempt}".encode(),
            value_bytes=0 if assignment.kind is TaskKind.COMMAND else behaviour.value_bytes,
            output_bytes={mount.name: behaviour.output_bytes for mount in assignment.outputs},
        )


class Work:
    """One client's program. Each `step` says one thing to the manager, and what was said before matters."""

    def __init__(self, client: FaultyClient, say: Callable[[wire.FromClient], None], dice: random.Random,
                 behaviours: Behaviours, tasks_max: int, worker_cores: int) -> None:  # fmt: skip
        self._client = client
        self._say = say
        self._dice = dice
        self._behaviours = behaviours
        self._worker_cores = worker_cores
        self.tasks_left = tasks_max
        self.files: list[FileId] = []
        self.temps: list[FileId] = []
        self.tasks: list[TaskId] = []
        self.usable: list[TaskId] = []  # whose results have not been forgotten
        self.libraries: list[FileId] = []
        self.brought: set[TaskId] = set()  # results that were asked for
        self.brought_files: set[FileId] = set()  # ... and files
        self.requests: set[int] = set()
        self._steps: list[tuple[float, Callable[[], None]]] = [
            (12, self._submit), (4, self._declare), (1, self._cancel), (1, self._forget_result), (1, self._forget_file),
            (1, self._replicate), (1, self._broadcast), (1, self._bring), (1, self._keep), (1, self._prune),
            (1, self._install), (1, self._set_category), (2, self._submit_many), (1, self._bring_file),
            (0.3, self._remove_library), (0.3, self._close_hosts),
        ]  # fmt: skip

    def step(self) -> None:
        (step,) = self._dice.choices([each for _, each in self._steps], [weight for weight, _ in self._steps])
        step()

    # --- files ---

    def _declare(self) -> None:
        dice, client, level = self._dice, self._client, self._dice.choice(_LEVELS)
        kind = dice.choice(["buffer", "local", "local", "untar", "url", "untar of url", "minitask"])
        if kind == "buffer":
            self.files.append(client.declare(FileKind.BUFFER, data=b"data %d" % dice.randrange(4), cache=level))
        elif kind in ("local", "untar"):
            name, chunks = f"file{dice.randrange(6)}", dice.choice([1, 2, 3, 6, 12])
            file_id, _ = client.local_file(f"{name}-{chunks}", chunks * _CHUNK, cache=level)
            self.files.append(file_id)
        elif kind == "minitask":
            self.files.append(self._minitask(level))
        else:
            self.files.append(client.declare(FileKind.URL, url=f"https://url{dice.randrange(3)}", cache=level))
        if kind.startswith("untar") and self.files:
            self.files.append(client.declare(FileKind.UNTAR, source=self.files[-1], cache=level))

    def _minitask(self, level: CacheLevel) -> FileId:
        """A file that is made by a task of its own when it is first needed."""
        file_id = FileId(self._client.number())
        inputs = tuple(Mount(taken, f"in{i}") for i, taken in enumerate(self._some(self.files, 2)))
        recipe = self._client.task(
            command=f"make {self._dice.randrange(3)}", inputs=inputs, outputs=(Mount(file_id, "out"),)
        )
        self._behaviours.of_task[recipe.task_id] = Behaviour(0.1, output_bytes=2 * _CHUNK)
        self._client.recipes.add(recipe.task_id)
        self._say(wire.DeclareFiles((FileSpec(file_id, FileKind.MINITASK, level, "minitask", recipe=recipe),)))
        return file_id

    def _some(self, items: list[Any], most: int) -> list[Any]:
        return self._dice.sample(items, min(len(items), self._dice.randint(0, most)))

    def _forget_file(self) -> None:
        if self.files and self._dice.random() < 0.5:
            file_id = self.files.pop(self._dice.randrange(len(self.files)))
            self.brought_files.discard(file_id)
            self._say(wire.ForgetFiles((file_id,)))

    def _replicate(self) -> None:
        if self.temps or self.files:
            self._say(wire.ReplicateFile(self._dice.choice(self.temps + self.files), self._dice.randint(1, 3)))

    def _broadcast(self) -> None:
        if self.files:
            self.requests.add(self._client.broadcast(self._dice.choice(self.files)))

    def _bring_file(self) -> None:
        if self.files:
            file_id = self._dice.choice(self.files)
            self._say(wire.BringFile(file_id))
            self.brought_files.add(file_id)

    def _prune(self) -> None:
        if self.files or self.temps:
            self._say(wire.PruneFiles((self._dice.choice(self.files + self.temps),)))

    # --- tasks ---

    def _submit(self, **fields: Any) -> None:
        if self.tasks_left <= 0:
            return
        self.tasks_left -= 1
        dice = self._dice
        inputs, depends = self._some(self.files + self.temps, 3), self._some(self.usable, 2)
        outputs = []
        if "outputs" not in fields and dice.random() < 0.4:
            outputs.append(self._client.declare(FileKind.TEMP, cache=dice.choice(_LEVELS)))
        if self.libraries and dice.random() < 0.3:
            library = dice.choice(self.libraries)
            fields = {"kind": TaskKind.LIBRARY, "function": library, "command": "f", **fields}
        spec = self._client.task(**{
            "kind": dice.choice(_KINDS),
            "request": Request(cores=float(dice.randint(1, self._worker_cores))),
            "inputs": tuple(Mount(file_id, f"in{i}") for i, file_id in enumerate(inputs)),
            "outputs": tuple(Mount(file_id, f"out{i}") for i, file_id in enumerate(outputs)),
            "depends": tuple(depends),
            "retries": dice.choice([0, 0, 1, 3]),
            "priority": float(dice.randint(0, 2)),
            "policy": Policy(category=dice.choice("ab")) if dice.random() < 0.2 else None,
            **fields,
        })  # fmt: skip
        run_s, value = dice.choice([0.002, 0.01, 0.05, 0.3, 1.0]), dice.choice([0, 0, 2 * _CHUNK])
        self._behaviours.of_task[spec.task_id] = Behaviour(run_s, value, dice.choice([_CHUNK, 5 * _CHUNK]))
        self._client.submit(spec)
        self.tasks.append(spec.task_id)
        self.usable.append(spec.task_id)
        self.temps += outputs

    def _submit_many(self) -> None:
        """Alike, and for one file: it goes to many workers at once."""
        if self.files:
            file_id = self._dice.choice(self.files)
            for _ in range(self._dice.randint(2, 8)):
                self._submit(inputs=(Mount(file_id, "in"),), outputs=(), depends=(), kind=TaskKind.CALL, policy=None)

    def _cancel(self) -> None:
        if self.tasks:
            self._say(wire.CancelTasks((self._dice.choice(self.tasks),), self._dice.random() < 0.3))

    def _forget_result(self) -> None:
        if self.usable:
            task_id = self.usable.pop(self._dice.randrange(len(self.usable)))
            self.brought.discard(task_id)
            self._say(wire.ForgetResults((task_id,)))

    def _keep(self) -> None:
        if self.usable:
            self._say(wire.KeepResults((self._dice.choice(self.usable),)))

    def _bring(self) -> None:
        ended = [task_id for task_id in self.usable if task_id in self._client.results]
        if ended:
            task_id = self._dice.choice(ended)
            if task_id not in self.brought or task_id in self._client.answered:
                self._client.answered.discard(task_id)
                self._say(wire.BringResult(task_id))
                self.brought.add(task_id)

    def _install(self) -> None:
        if len(self.libraries) < 2:
            number = self._client.buffer(b"library %d" % len(self.libraries))
            request = Request(cores=float(self._dice.randint(1, self._worker_cores)))
            slots = self._dice.choice([None, 1, 2])
            self._say(wire.InstallLibrary(LibrarySpec(number, "lib", ("f",), None, request, slots)))
            self.libraries.append(number)

    def _remove_library(self) -> None:
        if self.libraries:
            self._say(wire.RemoveLibrary(self._dice.choice(self.libraries)))

    def _close_hosts(self) -> None:
        standing = self._dice.choice([HostStanding.BLOCKED, HostStanding.OPEN])
        self._say(wire.SetHosts((f"w{self._dice.randrange(3)}",), standing, self._dice.choice([1.0, 5.0])))

    def _set_category(self) -> None:
        mode, most = self._dice.choice(list(CategoryMode)), self._dice.choice([None, 1, 2])
        self._say(wire.SetCategory(CategorySpec(self._dice.choice("ab"), mode, concurrent_max=most)))

    # --- at the end ---

    def forget_all(self) -> None:
        """Nothing more will be made of what there is."""
        self._say(wire.ForgetResults(tuple(self.usable)))
        self._say(wire.ForgetFiles((*self.files, *self.temps, *self.libraries)))
        self.usable, self.files, self.temps, self.libraries = [], [], [], []

    def last_wave(self) -> set[TaskId]:
        """Submit what must succeed where nothing breaks any more."""
        client = self._client
        file_id, _ = client.local_file("the last file", 5 * _CHUNK)
        temp = client.declare(FileKind.TEMP)
        maker = self._plain((Mount(file_id, "in"),), (Mount(temp, "out"),), ())
        taker = self._plain((Mount(temp, "in"),), (), (maker.task_id,))
        others = [self._plain((Mount(file_id, "in"),), (), ()) for _ in range(3)]
        client.submit(maker, taker, *others)
        return {task.task_id for task in (maker, taker, *others)}

    def _plain(self, inputs: tuple[Mount, ...], outputs: tuple[Mount, ...], depends: tuple[TaskId, ...]) -> TaskSpec:
        spec = self._client.task(
            kind=TaskKind.CALL, inputs=inputs, outputs=outputs, depends=depends, request=Request(cores=1.0)
        )
        self._behaviours.of_task[spec.task_id] = Behaviour(0.1, output_bytes=_CHUNK)
        return spec

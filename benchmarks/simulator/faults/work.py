"""What does the program of a run want: random graphs of tasks and files, and all else that a client may say."""

from __future__ import annotations

import random
from collections.abc import Callable, Set
from typing import Any

from benchmarks.simulator.faults.asking import CHUNK, Asking
from benchmarks.simulator.faults.behaviours import Behaviour, Behaviours
from benchmarks.simulator.faults.client import FaultyClient
from benchmarks.simulator.faults.declaring import Files
from vine.names import FileId, TaskId, WorkerId
from vine.wire import messages as wire
from vine.wire.parts import FileKind, HostStanding, LibrarySpec, Mount, Outcome, Request, TaskKind, TaskSpec

_KINDS = (TaskKind.COMMAND, TaskKind.PYTHON, TaskKind.CALL, TaskKind.CALL, TaskKind.FORK)
# What programs do to themselves, whatever their tasks ask for.
_ASKED_FOR = frozenset({Outcome.CANCELLED, Outcome.DEPENDENCY_FAILED, Outcome.INPUT_MISSING, Outcome.LIBRARY_MISSING})


class Work:
    """One client's program. Each `step` says one thing to the manager, and what was said before matters."""

    def __init__(self, client: FaultyClient, say: Callable[[wire.FromClient], None], dice: random.Random,
                 behaviours: Behaviours, tasks_max: int, asking: Asking) -> None:  # fmt: skip
        self._client = client
        self._say = say
        self._dice = dice
        self._behaviours = behaviours
        self._asking = asking
        self._premises = asking.premises
        self.tasks_left = tasks_max
        self.files = Files(client, say, asking, dice, behaviours)
        self.tasks: list[TaskId] = []
        self.usable: list[TaskId] = []  # whose results have not been forgotten
        self.libraries: list[FileId] = []
        self.brought: set[TaskId] = set()  # results that were asked for
        self.brought_files: set[FileId] = set()  # ... and files
        self.requests: set[int] = set()
        self._ends: dict[TaskId, Set[Outcome]] = {}  # how tasks may end by what they ask for
        self._steps: list[tuple[float, Callable[[], None]]] = [
            (12, self._submit), (4, self.files.declare), (1, self._cancel), (1, self._forget_result),
            (1, self._forget_file), (1, self._replicate), (1, self._broadcast), (1, self._bring), (1, self._keep),
            (1, self._prune), (1, self._install), (1, self._set_category), (2, self._submit_many),
            (1, self._bring_file), (0.3, self._remove_library), (0.3, self._close_hosts), (0.2, self._await_workers),
        ]  # fmt: skip

    def step(self) -> None:
        (step,) = self._dice.choices([each for _, each in self._steps], [weight for weight, _ in self._steps])
        step()

    def may_end(self, task_id: TaskId) -> Set[Outcome]:
        """How this task may end, though nothing breaks."""
        return _ASKED_FOR | self._ends.get(task_id, set()) | {Outcome.SUCCESS}

    # --- files ---

    def _forget_file(self) -> None:
        file_id = self.files.take_one() if self._dice.random() < 0.5 else None
        if file_id is not None:
            self.brought_files.discard(file_id)
            self._say(wire.ForgetFiles((file_id,)))

    def _replicate(self) -> None:
        if self.files.all:
            self._say(wire.ReplicateFile(self._dice.choice(self.files.all), self._dice.randint(1, 3)))

    def _broadcast(self) -> None:
        """To all, to so many, or to those that are named."""
        dice, whom = self._dice, dict[str, Any]()
        if dice.random() < 0.3:
            whom["count"] = dice.randint(1, self._premises.workers_max)
        elif dice.random() < 0.2:
            whom["workers"] = tuple(WorkerId(f"w{number}") for number in range(dice.randint(1, 3)))
        if self.files.known:
            self.requests.add(self._client.broadcast(dice.choice(self.files.known), **whom))

    def _bring_file(self) -> None:
        if self.files.known:
            file_id = self._dice.choice(self.files.known)
            self._say(wire.BringFile(file_id))
            self.brought_files.add(file_id)

    def _prune(self) -> None:
        if self.files.all:
            self._say(wire.PruneFiles((self._dice.choice(self.files.all),)))

    # --- tasks ---

    def _submit(self, **fields: Any) -> None:
        if self.tasks_left <= 0:
            return
        self.tasks_left -= 1
        dice, asking, files = self._dice, self._asking, self.files
        asked = asking.task()
        inputs, depends = asking.choice_of(files.all, 3), asking.choice_of(self.usable, 2)
        asking.strictly(asked, inputs)
        outputs = list[Mount]()
        if "outputs" not in fields and dice.random() < 0.4:
            for number in range(dice.choice([1, 1, 2])):
                at_path = asking.has("paths", 0.5)
                outputs.append(asking.output(asked, files.output(at_path), number, at_path))
        if self.libraries and dice.random() < 0.3:
            library = dice.choice(self.libraries)
            fields = {"kind": TaskKind.LIBRARY, "function": library, "command": "f", **fields}
        elif asking.has("functions"):
            asked.fields["function"] = files.function()
        if files.folders and dice.random() < 0.1:
            asked.fields["environment"] = dice.choice(files.folders)
        if files.functions and dice.random() < 0.2:
            asked.fields["shared"] = (dice.choice(files.functions),)
        spec = self._client.task(**{
            "kind": dice.choice(_KINDS),
            "inputs": tuple(Mount(file_id, f"in{i}") for i, file_id in enumerate(inputs)),
            "outputs": tuple(outputs),
            "depends": tuple(depends),
            **asked.fields,
            **fields,
        })  # fmt: skip
        self._behaviours.of_task[spec.task_id] = asked.behaviour
        self._ends[spec.task_id] = asked.ends
        self._client.submit(spec)
        self.tasks.append(spec.task_id)
        self.usable.append(spec.task_id)
        files.made += [mount.file_id for mount in outputs]

    def _submit_many(self) -> None:
        """Alike, and for one file: it goes to many workers at once."""
        if self.files.known:
            file_id = self._dice.choice(self.files.known)
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
            slots, request = self._dice.choice([None, 1, 2]), Request(cores=self._asking.cores())
            self._say(wire.InstallLibrary(LibrarySpec(number, "lib", ("f",), None, request, slots)))
            self.libraries.append(number)

    def _remove_library(self) -> None:
        if self.libraries:
            self._say(wire.RemoveLibrary(self._dice.choice(self.libraries)))

    def _close_hosts(self) -> None:
        standing = self._dice.choice([HostStanding.BLOCKED, HostStanding.DRAINING, HostStanding.OPEN])
        hosts = (self._dice.choice(self._premises.hostnames),)
        self._say(wire.SetHosts(hosts, standing, self._dice.choice([1.0, 5.0])))

    def _await_workers(self) -> None:
        self._say(wire.AwaitWorkers(self._dice.randint(0, self._premises.workers_max)))

    def _set_category(self) -> None:
        self._say(wire.SetCategory(self._asking.category()))

    # --- at the end ---

    def forget_all(self) -> None:
        """Nothing more will be made of what there is."""
        self._say(wire.ForgetResults(tuple(self.usable)))
        self._say(wire.ForgetFiles((*self.files.take_all(), *self.libraries)))
        self.usable, self.libraries = [], []

    def last_wave(self) -> set[TaskId]:
        """Submit what must succeed where nothing breaks any more."""
        client = self._client
        file_id, _ = client.local_file("the last file", 5 * CHUNK)
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
        self._behaviours.of_task[spec.task_id] = Behaviour(0.1, output_bytes=CHUNK)
        return spec

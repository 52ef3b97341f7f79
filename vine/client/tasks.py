"""What is to be run, and how: the tasks that `Manager.submit` takes."""

from __future__ import annotations

import re
from collections.abc import ItemsView, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from vine import config, errors
from vine.client import amounts, futures
from vine.client.ended import Ended
from vine.client.environments import environment_id
from vine.client.files import File
from vine.client.links import Links
from vine.names import FileId, TaskId
from vine.wire.parts import FileKind, Mount, Policy, Request, TaskKind, TaskResult, TaskSpec, When

if TYPE_CHECKING:
    from vine.client.manager import Manager


class Sized:
    """What can be given amounts of what workers have."""

    _request: dict[str, float]

    def set_cores(self, cores: float) -> None:
        """So many of a worker's, or a share of one. UsageError, as for the others, for what is no amount."""
        self._request["cores"] = amounts.amount("cores", cores)

    def set_memory(self, memory_mb: float) -> None:
        """In MB of 1,000,000 bytes; who uses more is killed, unless `enforce_resources` says otherwise."""
        self._request["memory_mb"] = amounts.amount("memory", memory_mb)

    def set_disk(self, disk_mb: float) -> None:
        """In MB, of what it writes and of inputs; who writes more is killed, as for memory."""
        self._request["disk_mb"] = amounts.amount("disk", disk_mb)

    def set_gpus(self, gpus: float) -> None:
        """A share of one device (below 1), or whole devices, which CUDA_VISIBLE_DEVICES names to the task."""
        self._request["gpus"] = amounts.amount("gpus", gpus)


class Task(Ended, Sized):
    """A shell command that runs in a sandbox of its own."""

    links: Links | None = None  # what belongs to the arguments of one that is a function's call

    def __init__(self, command: str, **settings: Any) -> None:
        """`settings` call the setters: tag="a", cores=2, time_max=60, features=["big"], env={"NAME": "value"}, ...

        `inputs` and `outputs` are {file: "name"}, or {file: {"remote_name": "name", "watch": True}}. UsageError names
        all that there are, should one not be among them.
        """
        self.set_command(command)
        self.id: TaskId | None = None
        self.ended_as: TaskResult | None = None
        self.error: BaseException | None = None  # what went wrong, as an exception; it is not raised
        self._inputs: list[tuple[File, str]] = []
        self._outputs: list[tuple[File, Mount]] = []
        self._strict: list[File] = []
        self._request: dict[str, float] = {}
        self._variables: dict[str, str | None] = {}
        self._environment: File | None = None
        self._has_environment = False  # Its own, or none by its own wish; else the manager's default.
        self._tag = ""
        self._category = ""
        self._retries = 0
        self._time_limit_s: float | None = None
        self._starts_at_s: float | None = None
        self._ends_at_s: float | None = None
        self._time_min_s = 0.0
        self._forsaken_max: int | None = None
        self._priority = 0.0
        self._features: list[str] = []
        self._manager: Manager | None = None
        self._set(settings)

    def _set(self, settings: dict[str, Any]) -> None:
        unknown = sorted(settings.keys() - _SETTINGS)
        if unknown:
            known = ", ".join(sorted(_SETTINGS))
            raise errors.UsageError(f"a task has no {', '.join(unknown)} to be set: give some of {known}")
        inputs, outputs = settings.pop("inputs", {}), settings.pop("outputs", {})
        features, variables = settings.pop("features", ()), settings.pop("env", {})
        for name, value in settings.items():
            getattr(self, f"set_{name}")(value)
        self._features += amounts.names("feature", features)
        for file, mount in _items(inputs):
            self.add_input(file, **_mount(mount))
        for file, mount in _items(outputs):
            self.add_output(file, **_mount(mount))
        for name, value in _items(variables):
            self.set_env_var(name, value)

    # --- before submission ---

    def set_command(self, command: str) -> None:
        """What /bin/sh runs."""
        if not isinstance(command, str) or not command.strip():
            raise errors.UsageError(f"a task needs a shell command as text, not {command!r}")
        self.command = command

    def add_input(self, file: File, remote_name: str, strict_input: bool = False, mount_symlink: bool = False) -> None:
        """The file's content, a directory's too, is at `remote_name` in the sandbox when the task starts; read-only.

        With `strict_input` the task runs only on a worker that has the file already: nothing is sent for it.
        `mount_symlink` is TaskVine's, and changes nothing: inputs always are symbolic links into the worker's cache.
        """
        self._inputs.append((a_file(file), amounts.sandbox_name(remote_name)))
        if strict_input:
            self._strict.append(file)

    def add_output(
        self,
        file: File,
        remote_name: str,
        watch: bool = False,
        failure_only: bool | None = None,
        success_only: bool | None = None,
    ) -> None:
        """What the task leaves at `remote_name` in the sandbox, be it a directory, becomes the file's content.

        It is taken when the task succeeds. With `failure_only` it is taken when the task fails, in any way but by
        cancellation, if it is there then; with `success_only=False`, in both cases. With `watch`, what the task
        appends to it appears at the file's path here about once a second while the task runs: for a single file of
        `declare_file`.
        """
        name = amounts.sandbox_name(remote_name)
        if watch and a_file(file).kind is not FileKind.LOCAL:
            raise errors.UsageError(f"{file.label} has no path here to be watched at: declare_file() one for {name!r}")
        mount = Mount(a_file(file).file_id, name, _when(name, failure_only, success_only), watch)
        for _, other in self._outputs:
            if other.file_id == mount.file_id and {other.when, mount.when} != {When.SUCCESS, When.FAILURE}:
                raise errors.UsageError(
                    f"{file.label} cannot be the output {name!r} and the output {other.name!r} of one task: "
                    "declare a file for each"
                )
        self._outputs.append((file, mount))

    def set_env_var(self, name: str, value: str | None = None) -> None:
        """None is for a variable that the worker has, and the task must not."""
        if not isinstance(name, str) or not (value is None or isinstance(value, str)):
            raise errors.UsageError(f"the environment variable {name!r} is set to {value!r}: both must be text")
        if not name or "=" in name or "\0" in name + (value or ""):
            raise errors.UsageError(
                f"{name!r} cannot be an environment variable: names have no '=', nor anything a NUL"
            )
        self._variables[name] = value

    def set_environment(self, environment: File | None) -> None:
        """Run with this environment's bin/ in front of PATH; from `declare_environment` or `declare_untar`.

        None stands for the worker's own software; a task of which nothing is said runs on its manager's default.
        """
        self._environment = None if environment is None else a_file(environment)
        self._has_environment = True

    def add_environment(self, environment: File) -> None:
        """As `set_environment`, for the one environment that a task can have."""
        if self._environment is not None:
            raise errors.UsageError(f"{self!r} has an environment: a task runs on one, so pack both into one archive")
        self.set_environment(environment)

    add_poncho_package = add_environment  # TaskVine's names for what is one thing here.
    add_execution_context = add_environment

    def set_tag(self, tag: str) -> None:
        """What `Manager.wait_for_tag` and `cancel_by_task_tag` find it by."""
        if not isinstance(tag, str) or len(tag) > config.text_chars_max:
            raise errors.UsageError(f"{tag!r} is no tag: give text of up to {config.text_chars_max} characters")
        self._tag = tag

    def set_category(self, category: str) -> None:
        """Tasks of one category have in common what `Manager.set_category_...` say of it."""
        self._category = amounts.name("category", category) if category != "" else ""

    def set_retries(self, retries: int) -> None:
        """So many more tries after failures of its own; losing a worker does not count."""
        self._retries = amounts.retries(retries)

    def set_max_forsaken(self, count: int) -> None:
        """Workers may give it back so often without having run it, for want of room or inputs; -1 is no limit.

        After one more it ends as "forsaken". Without a limit it ends with the cause, after a few workers.
        """
        if not isinstance(count, int) or isinstance(count, bool):
            raise errors.UsageError(f"{count!r} is no number of times: give 0 or more, or -1 for no limit")
        self._forsaken_max = count if count >= 0 else None

    def set_time_min(self, seconds: float) -> None:
        """Only a worker that lives for so long yet is given it: see `vine-worker --wall-time`."""
        self._time_min_s = amounts.amount("seconds", seconds)

    def set_time_max(self, seconds: float) -> None:
        """Killed when it runs longer."""
        self._time_limit_s = amounts.amount("seconds", seconds)

    def set_time_start(self, at: float) -> None:
        """It waits until then: seconds since the epoch, as `time.time()` tells them, or TaskVine's microseconds."""
        self._starts_at_s = amounts.epoch_seconds(at)

    def set_time_end(self, at: float) -> None:
        """If it has not ended then, it is killed, or never begun; told as for `set_time_start`."""
        self._ends_at_s = amounts.epoch_seconds(at)

    def set_priority(self, priority: float) -> None:
        """Higher goes first."""
        self._priority = amounts.priority(priority)

    def add_feature(self, feature: str) -> None:
        """Only workers that were started with this feature may run it."""
        self._features.append(amounts.name("feature", feature))

    @property
    def tag(self) -> str:
        """What `set_tag` has said, or ''."""
        return self._tag

    @property
    def category(self) -> str:
        """What `set_category` has said, or ''."""
        return self._category

    # --- for the manager ---

    def submitted(self, manager: Manager, task_id: TaskId) -> TaskSpec:
        """What the run is told; the task belongs to the manager from now on."""
        if self.id is not None:
            raise errors.UsageError(f"{self!r} has been submitted before: make a new task for each submission")
        spec = checked(self._spec(manager, task_id))
        self.id, self._manager = task_id, manager
        return spec

    def as_recipe(self, manager: Manager, file_id: FileId, source: str) -> TaskSpec:
        """What the run is told of a task that makes this file, and nothing else, when it is needed."""
        if self._outputs:
            raise errors.UsageError(f"{self!r} has outputs: a mini-task makes the one file that it is declared with")
        spec = self.submitted(manager, manager.session.number_task())
        return checked(msgspec.structs.replace(spec, outputs=(Mount(file_id, amounts.sandbox_name(source)),)))

    def ended(self, result: TaskResult, value: bytes | memoryview | None) -> None:
        self._take(value, result)
        self.ended_as = result if result.value is None else msgspec.structs.replace(result, value=None)
        assert self._manager is not None
        self._manager.task_ended(self)

    def broken(self, error: BaseException) -> None:
        self.error = error
        assert self._manager is not None
        self._manager.task_broken(self)

    def disowned(self, error: BaseException) -> None:
        self.error = error

    def abandoned(self) -> None:
        self.broken(errors.TaskCancelled(f"{self!r} had not ended when its manager was closed"))

    def _take(self, value: bytes | memoryview | None, result: TaskResult) -> None:
        self.error = futures.error_of(result, None)

    def _spec(self, manager: Manager, task_id: TaskId) -> TaskSpec:
        return self._common(manager, task_id, kind=TaskKind.COMMAND, command=self.command, label=self.command[:200])

    def _common(self, manager: Manager, task_id: TaskId, **own: Any) -> TaskSpec:
        environment = self._environment if self._has_environment else manager.default_environment
        given = [*(file for file, _ in self._inputs), *(file for file, _ in self._outputs)]
        given += [environment] if environment is not None else []
        for file in given:
            manager.check_own(file)
        return TaskSpec(
            task_id,
            inputs=mounts(self._inputs),
            outputs=distinct(tuple(mount for _, mount in self._outputs)),
            variables=self._variables,
            environment=environment_id(environment, self._function_name()),
            request=Request(**self._request),
            priority=self._priority,
            retries=self._retries,
            time_limit_s=self._time_limit_s,
            features=tuple(self._features),
            tag=self._tag,
            policy=self._policy(manager),
            **own,
        )

    def _policy(self, manager: Manager) -> Policy | None:
        policy = Policy(
            enforce=manager.enforce_resources,
            starts_at_s=self._starts_at_s,
            ends_at_s=self._ends_at_s,
            category=self._category,
            strict=tuple(file.file_id for file in self._strict),
            time_min_s=self._time_min_s,
            forsaken_max=self._forsaken_max,
        )
        return None if policy == Policy() else policy

    def __repr__(self) -> str:
        number = "" if self.id is None else f" {self.id}"
        return f"<vine.{type(self).__name__}{number} {self._label()!r}>"

    def _label(self) -> str:
        return self.command[:60]

    def _function_name(self) -> str | None:
        """Of what must be loaded by the Python that runs it."""
        return None


_SETTINGS = frozenset(
    {
        *("category", "cores", "disk", "env", "environment", "features", "gpus", "inputs", "max_forsaken", "memory"),
        *("outputs", "priority", "retries", "tag", "time_end", "time_max", "time_min", "time_start"),
    }
)


def _items(given: Any) -> ItemsView[Any, Any]:
    if not isinstance(given, Mapping):
        raise errors.UsageError(f"{given!r} is no mapping: inputs and outputs are {{file: name}}, env {{name: value}}")
    return given.items()


def _mount(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {"remote_name": given}


def _when(name: str, failure_only: bool | None, success_only: bool | None) -> When:
    if failure_only and success_only:
        raise errors.UsageError(f"the output {name!r} cannot be for failures only and successes only: leave one out")
    if failure_only:
        return When.FAILURE
    return When.ALWAYS if success_only is False else When.SUCCESS


def mounts(files: list[tuple[File, str]]) -> tuple[Mount, ...]:
    return distinct(tuple(Mount(file.file_id, name) for file, name in files))


def distinct(mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """The same; UsageError if two of them have one name."""
    names = [mount.name for mount in mounts]
    for name in names:
        if names.count(name) > 1:
            raise errors.UsageError(f"two files of one task have the name {name!r}: give each a name of its own")
    return mounts


def checked(spec: TaskSpec) -> TaskSpec:
    """The manager would drop a message that breaks the wire's limits, so they are looked at here.

    The payload is not: who serialised it has seen to its size.
    """
    try:
        packed = msgspec.msgpack.encode(msgspec.structs.replace(spec, payload=b""))
        msgspec.msgpack.decode(packed, type=TaskSpec)
    except (msgspec.MsgspecError, UnicodeEncodeError, TypeError, OverflowError) as error:
        raise errors.UsageError(
            f"the task '{spec.label[:60]}' cannot be submitted as it is: {_with_field_name(str(error))}"
        ) from None
    return spec


def _with_field_name(message: str) -> str:
    """The codec's complaint, which names a place in the array that a spec travels as."""
    names = TaskSpec.__struct_fields__
    return re.sub(r" - at `\$\[(\d+)\]", lambda found: f" - in `{names[int(found[1])]}", message)


def a_file(file: File) -> File:
    if not isinstance(file, File):
        raise errors.UsageError(f"{file!r} is no declared file: use what Manager.declare_... returns")
    return file

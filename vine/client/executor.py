"""How do plain function calls run on the workers: a `concurrent.futures.Executor`."""

from __future__ import annotations

import concurrent.futures
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from vine import errors
from vine.client import amounts, mapping, serialise, tasks
from vine.client.calls import Function
from vine.client.environments import Declarable, environment_id
from vine.client.factory import options_named
from vine.client.files import File
from vine.client.futures import VineFuture
from vine.client.links import ForeignFailed, Links
from vine.client.manager import Manager
from vine.client.pool import Pool, fleet, opened
from vine.client.session import Session, anew
from vine.factory_options import BatchType
from vine.names import FileId, TaskId
from vine.wire.parts import Mount, Policy, Request, TaskKind, TaskSpec

T = TypeVar("T")
F = TypeVar("F", bound=VineFuture[Any])
E = TypeVar("E", bound="Executor")


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What all calls of one executor have in common, in the form that goes out."""

    cores: float | None = 1.0  # A call is one thread unless it says otherwise; None is shared out like the rest.
    memory: float | None = None
    disk: float | None = None
    gpus: float | None = None
    environment: File | None = None
    inputs: tuple[Mount, ...] = ()
    outputs: tuple[Mount, ...] = ()
    variables: dict[str, str | None] = field(default_factory=dict)
    priority: float = 0.0
    retries: int = 0
    time_limit: float | None = None
    time_min: float = 0.0
    features: tuple[str, ...] = ()
    isolation: str = "shared"
    category: str = ""

    def request(self) -> Request:
        return Request(self.cores, self.memory, self.disk, self.gpus)


_KINDS = {"shared": TaskKind.CALL, "fork": TaskKind.FORK, "process": TaskKind.PYTHON}


class _Unset:
    def __repr__(self) -> str:
        return "as before"


_UNSET: Any = _Unset()


def _when_done(futures: list[Future[Any]], then: Callable[[], None]) -> None:
    """Call `then` once, on the thread that ends the last of the futures; at once if there is none."""
    left = itertools.count(len(futures), -1)  # One more than there are futures counts down: the last gets 0.

    def one_done(future: Future[Any] | None = None) -> None:
        if next(left) == 0:
            then()

    for future in futures:
        future.add_done_callback(one_done)
    one_done()


def _opened(
    partial: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """The same call without the partial, so that its function is sent once and not with each argument."""
    gap = getattr(functools, "Placeholder", None)  # of Python 3.14: filled in by the call's own arguments
    if gap is not None and any(value is gap for value in partial.args):
        return partial, args, kwargs
    return partial.func, (*partial.args, *args), {**partial.keywords, **kwargs}


class Executor(concurrent.futures.Executor):
    """Runs calls on warm interpreters of the workers.

    Without a manager it starts one and a factory, and ends both at `shutdown`. With one it uses the workers that the
    manager has, and starts a factory if `workers`, `min_workers` or `max_workers` is given; `batch_type` is where
    that starts workers, `cores`, `memory`, `disk` and `gpus` are the size of each. One call takes one core unless
    `options` says otherwise.

    Futures of the same run may be arguments, also inside of containers: their values go from worker to worker.
    A future from elsewhere is waited for, and its value sent; such arguments are serialised only then.
    """

    def __init__(
        self,
        manager: Manager | None = None,
        *,
        workers: int | None = None,
        min_workers: int | None = None,
        max_workers: int | None = None,
        cores: float | None = None,
        memory: float | None = None,
        disk: float | None = None,
        gpus: float | None = None,
        idle_timeout: float | None = None,
        workspace: str | os.PathLike[str] | None = None,
        batch_type: BatchType = "local",
        run_info_path: str | os.PathLike[str] = "vine-run-info",
        environment: Declarable | None = None,
        **factory_options: Any,
    ) -> None:
        """`environment` is what calls run on: a declared file, or what `Manager.declare_environment` takes; without
        it the manager's default. Further options are those of `vine.Factory`."""
        if manager is not None and not isinstance(manager, Manager):
            raise errors.UsageError(
                f"{manager!r} is no Manager: for a running one, give Manager(connection={manager!r})"
            )
        few, many = fleet(workers, min_workers, max_workers, needed=manager is None)
        named = {"cores": cores, "memory": memory, "disk": disk, "gpus": gpus, "workspace": workspace}
        named |= {"idle_timeout": idle_timeout, "batch_type": batch_type, **factory_options}
        chosen = {name: value for name, value in named.items() if value is not None}
        options_named({"min_workers": few, "max_workers": many, **chosen})
        owned = manager is None
        manager = manager or Manager(run_info_path=run_info_path)
        self._pool = Pool(manager, owned)
        try:
            self._set_options(CallOptions(environment=manager.environment_or_default(environment)))
            if many:
                self._pool.start_factory({"min_workers": few, "max_workers": many, **chosen})
        except BaseException:
            if owned:
                manager.close()
            raise
        opened(self._pool)

    @property
    def manager(self) -> Manager:
        """The one whose workers it uses, be it its own or not."""
        return self._pool.manager

    def options(
        self: E,
        *,
        cores: float | None = _UNSET,
        memory: float | None = _UNSET,
        disk: float | None = _UNSET,
        gpus: float | None = _UNSET,
        environment: File | None = _UNSET,
        inputs: Mapping[str, File] = _UNSET,
        priority: float = _UNSET,
        retries: int = _UNSET,
        time_limit: float | None = _UNSET,
        features: Iterable[str] = _UNSET,
        isolation: str = _UNSET,
        category: str | None = _UNSET,
    ) -> E:
        """The same executor, whose calls have these set; what is not named stays as it is here.

        Without an `environment` (None) they run on the workers' own software, whatever the manager's default is.
        Only workers that were started with all of these `features` run them.
        `isolation` is "shared": a warm interpreter runs one call after the other, and what a call leaves in it the
        next one finds; "fork": each call runs in a fork of a warm interpreter that has loaded its function, and run
        nothing; "process": each call has a fresh interpreter. A call that ends its process, is over its time limit or
        is cancelled harms no other in any of them; what it costs besides grows in this order.

        Calls of one `category` have in common what `Manager.set_category_...` say of it, for what is None here: the
        one core that a call takes otherwise is its own figure. None is no category.
        """
        given: dict[str, Any] = {"cores": cores, "memory": memory, "disk": disk, "gpus": gpus}
        changes: dict[str, Any] = {
            name: value if value is None else amounts.amount(name, value) for name, value in _set(given).items()
        }
        changes |= _set({"environment": environment})
        if priority is not _UNSET:
            changes["priority"] = amounts.priority(priority)
        if retries is not _UNSET:
            changes["retries"] = amounts.retries(retries)
        if time_limit is not _UNSET:
            changes["time_limit"] = None if time_limit is None else amounts.amount("time_limit", time_limit)
        if features is not _UNSET:
            changes["features"] = amounts.names("feature", features)
        if inputs is not _UNSET:
            if not isinstance(inputs, Mapping):
                raise errors.UsageError(
                    f"inputs={inputs!r} is no mapping: give {{name: file}}, the names being the call's"
                )
            for file in inputs.values():
                self.manager.check_own(file)
            changes["inputs"] = tasks.mounts([(file, amounts.sandbox_name(name)) for name, file in inputs.items()])
        if changes.get("environment") is not None:
            self.manager.check_own(changes["environment"])
        if isolation is not _UNSET:
            if isolation not in _KINDS:
                raise errors.UsageError(f"isolation={isolation!r} is none: give 'shared', 'fork' or 'process'")
            changes["isolation"] = isolation
        if category is not _UNSET:
            changes["category"] = "" if category is None else amounts.name("category", category)
        return self._changed(**changes)

    def _changed(self: E, **changes: Any) -> E:
        other = object.__new__(type(self))
        other._pool = self._pool
        other._set_options(replace(self._options, **changes))
        return other

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """The future of fn(*args, **kwargs), at once.

        Only who is far ahead of the run waits: while more than 1,000,000 calls of this client are open, or 1 GiB of
        their arguments, each submission takes up to 0.05 s (`open_tasks_max`, `open_bytes_max` and
        `crowded_pause_s` in vine/config.py). Calls that can never end so lock up nobody, and fill no memory soon.

        RuntimeError is raised after `shutdown`, NotSerialisable for a function or arguments that cannot travel,
        UsageError for what cannot be called, ManagerLost or FactoryLost when nothing can run any more.
        """
        if self._pool.closed or self._pool.error is not None:
            self._check()
        if type(fn) is functools.partial:
            fn, args, kwargs = _opened(fn, args, kwargs)
        future: VineFuture[T] = self._submit(VineFuture, fn, args, kwargs)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """As `concurrent.futures`: the iterables are read at once, and the results come in order as they are asked for.

        A chunk of `chunksize` calls runs as one call: it is that which has a time limit, is tried again and is
        isolated. With `buffersize` only so many chunks are submitted ahead of the results that are asked for. Calls
        whose results nobody can ask for any more are cancelled: after an error, the timeout, or the iterator's close.
        """
        self._check()
        self.manager.session.check()
        mapping.check(chunksize, buffersize)
        first: tuple[Any, ...] = ()
        named: dict[str, Any] = {}
        if type(fn) is functools.partial:
            fn, first, named = _opened(fn, first, named)

        def submit(rows: list[mapping.Row]) -> Future[mapping.Results]:
            self._check()  # With a buffer, some are submitted much later.
            return self._submit(mapping.ChunkFuture, fn, (first, rows), named)

        return mapping.in_order(submit, iterables, timeout, chunksize, buffersize)

    def _check(self) -> None:
        pool = self._pool
        if pool.closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if pool.error is not None:
            raise anew(pool.error)

    def _submit(
        self,
        make: Callable[[Session, TaskId, Pool], F],
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> F:
        """Submit the call under the future that `make` makes for it."""
        pool = self._pool
        calls, session = pool.manager.calls, pool.manager.session
        function = calls.function(fn)
        try:
            payload, links = calls.dump(args, kwargs, function.label)
        except ForeignFailed:
            payload, links = b"", None  # Told as any other failure of a future from elsewhere: by our future.
        awaited = None if links is None else links.awaited
        task_id = session.number_task()
        future = make(session, task_id, pool)
        session.expect(task_id, future)
        try:
            if payload and not awaited:
                calls.submit(self._spec(task_id, function, future.mark + payload, links), links)
            else:
                future.waits_here = True
                _when_done(awaited or [], lambda: self._submit_late(future, function, args, kwargs))
        except BaseException:  # Such as a Ctrl-C: nobody gets the future, so nobody may wait for it.
            session.claim(task_id)
            raise
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; with `cancel_futures`, those that no worker has begun are cancelled.

        A manager that this executor started ends once the last call has.
        """
        self._pool.closed = True
        if cancel_futures:
            self._pool.cancel_waiting()
        if wait:
            self._pool.await_and_end()
        else:
            threading.Thread(target=self._pool.await_and_end, daemon=True).start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the calls, unless the user has had enough: after a Ctrl-C all are cancelled."""
        self._pool.closed = True
        if isinstance(error, KeyboardInterrupt):
            self._pool.cancel()
        self.shutdown()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vine.Executor stays in its program: calls cannot submit calls")

    def _set_options(self, options: CallOptions) -> None:
        self._options = options
        self._request = options.request()
        self._kind = _KINDS[options.isolation]
        policy = Policy(enforce=self.manager.enforce_resources, category=options.category, time_min_s=options.time_min)
        self._policy = None if policy == Policy() else policy
        self._environment = environment_id(options.environment, "a function")
        # Checked once here, so that the calls need not be.
        tasks.checked(self._spec(TaskId(1), Function(FileId(1), "a call"), b"", None))

    def _spec(self, task_id: TaskId, function: Function, payload: bytes, links: Links | None) -> TaskSpec:
        options = self._options
        return TaskSpec(
            task_id,
            self._kind,
            function=function.file_id,
            payload=payload,
            depends=() if links is None else links.depends,
            inputs=options.inputs,
            outputs=options.outputs,
            variables=options.variables,
            environment=self._environment,
            request=self._request,
            priority=options.priority,
            retries=options.retries,
            time_limit_s=options.time_limit,
            features=options.features,
            label=function.label,
            policy=self._policy,
            shared=() if links is None or links.shared is None else self.manager.calls.shared_files(links.shared),
        )

    def _submit_late(
        self, future: VineFuture[Any], function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """The futures from elsewhere are done; this runs on the thread that has ended the last."""
        session, calls = self.manager.session, self.manager.calls
        if not session.is_open(future.task_id):
            return  # Cancelled while it waited.
        try:
            payload, links = calls.dump(args, kwargs, function.label)
            future.waits_here = False
            calls.submit(self._spec(future.task_id, function, future.mark + payload, links), links)
        except BaseException as why:
            # Raised into the other future's callbacks, it would be logged at best: it is our future's.
            error = serialise.foreign_failure(function.label, why) if isinstance(why, ForeignFailed) else why
            if session.claim(future.task_id) is not None:
                future.broken(error)
            if not isinstance(why, Exception):  # Such as a Ctrl-C.
                raise


def _set(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not _UNSET}

"""How does one call of an app become a call of the run, and its end what Parsl waits for?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from vine import errors
from vine.client import amounts
from vine.client.callbacks import Callback
from vine.client.executor import CallOptions, Executor
from vine.client.futures import VineFuture
from vine.parsl.resources import invalid, options_of

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from vine.client.futures import CallSession, Content
    from vine.client.pool import Pool
    from vine.names import TaskId
    from vine.parsl.config import ManagerConfig
    from vine.parsl.staging import Staged
    from vine.wire.parts import TaskResult


class Owner(Protocol):
    """The executor, as its apps' ends see it."""

    def explained(self, error: BaseException, ended: TaskResult | None) -> BaseException:
        """The error as Parsl's users know it."""


class AppCall(VineFuture[Any]):
    """What Parsl holds of one try of an app. Files are where they belong when it is done."""

    def __init__(
        self, owner: Owner, staged: Staged | None, session: CallSession, task_id: TaskId, pool: object = None
    ) -> None:
        super().__init__(session, task_id, pool)
        self.owner = owner
        self.staged = staged
        self.parsl_executor_task_id = task_id  # for Parsl's log: as vine-status numbers it

    def add_done_callback(self, fn: Callback) -> None:
        """As with Parsl's own executors it runs on the thread that has the results.

        Parsl's callbacks lead from each app to the next, which need not wait for a further thread to be given its turn.
        """
        Future.add_done_callback(self, fn)

    def ended(self, result: TaskResult, value: Content | None) -> None:
        super().ended(result, value)
        # Parsl keeps this as long as its own future, and passes values on: the run need not remember them that long.
        self.session.forget_result(self.task_id)
        self._done_callbacks.clear()  # They refer to what holds this: the less there is of it, the less to collect.

    def __del__(self) -> None:
        if self.task is None:
            super().__del__()

    def set_result(self, result: Any) -> None:
        staged, self.staged = self.staged, None
        if staged is not None:
            try:
                staged.arrived()
            except Exception as error:  # noqa: BLE001 - of the user's disk: it is this app's result
                super().set_exception(error)
                return
        super().set_result(result)

    def set_exception(self, exception: BaseException | None) -> None:
        staged, self.staged = self.staged, None
        if staged is not None:
            try:
                staged.arrived()  # What it had written may tell why.
            except Exception as why:  # noqa: BLE001 - it is the failure itself that its user is to hear of
                _log.warning("what a failed app has left cannot be put where it belongs: %s", why)
        super().set_exception(None if exception is None else self.owner.explained(exception, self.task))


class Apps(Executor):
    """Submits apps' functions; the same for those that ask for something is `asking`, `with_files`."""

    def submit_app(
        self,
        make: Callable[[CallSession, TaskId, Pool], AppCall],
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> AppCall:
        if self._pool.closed or self._pool.error is not None:
            self._check()
        return self._submit(make, func, args, kwargs)

    def asking(self, known: Mapping[str, Any]) -> Apps:
        """For what a specification asks for; InvalidResourceSpecification where that is nothing to ask for."""
        try:
            asking = self.options(**options_of(known))
            if "running_time_min" in known:
                asking = asking._changed(time_min=amounts.amount("running_time_min", known["running_time_min"]))
            if "environment" in known:
                asking = asking._changed(environment=self.manager.environment_or_default(known["environment"]))
        except errors.UsageError as why:
            raise invalid(known, why) from why
        return asking

    def in_category(self, name: str, measured: bool) -> Apps:
        """For apps of this category; with `measured` it is that which decides on cores that nobody has named."""
        return self._changed(category=amounts.name("category", name), **({"cores": None} if measured else {}))

    def with_all(self, config: ManagerConfig) -> Apps:
        """For what all apps have in common."""
        retries = amounts.COUNT_MAX if config.max_retries is None else amounts.retries(config.max_retries)
        return self._changed(variables={**(config.env_vars or {})}, retries=retries)

    @property
    def call_options(self) -> CallOptions:
        """What its calls ask for."""
        return self._options

    @property
    def pool(self) -> Pool:
        return self._pool

    def end(self, error: Callable[[], BaseException]) -> None:
        """The run is over, and its manager ends with all that it has started; calls that are open have this error."""
        self._pool.closed = True  # Before Parsl hears of failures, for it may try again.
        self._pool.fail_open(error)
        self.manager.close()
        self.shutdown()

    def with_files(self, staged: Staged) -> Apps:
        return self._changed(inputs=staged.inputs, outputs=staged.outputs)

"""What does the worker do next: the manager's messages and local events go in, actions come out."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import msgspec

from vine import config
from vine.names import AttemptId, ObjectId, TransferId
from vine.wire import messages as wire
from vine.wire.messages import Assignment, AttemptResult, Outcome, TaskKind
from vine_worker import actions as act
from vine_worker.attempts import Attempt, State, needed_objects, result_of
from vine_worker.functions.pool import HostPool, HostRecord
from vine_worker.inventory import Inventory
from vine_worker.resources import Grant, Ledger

Event: TypeAlias = wire.ToWorker | act.LocalEvent | wire.FetchEnded
_EWMA_SHARE = 0.2  # of the newest call in a function's expected duration


class WorkerCore:
    """Attempts, objects and hosts of one worker.

    Attempts start in the order of their arrival as resources allow. One whose inputs are here may pass one
    that still stages, but not one that only waits for resources: else small ones would starve large ones.
    """

    def __init__(self, capacity: wire.Resources, inputs_protected: bool) -> None:
        self.ledger = Ledger(capacity)
        self.inventory = Inventory()
        self.pool = HostPool(max(1, math.ceil(capacity.cores)))
        self.attempts: dict[AttemptId, Attempt] = {}
        self.idle_since_s = 0.0  # when the last attempt ended
        self._inputs_protected = inputs_protected
        self._epoch = 0
        self._counter = 0
        self._now = 0.0
        self._actions: list[act.Action] = []
        self._ready: list[tuple[int, AttemptId]] = []
        self._limits: list[tuple[float, AttemptId]] = []
        self._kills: list[tuple[float, int, act.KillBody | act.EndHost]] = []
        self._started: list[AttemptId] = []
        self._results: list[AttemptResult] = []
        self._fetches: dict[TransferId, ObjectId] = {}
        self._unpacks: dict[ObjectId, act.StartUnpack] = {}
        self._under_check: Counter[ObjectId] = Counter()  # inputs of ended attempts that may have been altered
        self._run_s: dict[ObjectId, float] = {}  # how long calls of a function run
        self._on: dict[type[Any], Callable[[Any], None]] = {
            wire.WorkerWelcome: self._on_welcome,
            wire.RunAttempts: self._on_run,
            wire.CancelAttempts: self._on_cancel,
            wire.StoreObjects: self._on_store,
            wire.FetchObject: self._on_fetch,
            wire.AbandonFetch: self._on_abandon,
            wire.UnpackObject: self._on_unpack,
            wire.DropObjects: self._on_drop,
            wire.EndWorker: self._on_end,
            wire.Refused: self._on_refused,
            wire.FetchEnded: self._on_fetch_ended,
            act.Kept: self._on_kept,
            act.Unpacked: self._on_unpacked,
            act.BodyEnded: self._on_body_ended,
            act.Collected: self._on_collected,
            act.HostReady: self._on_host_ready,
            act.CallEnded: self._on_call_ended,
            act.CallsReturned: self._on_calls_returned,
            act.HostEnded: self._on_host_ended,
        }

    # --- the driver's side ---

    def handle(self, event: Event, now: float) -> list[act.Action]:
        """Takes in a message of the manager or a local event; `FetchEnded` is the node's own report."""
        self._now = now
        self._on[type(event)](event)
        return self._take_actions()

    def tick(self, now: float) -> list[act.Action]:
        """Does what is due."""
        self._now = now
        while self._limits and self._limits[0][0] <= now:
            attempt = self.attempts.get(heapq.heappop(self._limits)[1])
            if attempt is not None and attempt.state is State.RUNNING and self._limit_of(attempt) <= now:
                self._stop(attempt, Outcome.TIME_LIMIT)
        while self._kills and self._kills[0][0] <= now:
            kill = heapq.heappop(self._kills)[2]
            if self._lives(kill):
                self._actions.append(kill)
        for host in list(self.pool.overdue(now)):
            self._recall(host)
        for host in self.pool.stuck(now):
            self._end_host(host)
        return self._take_actions()

    def next_deadline(self) -> float | None:
        times = [self._limits[0][0]] if self._limits else []
        if self._kills:
            times.append(self._kills[0][0])
        pool_s = self.pool.next_deadline()
        if pool_s is not None:
            times.append(pool_s)
        return min(times, default=None)

    def flush(self) -> list[act.Action]:
        """News for the manager, in batches; an attempt that has ended already is not said to have started."""
        news: list[act.Action] = []
        started = tuple(attempt_id for attempt_id in self._started if attempt_id in self.attempts)
        if started:
            news.append(act.Send(wire.TasksStarted(started)))
        news += (act.Send(wire.AttemptsEnded(batch)) for batch in batches(self._results))
        self._started, self._results = [], []
        return news

    @property
    def idle(self) -> bool:
        """Nothing runs, waits or is on its way to the manager."""
        return not self.attempts and not self._results

    def _take_actions(self) -> list[act.Action]:
        self._pump()
        actions, self._actions = self._actions, []
        return actions

    # --- the manager's messages ---

    def _on_welcome(self, message: wire.WorkerWelcome) -> None:
        if message.epoch < self._epoch:
            return  # A manager that has been replaced.
        self._epoch = message.epoch
        self._actions.append(act.Admitted(message.source_key, message.transfers_max))
        if self.inventory.held:
            self._actions.append(act.Send(wire.ObjectsHeld(tuple(sorted(self.inventory.held)))))

    def _on_run(self, message: wire.RunAttempts) -> None:
        for assignment in message.assignments:
            if assignment.attempt.epoch >= self._epoch and assignment.attempt not in self.attempts:
                self._accept(assignment)

    def _accept(self, assignment: Assignment) -> None:
        self._counter += 1
        attempt = Attempt(assignment, self._counter, self._now, needs=needed_objects(assignment))
        self.attempts[attempt.attempt_id] = attempt
        attempt.missing = self.inventory.use(attempt.attempt_id, attempt.needs)
        if not self.ledger.could_fit(assignment.allotment):
            message = f"{assignment.label or 'the task'} was given more than this worker has; ask for less"
            attempt.ending = act.Ending(Outcome.NO_WORKER_FITS, message=message)
            self._finish(attempt, None)
        elif not attempt.missing:
            self._make_ready(attempt)

    def _on_cancel(self, message: wire.CancelAttempts) -> None:
        for attempt_id in message.attempts:
            attempt = self.attempts.get(attempt_id)
            if attempt is not None:
                self._stop(attempt, Outcome.CANCELLED)

    def _on_store(self, message: wire.StoreObjects) -> None:
        for item in message.objects:
            self.inventory.wanted_again(item.object_id)
            if item.object_id in self.inventory.held:
                self._actions.append(act.Send(wire.ObjectsHeld((item.object_id,))))
            else:
                self._actions.append(act.KeepObject(item))

    def _on_fetch(self, order: wire.FetchObject) -> None:
        self.inventory.wanted_again(order.object_id)
        fault = wire.FetchFault.NONE
        if order.object_id not in self.inventory.held:
            if order.object_id not in self._fetches.values():
                self._fetches[order.transfer_id] = order.object_id
                self._actions.append(act.StartFetch(order))
                return
            fault = wire.FetchFault.ABANDONED  # Two transfers must not write into one object.
        self._actions.append(act.Send(wire.FetchEnded(order.transfer_id, order.object_id, fault, 0, 0.0)))

    def _on_abandon(self, message: wire.AbandonFetch) -> None:
        if message.transfer_id in self._fetches:
            self._actions.append(act.StopFetch(message.transfer_id))

    def _on_unpack(self, message: wire.UnpackObject) -> None:
        self.inventory.wanted_again(message.object_id)
        if message.object_id in self.inventory.held:
            self._actions.append(act.Send(wire.ObjectsHeld((message.object_id,))))
        elif message.object_id not in self._unpacks:
            order = act.StartUnpack(message.object_id, message.archive, message.label)
            self._unpacks[message.object_id] = order
            if not self.inventory.use(order, (message.archive,)):
                self._actions.append(order)

    def _on_drop(self, message: wire.DropObjects) -> None:
        for object_id in message.object_ids:
            self._end_hosts_of(object_id)
            arriving = object_id in self._unpacks or object_id in self._fetches.values()
            self._remove(self.inventory.drop(object_id, arriving))

    def _on_end(self, message: wire.EndWorker) -> None:
        self._actions.append(act.End(message.reason))

    def _on_refused(self, message: wire.Refused) -> None:
        self._actions.append(act.End(message.message))

    # --- objects ---

    def _on_fetch_ended(self, event: wire.FetchEnded) -> None:
        self._fetches.pop(event.transfer_id, None)
        event = msgspec.structs.replace(event, message=event.message[: config.text_chars_max])
        if event.fault is wire.FetchFault.NONE and self.inventory.refused(event.object_id):
            self._remove((event.object_id,))
            event = msgspec.structs.replace(event, fault=wire.FetchFault.ABANDONED)
        self._actions.append(act.Send(event))
        if event.fault is wire.FetchFault.NONE:
            self._arrived(event.object_id)

    def _on_kept(self, event: act.Kept) -> None:
        self._made(event.object_id, event.message, event.disk_full)

    def _on_unpacked(self, event: act.Unpacked) -> None:
        order = self._unpacks.pop(event.object_id)
        self._remove(self.inventory.release(order, (order.archive,)))
        self._made(event.object_id, event.message, event.disk_full)

    def _made(self, object_id: ObjectId, message: str, disk_full: bool) -> None:
        """Tells the manager of an object that was to be made here."""
        if message:
            short = message[: config.text_chars_max]
            self._actions.append(act.Send(wire.ObjectsLost((object_id,), short, disk_full)))
        elif self.inventory.refused(object_id):
            self._remove((object_id,))
        else:
            self._actions.append(act.Send(wire.ObjectsHeld((object_id,))))
            self._arrived(object_id)

    def _arrived(self, object_id: ObjectId) -> None:
        for user in self.inventory.arrived(object_id):
            if isinstance(user, act.StartUnpack):
                self._actions.append(user)
            elif user in self.attempts:
                attempt = self.attempts[user]
                attempt.missing.discard(object_id)
                if attempt.state is State.STAGING and not attempt.missing:
                    self._make_ready(attempt)

    def _remove(self, object_ids: Iterable[ObjectId]) -> None:
        removable = tuple(object_ids)
        if removable:
            self._actions.append(act.RemoveObjects(removable))

    def _lost(self, object_ids: tuple[ObjectId, ...], message: str) -> None:
        """Objects turned out to be altered: who has not started yet waits for good copies."""
        self._actions.append(act.Send(wire.ObjectsLost(object_ids, message)))
        for object_id in object_ids:
            self._end_hosts_of(object_id)
            for user in self.inventory.lost(object_id):
                attempt = self.attempts.get(user)  # type: ignore[call-overload] # as above
                if attempt is not None and attempt.state in (State.STAGING, State.READY):
                    attempt.missing.add(object_id)
                    if attempt.state is State.READY:
                        attempt.move(State.STAGING)

    # --- starting ---

    def _make_ready(self, attempt: Attempt) -> None:
        attempt.move(State.READY)
        attempt.staged_s = attempt.staged_s or self._now
        heapq.heappush(self._ready, (attempt.order, attempt.attempt_id))

    def _pump(self) -> None:
        """Starts what may start, in order."""
        while self._ready:
            attempt = self.attempts.get(self._ready[0][1])
            if attempt is not None and attempt.state is State.READY:
                if self._under_check and not self._under_check.keys().isdisjoint(attempt.needs):
                    return
                grant = self.ledger.take(attempt.assignment.allotment)
                if grant is not None:
                    self._start(attempt, grant)
                elif not self._hand_ahead(attempt):
                    return
            heapq.heappop(self._ready)

    def _start(self, attempt: Attempt, grant: Grant) -> None:
        if attempt.assignment.kind is TaskKind.CALL:
            host = self._host_for(attempt, grant)
            host.grant = grant
            self._give(attempt, host)
            if host.ready:
                self._begin(attempt, host)
            else:
                attempt.move(State.RUNNING)  # Its time counts from when the interpreter is up.
        else:
            attempt.grant = grant
            attempt.move(State.RUNNING)
            self._actions.append(act.StartBody(attempt.assignment, grant))
            self._count_time(attempt)

    def _host_for(self, attempt: Attempt, grant: Grant) -> HostRecord:
        kind = attempt.host_kind(grant)
        host = self.pool.take_idle(kind)
        if host is None:
            surplus = self.pool.surplus()
            if surplus is not None:
                self._end_host(surplus)
            host = self.pool.add(kind, self._now)
            if kind.environment is not None:
                self.inventory.use(("host", host.number), (kind.environment,))
            self._actions.append(act.StartHost(host.number, kind))
        return host

    def _give(self, attempt: Attempt, host: HostRecord) -> None:
        attempt.host = host.number
        host.calls.append(attempt.attempt_id)
        self._actions.append(act.RunCall(host.number, attempt.assignment))

    def _hand_ahead(self, attempt: Attempt) -> bool:
        """Gives a short call to a busy host: it runs back to back with those before it, on their resources."""
        assignment = attempt.assignment
        run_s = self._run_s.get(assignment.function) if assignment.function is not None else None
        if run_s is None or not attempt.plain or len(assignment.payload) > config.call_ahead_bytes_max:
            return False
        if sum(len(value.value or b"") for value in assignment.values) > config.call_ahead_bytes_max:
            return False
        depth_max = min(config.calls_ahead_max, int(config.calls_ahead_s / max(run_s, 1e-6)))
        host = self.pool.to_hand_ahead(assignment.environment, assignment.allotment, depth_max, self._now)
        if host is None:
            return False
        attempt.move(State.HANDED)
        self._give(attempt, host)
        return True

    def _begin(self, attempt: Attempt, host: HostRecord) -> None:
        """The first of the host's calls runs now."""
        if attempt.state is not State.RUNNING:
            attempt.move(State.RUNNING)
        host.started_s = self._now
        self._count_time(attempt)

    def _count_time(self, attempt: Attempt) -> None:
        attempt.started_s = self._now
        self._started.append(attempt.attempt_id)
        if attempt.assignment.time_limit_s is not None:
            heapq.heappush(self._limits, (self._limit_of(attempt), attempt.attempt_id))

    @staticmethod
    def _limit_of(attempt: Attempt) -> float:
        limit_s = attempt.assignment.time_limit_s
        return math.inf if limit_s is None or not attempt.started_s else attempt.started_s + limit_s

    # --- stopping ---

    def _stop(self, attempt: Attempt, why: Outcome) -> None:
        if attempt.stop is not None or attempt.state is State.COLLECTING:
            return  # It is being stopped already, or its end has come first.
        attempt.stop = why
        if attempt.host is not None:
            self._recall(self.pool.hosts[attempt.host])
        elif attempt.state is State.RUNNING:
            self._kill(act.KillBody(attempt.attempt_id, force=False), act.KillBody(attempt.attempt_id, force=True))
        else:
            self._finish(attempt, None)

    def _recall(self, host: HostRecord) -> None:
        """What the host has not begun comes back; then it is clear what runs."""
        host.recalled = True
        self._actions.append(act.TakeBack(host.number))

    def _end_host(self, host: HostRecord) -> None:
        if not host.ending:
            self.pool.withdraw(host)
            self._kill(act.EndHost(host.number, force=False), act.EndHost(host.number, force=True))

    def _kill(self, kill: act.KillBody | act.EndHost, force: act.KillBody | act.EndHost) -> None:
        self._actions.append(kill)
        self._counter += 1  # Makes the entries of the heap differ, so that actions are never compared.
        heapq.heappush(self._kills, (self._now + config.stop_grace_s, self._counter, force))

    def _lives(self, kill: act.KillBody | act.EndHost) -> bool:
        if isinstance(kill, act.EndHost):
            return kill.host in self.pool.hosts
        attempt = self.attempts.get(kill.attempt)
        return attempt is not None and attempt.state is State.RUNNING

    def _end_hosts_of(self, environment: ObjectId) -> None:
        for host in self.pool.idle_of(environment):
            self._end_host(host)

    # --- bodies ---

    def _on_body_ended(self, event: act.BodyEnded) -> None:
        attempt = self.attempts[event.attempt]
        assert attempt.grant is not None, "a body ran without resources"
        self.ledger.give_back(attempt.grant)
        attempt.grant = None
        self._ended(attempt, event.ending)

    def _ended(self, attempt: Attempt, ending: act.Ending) -> None:
        """The body is over; what it left is collected before its result goes out."""
        attempt.ending = ending
        attempt.ended_s = self._now
        attempt.host = None
        if attempt.plain and ending.value_path is None:
            self._finish(attempt, None)
            return
        attempt.move(State.COLLECTING)
        if not self._inputs_protected:
            self._under_check.update(mount.object_id for mount in attempt.assignment.inputs)
        wanted = attempt.stop is None
        succeeded = wanted and ending.outcome is Outcome.SUCCESS
        self._actions.append(act.Collect(attempt.assignment, succeeded, ending.value_path, wanted))

    def _on_collected(self, event: act.Collected) -> None:
        attempt = self.attempts[event.attempt]
        if not self._inputs_protected:
            self._under_check -= Counter(mount.object_id for mount in attempt.assignment.inputs)
        if event.altered:
            self._lost(event.altered, event.message)
        for output in event.outputs:
            self._arrived(output.object_id)
        if event.value_object is not None:
            self._arrived(event.value_object)
        self._finish(attempt, event)

    def _finish(self, attempt: Attempt, collected: act.Collected | None) -> None:
        attempt.move(State.ENDED)
        if attempt.ending is None:
            attempt.ending = act.Ending(attempt.stop or Outcome.CANCELLED)
        del self.attempts[attempt.attempt_id]
        self._remove(self.inventory.release(attempt.attempt_id, attempt.needs))
        self._results.append(result_of(attempt, collected, self._now))
        self.idle_since_s = self._now

    # --- hosts ---

    def _on_host_ready(self, event: act.HostReady) -> None:
        host = self.pool.hosts[event.host]
        host.ready = True
        if host.calls:
            self._begin(self.attempts[host.calls[0]], host)

    def _on_call_ended(self, event: act.CallEnded) -> None:
        host = self.pool.hosts[event.host]
        first = host.calls.popleft()
        assert first == event.attempt, "a host answered out of turn"
        attempt = self.attempts[first]
        function, run_s = attempt.assignment.function, event.ending.run_s
        if function is not None and run_s is not None:
            before_s = self._run_s.get(function, run_s)
            self._run_s[function] = before_s + _EWMA_SHARE * (run_s - before_s)
        self._ended(attempt, event.ending)
        if not host.calls:
            self._rest(host)
        elif not host.recalled:  # Else the next ones may be on their way back.
            self._begin(self.attempts[host.calls[0]], host)

    def _rest(self, host: HostRecord) -> None:
        assert host.grant is not None, "a busy host had no resources"
        self.ledger.give_back(host.grant)
        host.grant = None
        self.pool.rest(host)
        if host.kind.environment is not None and self.inventory.doomed(host.kind.environment):
            self._end_hosts_of(host.kind.environment)

    def _on_calls_returned(self, event: act.CallsReturned) -> None:
        host = self.pool.hosts[event.host]
        self._return_calls(host, event.attempts)
        if not host.calls:
            if host.grant is not None:
                self._rest(host)
            return
        running = self.attempts[host.calls[0]]
        if running.state is State.HANDED:
            self._begin(running, host)
        elapsed_s = self._now - running.started_s
        if running.stop is not None:
            self._end_host(host)
        elif running.assignment.function is not None and elapsed_s >= config.calls_ahead_s:
            self._run_s[running.assignment.function] = elapsed_s  # The next ones of its kind are not handed ahead.

    def _return_calls(self, host: HostRecord, returned: Iterable[AttemptId]) -> None:
        for attempt_id in returned:
            host.calls.remove(attempt_id)
            attempt = self.attempts[attempt_id]
            attempt.host = None
            attempt.started_s = 0.0
            if attempt.stop is not None:
                self._finish(attempt, None)
            else:
                self._make_ready(attempt)

    def _on_host_ended(self, event: act.HostEnded) -> None:
        host = self.pool.remove(event.host)
        assert host is not None, "a host ended twice"
        # A host that never came up is the fault of its first call, which would only kill the next host too.
        blamed = {host.calls[0]} if host.calls and not host.ready else set(host.calls) - set(event.unread)
        self._return_calls(host, [attempt_id for attempt_id in event.unread if attempt_id not in blamed])
        assert blamed == set(host.calls), "a host ran more than one call"
        for attempt_id in blamed:
            self._ended(self.attempts[attempt_id], event.ending)
        if host.grant is not None:
            self.ledger.give_back(host.grant)
        if host.kind.environment is not None:
            self._remove(self.inventory.release(("host", host.number), (host.kind.environment,)))

    # --- do the tables agree ---

    def check(self) -> None:
        """Asserts what must hold between any two events."""
        self.ledger.check()
        self.pool.check()
        ready = {attempt_id for _order, attempt_id in self._ready}
        for attempt_id, attempt in self.attempts.items():
            running_alone = attempt.state is State.RUNNING and attempt.host is None
            assert (attempt.grant is not None) == running_alone, f"{attempt_id} holds what it does not use"
            assert attempt.state is not State.READY or attempt_id in ready, f"{attempt_id} is forgotten"
            assert attempt.state is not State.STAGING or attempt.missing, f"{attempt_id} waits for nothing"
            assert (attempt.state in (State.READY, State.HANDED, State.RUNNING)) <= (not attempt.missing)
            if attempt.host is not None:
                assert attempt_id in self.pool.hosts[attempt.host].calls, f"{attempt_id} is on no host"
        if not self.attempts:
            assert self.ledger.idle, "resources leak"


def batches(results: list[AttemptResult]) -> Iterator[tuple[AttemptResult, ...]]:
    """Results in messages that stay near the batch size: one may carry a value and two outputs of a megabyte."""
    batch: list[AttemptResult] = []
    size = 0
    for result in results:
        batch.append(result)
        size += len(result.value or b"") + len(result.stdout) + len(result.stderr)
        if result.value_manifest is not None or result.outputs:
            size += len(msgspec.msgpack.encode(result))
        if size >= config.batch_bytes_target:
            yield tuple(batch)
            batch, size = [], 0
    if batch:
        yield tuple(batch)

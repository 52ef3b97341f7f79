"""How do commands and fresh interpreters run, and what is taken from their sandboxes when they end?"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vine import config
from vine.errors import VineError
from vine.names import AttemptId, ObjectId
from vine.wire.parts import Assignment, MadeOutput, Mount, Outcome, TaskKind
from vine_function_host.frames import READY
from vine_worker import actions as act
from vine_worker import mistakes, process
from vine_worker.functions.calls import CallWriter
from vine_worker.functions.channel import HostChannel
from vine_worker.places import Places
from vine_worker.programs import ProgramEnded, Programs, open_null
from vine_worker.sandbox import Sandbox, disk_bytes

log = logging.getLogger("vine.worker")


@dataclass(slots=True)
class _Body:
    assignment: Assignment
    sandbox: Sandbox
    started_s: float
    channel: HostChannel | None = None  # of a fresh interpreter


class Bodies:
    """The commands and fresh interpreters that run now; outputs are collected on threads."""

    def __init__(
        self, places: Places, programs: Programs, writer: CallWriter, report: Callable[[object], None]
    ) -> None:
        self._places = places
        self._programs = programs
        self._writer = writer
        self._report = report  # takes local events, from any thread
        self._null = open_null()
        self._by_number: dict[int, _Body] = {}  # of the program
        self._numbers: dict[AttemptId, int] = {}
        self._variables: tuple[object, Mapping[str, str]] | None = None
        self._gone: set[AttemptId] = set()  # have ended, and no process of theirs is left
        self._threads = ThreadPoolExecutor(2, "collect")

    def start(self, action: act.StartBody) -> None:
        """Makes the sandbox and starts the program; what stands in the way is the attempt's end."""
        assignment = action.assignment
        sandbox = self._places.sandbox(assignment.attempt)
        try:
            sandbox.make(assignment, self._places.holdings.path, self._places.spares.give)
            self._launch(action, sandbox)
        except (OSError, VineError) as why:
            message = f"{assignment.label or 'the task'} could not be started: {why}"
            self._report(act.BodyEnded(assignment.attempt, act.Ending(process.unstarted(why), message=message)))

    def _launch(self, action: act.StartBody, sandbox: Sandbox) -> None:
        assignment = action.assignment
        threads = process.threads_of(assignment.allotment)
        variables = dict(self._interpreter_variables(assignment.environment, threads, action.grant.devices))
        variables["TMPDIR"] = sandbox.scratch_name
        variables["VINE_SANDBOX"] = sandbox.work_name
        for name, value in process.allotment_variables(assignment.allotment, assignment.variables).items():
            if value is None:
                variables.pop(name, None)
            else:
                variables[name] = value
        body = _Body(assignment, sandbox, time.monotonic())
        try:
            number = self._start_program(body, variables, action.behind)
        except BaseException:
            if body.channel is not None:
                body.channel.close()
            raise
        self._by_number[number] = body
        self._numbers[assignment.attempt] = number

    def _interpreter_variables(
        self, environment: ObjectId | None, threads: int, devices: tuple[int, ...]
    ) -> Mapping[str, str]:
        """Those that were made last are remembered: most bodies have the same, and they are as many as our own."""
        key = (environment, threads, devices)
        if self._variables is None or self._variables[0] != key:
            places = self._places
            made = process.interpreter_variables(
                places.environment(environment), threads, devices, places.capacity, self._programs.protected
            )
            self._variables = key, made
        return self._variables[1]

    def _start_program(self, body: _Body, variables: dict[str, str], behind: AttemptId | None) -> int:
        assignment, sandbox, places = body.assignment, body.sandbox, self._places
        environment = places.environment(assignment.environment)
        if assignment.kind is TaskKind.PYTHON:
            body.channel = HostChannel(places.spill)
            arguments = process.host_arguments(environment, places.dill, body.channel.folder, once=True)
            # A fresh interpreter gets its variables and folder from its start.
            body.channel.send(1, *self._writer.parts(assignment, folder=None, variables={}))
            body.channel.flush()
        else:
            arguments = process.command_arguments(environment, assignment.command)
        far = body.channel.far_descriptors if body.channel is not None else ()
        after = None if behind is None else self._numbers.get(behind)  # It may have ended, and be about to be told.
        streams = sandbox.open_streams()
        try:
            return self._programs.start(arguments, sandbox.work_name, variables, (self._null, *streams, *far), after)
        finally:
            for stream in streams:
                os.close(stream)

    def take_back(self, action: act.TakeBackBody) -> None:
        number = self._numbers.get(action.attempt)
        if number is not None:
            self._programs.take_back(number)

    def kill(self, action: act.KillBody) -> None:
        number = self._numbers.get(action.attempt)
        if number is not None:
            self._programs.kill(number, action.force)

    def program_ended(self, ended: ProgramEnded) -> act.BodyEnded | act.BodyReturned | None:
        """The event, if the program was a body."""
        body = self._by_number.pop(ended.number, None)
        if body is None:
            return None
        del self._numbers[body.assignment.attempt]
        if not ended.begun:
            if body.channel is not None:
                body.channel.close()
            body.sandbox.remove()
            return act.BodyReturned(body.assignment.attempt)
        if ended.alone:
            self._gone.add(body.assignment.attempt)
        what = body.assignment.label or "the task"
        ending = process.ending_of_exit(ended.code, ended.message, what)
        if body.channel is not None:
            ending = self._ending_of_interpreter(body, ending)
        memory_mb = max(ending.memory_mb, process.megabytes(ended.memory_kb))
        ending = msgspec.structs.replace(ending, cpu_s=max(ending.cpu_s, ended.cpu_s), memory_mb=memory_mb)
        return act.BodyEnded(body.assignment.attempt, ending)

    def number_of(self, attempt: AttemptId) -> int | None:
        """The program of a body that runs."""
        return self._numbers.get(attempt)

    @staticmethod
    def _ending_of_interpreter(body: _Body, of_exit: act.Ending) -> act.Ending:
        assert body.channel is not None, "a fresh interpreter has a channel"
        answers = body.channel.receive()
        body.channel.close()
        for answer in answers:
            if answer.brings != READY:
                return process.ending_of_answer(answer)
        if of_exit.outcome is Outcome.KILLED:
            return of_exit
        what = body.assignment.label or "the task"
        if not answers:
            said = process.last_line(body.sandbox.stderr) or of_exit.message
            return act.Ending(Outcome.START_FAILED, message=f"the interpreter of {what} did not come up: {said}")
        # os._exit in the function, of which sys.exit would have made an answer.
        code = of_exit.exit_code
        return act.Ending(Outcome.EXIT_CODE, exit_code=code, message=f"{what} ended its interpreter with code {code}")

    # --- collecting ---

    def collect(self, action: act.Collect) -> act.Collected | None:
        """Takes outputs and streams, and removes the sandbox.

        What takes no time is done at once. The rest is done on a thread, which reports `Collected`.
        """
        collected = self._collected_at_once(action)
        if collected is None:
            self._threads.submit(self._collect, action)
        return collected

    def _collected_at_once(self, action: act.Collect) -> act.Collected | None:
        """What a body has left that has made nothing but its streams: a thread costs three times as much."""
        assignment, spares = action.assignment, self._places.spares
        gone = assignment.attempt in self._gone
        self._gone.discard(assignment.attempt)
        brought = assignment.inputs or assignment.outputs or action.value_path is not None
        if brought or action.measured or not action.succeeded:
            return None
        sandbox = self._places.sandbox(assignment.attempt)
        try:
            stdout, stderr, cut = sandbox.read_streams()
            if cut or (not (gone and spares.keep(sandbox)) and not sandbox.remove_if_bare()):
                return None
        except OSError:
            return None  # The thread tries again, and tells.
        return act.Collected(assignment.attempt, stdout=stdout, stderr=stderr)

    def _collect(self, action: act.Collect) -> None:
        sandbox = self._places.sandbox(action.assignment.attempt)
        with mistakes.told_to(self._report):
            try:
                collected = self._collected(action, sandbox)
            except (OSError, VineError) as why:
                outcome = Outcome.DISK_FULL if process.is_disk_full(why) else Outcome.OUTPUT_MISSING
                collected = act.Collected(action.assignment.attempt, outcome, str(why) or type(why).__name__)
            try:
                sandbox.remove()
            except OSError as why:  # Something still writes there, or it is too deep: the task has ended all the same.
                log.warning("%s stays behind: %s", sandbox.folder, why)
            self._report(collected)

    def _collected(self, action: act.Collect, sandbox: Sandbox) -> act.Collected:
        assignment, holdings = action.assignment, self._places.holdings
        stdout, stderr, cut = sandbox.read_streams()
        used_bytes = disk_bytes(sandbox.folder) if action.measured else 0
        altered = () if self._programs.protected else self._altered_inputs(assignment)
        outcome: Outcome | None = None
        message = ""
        outputs: dict[str, MadeOutput] = {}
        if altered:
            names = ", ".join(mount.name for mount in assignment.inputs if mount.object_id in altered)
            outcome = Outcome.INPUT_ALTERED
            message = f"{assignment.label or 'the task'} wrote to its input {names}, which others share; copy it first"
        elif action.succeeded:
            try:
                for mount in assignment.outputs:
                    if mount.when.holds(True) and not (mount.optional and not sandbox.has_output(mount.name)):
                        outputs[mount.name] = self._taken(mount, sandbox)
            except (VineError, OSError) as why:
                outcome = Outcome.DISK_FULL if process.is_disk_full(why) else Outcome.OUTPUT_MISSING
                message = str(why)
        elif assignment.kind is TaskKind.COMMAND and self._is_disk_full():
            outcome = Outcome.DISK_FULL  # Its own complaint found no space either.
            message = (
                f"{assignment.label} failed and left no free space in {self._places.folder}: "
                "have it write less, or give the worker another --workspace"
            )
        failed = outcome is not None or not action.succeeded
        if failed and action.wanted and outcome is not Outcome.DISK_FULL:
            self._take_what_failure_left(assignment, sandbox, outputs)
        name = f"task-{assignment.task_id}.{assignment.attempt}"
        spilled = self._places.streams.keep(sandbox, name, failed) if cut else None
        value_object = value_manifest = None
        if action.value_path is not None:
            if action.value_wanted and outcome is None:
                value_object, value_manifest = holdings.post(Path(action.value_path))
            else:
                os.unlink(action.value_path)
        return act.Collected(
            assignment.attempt,
            outcome,
            message,
            tuple(outputs.values()),
            altered,
            value_object,
            value_manifest,
            stdout,
            stderr,
            spilled,
            used_bytes / 1_000_000,
        )

    def _taken(self, mount: Mount, sandbox: Sandbox) -> MadeOutput:
        return MadeOutput(mount.file_id, *self._places.holdings.adopt(sandbox.take_output(mount.name)))

    def _take_what_failure_left(self, assignment: Assignment, sandbox: Sandbox, outputs: dict[str, MadeOutput]) -> None:
        """Those outputs that are wanted then and are there; it is the failure that its user is to hear of."""
        for mount in assignment.outputs:
            if mount.when.holds(False) and mount.name not in outputs and sandbox.has_output(mount.name):
                try:
                    outputs[mount.name] = self._taken(mount, sandbox)
                except (VineError, OSError) as why:
                    log.warning("%s of %s is not kept: %s", mount.name, assignment.label, why)

    def _is_disk_full(self) -> bool:
        disk = os.statvfs(self._places.folder)
        return disk.f_bavail * disk.f_frsize < config.disk_full_bytes

    def _altered_inputs(self, assignment: Assignment) -> tuple[ObjectId, ...]:
        """Inputs that are no longer what they were; they are out of the store before anyone else starts."""
        store = self._places.holdings.store
        altered = [key for key in {mount.object_id for mount in assignment.inputs} if store.altered(key)]
        for key in altered:
            store.quarantine(key)
        return tuple(altered)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        os.close(self._null)

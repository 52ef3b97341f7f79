"""How much memory does the manager take for each call that waits, with what its journal holds?"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.scale.measured import MeasuredScheduler
from benchmarks.scale.memory import resident_bytes
from benchmarks.scale.run import CLIENT, as_it_comes
from benchmarks.scale.workloads import KINDS, Workload
from vine.manager.journal import Journal
from vine.names import ClientId, HostId, RunId
from vine.scheduler import actions
from vine.wire import messages as m

_LINE_EVERY = 200_000  # calls
_BEHIND_MAX = 2000  # records that the journal may be behind, where it keeps up


def figures(count: int, keeps_up: bool) -> list[Figure]:
    """Resident memory that so many queued calls of one function add, once the journal has written them; and its peak.

    All is the manager's but the sockets: the true scheduler, fed with decoded messages, and the true journal. What
    waits for the journal is freed when it is written, but lies between calls that stay, so that little of it goes
    back to the system: where the journal does not keep up with who submits, that is counted with the calls.
    """
    with tempfile.TemporaryDirectory(prefix="vine-scale-") as folder:
        path = Path(folder) / "journal.sqlite"
        journal = Journal(path, RunId("scale"))
        scheduler = MeasuredScheduler()

        def say(message: m.Message) -> None:
            for action in scheduler.handle(CLIENT, as_it_comes(message), 0.0):
                if isinstance(action, actions.Journal):
                    journal.record(action.records, time.time())

        say(m.ClientHello(ClientId("c"), HostId("here"), "3.11"))
        workload = Workload()
        for message in workload.setup():
            say(message)
        before, said = resident_bytes(), 0
        for batch in workload.mixture(count, KINDS[:1]):
            say(m.SubmitTasks(batch.tasks))
            said += len(batch.tasks)
            if keeps_up:
                _await(lambda: journal.records_waiting <= _BEHIND_MAX)
            if said % _LINE_EVERY < len(batch.tasks):
                print(f"scale: {said:,} of {count:,} calls queued", file=sys.stderr, flush=True)
        _await(lambda: _written(path) == count)
        held, peak = resident_bytes() - before, resident_bytes("VmHWM") - before
        assert len(scheduler.core.state.tasks.by_id) == count, "not all are queued"
        seconds = scheduler.seconds[m.SubmitTasks.__name__]
        journal.close("the benchmark ends")
    params = {"queued": count, "journal": "keeps up" if keeps_up else "falls behind, and has caught up"}
    return [
        Figure("manager_bytes_per_call", held / count, "B", {**params, "by": "resident memory"}),
        Figure("manager_bytes_per_call_peak", peak / count, "B", {**params, "by": "the most while they came"}),
        Figure("core_us_per_submitted", seconds / count * 1e6, "us", params),
    ]


def _written(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM tasks").fetchone()[0])
    finally:
        connection.close()


def _await(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.05)

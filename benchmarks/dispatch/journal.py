"""What does the journal cost: how many calls a second go through, beside those of a run that writes none?"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import vine
from benchmarks.dispatch.bench import SLOTS, Bench, against, bench, inc, joined, seconds_of
from benchmarks.figures import Figure
from vine.errors import ManagerLost

COUNT = 10_000
# No run is without a journal: here its manager hands it nothing.
_UNJOURNALED = """
import sys
from vine.manager import journal, main
journal.Journal.record = lambda self, records, at_s: None
sys.exit(main.main(sys.argv[1:]))
"""


def journal(rounds: int, count: int = COUNT) -> list[Figure]:
    """Calls of a tiny function with the journal, and without it, in turns."""
    with bench() as with_it, unjournaled() as without:
        submits = [partial(at.executor.submit, inc) for at in (without, with_it)]
        for submit in submits:
            seconds_of(submit, 200)  # All hosts are started and have the function.
        pairs = [(seconds_of(submits[0], count), seconds_of(submits[1], count)) for _ in range(rounds)]
    names = ("journaled_per_s", "unjournaled_per_s", "journal_share")
    return against(names, pairs, count, {"calls": count, "slots": SLOTS, "rounds": rounds})


@contextmanager
def unjournaled() -> Iterator[Bench]:
    """A bench whose manager writes nothing down."""
    with tempfile.TemporaryDirectory(prefix="vine-dispatch-") as folder:
        command = [sys.executable, "-c", _UNJOURNALED, "--run-info-path", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as manager:
            try:
                assert manager.stdout is not None
                word, _, connection = manager.stdout.readline().strip().partition(" ")
                if word != "ready":
                    raise ManagerLost("the manager without a journal could not be started: see the lines above")
                with joined(vine.Manager(connection=connection)) as at:
                    yield at
            finally:
                manager.terminate()

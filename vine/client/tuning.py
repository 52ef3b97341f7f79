"""What may a program tune, under TaskVine's names, and how many more tasks does its run want?"""

from __future__ import annotations

import math

from vine import config, errors
from vine.client.session import Session
from vine.wire.messages import AwaitWorkers

_LIMITS: dict[str, tuple[float, float, bool]] = {  # the least and the most, and whether it is a whole number
    "hungry-minimum": (0, 1e9, True),
    "hungry-minimum-factor": (0, 1e9, False),
    "temp-replica-count": (1, config.workers_max, True),
    "wait-for-workers": (0, config.workers_max, True),
}


class Tuning:
    """A manager's part that is tuned; see `Manager`."""

    _session: Session

    def __init__(self) -> None:
        self._hungry_minimum = 10
        self._hungry_factor = 2.0
        self._temp_copies = 1

    def tune(self, name: str, value: float) -> None:
        """Set one of TaskVine's parameters that mean something here; UsageError names them for any other.

        "hungry-minimum" (10) and "hungry-minimum-factor" (2): see `hungry`. "temp-replica-count" (1): so many copies,
        on as many hosts, are kept of each file that `declare_temp` declares from now on. "wait-for-workers" (0): what
        this manager submits from then on waits until so many are connected; once they were, it has done its work.
        """
        if name not in _LIMITS:
            known = ", ".join(map(repr, _LIMITS))
            raise errors.UsageError(f"there is no {name!r} to be tuned: there are {known} (docs/from-taskvine.md)")
        least, most, whole = _LIMITS[name]
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not numeric or not least <= value <= most or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            raise errors.UsageError(f"{name!r} cannot be {value!r}: give {kind} of at least {least:g}")
        if name == "hungry-minimum":
            self._hungry_minimum = int(value)
        elif name == "hungry-minimum-factor":
            self._hungry_factor = float(value)
        elif name == "temp-replica-count":
            self._temp_copies = int(value)
        else:
            self._session.say(AwaitWorkers(int(value)))

    def hungry(self) -> int:
        """How many more tasks to submit, so that workers find one when they end another; 0 when enough wait.

        As many may wait as the workers have cores, times "hungry-minimum-factor", and at least "hungry-minimum".
        What workers have been given is known up to a second late. `submit` takes any number of tasks: this is for
        programs that make them as they go.
        """
        state = self._session.state
        on_workers = sum(state.tasks.get(name, 0) for name in ("staged", "running", "collecting"))
        waiting = max(0, self._session.open_count - on_workers)
        wanted = max(self._hungry_minimum, math.ceil(self._hungry_factor * state.cores))
        return max(0, wanted - waiting)

"""What can go wrong that is not our own mistake: every error that a user or a peer can cause."""

from __future__ import annotations

import enum
from concurrent.futures import BrokenExecutor


class ExitCode(enum.IntEnum):
    """What the commands' exit codes mean."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CANNOT_BIND = 3
    REFUSED = 4
    MANAGER_LOST = 5
    NO_SPACE = 6


class VineError(Exception):
    """The root of all errors that vine raises on purpose; the message names the thing and the remedy."""

    exit_code = ExitCode.FAILED


class MalformedMessage(VineError):  # noqa: N818 - it is about a message, counted and dropped, and rarely raised to a user
    """A peer sent what no message is: counted and dropped."""


class UsageError(VineError, ValueError):
    """An argument or option that cannot be what was meant."""

    exit_code = ExitCode.USAGE


class ConnectionFileError(VineError):
    """A connection file that is missing, unreadable, or readable by others."""

    exit_code = ExitCode.USAGE


class JournalDamaged(VineError):  # noqa: N818 - the family reads as what happened
    """A run's journal is not whole, so that its manager cannot go on as if it were."""


class CannotBind(VineError):  # noqa: N818 - the family reads as what happened
    """The address is in use or not ours."""

    exit_code = ExitCode.CANNOT_BIND


class ConnectionRefused(VineError):  # noqa: N818 - as above
    """The manager does not admit us: wrong key, wrong role, wrong version."""

    exit_code = ExitCode.REFUSED


class ManagerLost(VineError, BrokenExecutor):  # noqa: N818 - as above
    """The manager has not been heard for too long, or could not be started."""

    exit_code = ExitCode.MANAGER_LOST


class FactoryLost(VineError, BrokenExecutor):  # noqa: N818 - as above
    """The factory that the client started has ended for good, and no worker is left to run anything."""


class FactoryWarning(UserWarning):
    """The factory that the client started has ended, and work goes on: see its log."""


class DiskFull(VineError):  # noqa: N818 - as above
    """The data do not fit into the space that there is."""

    exit_code = ExitCode.NO_SPACE


class FileChanged(VineError):  # noqa: N818 - as above
    """A local file is no longer what it was when it was declared."""


class FileMissing(VineError, FileNotFoundError):  # noqa: N818 - as above
    """A declared file does not exist or cannot be read."""


class BroadcastFailed(VineError):  # noqa: N818 - as above
    """A file could not be brought to any of the workers that were asked for."""


class UnsafeArchive(VineError):  # noqa: N818 - as above
    """An archive with a member that would leave its folder or is not a plain file, folder or link."""


class NotSerialisable(VineError, TypeError):  # noqa: N818 - as above
    """A function, argument or result that neither pickle nor dill can carry."""


class TaskFailed(VineError):  # noqa: N818 - as above
    """A task did not succeed for a reason that is not an exception of its own function."""


class TaskCancelled(TaskFailed):
    """The task was cancelled."""


class NoWorkerFits(TaskFailed):
    """The task asks for more than any worker that could come has."""


class FixedLocationMissing(TaskFailed):
    """No worker has all the inputs that the task wants to find where it runs."""


class InputMissing(TaskFailed):
    """An input of the task does not exist."""


class InputChanged(TaskFailed):
    """An input of the task is no longer what was declared."""


class InputAltered(TaskFailed):
    """The task wrote to an input that it shares with others."""


class DependencyFailed(TaskFailed):
    """A task whose result this one takes did not succeed."""


class Forsaken(TaskFailed):
    """Workers have given the task back without having run it more often than it allows."""


class WorkerLost(TaskFailed):
    """Every allowed attempt of the task ended with the loss of its worker."""


class LimitExceeded(TaskFailed):
    """The task was killed for taking more than it was allowed; the subclass says of what."""


class TimeLimitExceeded(LimitExceeded):
    """The task ran longer than its time limit, or beyond its end time."""


class MemoryLimitExceeded(LimitExceeded):
    """The task's processes used more memory than it had asked for."""


class DiskLimitExceeded(LimitExceeded):
    """The task wrote more into its sandbox than the disk that it had asked for."""


class ProcessLimitExceeded(LimitExceeded):
    """The task had more processes at once than any task may."""


class OutputLimitExceeded(LimitExceeded):
    """The task printed more than any task may."""


class PythonMismatch(TaskFailed, UsageError):  # noqa: N818 - as above
    """A function was to run on another minor version of Python than this program's, which cannot load its code."""


class LibraryFailed(TaskFailed):
    """The library of the call could not be loaded, or died; its `__cause__` is what was raised while it loaded."""


class LibraryMissing(TaskFailed):
    """The library of the call was removed, or never installed."""


class OutOfDisk(TaskFailed):
    """The task's data did not fit on any worker tried."""

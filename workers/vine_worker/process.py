"""With what arguments and variables does a body run, and what does its end mean?"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

from vine import config
from vine.environments.running import entrance, interpreter_in, variables_in
from vine.errors import DiskFull
from vine.wire.parts import Outcome, Resources
from vine_function_host import frames
from vine_worker.actions import Ending
from vine_worker.functions.channel import Answer

_HOST_PROGRAM = str(Path(frames.__file__).with_name("start.py"))
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def command_arguments(environment: Path | None, command: str) -> list[str]:
    return [*(entrance(environment) if environment is not None else ()), "/bin/sh", "-c", command]


def host_arguments(
    environment: Path | None,
    dill_folder: Path,
    spill_folder: Path,
    *,
    once: bool = False,
    fork: bool = False,
    library: Path | None = None,
    zygote: bool = False,
) -> list[str]:
    """How the function host is started, or with a `library` the `zygote` of its hosts; the spawner fills in `{fd}`."""
    python = [sys.executable] if environment is None else [*entrance(environment), interpreter_in(environment)]
    options = {
        "dill": str(dill_folder),
        "fork": fork,
        "frame_bytes": config.host_frame_bytes_max,
        "inline_bytes": config.inline_bytes_max,
        "library": "" if library is None else str(library),
        "measured_run_s_min": config.measured_run_s_min,
        "once": once,
        "spill": str(spill_folder),
        "zygote": zygote,
    }
    return [*python, _HOST_PROGRAM, "{fd}", json.dumps(options)]


def interpreter_variables(
    environment: Path | None, threads: int, devices: tuple[int, ...], capacity: Resources, protected: bool
) -> dict[str, str]:
    """The worker's own variables, with what a body's place on this worker changes in them."""
    variables = dict(os.environ)
    variables.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    if capacity.gpus:
        # Bodies that were given no GPU see none: else they would share those of others.
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(device_names(devices, variables.get("CUDA_VISIBLE_DEVICES", "")))
    if environment is not None:
        variables = variables_in(environment, variables)
        if not protected:
            variables["PYTHONDONTWRITEBYTECODE"] = "1"  # Into the environment, which others use too.
    return variables


def device_names(devices: tuple[int, ...], own: str) -> list[str]:
    """What CUDA calls these of the worker's devices; `own` names those that a batch system has given the worker."""
    names = own.split(",") if own else []
    return [names[device] if device < len(names) else str(device) for device in devices]


def allotment_variables(allotment: Resources, extra: Mapping[str, str | None]) -> dict[str, str | None]:
    """What a body may use, told to it; what the user wants set, or (None) not set, comes last."""
    return {**_figures(allotment), **extra}


@lru_cache(64)  # Most bodies are given the same as the one before.
def _figures(allotment: Resources) -> Mapping[str, str]:
    return {
        "CORES": figure(allotment.cores),
        "MEMORY": figure(allotment.memory_mb),
        "DISK": figure(allotment.disk_mb),
        "GPUS": figure(allotment.gpus),
    }


def figure(amount: float) -> str:
    return str(int(amount)) if amount == int(amount) else str(amount)


def threads_of(allotment: Resources) -> int:
    return max(1, int(allotment.cores))


# --- ends ----------------------------------------------------------------------------------------


def ending_of_exit(code: int | None, message: str, what: str) -> Ending:
    """What the end of a process means; `what` names it to the user."""
    if code is None:
        return Ending(Outcome.START_FAILED, message=f"{what} could not be started: {message}")
    if code < 0:
        name = signal_name(-code)
        hint = "; it may have used more memory than there is" if name == "SIGKILL" else ""
        return Ending(Outcome.KILLED, exit_code=-code, message=f"{what} was killed by {name}{hint}")
    if code:
        return Ending(Outcome.EXIT_CODE, exit_code=code, message=f"{what} ended with exit code {code}")
    return Ending(Outcome.SUCCESS, exit_code=0)


_OUTCOMES = {
    frames.VALUE: Outcome.SUCCESS,
    frames.EXCEPTION: Outcome.EXCEPTION,
    frames.UNSENDABLE: Outcome.NOT_SERIALISABLE,
    frames.FOREIGN: Outcome.PYTHON_MISMATCH,
}


def ending_of_answer(answer: Answer) -> Ending:
    """What a function host's answer means."""
    ending = _ending_of_answer(answer)
    if answer.use == frames.NO_USE:
        return ending
    cpu_s, most_kb, left_kb = answer.use
    return msgspec.structs.replace(ending, cpu_s=cpu_s, memory_mb=megabytes(most_kb), left_mb=megabytes(left_kb))


def megabytes(kilobytes: int) -> float:
    """Of the kernel's kilobytes, which are 1,024 bytes each."""
    return kilobytes * 1024 / 1_000_000


def _ending_of_answer(answer: Answer) -> Ending:
    if answer.brings == frames.DIED:
        ending = ending_of_exit(int(answer.content), "", "the function's process")
        if ending.outcome is not Outcome.SUCCESS:
            return ending
        message = "the function ended its process with exit code 0 instead of returning"
        return Ending(Outcome.EXIT_CODE, exit_code=0, message=message)
    if answer.brings == frames.EXIT:
        code = int(answer.content)
        message = f"the function called sys.exit({code}) instead of returning"
        return Ending(Outcome.EXIT_CODE, exit_code=code, message=message, run_s=answer.run_s)
    outcome = _OUTCOMES[answer.brings]
    if answer.at_path:
        return Ending(outcome, message=answer.words, value_path=os.fsdecode(answer.content), run_s=answer.run_s)
    return Ending(outcome, message=answer.words, value=answer.content, run_s=answer.run_s)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_line(path: Path) -> str:
    """What a program said last, for a message about its end."""
    lines = last_lines(path)
    return lines[-1] if lines else ""


def last_lines(path: Path) -> list[str]:
    """The end of what a program has said, of which the first line may be cut."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2048))
            return file.read().decode(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return []


# Of a disk that went or is read-only, of a node that has no more descriptors, processes or memory; names and arguments
# that are too long, or in each other's way, are the task's own.
_NODES_OWN = frozenset(
    {
        errno.ENOENT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM, errno.ENODEV, errno.ENXIO,
        errno.ENOTCONN, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM,
    }
)  # fmt: skip


def unstarted(why: BaseException) -> Outcome:
    """What it means that a body could not be started: may another worker have more luck?"""
    if is_disk_full(why):
        return Outcome.DISK_FULL
    nodes_own = isinstance(why, OSError) and why.errno in _NODES_OWN
    return Outcome.UNPREPARED if nodes_own else Outcome.START_FAILED


def is_disk_full(why: BaseException) -> bool:
    """Whether it is for want of space, by our budget or the file system's."""
    return isinstance(why, DiskFull) or (isinstance(why, OSError) and why.errno in (errno.ENOSPC, errno.EDQUOT))

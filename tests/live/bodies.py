"""What the tests have workers run; what it imports needs nothing but the standard library."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.waiting import GIVE_UP_S, until


def add(*numbers: float) -> float:
    return sum(numbers)


def total(nested: Any) -> float:
    """The sum of all numbers in nested containers."""
    if isinstance(nested, dict):
        return total(nested.values())
    if isinstance(nested, Iterable):
        return sum(total(item) for item in nested)
    return float(nested)


def fail(message: str) -> None:
    raise ValueError(message)


def sha256_of(name: str) -> str:
    return hashlib.sha256(Path(name).read_bytes()).hexdigest()


def random_bytes(count: int) -> bytes:
    return os.urandom(count)


def repeated(text: str, count: int) -> str:
    return text * count


def length(value: Any) -> int:
    return len(value)


def a_generator() -> Any:
    """What neither pickle nor dill can carry."""
    return (number for number in range(3))


def process_id() -> int:
    return os.getpid()


def kill_myself(number: int = signal.SIGKILL) -> None:
    os.kill(os.getpid(), number)


def leave(code: int) -> None:
    sys.exit(code)


def note_and_wait(notes: str, release: str) -> int:
    """Notes that a body runs, and by whom; returns once `release` exists."""
    note(notes, os.getpid())
    until(lambda: os.path.exists(release), f"somebody has made {release}")
    return os.getpid()


def note_and_add(notes: str, *numbers: float) -> float:
    """Notes that a body runs; returns the sum."""
    note(notes, os.getpid())
    return sum(numbers)


def note(notes: str, what: object) -> None:
    with open(notes, "a") as file:
        file.write(f"{what}\n")


def write_into(name: str) -> None:
    """What no task may do: change an input that it shares with others."""
    path = os.path.realpath(name)
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.write(b"altered")


def say(name: str, out: str, err: str) -> bytes:
    """Writes to both streams and returns the bytes of an input."""
    print(out, flush=True)
    print(err, file=sys.stderr, flush=True)
    return Path(name).read_bytes()


class Telltale:
    """Whoever unpickles this leaves its process id in a file."""

    def __init__(self, notes: str) -> None:
        self.notes = notes

    def __reduce__(self) -> Any:
        return _unpickled, (self.notes,)


def _unpickled(notes: str) -> Telltale:
    note(notes, os.getpid())
    return Telltale(notes)


def telltale(notes: str) -> Telltale:
    return Telltale(notes)


def process_id_beside(_: object) -> int:
    return os.getpid()


def raise_telltale(notes: str) -> None:
    raise TelltaleError(notes)


class TelltaleError(Exception):
    def __reduce__(self) -> Any:
        return _unpickled_error, (self.args[0],)


def _unpickled_error(notes: str) -> TelltaleError:
    note(notes, os.getpid())
    return TelltaleError(notes)


def variable(name: str) -> str | None:
    return os.environ.get(name)


def take_memory(count: int, seconds: float = GIVE_UP_S) -> None:
    """Has so many bytes for so long."""
    _ = bytearray(count)
    end_at = time.monotonic() + seconds
    while time.monotonic() < end_at:
        time.sleep(0.01)  # In parts: whoever ends it by a signal need not wait for the rest.


def fill_disk(count: int, where: str, seconds: float = GIVE_UP_S) -> str:
    """Leaves so many bytes in its folder, or in that for temporary files, for so long; says in which folder it is."""
    with open("big", "wb") if where == "folder" else tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(os.urandom(count))
        file.flush()
        end_at = time.monotonic() + seconds
        while time.monotonic() < end_at:
            time.sleep(0.01)  # In parts, as above.
    return os.getcwd()


class Counted:
    """Whoever pickles or unpickles this notes so, with its process id."""

    def __init__(self, notes: str, size: int = 0) -> None:
        self.notes = notes
        self.filling = b"x" * size

    def __reduce__(self) -> Any:
        note(self.notes, f"pickled {os.getpid()}")
        return object.__new__, (Counted,), self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        note(self.notes, f"unpickled {os.getpid()}")


def pass_on(value: Any, *_beside: object) -> Any:
    """Returns what it was given; says where it ran."""
    counted = value
    while isinstance(counted, list | dict):
        counted = counted[0]
    note(f"{counted.notes}.hosts", os.getpid())
    return value


def counting_error(counted: Counted) -> None:
    note(f"{counted.notes}.hosts", os.getpid())
    raise ValueError(counted)


def total_of(values: Any) -> float:
    return float(values.sum())


def facts_of(given: dict[str, Any]) -> tuple[bool, bool]:
    """Whether an array may be written to, and whether its memory is its own."""
    flags = given["nested"][0].flags
    return bool(flags.writeable), bool(flags.owndata)


def map_behind(values: Any) -> str:
    """Which file's map an array's memory is."""
    address = values.__array_interface__["data"][0]
    with open("/proc/self/maps") as maps:
        for line in maps:
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            if begin <= address < end:
                return line.split()[-1]
    return ""


def length_and_note(notes: str, given: list[Any]) -> int:
    note(f"{notes}.hosts", os.getpid())
    return len(given)


def parent_and_note(notes: str, given: object) -> int:
    """Of a call in a fork: its host."""
    note(f"{notes}.hosts", os.getppid())
    return os.getppid()


def make_counted(notes: str, size: int) -> Counted:
    note(f"{notes}.hosts", os.getpid())
    return Counted(notes, size)


class Noting:
    """What a serialiser is registered for that notes who asks it."""

    def __init__(self, content: int) -> None:
        self.content = content


def register_noting(notes: str) -> None:
    import vine

    def dump(value: Noting) -> int:
        note(notes, f"pickled {os.getpid()}")
        return value.content

    def load(content: int) -> Noting:
        note(notes, f"unpickled {os.getpid()}")
        return Noting(content)

    vine.register_serialiser(Noting, dump, load)


def pass_noting_on(notes: str, value: Noting) -> Noting:
    note(f"{notes}.hosts", os.getpid())
    return value


def copy_text(name: str, copy: str) -> None:
    Path(copy).write_text(Path(name).read_text())


def numbers(count: int) -> list[int]:
    return list(range(count))


def sum_of_pickled(name: str) -> int:
    with open(name, "rb") as file:
        return sum(pickle.load(file))

"""What is each thing called: the types of the identifiers that travel between processes."""

from __future__ import annotations

from typing import NamedTuple, NewType

RunId = NewType("RunId", str)
ClientId = NewType("ClientId", str)
WorkerId = NewType("WorkerId", str)
PeerKey = NewType("PeerKey", str)  # One session on the manager's control socket; a peer that comes back has a new one.
HostId = NewType("HostId", str)  # Workers of one host share its network link; see `machine.host_id`.

TaskId = NewType("TaskId", int)  # client index << TASK_BITS | the client's own counter, from 1
FileId = NewType("FileId", int)  # logical: lives from the declaration on; same composition as TaskId
ObjectId = NewType("ObjectId", str)  # content: 64 hex digits, the BLAKE3 of a manifest or of a recipe

NUMBER_BITS = 40  # A client may number a trillion tasks before it would collide with the next client.

MANAGER = WorkerId("manager")  # The manager's own transfer node, where a worker's id is expected.


class AttemptId(NamedTuple):
    """One try at a task; never reused: the epoch fences commands, the counter fences results."""

    epoch: int
    counter: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.counter}"


class TransferId(NamedTuple):
    """One planned flow of an object into one node; never reused."""

    epoch: int
    counter: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.counter}"


def numbered(client_index: int, counter: int) -> int:
    """The run-wide number of a client's `counter`-th task or file."""
    assert 0 < counter < 1 << NUMBER_BITS, "a client's counter left its range"
    return client_index << NUMBER_BITS | counter


def client_index_of(number: int) -> int:
    return number >> NUMBER_BITS

"""What is known of a run whose manager has died: its journal, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from vine.names import AttemptId, ClientId, FileId, ObjectId, RunId, TaskId, WorkerId
from vine.scheduler.categories import CategoryKey
from vine.wire.parts import (
    CategorySpec,
    FileSpec,
    HostStanding,
    LibrarySpec,
    Manifest,
    Outcome,
    Signature,
    TaskResult,
    TaskSpec,
)

Ranges = tuple[tuple[int, int], ...]  # from the first number to the last, in order, none touching the next


class OpenAttempt(NamedTuple):
    """An attempt that had not ended when the journal did."""

    attempt_id: AttemptId
    worker_id: WorkerId
    begun: bool  # Its body ran.


@dataclass(frozen=True, slots=True)
class ReplayedClient:
    """A client that had not left."""

    client_id: ClientId
    key_digest: bytes


@dataclass(frozen=True, slots=True)
class ReplayedTask:
    """A task as far as it has come; `result` None means that it is still owed."""

    spec: TaskSpec
    state: str
    accepted_s: float  # this and all other times of this module by the wall clock
    result: TaskResult | None
    value_path: str | None
    value_object: ObjectId | None
    generations: int
    cancelled: bool  # It was to end as cancelled.
    attempts: tuple[OpenAttempt, ...]
    ended_attempts: Mapping[Outcome, int]  # of a task that is still owed


@dataclass(frozen=True, slots=True)
class ReplayedFile:
    """A declared file; `object_id` None means that it has no content yet."""

    spec: FileSpec
    object_id: ObjectId | None
    attempt: AttemptId | None
    worker_id: WorkerId | None  # that made the content, if an attempt did
    signature: Signature | None
    failure: tuple[Outcome, str] | None


@dataclass(frozen=True, slots=True)
class ReplayedClosing:
    """How a host was closed, for how long, and when that ends; None is until it is opened."""

    standing: HostStanding
    for_s: float | None = None
    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class ReplayedLibrary:
    """A library; calls of one that was removed may still run."""

    spec: LibrarySpec
    removed: bool


@dataclass(frozen=True, slots=True)
class ReplayedRun:
    """Everything that was committed; tasks in the order of their acceptance."""

    run_id: RunId
    epoch: int  # of the manager that wrote last
    written_s: float  # the last time that it is known to have lived
    attempts_max: Mapping[int, int]  # the highest attempt counter of each epoch
    clients: dict[int, ReplayedClient]  # by index
    clients_seen: int  # indexes below this were given away
    clients_left: frozenset[int]  # indexes of those that have left or were given up
    tasks: dict[TaskId, ReplayedTask]
    files: dict[FileId, ReplayedFile]
    manifests: dict[ObjectId, Manifest]
    workers: tuple[WorkerId, ...]  # that had not left
    categories: dict[CategoryKey, CategorySpec]
    closed_hosts: dict[str, ReplayedClosing]  # by hostname
    libraries: dict[FileId, ReplayedLibrary]
    forgotten_tasks: Ranges = ()  # results that nobody will ask for again
    forgotten_files: Ranges = ()
    past: dict[str, int] = field(default_factory=dict)  # tasks that are not among `tasks`, by state

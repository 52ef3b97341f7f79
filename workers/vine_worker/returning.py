"""What is told to a manager that was started again: what has begun here, ends that may be lost, and objects?"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from vine import config
from vine.names import AttemptId, ObjectId, TaskId
from vine.wire.parts import AttemptResult, BegunAttempt
from vine.wire.worker_messages import AttemptsEnded, EndsJournaled, ObjectsEvicted, WorkerReturned
from vine_worker.attempts import State
from vine_worker.board import Board

# These have not begun: the next manager gives their tasks to whom it will.
_WAITING = frozenset({State.STAGING, State.READY, State.WAITING})


class Ends:
    """The ends that were told, and are kept until the manager says that its journal has them."""

    def __init__(self, task_of: dict[AttemptId, TaskId]) -> None:
        """`task_of` names the tasks of all ends that are kept here, or are yet to be told."""
        self._task_of = task_of
        self._told: deque[tuple[AttemptsEnded, int]] = deque()
        self._bytes = 0
        self._forgotten = 0  # messages of this session that are not kept any more

    def tell(self, results: tuple[AttemptResult, ...], size: int) -> AttemptsEnded:
        """Keep them. Of more than can be kept the oldest are forgotten: their bodies may run again."""
        message = AttemptsEnded(results)
        size += config.end_bytes * len(results)
        self._told.append((message, size))
        self._bytes += size
        while self._bytes > config.ends_kept_bytes_max and len(self._told) > 1:
            self._forget_first()
        return message

    def journaled(self, message: EndsJournaled) -> None:
        while self._told and self._forgotten < message.messages:
            self._forget_first()

    def again(self) -> list[AttemptsEnded]:
        """All that are kept, to be told in a new session."""
        self._forgotten = 0
        return [message for message, _ in self._told]

    def _forget_first(self) -> None:
        message, size = self._told.popleft()
        self._bytes -= size
        self._forgotten += 1
        for result in message.results:
            del self._task_of[result.attempt]


def give_up_waiting(board: Board) -> None:
    """What has not begun is nobody's any more, and nothing is said of it."""
    before = len(board.results)
    for attempt in [attempt for attempt in board.attempts.values() if attempt.state in _WAITING]:
        board.finish(attempt, None)
    for result in board.results[before:]:
        del board.task_of[result.attempt]
    del board.results[before:]


def _running(board: Board) -> Iterator[tuple[AttemptId, TaskId]]:
    return ((attempt_id, attempt.assignment.task_id) for attempt_id, attempt in board.attempts.items())


def tell(board: Board, ends: Ends, forever: set[ObjectId]) -> None:
    """Say what is here to a manager that knows of this worker by hearsay; then all ends that it may not know."""
    again = ends.again()
    results = [result for message in again for result in message.results] + board.results
    made, here = _made(results), board.inventory.held
    board.send(
        WorkerReturned(
            attempts=tuple(
                BegunAttempt(attempt_id, task_id)
                for attempt_id, task_id in (*_running(board), *((r.attempt, board.task_of[r.attempt]) for r in results))
            ),
            object_ids=tuple(sorted(here - made)),
            forever=tuple(sorted(here & forever)),
            made=tuple(sorted(here & made)),
        )
    )
    for message in again:
        board.send(message)
    gone = not_here(board, (result for message in again for result in message.results))
    if gone:  # What the last manager had removed after it was told.
        board.send(ObjectsEvicted(gone))


def not_here(board: Board, results: Iterable[AttemptResult]) -> tuple[ObjectId, ...]:
    """What these have made and is not here any more: whoever is told of them must hear so after."""
    return tuple(sorted(_made(results) - board.inventory.held))


def _made(results: Iterable[AttemptResult]) -> set[ObjectId]:
    made = set[ObjectId]()
    for result in results:
        made.update(output.object_id for output in result.outputs)
        if result.value_object is not None:
            made.add(result.value_object)
    return made

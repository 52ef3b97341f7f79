"""Which outputs are looked at while their tasks run, and what is the manager told of them?"""

from __future__ import annotations

import math

from vine import config
from vine.names import AttemptId, FileId
from vine.wire.worker_messages import OutputGrown
from vine_worker import actions as act
from vine_worker.attempts import State
from vine_worker.board import Board


class Watching:
    """Has the watched outputs of what runs looked at now and then, and passes on what they have grown by."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._asked = False
        self._due_s = math.inf
        self._told: dict[AttemptId, dict[FileId, int]] = {}  # bytes of each output, of attempts that are watched

    def begin(self, attempt: AttemptId) -> None:
        """An attempt with watched outputs has come."""
        self._told[attempt] = {}
        self._due_s = min(self._due_s, self._board.now + config.watch_interval_s)

    def begin_anew(self) -> None:
        """Another manager is there: of what was told last it may never have heard."""
        for told in self._told.values():
            told.clear()

    def tick(self) -> None:
        board = self._board
        if self._asked or board.now < self._due_s:
            return
        self._told = {attempt: told for attempt, told in self._told.items() if attempt in board.attempts}
        self._due_s = board.now + config.watch_interval_s if self._told else math.inf
        outputs = tuple(
            act.Watched(attempt_id, mount.file_id, mount.name, told.get(mount.file_id, 0))
            for attempt_id, told in self._told.items()
            if board.attempts[attempt_id].state is State.RUNNING
            for mount in board.attempts[attempt_id].assignment.outputs
            if mount.watched
        )
        if outputs:
            self._asked = True
            board.actions.append(act.LookAtOutputs(outputs))

    def next_deadline(self) -> float | None:
        return None if self._asked or self._due_s == math.inf else self._due_s

    def grown(self, event: act.Grown) -> None:
        """Tells the manager, unless the attempt has ended meanwhile: then the whole output follows."""
        self._asked = False
        for attempt_id, file_id, offset, data in event.parts:
            attempt = self._board.attempts.get(attempt_id)
            if attempt is None or attempt.state is not State.RUNNING or attempt_id not in self._told:
                continue
            told = self._told[attempt_id]
            if offset not in (0, told.get(file_id, 0)):
                continue  # This was looked for before it began anew.
            told[file_id] = offset + len(data)
            for start in range(0, len(data), config.inline_bytes_max):
                part = data[start : start + config.inline_bytes_max]
                self._board.send(OutputGrown(attempt_id, file_id, offset + start, part))

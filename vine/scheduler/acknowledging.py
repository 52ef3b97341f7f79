"""What of all that was said is in the journal by now, so that nobody needs to say it again to a later manager?

Peers keep what they have said until they hear so. They are told once a tick at most, all together: the journal is
asked when what has been recorded up to here is written, one question at a time, and nothing waits for the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vine.scheduler.actions import AskJournal
from vine.wire.messages import Journaled
from vine.wire.worker_messages import EndsJournaled

if TYPE_CHECKING:
    from vine.scheduler.state import State


def ask(state: State) -> None:
    """Ask the journal, if anybody has said something since it was asked last."""
    if state.asked_journal is not None:
        return
    said = {client.peer: client.said for client in state.clients.values() if client.said > client.journaled}
    said |= {worker.peer: worker.ends_told for worker in state.workers.values() if worker.ends_told > worker.journaled}
    if said:
        state.asked_journal = said
        state.do(AskJournal())


def answered(state: State) -> None:
    """All is written that had been recorded when the journal was asked."""
    said, state.asked_journal = state.asked_journal or {}, None
    for peer, count in said.items():
        worker = state.worker_of.get(peer)
        if worker is not None:
            worker.journaled = count
            state.send(peer, EndsJournaled(count))
        elif peer in state.clients:
            state.clients[peer].journaled = count
            state.send(peer, Journaled(count))

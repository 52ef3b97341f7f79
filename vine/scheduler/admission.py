"""Who takes part: clients, workers and factories say hello, come back, leave, or are given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blake3 import blake3

from vine import config
from vine.scheduler import actions, fleet, losses, returning, staging, submission
from vine.scheduler.actions import PeerKey
from vine.scheduler.peers import ClientRecord, FactoryRecord
from vine.scheduler.records import ClientJoined
from vine.scheduler.workers import WorkerRecord
from vine.wire import messages as m
from vine.wire.worker_messages import EndWorker, WorkerHello

if TYPE_CHECKING:
    from vine.scheduler.state import State


def client_says_hello(state: State, peer: PeerKey, hello: m.ClientHello) -> None:
    if peer in state.clients:
        return
    if hello.index is None:
        _admit_client(state, peer, hello, state.clients_seen)
        return
    known = next((client for client in state.clients.values() if client.index == hello.index), None)
    was_given_away = hello.index < state.clients_seen and hello.index not in state.clients_left
    if known is None and hello.epoch < state.settings.epoch and was_given_away:
        _admit_client(state, peer, hello, hello.index)  # It joined as the manager died, and that was not written down.
    elif known is None:
        state.send(peer, m.Refused("this client was given up, since it was not heard of for too long: start anew"))
    elif (known.client_id, known.key_digest) != (hello.client_id, _digest(hello.key)) or not known.key_digest:
        state.strange += 1
        state.send(peer, m.Refused("another client has this number"))
    elif known.owed is None:
        state.send(peer, m.Refused("this client is connected already"))
    else:
        returning.client_returned(state, known, peer, hello.host_id == state.settings.host_id)
        _welcome(state, known)


def _admit_client(state: State, peer: PeerKey, hello: m.ClientHello, index: int) -> None:
    same_host = hello.host_id == state.settings.host_id
    client = ClientRecord(peer, hello.client_id, index, state.now, same_host, key_digest=_digest(hello.key))
    state.clients_seen = max(state.clients_seen, index + 1)
    state.clients[peer] = client
    state.record(ClientJoined(client.client_id, index, client.key_digest))
    _welcome(state, client)


def _welcome(state: State, client: ClientRecord) -> None:
    settings = state.settings
    welcome = m.ClientWelcome(
        settings.run_id, settings.epoch, client.index, settings.run_dir, settings.staging_dir, client.same_host
    )
    state.send(client.peer, welcome)


def _digest(key: bytes | None) -> bytes:
    """By which a key is known again; nothing of a client that will not come back."""
    return b"" if key is None else blake3(key).digest()


def worker_says_hello(state: State, peer: PeerKey, hello: WorkerHello) -> None:
    if state.stopping:
        state.send(peer, EndWorker("the run is over"))
        return
    if (refusal := fleet.refusal_of(state, hello)) is not None:
        state.send(peer, m.Refused(refusal))
        return
    known = state.workers.get(hello.worker_id)
    if known is not None:
        lose(state, known.peer, "came back as a new process")
    if not hello.epoch:
        returning.will_not_return(state, hello.worker_id, "was started anew")
    fleet.admit_worker(state, peer, hello)
    staging.plan_all(state)


def factory_says_hello(state: State, peer: PeerKey, hello: m.FactoryHello) -> None:
    fleet.admit_factory(state, peer, hello)


def give_up_silent(state: State) -> None:
    """Whoever was not heard for too long, or has died by the look of its connection, is gone."""
    settings, workers = state.settings, state.workers.values()
    cut_off = [(worker, worker.cut_at) for worker in workers if worker.cut_at is not None and _has_hung_up(worker)]
    patience_s = settings.worker_cut_off_s + len(cut_off) * config.worker_cut_off_each_s
    for worker in [worker for worker in workers if state.now - worker.heard_at > settings.worker_lost_after_s]:
        lose(state, worker.peer, f"was silent for {settings.worker_lost_after_s:g} s")
    for worker, cut_at in cut_off:
        if state.now - cut_at > patience_s:
            lose(state, worker.peer, "its connection was closed, and it did not come back")
    others: list[ClientRecord | FactoryRecord] = [*state.clients.values(), *state.factories.values()]
    for other in others:
        if state.now - other.heard_at > settings.client_lost_after_s:
            lose(state, other.peer, f"was silent for {settings.client_lost_after_s:g} s")


def _has_hung_up(worker: WorkerRecord) -> bool:
    """Whether the connection by which it was heard last was closed at its end.

    A kernel does that at once when its process dies. That a connection was closed for its silence tells nothing: who
    is behind a network that is down may live.
    """
    cut_at, heard_at = worker.cut_at, worker.heard_at
    return cut_at is not None and heard_at <= cut_at < heard_at + config.zmq_silence_ms / 1000


def lose(state: State, peer: PeerKey, reason: str) -> None:
    """The peer is gone, whoever it was."""
    if peer in state.worker_of:
        losses.worker_lost(state, state.worker_of[peer], reason)
    elif peer in state.clients:
        submission.client_left(state, peer)
        state.do(actions.Forget(peer))
    elif peer in state.factories:
        fleet.factory_left(state, peer)

"""Whatever well-formed messages peers say in whatever order: the manager goes on, and its tables agree."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.simulator.faults.journal import MemoryJournal
from tests.scheduler.world import CHUNK, World, manifest
from vine.content.manifest import object_id
from vine.names import AttemptId, ClientId, FileId, HostId, PeerKey, TaskId, TransferId, WorkerId, numbered
from vine.scheduler.actions import Journal, LocalFetched, LocalFetchFailed
from vine.scheduler.files import unpacked_id
from vine.wire import messages as m
from vine.wire.parts import (
    AttemptResult,
    CacheLevel,
    DownloadFault,
    FetchFault,
    FileKind,
    FileSpec,
    MadeOutput,
    Manifest,
    Mount,
    Outcome,
    Request,
    Resources,
    TaskKind,
    TaskSpec,
    TreeEntry,
)
from vine.wire.worker_messages import (
    AttemptsEnded,
    DownloadEnded,
    FetchEnded,
    ObjectsEvicted,
    ObjectsHeld,
    ObjectsLost,
    TasksStarted,
    WorkerBye,
    WorkerHello,
    WorkerStatus,
)

_manifests = st.sampled_from(
    [
        manifest("a", 1),
        manifest("b", 8),
        Manifest(1, 0, CHUNK, b""),
        Manifest(7, 2**63 - 1, 1, b""),
        Manifest(1, 0, CHUNK, b"", (TreeEntry("../up", 0o644, 0),)),
    ]
)
_objects = st.sampled_from([object_id(manifest("a", 1)), object_id(manifest("b", 8)), "0" * 64])
_objects |= _objects.map(unpacked_id)
_numbers = st.builds(numbered, st.integers(0, 1), st.integers(1, 4))
_files = _numbers.map(FileId)
_tasks = _numbers.map(TaskId)
_attempts = st.builds(AttemptId, st.just(1), st.integers(1, 12))
_transfers = st.builds(TransferId, st.just(1), st.integers(1, 12))
_workers = st.sampled_from(["w1", "w2", "manager"]).map(WorkerId)
_paths = st.sampled_from(["/data/a", "relative", "/data/../b"])
_urls = st.sampled_from(["https://example.org/a", "file:///data/b"])
_long = st.sampled_from(["", "x", "x" * 8192])
_few = 2
MOST = 2**63 - 1  # of what counts may be


def _some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, max_size=_few).map(tuple)


_mounts = _some(st.builds(Mount, _files, st.sampled_from(["x", "../x", "/x"])))
_specs = st.builds(
    FileSpec, _files, st.sampled_from(FileKind), st.sampled_from(CacheLevel), _long, st.none() | _paths,
    st.none() | st.just(b"data"), st.none() | _files, st.booleans(), st.booleans(), st.none() | _urls,
)  # fmt: skip
_specs |= st.builds(FileSpec, _files, st.just(FileKind.URL), st.sampled_from(CacheLevel), _long, url=_urls)
_requests = st.builds(Request, st.sampled_from([None, 0.0, 1.0, 1e9]), st.sampled_from([None, 0.0, 1.0]))
_submitted = st.builds(
    TaskSpec, _tasks, st.sampled_from(TaskKind), function=st.none() | _files, depends=_some(_tasks), inputs=_mounts,
    outputs=_mounts, environment=st.none() | _files, request=_requests, retries=st.integers(0, 1), label=_long,
)  # fmt: skip
_from_client = st.one_of(
    st.builds(
        m.ClientHello,
        st.just(ClientId("c")),
        st.sampled_from(["here", "there"]).map(HostId),
        st.just("3.11"),
        index=st.sampled_from([None, None, 0, 2**62, MOST]),
        epoch=st.sampled_from([0, 1, MOST]),
    ),
    st.builds(m.DeclareFiles, _some(_specs)),
    st.builds(m.FileBound, _files, _objects, _manifests, _paths, st.none()),
    st.builds(m.FileUnreadable, _files, _long),
    st.builds(m.ForgetFiles, _some(_files)),
    st.builds(m.SubmitTasks, _some(_submitted)),
    st.builds(m.CancelTasks, _some(_tasks)),
    st.builds(m.BringFile, _files),
    st.builds(m.SpreadFile, st.integers(1, 3), _files, st.sampled_from([None, 1, 2**62]), _some(_workers)),
    st.builds(m.ReplicateFile, _files, st.sampled_from([1, 2, 2**62])),
    st.builds(m.PruneFiles, _some(_files)),
    st.builds(m.ForgetResults, _some(_tasks)),
    st.builds(m.ClientBye),
)
_results = st.builds(
    AttemptResult, _attempts, st.sampled_from(Outcome), value=st.none() | st.just(b"v"),
    value_object=st.none() | _objects, value_manifest=st.none() | _manifests,
    outputs=_some(st.builds(MadeOutput, _files, _objects, _manifests)), message=_long,
)  # fmt: skip
_ends = st.sampled_from(["tcp://127.0.0.1:1", "tcp://127.0.0.1:99999"])
_from_worker = st.one_of(
    st.builds(
        WorkerHello, _workers, st.just(HostId("h")), st.just("node"), st.integers(1, 2),
        st.sampled_from([Resources(), Resources(2, 10, 10, 1)]), st.just(()), st.just("3.11"), _ends, _ends,
    ),
    st.builds(TasksStarted, _some(_attempts)),
    st.builds(AttemptsEnded, _some(_results)),
    st.builds(ObjectsHeld, _some(_objects)),
    st.builds(ObjectsLost, _some(_objects), _long, st.booleans()),
    st.builds(ObjectsEvicted, _some(_objects)),
    st.builds(WorkerStatus, *[st.sampled_from([0, MOST])] * 7),
    st.builds(
        FetchEnded, _transfers, _objects, st.sampled_from(FetchFault), st.sampled_from([1, MOST]),
        st.sampled_from([0.0, 0.1, 1e9]), _long, received_bytes_from_manager=st.sampled_from([0, MOST]),
    ),
    st.builds(
        DownloadEnded, _transfers, st.sampled_from(DownloadFault), st.none() | _objects, st.none() | _manifests,
        st.sampled_from([1, MOST]), st.just(0.1), _long,
    ),
    st.builds(WorkerBye, _long),
)  # fmt: skip
_from_factory = st.one_of(
    st.builds(
        m.FactoryHello, st.just("f"), st.just("local"), st.just(0), st.sampled_from([2, MOST]), st.just(Resources(1))
    ),
    st.builds(m.FactoryStatus, *[st.sampled_from([0, MOST])] * 2, _long),
)
_local = st.builds(LocalFetched, _transfers, _objects, st.just(1), st.just(0.1)) | st.builds(
    LocalFetchFailed, _transfers, _objects, st.sampled_from(FetchFault), _long, st.just(1), st.just(0.1)
)
_peers = {"client": _from_client, "client 2": _from_client, "first": _from_worker, "second": _from_worker}
_said = st.one_of(
    *(st.tuples(st.just(PeerKey(peer)), messages) for peer, messages in _peers.items()),
    st.tuples(st.just(PeerKey("factory")), _from_factory),
    st.tuples(st.none(), _local),
    st.tuples(st.none(), st.sampled_from([0.5, 4.0, 20.0])),
)


_HELLOS = [
    (PeerKey("client"), m.ClientHello(ClientId("c"), HostId("here"), "3.11")),
    *(
        (
            PeerKey(peer),
            WorkerHello(
                WorkerId(name),
                HostId("h"),
                "node",
                1,
                Resources(2, 10, 10, 1),
                (),
                "3.11",
                *["tcp://127.0.0.1:1"] * 2,
            ),
        )
        for peer, name in (("first", "w1"), ("second", "w2"))
    ),
]


@given(st.lists(_said, max_size=60))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_message_of_a_peer_ends_the_manager(said: list[tuple[PeerKey | None, Any]]) -> None:
    world = World()
    for peer, message in _HELLOS:
        world.say(message, peer)
    for peer, what in said:
        if peer is not None:
            world.say(what, peer)
        elif isinstance(what, float):
            world.now += what
            world.step(world.core.tick(world.now))
        elif (transfer := world.core.state.transfers.active.get(what.transfer_id)) and transfer.path is not None:
            world.step(world.core.local(what, world.now))  # Our own node makes nothing up.
        msgspec.json.encode(world.core.snapshot(world.now))
        world.results.clear()  # A client that gives a number twice hears of it twice.
    journal = MemoryJournal()
    journal.begin(0.0)
    for action in world.done:
        if isinstance(action, Journal):
            journal.record(action.records, 0.0)
    journal.commit()


def test_a_client_cannot_take_a_number_that_was_never_given_away() -> None:
    # given one that claims to have joined unbeknown to the journal, under the last number that there is
    world = World()
    world.say(m.ClientHello(ClientId("c"), HostId("here"), "3.11", b"k" * 16, index=MOST), PeerKey("liar"))
    # when another one comes
    world.say(m.ClientHello(ClientId("d"), HostId("here"), "3.11"), PeerKey("honest"))
    # then that has the number after the first client's
    liar, honest = (action.message for action in world.sent(m.Refused) + world.sent(m.ClientWelcome)[1:])
    assert isinstance(liar, m.Refused) and isinstance(honest, m.ClientWelcome)
    assert honest.client_index == 1


def test_what_workers_claim_to_have_received_cannot_grow_beyond_what_can_be_told() -> None:
    world = World(workers=1)
    for number in range(1, 4):
        ended = FetchEnded(TransferId(1, 1000 + number), "0" * 64, FetchFault.NONE, MOST, 0.1)
        world.say(ended, next(iter(world.workers.values())).peer)
    world.pass_time(5.0)
    assert world.core.snapshot(world.now)["bytes_from_peers"] <= MOST
    assert world.sent(m.RunState), "the client is told all the same"

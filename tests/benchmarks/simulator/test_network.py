from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulator.clock import Clock
from benchmarks.simulator.network import Network, Pipe, Port


class World:
    """Nodes of 100 bytes a second each way, 10 ms apart, and what has arrived when."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.network = Network(self.clock, latency_s=0.01)
        self.arrived: list[tuple[str, float]] = []

    def port(self, name: str, up: float = 100, down: float = 100) -> Port:
        return self.network.port(name, up, down)

    def pipe(self, source: Port, target: Port) -> Pipe:
        return self.network.pipe(source, target, lambda item: self.arrived.append((item, self.clock.now())))


@pytest.fixture
def world() -> World:
    return World()


def test_a_message_takes_its_bytes_over_the_slower_link_and_the_latency(world: World) -> None:
    world.pipe(world.port("a", up=50), world.port("b")).send("x", 25)
    world.clock.run()
    assert world.arrived == [("x", pytest.approx(0.51))]


def test_one_without_bytes_is_only_late(world: World) -> None:
    world.pipe(world.port("a"), world.port("b")).send("x")
    world.clock.run()
    assert world.arrived == [("x", pytest.approx(0.01))]


def test_what_goes_into_a_pipe_comes_out_in_order(world: World) -> None:
    pipe = world.pipe(world.port("a"), world.port("b"))
    for item, size in (("first", 50), ("none", 0), ("second", 100), ("last", 0)):
        pipe.send(item, size)
    world.clock.run()
    assert world.arrived == [
        ("first", pytest.approx(0.51)),
        ("none", pytest.approx(0.51)),
        ("second", pytest.approx(1.51)),
        ("last", pytest.approx(1.51)),
    ]


def test_two_flows_out_of_one_node_share_its_link_and_the_rest_goes_fast(world: World) -> None:
    source = world.port("a")
    world.pipe(source, world.port("b")).send("short", 50)
    world.pipe(source, world.port("c")).send("long", 150)
    world.clock.run()
    # Both at half the rate for a second, then the long one alone.
    assert world.arrived == [("short", pytest.approx(1.01)), ("long", pytest.approx(2.01))]


def test_each_node_sends_and_receives_at_full_rate_at_once(world: World) -> None:
    a, b = world.port("a"), world.port("b")
    world.pipe(a, b).send("there", 100)
    world.pipe(b, a).send("back", 100)
    world.clock.run()
    assert world.arrived == [("there", pytest.approx(1.01)), ("back", pytest.approx(1.01))]


def test_a_flow_that_comes_later_slows_down_what_is_under_way(world: World) -> None:
    source = world.port("a")
    world.pipe(source, world.port("b")).send("first", 100)
    later = world.pipe(source, world.port("c"))
    world.clock.after(0.5, lambda: later.send("later", 100))
    world.clock.run()
    assert world.arrived == [("first", pytest.approx(1.51)), ("later", pytest.approx(2.01))]


def test_nothing_comes_from_or_to_a_node_that_is_gone(world: World) -> None:
    gone, other, third = world.port("gone"), world.port("other"), world.port("third")
    to_it, of_it, beside = world.pipe(other, gone), world.pipe(gone, other), world.pipe(other, third)
    to_it.send("to it", 50)
    of_it.send("of it", 50)
    beside.send("beside", 100)
    world.clock.after(0.4, lambda: world.network.unplug(gone))
    world.clock.run()
    # The flow beside had half the link for 0.4 s, and then all of it.
    assert world.arrived == [("beside", pytest.approx(1.21))]
    assert to_it.broken and of_it.broken and world.pipe(other, gone).broken


def test_who_sends_hears_when_a_message_has_left(world: World) -> None:
    pipe, left = world.pipe(world.port("a"), world.port("b")), list[float]()
    pipe.on_left = lambda: left.append(world.clock.now())
    pipe.send("x", 50)
    pipe.send("y", 50)
    world.clock.run()
    assert left == pytest.approx([0.5, 1.0])
    assert len(pipe) == 0


messages = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 500), st.integers(0, 20)), min_size=1, max_size=25
)


@given(messages)
def test_no_byte_is_lost_and_no_link_carries_more_than_it_can(sent: list[tuple[int, int, int, int]]) -> None:
    world = World()
    ports = [world.port(str(n), up=100 + 50 * n, down=250 - 50 * n) for n in range(4)]
    pipes = {(a, b): world.pipe(ports[a], ports[b]) for a in range(4) for b in range(4)}
    for number, (a, b, size, tenths) in enumerate(sent):
        pipe = pipes[a, b]
        world.clock.after(tenths / 10, lambda pipe=pipe, n=number, size=size: pipe.send(str(n), size))  # type: ignore[misc]
    world.clock.run()
    # Everything arrives once, and in order of each pipe.
    assert sorted(int(item) for item, _ in world.arrived) == list(range(len(sent)))
    # What all has gone over a link from the first start on cannot have gone faster than its rate.
    last = {int(item): at for item, at in world.arrived}
    for node in range(4):
        for mine, rate in ((0, 100 + 50 * node), (1, 250 - 50 * node)):
            over = [n for n, message in enumerate(sent) if message[mine] == node]
            if over:
                first = min(sent[n][3] / 10 for n in over)
                end = max(last[n] for n in over) - 0.01
                assert sum(sent[n][2] for n in over) <= rate * (end - first) * (1 + 1e-6) + 1e-3

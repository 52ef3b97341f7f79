"""The work is what the checks of its results take it for."""

from benchmarks.peers.work import inc


def test_inc_is_one_more() -> None:
    assert [inc(x) for x in range(3)] == [1, 2, 3]

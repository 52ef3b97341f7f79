"""What is given up is out of reach and told at one moment, whoever pins it meanwhile."""

from __future__ import annotations

import threading

from vine.content.table import Held, Table
from vine.names import ObjectId

KEYS = [ObjectId(f"{number:064x}") for number in range(200)]


def table_of(*keys: ObjectId) -> Table:
    table = Table()
    for key in keys:
        table.add(key, Held(1, {}, None))
        table.rate(key, spare=True)
    return table


def test_what_is_pinned_is_not_taken_but_for_a_fault() -> None:
    table = table_of(KEYS[0])
    table.pin(KEYS[0])
    assert table.take(KEYS[0], even_pinned=False) is None
    assert table.take(KEYS[0], even_pinned=True) is not None
    assert KEYS[0] not in table


def test_what_was_given_up_is_told_once() -> None:
    table = table_of(*KEYS[:2])
    assert [key for key, _held in table.give_up(1)] == [KEYS[0]]
    assert (table.take_evicted(), table.take_evicted()) == ((KEYS[0],), ())
    assert list(table) == [KEYS[1]]


def test_whoever_pins_has_heard_of_what_is_gone() -> None:
    # given a thread that gives up one after the other
    table = table_of(*KEYS)
    thread = threading.Thread(target=lambda: [table.give_up(1) for _ in KEYS])
    thread.start()
    # when all are pinned meanwhile, then what is not told as gone by then stays
    gone: set[ObjectId] = set()
    for key in reversed(KEYS):
        table.pin(key)
        gone.update(table.take_evicted())
        assert key in gone or key in table
    thread.join()
    assert set(table) == set(KEYS) - gone

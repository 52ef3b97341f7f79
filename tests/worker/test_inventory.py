"""Do objects stay while they are needed, and no longer?"""

from __future__ import annotations

from vine.names import ObjectId
from vine_worker.inventory import Inventory

DATA, OTHER = ObjectId("d" * 64), ObjectId("o" * 64)


def test_what_is_missing_is_named_until_it_arrives() -> None:
    inventory = Inventory()
    inventory.arrived(OTHER)
    assert inventory.use("user", (DATA, OTHER)) == {DATA}
    assert inventory.arrived(DATA) == ["user"]
    assert inventory.use("another", (DATA,)) == set()


def test_a_dropped_object_goes_when_its_last_user_does() -> None:
    inventory = Inventory()
    inventory.arrived(DATA)
    inventory.use("first", (DATA,))
    inventory.use("second", (DATA,))
    assert inventory.drop(DATA, arriving=False) == []
    assert inventory.release("first", (DATA,)) == []
    assert inventory.release("second", (DATA,)) == [DATA]
    assert DATA not in inventory.held


def test_an_object_that_is_wanted_again_stays() -> None:
    inventory = Inventory()
    inventory.arrived(DATA)
    inventory.use("user", (DATA,))
    inventory.drop(DATA, arriving=False)
    inventory.wanted_again(DATA)
    assert inventory.release("user", (DATA,)) == []
    assert DATA in inventory.held


def test_an_object_that_was_dropped_while_it_came_is_refused_once() -> None:
    inventory = Inventory()
    assert inventory.drop(DATA, arriving=True) == [DATA]
    assert inventory.refused(DATA)
    assert not inventory.refused(DATA)


def test_an_object_that_was_dropped_while_it_came_is_kept_for_its_user() -> None:
    inventory = Inventory()
    inventory.use("user", (DATA,))
    assert inventory.drop(DATA, arriving=True) == []
    assert not inventory.refused(DATA)
    inventory.arrived(DATA)
    assert inventory.release("user", (DATA,)) == [DATA]


def test_the_users_of_a_lost_object_are_told() -> None:
    inventory = Inventory()
    inventory.arrived(DATA)
    inventory.use("user", (DATA,))
    assert inventory.lost(DATA) == ["user"]
    assert DATA not in inventory.held

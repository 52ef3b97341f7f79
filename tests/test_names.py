"""Do the numbers of different clients stay apart?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vine.names import NUMBER_BITS, AttemptId, TransferId, client_index_of, numbered

counters = st.integers(1, (1 << NUMBER_BITS) - 1)
clients = st.integers(0, 1000)


@given(clients, counters, clients, counters)
def test_two_clients_never_number_alike(client: int, counter: int, other: int, others: int) -> None:
    assert (numbered(client, counter) == numbered(other, others)) == ((client, counter) == (other, others))


@given(clients, counters)
def test_a_number_tells_its_client(client: int, counter: int) -> None:
    assert client_index_of(numbered(client, counter)) == client


@pytest.mark.parametrize("counter", [0, -1, 1 << NUMBER_BITS])
def test_a_counter_out_of_its_range_is_our_mistake(counter: int) -> None:
    with pytest.raises(AssertionError):
        numbered(1, counter)


def test_a_number_fits_what_every_database_and_msgpack_can_hold() -> None:
    assert numbered((1 << 22), (1 << NUMBER_BITS) - 1) < 1 << 63


@pytest.mark.parametrize("kind", [AttemptId, TransferId])
def test_ids_read_as_epoch_and_counter_and_sort_by_age(kind: type[AttemptId] | type[TransferId]) -> None:
    assert str(kind(2, 17)) == "2.17"
    assert kind(1, 99) < kind(2, 1) < kind(2, 2)

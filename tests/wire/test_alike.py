"""Is what an assignment has in common with the one before it left out on the wire, and there again behind it?"""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vine.errors import MalformedMessage
from vine.names import AttemptId, ObjectId, TaskId
from vine.wire import alike
from vine.wire.parts import Assignment, Resources, TaskKind
from vine.wire.worker_messages import RunAttempts

ONE, OTHER = (ObjectId("a" * 64),), (ObjectId("b" * 64), ObjectId("c" * 64))
_decode = msgspec.msgpack.Decoder(RunAttempts).decode


def assignments(*shared: tuple[ObjectId, ...]) -> tuple[Assignment, ...]:
    return tuple(
        Assignment(AttemptId(1, number), TaskId(number), TaskKind.CALL, Resources(), shared=values)
        for number, values in enumerate(shared)
    )


@given(st.lists(st.sampled_from([(), ONE, OTHER])))
def test_a_worker_finds_in_every_assignment_what_the_manager_has_given_it(shared: list[tuple[ObjectId, ...]]) -> None:
    given_out = assignments(*shared)
    alike.fold(given_out)
    arrived = _decode(msgspec.msgpack.encode(RunAttempts(given_out))).assignments
    for _ in range(2):  # Once more changes nothing.
        alike.unfold(arrived)
        assert arrived == assignments(*shared)


def test_what_is_as_before_is_not_said_again() -> None:
    given_out = assignments(ONE, ONE, OTHER, (), (), OTHER, OTHER)
    alike.fold(given_out)
    assert [each.shared for each in given_out] == [ONE, None, OTHER, (), (), OTHER, None]


def test_a_first_assignment_that_leaves_something_out_is_malformed() -> None:
    (alone,) = assignments(())
    with pytest.raises(MalformedMessage, match="nothing before it"):
        alike.unfold((msgspec.structs.replace(alone, shared=None),))

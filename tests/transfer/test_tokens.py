from __future__ import annotations

from vine.names import ObjectId, TransferId, WorkerId
from vine.transfer.tokens import holds, mint, source_key

OBJECT = ObjectId("d" * 64)
REPLY = "tcp://10.0.0.1:7000"


def test_a_token_holds_for_its_own_plan_only() -> None:
    key = source_key(b"s" * 32, WorkerId("w1"))
    token = mint(key, TransferId(1, 2), OBJECT, REPLY)
    assert holds(key, token, TransferId(1, 2), OBJECT, REPLY)
    assert not holds(key, token, TransferId(1, 3), OBJECT, REPLY)
    assert not holds(key, token, TransferId(1, 2), ObjectId("e" * 64), REPLY)
    assert not holds(key, token, TransferId(1, 2), OBJECT, "tcp://10.0.0.2:7000")


def test_a_token_for_one_source_is_worth_nothing_at_another() -> None:
    token = mint(source_key(b"s" * 32, WorkerId("w1")), TransferId(1, 2), OBJECT, REPLY)
    assert not holds(source_key(b"s" * 32, WorkerId("w2")), token, TransferId(1, 2), OBJECT, REPLY)

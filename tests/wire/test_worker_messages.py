"""Is what no worker and no manager says to the other refused, and is who may say it one of them?"""

from __future__ import annotations

from typing import Any, get_args

import msgpack
import pytest

from vine.errors import MalformedMessage
from vine.wire import messages, worker_messages
from vine.wire.codec import Decoder


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (["worker-bye", 7], "reason"),
        (["objects-held", ["not a hash"]], r"object_ids\[0\]"),
        (["factory-hello", "f", "local", 0, 4, [1, 1, 1, 0]], "factory-hello"),
        (["no-such-message"], "no-such-message"),
    ],
)
def test_what_no_worker_says_is_refused_with_the_path_to_the_field(message: list[Any], field: str) -> None:
    decoder: Decoder[Any] = Decoder(worker_messages.FromWorker)
    with pytest.raises(MalformedMessage, match=field):
        decoder.decode_one(msgpack.packb(message))


def test_what_is_said_to_workers_is_declared_with_them_but_for_the_refusal_of_anyone() -> None:
    kinds = {*get_args(worker_messages.FromWorker), *get_args(worker_messages.ToWorker)}
    assert {kind for kind in kinds if kind.__module__ != worker_messages.__name__} == {messages.Refused}

"""Is what messages are made of frozen, without a tag, and in use?"""

from __future__ import annotations

import enum
from typing import Any

import msgspec
import pytest

from vine.wire import messages, parts
from vine.wire.worker_messages import FromWorker, ToWorker

PARTS = sorted(parts.Part.__subclasses__(), key=lambda part: part.__name__)
ENUMS = [kind for kind in vars(parts).values() if isinstance(kind, type) and issubclass(kind, enum.Enum)]
DIRECTIONS = (
    messages.FromClient,
    messages.ToClient,
    FromWorker,
    ToWorker,
    messages.FromFactory,
    messages.ToFactory,
)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_parts_are_frozen_arrays_without_a_tag_as_none_travels_alone(part: Any) -> None:
    config = part.__struct_config__
    assert config.frozen and config.array_like and config.tag is None


def test_every_part_and_every_enum_is_in_some_message() -> None:
    _, components = msgspec.json.schema_components(DIRECTIONS)
    assert {kind.__name__ for kind in (*PARTS, *ENUMS)} <= set(components)


@pytest.mark.parametrize(
    ("kind", "text"),
    [(parts.Hash, "a" * 64), (parts.Endpoint, "tcp://here:1"), (parts.Url, "http://x"), (parts.Path, "x")],
)
def test_what_has_a_form_has_nothing_behind_it(kind: Any, text: str) -> None:
    """A pattern's `$` lets a line feed pass."""
    assert msgspec.convert(text, kind) == text
    behind = "\0" if kind is parts.Path else "\n"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text + behind, kind)

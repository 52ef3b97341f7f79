"""Does what is written beside a pickle come out as it lay, without a copy?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vine_function_host import buffers

heads = st.binary(max_size=300)
memories = st.lists(st.binary(max_size=300), max_size=5)


@given(head=heads, memory=memories)
def test_what_was_written_is_what_is_read(head: bytes, memory: list[bytes]) -> None:
    views = [memoryview(part) for part in memory]
    opened, found = buffers.opened(memoryview(b"".join(buffers.parts_of_file(head, views))))
    assert bytes(opened) == head
    assert [bytes(part) for part in found] == memory


@given(head=heads, memory=memories)
def test_every_buffer_begins_where_arrays_like_to(head: bytes, memory: list[bytes]) -> None:
    at = 0
    for part in buffers.parts_of_file(head, [memoryview(part) for part in memory]):
        if isinstance(part, memoryview):
            assert at % 64 == 0
        at += len(part)


def test_the_parts_are_the_memory_itself_and_so_is_what_is_read() -> None:
    memory = bytearray(1000)
    parts = list(buffers.parts_of_file(b"head", [memoryview(memory)]))
    memory[0] = 7
    content = bytearray(b"".join(parts))
    (found,) = buffers.opened(memoryview(content))[1]
    assert found[0] == 7
    content[-1] = 9
    assert found[-1] == 9

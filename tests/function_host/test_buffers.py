"""Are the two ends' ways with files of buffers one way?"""

from __future__ import annotations

from vine.client import buffers
from vine_function_host import buffers as hosts


def test_both_ends_write_the_same() -> None:
    memory = [memoryview(bytes([number]) * number * 50) for number in range(4)]
    assert b"".join(hosts.parts_of_file(b"head", memory)) == b"".join(buffers.parts_of_file(b"head", memory))
    assert hosts.BUFFERS == buffers.BUFFERS

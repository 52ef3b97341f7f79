"""A function may write what it likes to where its host answers: the worker believes nothing that could harm it."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.foes.hostile import bytes_like, deep, values
from vine.wire.parts import Measured, Outcome, Times
from vine_function_host import frames
from vine_worker.functions.channel import Answer, HostChannel
from vine_worker.functions.zygotes import parsed
from vine_worker.process import ending_of_answer

_kinds = st.sampled_from([frames.READY, *frames.CALL_ENDS, b"?", b"\0"])
_wheres = st.sampled_from([frames.INLINE, frames.AT_PATH, b"?"])
_seconds = st.floats(width=64) | st.floats(0, 10)
_contents = st.sampled_from([b"", b"1", b"-9", b"x", b"9" * 30, b"/etc/hostname", b"a\0b", b"\xff"]) | st.binary()


def answer(
    brings: bytes, where: bytes = frames.INLINE, content: bytes = b"", run_s: float = 0.5, use: Any = frames.NO_USE,
    words: bytes = b"", words_bytes: int | None = None,
) -> bytes:  # fmt: skip
    said = len(words) if words_bytes is None else words_bytes
    frame = frames.ANSWER_HEAD.pack(1, brings, where, run_s, *use, said) + words + content
    return frames.LENGTH.pack(len(frame)) + frame


_uses = st.tuples(st.floats(width=32), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
_answers = st.builds(answer, _kinds, _wheres, _contents, _seconds, _uses, st.binary(max_size=9))


def heard(folder: Path, said: bytes) -> tuple[list[Answer], bool]:
    """What a worker believes of it, and whether it has noticed that it is nonsense."""
    channel = HostChannel(folder)
    try:
        os.write(channel.far_descriptors[2], said[:60_000])
        return channel.receive(), channel.malformed
    finally:
        channel.close()


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=bytes_like(st.lists(_answers, min_size=1, max_size=3).map(b"".join)) | _answers)
def test_what_is_believed_can_be_told_to_the_manager(tmp_path: Path, said: bytes) -> None:
    answers, _ = heard(tmp_path, said)
    for found in answers:
        assert found.brings == frames.READY or found.brings in frames.CALL_ENDS
        if found.brings == frames.READY:
            continue
        ending = ending_of_answer(found)
        assert isinstance(ending.outcome, Outcome)
        # Its numbers pass the manager's checks, and what lies at a path lies where hosts leave long values.
        times, use = Times(run_s=ending.run_s or 0.0), Measured(ending.cpu_s, ending.memory_mb)
        for part in (times, use):
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=type(part)) == part
        msgspec.msgpack.encode(ending.exit_code)
        if ending.value_path is not None:
            assert Path(ending.value_path).parent == tmp_path


NONSENSE = {
    "an exit code that is none": answer(frames.EXIT, content=b"x"),
    "an exit code that no system has": answer(frames.EXIT, content=b"9" * 30),
    "a death that is none": answer(frames.DIED, content=b""),
    "a kind that there is not": answer(b"?"),
    "a time that is no number": answer(frames.VALUE, run_s=math.nan),
    "a time before the beginning": answer(frames.VALUE, run_s=-1.0),
    "a time without end": answer(frames.VALUE, run_s=math.inf),
    "use that is no number": answer(frames.VALUE, use=(math.nan, 1, 1)),
    "use below nothing": answer(frames.VALUE, use=(-1.0, 1, 1)),
    "words longer than the answer": answer(frames.EXCEPTION, words=b"w", words_bytes=60_000),
    "words that are no text": answer(frames.EXCEPTION, words=b"\xff\xfe"),
    "a file of the system": answer(frames.VALUE, frames.AT_PATH, b"/etc/hostname"),
    "a file beside it": answer(frames.VALUE, frames.AT_PATH, b"../objects/x"),
    "a path that is none": answer(frames.VALUE, frames.AT_PATH, b"a\0b"),
    "an answer that is too short": frames.LENGTH.pack(3) + b"abc",
    "an answer of 4 GB": frames.LENGTH.pack(2**32 - 1),
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_noticed_and_nothing_of_it_is_believed(tmp_path: Path, said: bytes) -> None:
    assert heard(tmp_path, said) == ([], True)


_packets = bytes_like(st.sampled_from([b'{"forked": 1, "pid": 2}', b'{"failed": "why"}']))


@settings(deadline=None, max_examples=200)
@given(_packets | values.map(lambda value: json.dumps(value, default=repr).encode()))
def test_a_library_s_process_says_what_it_may_or_nothing(said: bytes) -> None:
    parsed(said)


@pytest.mark.parametrize(
    "said",
    [
        b'{"forked": "1", "pid": 2}',
        b'{"forked": 1, "pid": "2"}',
        b'{"forked": 1, "pid": -1}',
        b'{"forked": 1, "pid": 1}',
        b'{"ended": [], "code": 0, "cpu_s": 0, "memory_kb": 0}',
        b'{"ended": 1, "code": "x", "cpu_s": 0, "memory_kb": 0}',
        b'{"ended": 1, "code": 0, "cpu_s": -1, "memory_kb": 0}',
        b'{"failed": 7}',
        b'{"loaded": true, "why": null}',
        b"[]",
        b"{}",
        b"",
        b"\xff",
        deep(b"["),
    ],
    ids=lambda said: said[:40],
)
def test_what_no_library_s_process_says_is_noticed(said: bytes) -> None:
    assert parsed(said) is None

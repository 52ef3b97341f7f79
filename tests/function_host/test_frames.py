"""Is what one end puts into a frame what the other end reads out of it?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vine_function_host import frames

_blobs = st.lists(st.tuples(st.sampled_from((frames.INLINE, frames.AT_PATH)), st.binary(max_size=50)), max_size=4)
_calls = st.tuples(st.integers(0, 2**64 - 1), st.binary(max_size=20), st.binary(max_size=20), _blobs)


@given(st.lists(_calls, max_size=5))
def test_a_frame_holds_the_calls_that_were_put_into_it(
    calls: list[tuple[int, bytes, bytes, list[frames.Blob]]],
) -> None:
    written = [frames.call_frame(*call) for call in calls]
    frame = b"".join(frames.LENGTH.pack(len(call)) + call for call in written)
    found = [(number, frames.Call(content)) for number, content in frames.calls_of(frame)]
    assert [number for number, _ in found] == [call[0] for call in calls]
    assert [(call.number, call.function, call.settings, call.blobs) for _, call in found] == calls

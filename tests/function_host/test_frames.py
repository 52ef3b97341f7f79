"""Is what one end puts into a frame what the other end reads out of it?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vine_function_host import frames

_blobs = st.lists(st.tuples(st.sampled_from((frames.INLINE, frames.AT_PATH)), st.binary(max_size=50)), max_size=4)
_short = st.binary(max_size=20)
_commons = st.tuples(_short, _short, st.lists(_short, max_size=3))
_calls = st.tuples(st.integers(0, 2**64 - 1), _commons, _blobs)


@given(st.lists(_calls, max_size=5))
def test_a_frame_holds_the_calls_that_were_put_into_it(
    calls: list[tuple[int, tuple[bytes, bytes, list[bytes]], list[frames.Blob]]],
) -> None:
    written = [frames.call_frame(number, frames.common_part(*common), blobs) for number, common, blobs in calls]
    frame = b"".join(frames.LENGTH.pack(len(call)) + call for call in written)
    commons = frames.Commons()
    found = [(number, frames.Call(content, commons)) for number, content in frames.calls_of(frame)]
    assert [number for number, _ in found] == [call[0] for call in calls]
    read = [(call.number, call.common, call.blobs) for _, call in found]
    assert [(n, (common.function, common.settings, common.shared), blobs) for n, common, blobs in read] == calls


def test_what_calls_have_in_common_is_read_once_and_not_kept_for_ever() -> None:
    commons = frames.Commons()
    first = frames.common_part(b"/function", b"{}", [b"/shared"])
    assert commons.read(first) is commons.read(bytes(bytearray(first)))
    known = [commons.read(frames.common_part(b"/%d" % n, b"")) for n in range(frames.COMMONS_MAX)]
    assert commons.read(frames.common_part(b"/0", b"")).function == known[0].function
    long = frames.common_part(b"/function", bytes(frames.COMMON_BYTES_MAX))
    assert commons.read(long) is not commons.read(long)

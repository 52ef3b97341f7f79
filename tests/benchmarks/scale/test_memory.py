"""What the process takes is read from the kernel."""

from __future__ import annotations

from benchmarks.scale.memory import resident_bytes


def test_what_is_allocated_and_written_is_resident() -> None:
    before = resident_bytes()
    block = bytearray(b"x") * (64 << 20)
    assert resident_bytes() - before > 32 << 20
    assert resident_bytes("VmHWM") >= resident_bytes() - (1 << 20)
    assert len(block) == 64 << 20

from __future__ import annotations

from pathlib import Path

from vine.transfer.strain import Strain


def test_what_the_kernel_tells_of_this_thread_is_told_in_seconds(tmp_path: Path) -> None:
    statistics = tmp_path / "schedstat"
    statistics.write_text("94086000 1500000000 12\n")
    strain = Strain(statistics)
    assert strain.waited_s() == 1.5
    statistics.write_text("94086000 2500000000 13\n")
    assert strain.waited_s() == 2.5
    strain.close()


def test_where_the_kernel_does_not_tell_nobody_has_waited(tmp_path: Path) -> None:
    strain = Strain(tmp_path / "absent")
    assert strain.waited_s() == 0.0
    strain.close()


def test_this_kernel_can_be_asked() -> None:
    strain = Strain()
    first = strain.waited_s()
    assert 0.0 <= first <= strain.waited_s()
    strain.close()

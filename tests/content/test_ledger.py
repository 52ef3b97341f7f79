"""What was verified is told in full, and what is not the ledger's own is not believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.content.objects import made_of
from vine.content import folders
from vine.content.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    folder = tmp_path / "ledger"
    folder.mkdir()
    return Ledger(folder)


def test_an_entry_is_read_as_it_was_written_until_it_is_forgotten(ledger: Ledger, tmp_path: Path) -> None:
    made = made_of(10)
    (tmp_path / "file").write_bytes(made.content)
    signatures = folders.signatures_of(tmp_path / "file")
    ledger.write(made.key, 10, True, made.manifest, signatures)
    ((key, entry),) = ledger.entries()
    assert key == made.key
    assert (entry.size, entry.forever, entry.manifest, entry.signatures) == (10, True, made.manifest, signatures)
    assert ledger.is_good(key, entry, tmp_path / "file")
    assert not ledger.is_good(key, entry, tmp_path / "missing")
    ledger.forget(key)
    ledger.forget(key)
    assert list(ledger.entries()) == []


def test_damaged_and_half_written_entries_are_passed_over(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "ledger" / made_of(1).key).write_bytes(b"\xc1 no entry")
    (tmp_path / "ledger" / f"{made_of(2).key}.new").write_bytes(b"")
    assert list(ledger.entries()) == []

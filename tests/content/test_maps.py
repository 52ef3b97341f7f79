"""Files are read by maps while nobody's tasks can cut them, and only so many are kept mapped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vine import config
from vine.content.ledger import Ledger
from vine.content.maps import Maps
from vine.names import ObjectId

KEYS = [ObjectId(f"{number:064x}") for number in range(4)]


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[tuple[Ledger, Ledger]]:
    opened = Ledger(tmp_path / "ledger", "one"), Ledger(tmp_path / "ledger", "two")
    yield opened
    for ledger in opened:
        ledger.close()


@pytest.fixture
def maps(ledgers: tuple[Ledger, Ledger], tmp_path: Path) -> Maps:
    ours, _theirs = ledgers
    with ours.writing():
        ours.join(None)
    for key in KEYS:
        (tmp_path / key).write_bytes(key.encode())
    return Maps(ours)


def test_nothing_is_mapped_before_all_who_share_the_folder_are_harmless(
    ledgers: tuple[Ledger, Ledger], maps: Maps, tmp_path: Path
) -> None:
    assert maps.view_of(KEYS[0], tmp_path / KEYS[0]) is None
    maps.call_harmless()
    assert maps.view_of(KEYS[0], tmp_path / KEYS[0]) == KEYS[0].encode()
    # when another one joins, of which that is not known
    _ours, theirs = ledgers
    with theirs.writing():
        theirs.join(None)
    maps.look_at_others()
    assert maps.view_of(KEYS[0], tmp_path / KEYS[0]) is None


def test_what_was_used_last_stays_mapped_and_what_is_forgotten_does_not(
    maps: Maps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given maps of two files, which are gone from their folder
    monkeypatch.setattr(config, "mapped_objects_max", 2)
    maps.call_harmless()
    for key in (KEYS[0], KEYS[1], KEYS[0], KEYS[2]):
        assert maps.view_of(key, tmp_path / key) == key.encode()
    for key in KEYS:
        (tmp_path / key).unlink()
    # then those that were used last can be read
    assert maps.view_of(KEYS[0], tmp_path / KEYS[0]) == KEYS[0].encode()
    with pytest.raises(FileNotFoundError):
        maps.view_of(KEYS[1], tmp_path / KEYS[1])
    maps.forget(KEYS[0])
    with pytest.raises(FileNotFoundError):
        maps.view_of(KEYS[0], tmp_path / KEYS[0])

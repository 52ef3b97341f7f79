"""What one store enters, all others read, and what each of them says is kept apart."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.content.objects import made_of
from vine.content import folders, ledger
from vine.content.ledger import Entry, HeldByOthersError, Ledger, Proof
from vine.errors import DiskFull
from vine.host import boot_id
from vine.names import ObjectId

KEY, OTHER = made_of(1).key, made_of(2).key


@pytest.fixture
def two(tmp_path: Path) -> tuple[Ledger, Ledger]:
    path = tmp_path / "ledger"
    first, second = Ledger(path, "first"), Ledger(path, "second")
    for one, capacity in ((first, 100), (second, 50)):
        with one.writing():
            one.join(capacity)
    return first, second


def enter(one: Ledger, key: ObjectId = KEY, size: int = 10, used_at: int = 0) -> Entry:
    entry = Entry(key, size, False, Proof(boot_id(), made_of(1).manifest, {}))
    with one.writing():
        one.add(entry, used_at)
        one.claim(key, spare=False)
    return entry


def test_all_that_members_may_have_and_have_is_summed(two: tuple[Ledger, Ledger]) -> None:
    first, second = two
    enter(first)
    with second.writing():
        second.set_room("partial/x", 5)
        second.add_room("partial/x", 2)
        assert second.totals() == (150, 17)
        assert second.room_of("partial/x") == ("second", 7)
        assert first.others() == ["second"]
        assert second.forget_member("first") == []
        assert second.totals() == (50, 17)
    with Ledger.writing(first):
        first.join(None)
        assert first.totals() == (None, 17)


def test_an_object_is_known_to_all_at_once(two: tuple[Ledger, Ledger]) -> None:
    first, second = two
    assert second.look() == frozenset()
    entry = enter(first)
    assert second.look() == {KEY}
    assert second.look() is None, "nothing has changed since"
    with second.writing():
        assert second.find(KEY) == entry
        assert second.find(OTHER) is None
        second.remove(KEY)
    assert first.look() == frozenset()


def test_what_was_known_before_a_change_is_seen_while_others_make_it(two: tuple[Ledger, Ledger]) -> None:
    first, second = two
    entry = enter(first)
    with first.writing():
        first.remove(KEY)
        for one in two:  # Who would wait for that change would wait here for ever.
            assert (one.find_seen(KEY), one.find_seen(OTHER)) == (entry, None)
            assert one.keys_seen() == {KEY}
            assert one.totals_seen() == (150, 10)
    assert second.find_seen(KEY) is None and second.keys_seen() == set()


def test_a_change_that_fails_is_none(two: tuple[Ledger, Ledger]) -> None:
    first, second = two
    with pytest.raises(ZeroDivisionError), first.writing():
        first.set_room("partial/x", 5)
        raise ZeroDivisionError
    with second.writing():
        assert second.room_of("partial/x") is None


def test_an_object_is_spare_when_everyone_says_so_that_has_said_anything(two: tuple[Ledger, Ledger]) -> None:
    first, second = two
    enter(first, used_at=1)
    with second.writing():
        assert second.spare() == []
        first_says, second_says = first, second
        second_says.claim(KEY, spare=True)
        assert second.spare() == []
    with first_says.writing():
        first_says.touch({KEY: 7, OTHER: 9})
        first_says.touch({KEY: 3})
        first_says.claim(KEY, spare=True)
        assert [(one.key, one.size, one.used_at) for one in first.spare()] == [(KEY, 10, 7)]
        first_says.claim(OTHER, spare=False)  # It is not here, so that says nothing of what comes later.
    enter(second, OTHER)
    with second.writing():
        second.claim(OTHER, spare=True)
        assert {one.key for one in second.spare()} == {KEY, OTHER}
        second.forget_member("second")
        assert second.disclaim(KEY), "the first one needs it"
        second.claim_what_nobody_claims()
        assert [one.key for one in second.spare()] == [KEY]


def test_what_one_wants_kept_for_ever_another_cannot_end(two: tuple[Ledger, Ledger]) -> None:
    first, second = two
    enter(first)

    def forever() -> bool:
        with first.writing():
            found = first.find(KEY)
            assert found is not None
            return found.forever

    with first.writing():
        first.claim(KEY, spare=True, forever=True)
    with second.writing():
        second.claim(KEY, spare=True, forever=False)
    assert forever()
    with second.writing():
        second.claim(KEY, spare=True, forever=True)
        second.forget_member("first")
    assert forever()
    with second.writing():
        second.claim(KEY, spare=True, forever=False)
    assert not forever()


def test_what_is_nobodys_is_told_with_the_altered_first(two: tuple[Ledger, Ledger]) -> None:
    first, second = two
    with first.writing():
        for name in ("partial/a", "quarantine/b", "partial/c"):
            first.set_room(name, 1, ours=name == "partial/c")
        assert first.nobodys_room() == [("quarantine/b", 1), ("partial/a", 1)]
        assert first.forget_member("first") == ["partial/c"]
    with second.writing():
        assert len(second.nobodys_room()) == 3
        second.end_room("partial/a")
        second.end_all_room()
        assert second.nobodys_room() == []


def test_a_proof_holds_until_the_object_changes(tmp_path: Path) -> None:
    made = made_of(10)
    path = tmp_path / "file"
    path.write_bytes(made.content)
    proof = Proof(boot_id(), made.manifest, folders.signatures_of(path))
    assert proof.holds(made.key, path)
    assert not proof.holds(made.key, tmp_path / "missing")
    path.write_bytes(made.content + b"more")
    assert not proof.holds(made.key, path)
    # Of another boot only the bytes tell.
    path.write_bytes(made.content)
    assert Proof("another", made.manifest, {}).holds(made.key, path)
    assert not Proof("another", None, proof.signatures).holds(made.key, path)


@pytest.mark.parametrize("damage", ["no database", "another version"])
def test_a_ledger_that_cannot_be_read_is_found_out_and_removed(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    assert ledger.is_sound(path)
    Ledger(path, "first").close()
    assert ledger.is_sound(path)
    if damage == "no database":
        path.write_bytes(b"x" * 5000)
    else:
        database = sqlite3.connect(path)
        database.execute("PRAGMA user_version = 1")
        database.close()
    assert not ledger.is_sound(path)
    ledger.remove(path)
    assert list(tmp_path.iterdir()) == []


def test_a_change_for_which_the_disk_has_no_room_is_told_as_that_and_the_next_ones_can_be_made(
    two: tuple[Ledger, Ledger],
) -> None:
    first, second = two
    (pages,) = first._database.execute("PRAGMA page_count").fetchone()
    first._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DiskFull, match="another --workspace"), first.writing():
        for number in range(100_000):
            first.set_room(f"partial/{number}", 1)
    for one in (first, second):
        with one.writing():
            assert one.totals() == (150, 0)


def test_a_change_that_cannot_be_ended_is_none_and_holds_up_nobody(two: tuple[Ledger, Ledger]) -> None:
    first, second = two
    first._database.executescript(
        "PRAGMA foreign_keys = ON; CREATE TABLE late (key REFERENCES objects (key) DEFERRABLE INITIALLY DEFERRED);"
    )
    with pytest.raises(sqlite3.IntegrityError), first.writing():
        first._database.execute("INSERT INTO late VALUES ('nothing')")
    for one in (first, second):
        with one.writing():
            assert one.totals() == (150, 0)


def test_who_holds_a_change_up_for_too_long_is_told_to_the_user(two: tuple[Ledger, Ledger]) -> None:
    first, second = two
    second._database.execute("PRAGMA busy_timeout = 0")
    with first.writing(), pytest.raises(HeldByOthersError, match="was stopped"), second.writing():
        raise AssertionError("two at once")
    with second.writing():
        assert second.totals() == (150, 0)


def test_common_changes_need_no_more_of_the_disk_than_the_ledger_has_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    first, second = Ledger(path, "first"), Ledger(path, "second")

    def allocated() -> int:
        return sum(Path(f"{path}{suffix}").stat().st_blocks for suffix in ("", "-wal", "-shm"))

    enter(first)
    before = allocated()
    for number in range(1000):
        for one in (first, second):
            with one.writing():
                one.claim(KEY, spare=bool(number % 2))
                one.set_room(f"partial/{number}", number)
                one.end_room(f"partial/{number - 10}")
            one.look()
    assert allocated() == before

"""What lies here already in another object does not come again, and nothing is trusted for lying there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.content.objects import Made, made_of, made_tree, receive
from vine import config
from vine.content.hashing import manifest_of_bytes, manifest_of_tree
from vine.content.store import Store

CHUNK = config.chunk_bytes_small


def present(store: Store, made: Made) -> set[int]:
    return set(store.begin(made.key, made.manifest).present)


def test_of_a_changed_folder_only_the_changed_chunks_come(tmp_path: Path) -> None:
    # given a store that has a folder, of which a file in the middle has changed
    store = Store(tmp_path / "store")
    sizes = [CHUNK] * 8 + [5] * 100
    before = made_tree(tmp_path / "tree", sizes)
    receive(store, before)
    (tmp_path / "tree" / "sub" / "003").write_bytes(bytes(CHUNK))
    content = before.content[: 3 * CHUNK] + bytes(CHUNK) + before.content[4 * CHUNK :]
    after = Made(manifest_of_tree(tmp_path / "tree"), content)
    # when it begins to come, then all other chunks are here
    partial = store.begin(after.key, after.manifest)
    assert set(range(len(after.chunks))) - partial.present == {3}
    partial.write(3, after.chunks[3])
    partial.commit()
    assert manifest_of_tree(store.path(after.key)) == after.manifest


def test_what_another_store_of_the_host_has_is_used_and_what_an_object_repeats_comes_once(tmp_path: Path) -> None:
    first, second = Store(tmp_path / "store"), Store(tmp_path / "store")
    made = made_of(3 * CHUNK)
    receive(first, made)
    mixed = made.content[CHUNK:] + bytes(CHUNK) + made.content[:CHUNK]
    other = Made(manifest_of_bytes(mixed), mixed)
    assert present(second, other) == {0, 1, 3}


def test_what_was_altered_or_is_gone_is_not_taken(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    made = made_of(4 * CHUNK)
    receive(store, made)
    with store.path(made.key).open("r+b") as file:
        file.write(b"altered")
    longer = Made(manifest_of_bytes(made.content + b"more"), made.content + b"more")
    assert present(store, longer) == {1, 2, 3}
    store.path(made.key).unlink()
    longest = Made(manifest_of_bytes(longer.content + b"and more"), longer.content + b"and more")
    assert present(store, longest) == set()
    store.remove(made.key)
    other = Made(manifest_of_bytes(made.content + b"!"), made.content + b"!")
    assert present(store, other) == set()


def test_the_index_forgets_its_oldest_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "chunks_indexed_max", 3)
    store = Store(tmp_path / "store")
    older, newer = made_of(2 * CHUNK), made_of(2 * CHUNK, 1)
    for made in (older, newer):
        receive(store, made)
        present(store, made_of(CHUNK + 1, 9))  # It looks, and so indexes what has come.
    both = older.content + newer.content
    assert present(store, Made(manifest_of_bytes(both), both)) == {1, 2, 3}

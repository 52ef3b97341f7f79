from __future__ import annotations

import pytest

from benchmarks.simulator.content import manifest_of, some_bytes
from vine.content.manifest import check_manifest, chunk_count, object_id


@pytest.mark.parametrize("size", [1, 256 << 10, (256 << 10) + 1, 908_000_000])
def test_a_manifest_is_one_that_the_real_store_would_take(size: int) -> None:
    manifest = manifest_of("big", size)
    check_manifest(manifest)
    assert chunk_count(manifest) == -(-size // manifest.chunk_bytes)


def test_equal_names_are_equal_content() -> None:
    assert object_id(manifest_of("a", 100)) == object_id(manifest_of("a", 100))
    assert object_id(manifest_of("a", 100)) != object_id(manifest_of("b", 100))


def test_bytes_are_as_many_as_asked_for() -> None:
    assert len(some_bytes(1 << 20)) == 1 << 20
